//! `thalweg-tokio` under test.

use std::collections::VecDeque;
use std::future::Future;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use thalweg::Config;
use thalweg_tokio::server::StreamHandle;
use thalweg_tokio::{Body, BoxError, Error, service_fn};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::script::{POLL, chain};
use crate::{
    Adapter, Call, Client, Content, End, Failure, Handler, Head, LIMIT, Observation, Pending, Piece,
    Received, Server, Step,
};

/// The adapter `thalweg-tokio`.
#[derive(Debug)]
pub struct Tokio;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    })
}

/// Runs a future to its end, within the limit.
fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(async { tokio::time::timeout(LIMIT, future).await.expect("it takes too long") })
}

impl Adapter for Tokio {
    const NAME: &'static str = "tokio";
    type Server = TokioServer;
    type Client = TokioClient;

    fn serve_with(config: Config, date: bool, handler: Handler) -> TokioServer {
        let (observer, observations) = channel();
        let (ended, ends) = channel();
        let builder = thalweg_tokio::Server::builder().config(config).date(date).stream_handles();
        let builder = builder.on_end(move |end| {
            // The case may have ended before its connections.
            drop(ended.send(End::from(end)));
        });
        let server = block_on(builder.bind("127.0.0.1:0")).expect("a free port");
        let address = server.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let service = service_fn(move |request| Exchange::start(request, &handler, observer.clone()));
        let task = runtime().spawn(async move {
            let signal = async { drop(stopped.await) };
            server.serve_until(service, signal).await.expect("it serves");
        });
        TokioServer { address, observations, ends, stop: Some(stop), task: Some(task) }
    }

    fn connect(stream: TcpStream, config: Config) -> TokioClient {
        stream.set_nonblocking(true).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        let _entered = runtime().enter();
        let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
        let (client, connection) =
            thalweg_tokio::client::handshake(stream, config).expect("a valid configuration");
        let (sender, ended) = channel();
        runtime().spawn(async move {
            let end = connection.await;
            drop(sender.send(End::from(&*end)));
        });
        TokioClient { client, ended }
    }
}

/// A server of [`Tokio`].
#[derive(Debug)]
pub struct TokioServer {
    address: SocketAddr,
    observations: Receiver<Observation>,
    ends: Receiver<End>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Server for TokioServer {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn observation(&self) -> Observation {
        self.observations.recv_timeout(LIMIT).expect("an observation")
    }

    fn try_observation(&self) -> Option<Observation> {
        self.observations.try_recv().ok()
    }

    fn end(&self) -> End {
        self.ends.recv_timeout(LIMIT).expect("a connection ends")
    }
}

impl Drop for TokioServer {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(task) = self.task.take() {
            // A connection of a case that has failed may stay open.
            task.abort();
        }
    }
}

/// One request of a server, and the response as far as it has got.
struct Exchange {
    head: Head,
    body: Option<Body>,
    handle: StreamHandle,
    observer: Sender<Observation>,
    response: Option<oneshot::Sender<Response<ScriptedBody>>>,
    writer: Option<mpsc::Sender<Item>>,
    is_done: bool,
}

/// Why an exchange stops before its last step.
enum Stop {
    Cancelled,
    ReadFailed(String),
    Failed,
}

impl Exchange {
    /// Runs the steps beside the handler: inside its future until the response is sent, and in a
    /// task from then on.
    fn start(
        request: Request<Body>,
        handler: &Handler,
        observer: Sender<Observation>,
    ) -> impl Future<Output = Result<Response<ScriptedBody>, BoxError>> + Send + use<> {
        let handle = request.extensions().get::<StreamHandle>().expect("handles are on").clone();
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let head = Head { start: format!("{} {path}", parts.method), fields: lines(&parts.headers) };
        drop(observer.send(Observation::Request(head.clone())));
        let steps = handler(&head);
        async move {
            let (sender, mut response) = oneshot::channel();
            let exchange = Self {
                head,
                body: Some(body),
                handle,
                observer,
                response: Some(sender),
                writer: None,
                is_done: false,
            };
            let mut run = Box::pin(exchange.run(steps));
            let outcome = std::future::poll_fn(|cx| {
                let polled = run.as_mut().poll(cx);
                match Pin::new(&mut response).poll(cx) {
                    Poll::Ready(Ok(response)) => Poll::Ready(Ok((response, polled.is_ready()))),
                    Poll::Ready(Err(_)) => Poll::Ready(Err(BoxError::from("the handler fails"))),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
            let (response, is_done) = outcome?;
            if !is_done {
                tokio::spawn(run);
            }
            Ok(response)
        }
    }

    fn observe(&self, observation: Observation) {
        // The case may have ended.
        drop(self.observer.send(observation));
    }

    fn path(&self) -> String {
        self.head.path().to_owned()
    }

    async fn run(mut self, steps: Vec<Step>) {
        for step in steps {
            let Err(stop) = self.step(step).await else { continue };
            self.is_done = true;
            let path = self.path();
            match stop {
                Stop::Cancelled => self.observe(Observation::Cancelled(path)),
                Stop::ReadFailed(text) => self.observe(Observation::ReadFailed(text)),
                Stop::Failed => self.observe(Observation::WriteFailed("the handler fails".to_owned())),
            }
            return;
        }
        self.is_done = true;
        self.observe(Observation::Done(self.path()));
    }

    async fn step(&mut self, step: Step) -> Result<(), Stop> {
        match step {
            Step::ReadAll => {
                if let Some(body) = self.body.take() {
                    let received = collect(body).await.map_err(|error| Stop::ReadFailed(chain(&error)))?;
                    self.observe(Observation::Content(self.path(), received));
                }
            }
            Step::ReadSome => {
                if let Some(Err(error)) = self.body.as_mut().expect("it was not dropped").frame().await {
                    return Err(Stop::ReadFailed(chain(&error)));
                }
            }
            Step::DropContent => self.body = None,
            Step::Inform(status, fields) => {
                self.handle.send_informational(head(status, &fields).map(drop)).expect("it is open");
            }
            Step::Respond { status, fields, content } => {
                let (head, ()) = head(status, &fields).into_parts();
                self.respond(Response::from_parts(head, ScriptedBody::from(content)))?;
            }
            Step::Start(status, fields) => {
                let (writer, frames) = mpsc::channel(1);
                self.writer = Some(writer);
                let (head, ()) = head(status, &fields).into_parts();
                self.respond(Response::from_parts(head, ScriptedBody::Channel(frames)))?;
            }
            Step::Write(bytes) => self.send(Frame::data(bytes.into())).await?,
            Step::Finish => self.writer = None,
            Step::Trailers(trailers) => {
                self.send(Frame::trailers(header_map(&trailers))).await?;
                self.writer = None;
            }
            Step::Wait(gate) => {
                let until = tokio::time::Instant::now() + LIMIT;
                while !gate.is_open() {
                    let is_closed = self.writer.as_ref().is_some_and(mpsc::Sender::is_closed);
                    if is_closed || tokio::time::Instant::now() > until {
                        return Err(Stop::Cancelled);
                    }
                    tokio::time::sleep(POLL).await;
                }
            }
            Step::WaitForEnd => {
                match &self.writer {
                    Some(writer) => writer.closed().await,
                    None => std::future::pending().await,
                }
                return Err(Stop::Cancelled);
            }
            Step::Fail => {
                self.response = None;
                if let Some(writer) = self.writer.take() {
                    drop(writer.send(Item::Fail).await);
                }
                return Err(Stop::Failed);
            }
            Step::Panic => match self.writer.take() {
                // The body runs in the connection's task, and this in one of the suite's.
                Some(writer) => {
                    drop(writer.send(Item::Panic).await);
                    return Err(Stop::Failed);
                }
                None => panic!("the handler panics"),
            },
        }
        Ok(())
    }

    fn respond(&mut self, response: Response<ScriptedBody>) -> Result<(), Stop> {
        let sender = self.response.take().expect("one response");
        sender.send(response).map_err(|_| Stop::Cancelled)
    }

    async fn send(&self, frame: Frame<Bytes>) -> Result<(), Stop> {
        let writer = self.writer.as_ref().expect("a response was started");
        writer.send(Item::Frame(frame)).await.map_err(|_| Stop::Cancelled)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_done {
            self.observe(Observation::Cancelled(self.path()));
        }
    }
}

async fn collect(body: Body) -> Result<Received, Error> {
    let collected = body.collect().await?;
    let trailers = collected.trailers().map(lines).unwrap_or_default();
    Ok(Received { content: collected.to_bytes().to_vec(), trailers })
}

fn lines(fields: &HeaderMap) -> Vec<String> {
    fields.iter().map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii())).collect()
}

fn header_map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    // Appends, so that a field may occur more than once.
    let mut map = HeaderMap::new();
    for (name, value) in fields.iter().map(field) {
        map.append(name, value);
    }
    map
}

fn head(status: u16, fields: &[(&'static str, &'static str)]) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = http::StatusCode::from_u16(status).expect("a valid status");
    *head.headers_mut() = header_map(fields);
    head
}

/// What a handler passes to its body.
enum Item {
    Frame(Frame<Bytes>),
    Fail,
    Panic,
}

/// A body that follows a script.
enum ScriptedBody {
    Source { len: Option<u64>, pieces: VecDeque<Piece>, timer: Option<Pin<Box<tokio::time::Sleep>>> },
    Channel(mpsc::Receiver<Item>),
}

impl From<Content> for ScriptedBody {
    fn from(content: Content) -> Self {
        let (len, pieces) = match content {
            Content::Nothing => (Some(0), Vec::new()),
            Content::Whole(bytes) => (Some(bytes.len() as u64), vec![Piece::Bytes(bytes)]),
            Content::Source { len, pieces } => (len, pieces),
        };
        Self::Source { len, pieces: pieces.into(), timer: None }
    }
}

impl http_body::Body for ScriptedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let (len, pieces, timer) = match &mut *self {
            Self::Channel(items) => {
                return items.poll_recv(cx).map(|item| match item? {
                    Item::Frame(frame) => Some(Ok(frame)),
                    Item::Fail => Some(Err("the body fails".into())),
                    Item::Panic => panic!("the body panics"),
                });
            }
            Self::Source { len, pieces, timer } => (len, pieces, timer),
        };
        loop {
            if pieces.iter().all(|piece| matches!(piece, Piece::OpenOnDrop(_))) {
                return Poll::Ready(None);
            }
            match pieces.front().expect("there is a piece left") {
                Piece::Fail => return Poll::Ready(Some(Err("the source fails".into()))),
                Piece::OpenOnDrop(_) => pieces.rotate_left(1),
                Piece::Wait(gate) if !gate.is_open() => {
                    let sleep = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(POLL)));
                    std::task::ready!(sleep.as_mut().poll(cx));
                    *timer = None;
                }
                Piece::Wait(_) => drop(pieces.pop_front()),
                Piece::Bytes(_) => {
                    let Some(Piece::Bytes(bytes)) = pieces.pop_front() else {
                        unreachable!("it was looked at")
                    };
                    if let Some(len) = len {
                        *len = len.saturating_sub(bytes.len() as u64);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Source { len: Some(len), .. } => SizeHint::with_exact(*len),
            _ => SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Source { len: Some(0), pieces, .. } if pieces.is_empty())
    }
}

impl Drop for ScriptedBody {
    fn drop(&mut self) {
        if let Self::Source { pieces, .. } = self {
            for piece in pieces {
                if let Piece::OpenOnDrop(gate) = piece {
                    gate.open();
                }
            }
        }
    }
}

/// A client of [`Tokio`].
#[derive(Debug)]
pub struct TokioClient {
    client: thalweg_tokio::Client<ScriptedBody>,
    ended: Receiver<End>,
}

impl Client for TokioClient {
    type Pending = TokioPending;

    fn send(&self, call: Call) -> TokioPending {
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("http://example.org{}", call.path))
            .body(ScriptedBody::from(call.content))
            .expect("a valid request");
        *request.headers_mut() = header_map(&call.fields);
        let response = self.client.clone().send(request);
        TokioPending { response: Some(runtime().spawn(response)), body: None }
    }

    fn end(&self) -> End {
        self.ended.recv_timeout(LIMIT).expect("the connection ends")
    }
}

/// A request of [`TokioClient`].
#[derive(Debug)]
pub struct TokioPending {
    response: Option<JoinHandle<Result<Response<Body>, Error>>>,
    body: Option<Body>,
}

impl Pending for TokioPending {
    fn head(&mut self) -> Result<Head, Failure> {
        let response = self.response.take().expect("one head");
        let (head, body) = block_on(response).expect("the task does not panic")?.into_parts();
        self.body = Some(body);
        Ok(Head { start: head.status.as_u16().to_string(), fields: lines(&head.headers) })
    }

    fn read(&mut self) -> Result<Received, Failure> {
        Ok(block_on(collect(self.body.take().expect("the head was taken")))?)
    }
}

impl Drop for TokioPending {
    fn drop(&mut self) {
        if let Some(response) = self.response.take() {
            response.abort();
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { text: chain(&error), is_retryable: error.is_retryable() }
    }
}
