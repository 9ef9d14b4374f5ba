//! hyper's HTTP/2 server and client on a single-threaded task pool: what a program built on the
//! usual stack pays, with a task for each request and a channel for each body.

use super::memory_io::{HyperIo, MemoryIo};
use super::messages::{Requests, body, response, trailers};
use crate::endpoint::{Endpoint, Seen};
use crate::traffic::*;
use crate::wire::Wire;
use crate::workload::App;
use bytes::Bytes;
use futures_executor::{LocalPool, LocalSpawner};
use futures_util::task::LocalSpawnExt;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::rt::Executor;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A server.
pub struct Server {
    tasks: Tasks,
    io: MemoryIo,
    seen: Rc<Cell<Seen>>,
}

impl Endpoint for Server {
    const READS: bool = true;

    fn start(app: App, streams_max: u32) -> Self {
        let (io, tasks) = (MemoryIo::new(), Tasks::new());
        let seen = Rc::new(Cell::new(Seen::default()));
        let seen_by_service = Rc::clone(&seen);
        let service =
            hyper::service::service_fn(move |request| serve(app, Rc::clone(&seen_by_service), request));
        let connection = hyper::server::conn::http2::Builder::new(tasks.spawner())
            .max_concurrent_streams(streams_max)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_pending_accept_reset_streams(usize::MAX)
            .max_local_error_reset_streams(None)
            .auto_date_header(false)
            .serve_connection(HyperIo(io.clone()), service);
        tasks.spawner().execute(connection);
        Self { tasks, io, seen }
    }

    fn turn(&mut self, input: &[u8], out: &mut Wire) {
        let tasks = &mut self.tasks;
        self.io.during(input, out, || tasks.run());
    }

    fn seen(&self) -> Seen {
        self.seen.get()
    }
}

async fn serve(
    app: App,
    seen: Rc<Cell<Seen>>,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Infallible> {
    note(&seen, |seen| seen.messages += 1);
    let mut body = request.into_body();
    if app == App::Hold || swallow(&mut body, &seen).await.is_err() || app == App::Cancel {
        // The stream is closed, or is never answered.
        std::future::pending::<()>().await;
    }
    Ok(response(app, Outgoing::response(app)))
}

/// Reads a body to its end.
async fn swallow(body: &mut Incoming, seen: &Cell<Seen>) -> Result<(), hyper::Error> {
    while let Some(frame) = body.frame().await {
        let len = frame?.data_ref().map_or(0, Bytes::len);
        note(seen, |seen| seen.body_bytes += len as u64);
    }
    note(seen, |seen| seen.complete += 1);
    Ok(())
}

fn note(seen: &Cell<Seen>, what: impl FnOnce(&mut Seen)) {
    let mut now = seen.get();
    what(&mut now);
    seen.set(now);
}

/// A client.
pub struct Client {
    tasks: Tasks,
    io: MemoryIo,
    sender: Rc<RefCell<Option<SendRequest<Outgoing>>>>,
    app: App,
    requests: Requests,
    seen: Rc<Cell<Seen>>,
}

impl Endpoint for Client {
    const READS: bool = true;

    fn start(app: App, streams_max: u32) -> Self {
        let (io, tasks) = (MemoryIo::new(), Tasks::new());
        let theirs = HyperIo(io.clone());
        let spawner = tasks.spawner();
        let sender = Rc::new(RefCell::new(None));
        let opened = Rc::clone(&sender);
        tasks.spawner().execute(async move {
            let (sender, connection) = hyper::client::conn::http2::Builder::new(spawner)
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(WINDOW_BYTES)
                .initial_max_send_streams(streams_max as usize)
                .handshake(theirs)
                .await
                .expect("a good hello");
            *opened.borrow_mut() = Some(sender);
            connection.await
        });
        Self { tasks, io, sender, app, requests: Requests::new(app), seen: Rc::default() }
    }

    fn ask(&mut self, requests: usize) {
        let mut sender = self.sender.borrow_mut();
        let sender = sender.as_mut().expect("asked after the hello");
        for _ in 0..requests {
            let request = self.requests.next(Outgoing::request(self.app));
            let reply = sender.send_request(request);
            let (app, seen) = (self.app, Rc::clone(&self.seen));
            self.tasks.spawner().execute(async move {
                let response = reply.await?;
                note(&seen, |seen| seen.messages += 1);
                if app != App::Cancel {
                    swallow(&mut response.into_body(), &seen).await?;
                }
                Ok::<_, hyper::Error>(())
            });
        }
    }

    fn turn(&mut self, input: &[u8], out: &mut Wire) {
        let tasks = &mut self.tasks;
        self.io.during(input, out, || tasks.run());
    }

    fn seen(&self) -> Seen {
        self.seen.get()
    }
}

/// A body to be sent.
enum Outgoing {
    Endless,
    Message { body: Bytes, has_trailers: bool },
    Trailers,
    Nothing,
}

impl Outgoing {
    fn response(app: App) -> Self {
        match app {
            App::Send | App::Splice => Self::Endless,
            _ => Self::Message { body: body(app), has_trailers: app == App::Grpc },
        }
    }

    fn request(app: App) -> Self {
        match app {
            App::Send | App::Splice => Self::Endless,
            App::Grpc => Self::Message { body: body(app), has_trailers: false },
            _ => Self::Nothing,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &*self {
            Self::Message { has_trailers: true, .. } => Self::Trailers,
            Self::Endless => Self::Endless,
            _ => Self::Nothing,
        };
        Poll::Ready(match std::mem::replace(&mut *self, next) {
            Self::Endless => Some(Ok(Frame::data(Bytes::from_static(&BODY)))),
            Self::Message { body, .. } => Some(Ok(Frame::data(body))),
            Self::Trailers => Some(Ok(Frame::trailers(trailers()))),
            Self::Nothing => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// The tasks of one connection; they end with it.
struct Tasks {
    pool: LocalPool,
}

impl Tasks {
    fn new() -> Self {
        Self { pool: LocalPool::new() }
    }

    fn spawner(&self) -> Spawner {
        Spawner(self.pool.spawner())
    }

    fn run(&mut self) {
        self.pool.run_until_stalled();
    }
}

#[derive(Clone)]
struct Spawner(LocalSpawner);

impl<F: Future + 'static> Executor<F> for Spawner {
    fn execute(&self, task: F) {
        let task = async move { drop(task.await) };
        // A pool that is being dropped takes no more tasks, and needs none.
        drop(self.0.spawn_local(task));
    }
}
