//! `thalweg-threads` under test.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thalweg::{Config, Status};
use thalweg_threads::server::{ServeStats, ServerHandle};
use thalweg_threads::{
    Body, BodyWriter, Cancellation, ConnectionEnd, Error, Fields, Payload, Request, Responder, Response,
};

use crate::script::{POLL, chain};
use crate::{
    Adapter, Call, Client, Content, End, Failure, Handler, Head, LIMIT, Observation, Pending, Piece,
    Received, Server, Step,
};

/// The adapter `thalweg-threads`.
#[derive(Debug)]
pub struct Threads;

impl Adapter for Threads {
    const NAME: &'static str = "threads";
    type Server = ThreadsServer;
    type Client = ThreadsClient;

    fn serve_with(config: Config, date: bool, handler: Handler) -> ThreadsServer {
        let (observer, observations) = channel();
        let (ended, ends) = channel();
        let server = thalweg_threads::Server::builder()
            .config(config)
            .date(date)
            // The case may have ended before its connections.
            .on_end(move |end| drop(ended.send(End::from(end))))
            .bind("127.0.0.1:0")
            .expect("a free port");
        let (address, handle) = (server.local_addr().expect("it is bound"), server.handle());
        let observer = Mutex::new(observer);
        let serve = move |request: Request<Body>, responder: Responder| {
            let observer = observer.lock().expect("no panic while it is held").clone();
            Exchange::new(request, responder, observer).run(&handler)
        };
        let thread = Some(thread::spawn(move || server.serve(serve)));
        ThreadsServer { address, handle, observations, ends, thread }
    }

    fn connect(stream: TcpStream, config: Config) -> ThreadsClient {
        let client = thalweg_threads::Client::builder()
            .config(config)
            .handshake(stream, "http", "example.org")
            .expect("a thread can be started");
        ThreadsClient(client.time_limit(Some(LIMIT)))
    }
}

impl From<&ConnectionEnd> for End {
    fn from(end: &ConnectionEnd) -> Self {
        Self {
            cause: end.report.error.map(|error| error.cause()),
            text: end.to_string(),
            is_warning: end.is_warning(),
        }
    }
}

/// A server of [`Threads`].
#[derive(Debug)]
pub struct ThreadsServer {
    address: SocketAddr,
    handle: ServerHandle,
    observations: Receiver<Observation>,
    ends: Receiver<End>,
    thread: Option<JoinHandle<io::Result<ServeStats>>>,
}

impl Server for ThreadsServer {
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

impl Drop for ThreadsServer {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::ZERO);
        let outcome = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            outcome.expect("it is joined once").expect("the server does not panic").expect("it serves");
        }
    }
}

/// One request of a server, and the response as far as it has got.
struct Exchange {
    head: Head,
    body: Option<Body>,
    responder: Option<Responder>,
    writer: Option<BodyWriter>,
    cancellation: Cancellation,
    observer: Sender<Observation>,
}

impl Exchange {
    fn new(request: Request<Body>, responder: Responder, observer: Sender<Observation>) -> Self {
        let head = Head {
            start: format!("{} {}", request.method(), request.path()),
            fields: lines(&request.fields),
        };
        let cancellation = responder.cancellation();
        let body = Some(request.replace_body(()).1);
        Self { head, body, responder: Some(responder), writer: None, cancellation, observer }
    }

    fn observe(&self, observation: Observation) {
        // The case may have ended.
        drop(self.observer.send(observation));
    }

    fn path(&self) -> String {
        self.head.path().to_owned()
    }

    fn run(mut self, handler: &Handler) -> io::Result<()> {
        self.observe(Observation::Request(self.head.clone()));
        for step in handler(&self.head) {
            let reads = matches!(step, Step::ReadAll | Step::ReadSome);
            if let Err(error) = self.step(step) {
                let text = chain(&error);
                let path = self.path();
                self.observe(if self.cancellation.is_cancelled() {
                    Observation::Cancelled(path)
                } else if reads {
                    Observation::ReadFailed(text)
                } else {
                    Observation::WriteFailed(text)
                });
                return Err(error);
            }
        }
        self.observe(Observation::Done(self.path()));
        Ok(())
    }

    fn step(&mut self, step: Step) -> io::Result<()> {
        match step {
            Step::ReadAll => {
                let mut received = Received::default();
                if let Some(mut body) = self.body.take() {
                    body.read_to_end(&mut received.content)?;
                    received.trailers = body.trailers().map(lines).unwrap_or_default();
                }
                self.observe(Observation::Content(self.path(), received));
            }
            Step::ReadSome => {
                if let Some(body) = &mut self.body {
                    body.read_exact(&mut [0]).or_else(|error| match error.kind() {
                        io::ErrorKind::UnexpectedEof => Ok(()),
                        _ => Err(error),
                    })?;
                }
            }
            Step::DropContent => self.body = None,
            Step::Inform(status, fields) => {
                let responder = self.responder.as_mut().expect("no final response was sent");
                responder.send_informational(head(status, &fields))?;
            }
            Step::Respond { status, fields, content } => {
                let responder = self.responder.take().expect("one response");
                responder.send(head(status, &fields).body(payload(content)))?;
            }
            Step::Start(status, fields) => {
                let responder = self.responder.take().expect("one response");
                self.writer = Some(responder.start(head(status, &fields))?);
            }
            Step::Write(bytes) => {
                let writer = self.writer.as_mut().expect("a response was started");
                writer.write_all(&bytes)?;
                writer.flush()?;
            }
            Step::Finish => self.writer.take().expect("a response was started").finish()?,
            Step::Trailers(trailers) => {
                self.writer.take().expect("a response was started").finish_with(fields(&trailers))?;
            }
            Step::Wait(gate) => {
                if !gate.wait_unless(|| self.cancellation.is_cancelled()) {
                    return Err(io::ErrorKind::Interrupted.into());
                }
            }
            Step::WaitForEnd => {
                while !self.cancellation.is_cancelled() {
                    thread::sleep(POLL);
                }
                return Err(io::ErrorKind::Interrupted.into());
            }
            Step::Fail => return Err(io::Error::other("the handler fails")),
            Step::Panic => panic!("the handler panics"),
        }
        Ok(())
    }
}

fn lines(fields: &Fields) -> Vec<String> {
    fields
        .iter()
        .map(|field| format!("{}: {}", field.name().escape_ascii(), field.value.escape_ascii()))
        .collect()
}

fn fields(list: &[(&str, &str)]) -> Fields {
    list.iter().fold(Fields::new(), |fields, (name, value)| fields.with(name, value))
}

fn head(status: u16, list: &[(&str, &str)]) -> Response<()> {
    let mut head = Response::new(Status::new(status).expect("a valid status"));
    head.fields = fields(list);
    head
}

fn payload(content: Content) -> Payload {
    match content {
        Content::Nothing => Payload::from(()),
        Content::Whole(bytes) => Payload::from(bytes),
        Content::Source { len, pieces } => {
            let source = Source { pieces: pieces.into(), at: 0 };
            match len {
                Some(len) => Payload::sized_reader(source, len),
                None => Payload::reader(source),
            }
        }
    }
}

/// A reader that yields pieces.
struct Source {
    pieces: std::collections::VecDeque<Piece>,
    /// The bytes of the first piece that were read.
    at: usize,
}

impl io::Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.pieces.front() {
                None => return Ok(0),
                Some(Piece::Bytes(bytes)) if self.at < bytes.len() => {
                    let len = out.len().min(bytes.len() - self.at);
                    out[..len].copy_from_slice(&bytes[self.at..self.at + len]);
                    self.at += len;
                    return Ok(len);
                }
                Some(Piece::Wait(gate)) if !gate.wait() => return Err(io::ErrorKind::TimedOut.into()),
                Some(Piece::Fail) => return Err(io::Error::other("the source fails")),
                Some(Piece::OpenOnDrop(_)) => self.pieces.rotate_left(1),
                Some(Piece::Bytes(_) | Piece::Wait(_)) => {
                    self.pieces.pop_front();
                    self.at = 0;
                }
            }
            if self.pieces.iter().all(|piece| matches!(piece, Piece::OpenOnDrop(_))) {
                return Ok(0);
            }
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        for piece in &self.pieces {
            if let Piece::OpenOnDrop(gate) = piece {
                gate.open();
            }
        }
    }
}

/// A client of [`Threads`].
#[derive(Debug)]
pub struct ThreadsClient(thalweg_threads::Client);

impl Client for ThreadsClient {
    type Pending = ThreadsPending;

    fn send(&self, call: Call) -> ThreadsPending {
        let client = self.0.clone();
        let (sender, response) = channel();
        // `send` waits for the head of the response and sends the content meanwhile.
        thread::spawn(move || {
            let mut request = Request::new(call.method, call.path);
            for (name, value) in call.fields {
                request = request.field(name, value);
            }
            let outcome = client.send(request.body(payload(call.content)));
            // The client must not outlive the case's handle for the sake of this thread.
            drop(client);
            drop(sender.send(outcome));
        });
        ThreadsPending { response, body: None }
    }

    fn end(&self) -> End {
        End::from(&*self.0.wait_end())
    }
}

/// A request of [`ThreadsClient`].
#[derive(Debug)]
pub struct ThreadsPending {
    response: Receiver<Result<Response<Body>, Error>>,
    body: Option<Body>,
}

impl Pending for ThreadsPending {
    fn head(&mut self) -> Result<Head, Failure> {
        let response = self.response.recv_timeout(LIMIT).expect("`send` returns")?;
        let (head, body) = response.replace_body(());
        self.body = Some(body);
        Ok(Head { start: head.status().as_u16().to_string(), fields: lines(&head.fields) })
    }

    fn read(&mut self) -> Result<Received, Failure> {
        let mut received = Received::default();
        if let Some(mut body) = self.body.take() {
            body.read_to_end(&mut received.content).map_err(|error| match Error::of_io(&error) {
                Some(error) => Failure::from(error.clone()),
                None => Failure { text: chain(&error), is_retryable: false },
            })?;
            received.trailers = body.trailers().map(lines).unwrap_or_default();
        }
        Ok(received)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { text: chain(&error), is_retryable: error.is_retryable() }
    }
}
