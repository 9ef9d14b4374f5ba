//! The crate `h2`, polled by hand with a waker that does nothing: the least its users can pay.

use super::memory_io::MemoryIo;
use super::messages::{Requests, body, response, trailers};
use crate::endpoint::{Endpoint, Seen};
use crate::traffic::*;
use crate::wire::Wire;
use crate::workload::App;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::{Handshake, SendResponse};
use h2::{RecvStream, SendStream};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A server.
pub struct Server {
    // Streams go before the connection, as their handles reach into it.
    open: Vec<Exchange>,
    held: Vec<Exchange>,
    endless: Option<SendStream<Bytes>>,
    connection: Accepting,
    io: MemoryIo,
    app: App,
    seen: Seen,
    field_count: usize,
}

enum Accepting {
    Hello(Handshake<MemoryIo, Bytes>),
    Open(h2::server::Connection<MemoryIo, Bytes>),
}

struct Exchange {
    body: RecvStream,
    respond: SendResponse<Bytes>,
}

impl Endpoint for Server {
    const READS: bool = true;

    fn start(app: App, streams_max: u32) -> Self {
        let io = MemoryIo::new();
        let hello = h2::server::Builder::new()
            .max_concurrent_streams(streams_max)
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_pending_accept_reset_streams(usize::MAX)
            .handshake(io.clone());
        Self {
            open: Vec::new(),
            held: Vec::new(),
            endless: None,
            connection: Accepting::Hello(hello),
            io,
            app,
            seen: Seen::default(),
            field_count: 0,
        }
    }

    fn turn(&mut self, input: &[u8], out: &mut Wire) {
        let io = self.io.clone();
        let mut context = Context::from_waker(Waker::noop());
        io.during(input, out, || self.step(&mut context));
    }

    fn seen(&self) -> Seen {
        self.seen
    }
}

impl Server {
    fn step(&mut self, context: &mut Context<'_>) {
        if let Accepting::Hello(hello) = &mut self.connection {
            match Pin::new(hello).poll(context) {
                Poll::Ready(open) => self.connection = Accepting::Open(open.expect("a good hello")),
                Poll::Pending => return,
            }
        }
        let Accepting::Open(connection) = &mut self.connection else { return };
        while let Poll::Ready(next) = connection.poll_accept(context) {
            let (request, respond) = next.expect("an open connection").expect("good requests");
            self.seen.messages += 1;
            self.field_count += request.headers().len() + request.uri().path().len();
            let body = request.into_body();
            let exchange = Exchange { body, respond };
            // Nothing comes for a stream that is held open: it is not asked again.
            let is_held = matches!(self.app, App::Hold | App::Unary) && !exchange.body.is_end_stream();
            if is_held { &mut self.held } else { &mut self.open }.push(exchange);
        }
        let (app, seen, endless) = (self.app, &mut self.seen, &mut self.endless);
        self.open.retain_mut(|exchange| match drain(&mut exchange.body, seen, context) {
            Progress::Waiting => true,
            Progress::Reset => false,
            Progress::Complete => {
                answer(app, &mut exchange.respond, endless);
                false
            }
        });
        if let Some(stream) = &mut self.endless {
            loop {
                assert!(connection.poll_closed(context).is_pending(), "the connection stays open");
                if !fill(stream) {
                    break;
                }
            }
        }
        // Sends what the application queued.
        assert!(connection.poll_closed(context).is_pending(), "the connection stays open");
    }
}

fn answer(app: App, respond: &mut SendResponse<Bytes>, endless: &mut Option<SendStream<Bytes>>) {
    if matches!(app, App::Receive | App::Cancel | App::Hold) {
        return;
    }
    let mut stream = respond.send_response(response(app, ()), false).expect("a live stream");
    match app {
        App::Send | App::Splice => *endless = Some(stream),
        App::Grpc => {
            stream.send_data(body(app), false).expect("a live stream");
            stream.send_trailers(trailers()).expect("a live stream");
        }
        _ => stream.send_data(body(app), true).expect("a live stream"),
    }
}

enum Progress {
    Waiting,
    Complete,
    Reset,
}

/// Reads what there is of a body, and gives the window back.
fn drain(body: &mut RecvStream, seen: &mut Seen, context: &mut Context<'_>) -> Progress {
    loop {
        match body.poll_data(context) {
            Poll::Ready(Some(Ok(bytes))) => {
                seen.body_bytes += bytes.len() as u64;
                body.flow_control().release_capacity(bytes.len()).expect("no more than was received");
            }
            Poll::Ready(Some(Err(_))) => return Progress::Reset,
            Poll::Ready(None) => break,
            Poll::Pending => return Progress::Waiting,
        }
    }
    match body.poll_trailers(context) {
        Poll::Ready(Ok(_)) => {
            seen.complete += 1;
            Progress::Complete
        }
        Poll::Ready(Err(_)) => Progress::Reset,
        Poll::Pending => Progress::Waiting,
    }
}

/// Sends what the window allows of an endless body; whether it allowed anything.
fn fill(stream: &mut SendStream<Bytes>) -> bool {
    stream.reserve_capacity(WINDOW_BYTES as usize);
    let room = stream.capacity().min(FRAME_BYTES);
    if room > 0 {
        stream.send_data(Bytes::from_static(&BODY[..room]), false).expect("a live stream");
    }
    room > 0
}

/// A client.
pub struct Client {
    replies: Vec<Reply>,
    held: Vec<ResponseFuture>,
    endless: Option<SendStream<Bytes>>,
    connection: Connecting,
    io: MemoryIo,
    app: App,
    requests: Requests,
    seen: Seen,
}

type Opened = (SendRequest<Bytes>, h2::client::Connection<MemoryIo, Bytes>);

enum Connecting {
    Hello(Pin<Box<dyn Future<Output = Result<Opened, h2::Error>>>>),
    Open(Box<Opened>),
}

enum Reply {
    Head(ResponseFuture),
    Body(RecvStream),
}

impl Endpoint for Client {
    const READS: bool = true;

    fn start(app: App, streams_max: u32) -> Self {
        let io = MemoryIo::new();
        let theirs = io.clone();
        let hello = async move {
            h2::client::Builder::new()
                .initial_window_size(WINDOW_BYTES)
                .initial_connection_window_size(WINDOW_BYTES)
                .initial_max_send_streams(streams_max as usize)
                .handshake(theirs)
                .await
        };
        Self {
            replies: Vec::new(),
            held: Vec::new(),
            endless: None,
            connection: Connecting::Hello(Box::pin(hello)),
            io,
            app,
            requests: Requests::new(app),
            seen: Seen::default(),
        }
    }

    fn ask(&mut self, requests: usize) {
        let Connecting::Open(open) = &mut self.connection else { panic!("asked before the hello") };
        let has_body = matches!(self.app, App::Grpc | App::Send | App::Splice);
        for _ in 0..requests {
            let request = self.requests.next(());
            let (reply, mut stream) = open.0.send_request(request, !has_body).expect("room for a stream");
            match self.app {
                App::Hold => self.held.push(reply),
                _ => self.replies.push(Reply::Head(reply)),
            }
            match self.app {
                App::Grpc => stream.send_data(body(self.app), true).expect("a live stream"),
                App::Send | App::Splice => self.endless = Some(stream),
                _ => {}
            }
        }
    }

    fn turn(&mut self, input: &[u8], out: &mut Wire) {
        let io = self.io.clone();
        let mut context = Context::from_waker(Waker::noop());
        io.during(input, out, || self.step(&mut context));
    }

    fn seen(&self) -> Seen {
        self.seen
    }
}

impl Client {
    fn step(&mut self, context: &mut Context<'_>) {
        if let Connecting::Hello(hello) = &mut self.connection {
            match hello.as_mut().poll(context) {
                Poll::Ready(open) => {
                    self.connection = Connecting::Open(Box::new(open.expect("a good hello")));
                }
                Poll::Pending => return,
            }
        }
        let Connecting::Open(open) = &mut self.connection else { return };
        let connection = &mut open.1;
        assert!(Pin::new(&mut *connection).poll(context).is_pending(), "the connection stays open");
        let (app, seen) = (self.app, &mut self.seen);
        self.replies.retain_mut(|reply| !advance(app, reply, seen, context));
        while self.endless.as_mut().is_some_and(fill) {
            assert!(Pin::new(&mut *connection).poll(context).is_pending(), "the connection stays open");
        }
        assert!(Pin::new(connection).poll(context).is_pending(), "the connection stays open");
    }
}

/// Takes what has come of a reply; whether the client is done with it. To drop it cancels it.
fn advance(app: App, reply: &mut Reply, seen: &mut Seen, context: &mut Context<'_>) -> bool {
    if let Reply::Head(head) = reply {
        let Poll::Ready(response) = Pin::new(head).poll(context) else { return false };
        seen.messages += 1;
        *reply = Reply::Body(response.expect("a good response").into_body());
        if app == App::Cancel {
            return true;
        }
    }
    let Reply::Body(body) = reply else { return false };
    !matches!(drain(body, seen, context), Progress::Waiting)
}
