//! What handlers and callers do, in terms that every adapter can carry out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thalweg::CloseCause;

use crate::LIMIT;

/// The head of a message: `GET /path` or `200`, and the fields as `name: value`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub start: String,
    pub fields: Vec<String>,
}

impl Head {
    /// Returns the path of a request's head.
    pub fn path(&self) -> &str {
        self.start.split_once(' ').map_or("", |(_, path)| path)
    }

    /// Returns all values of a field, in order.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter_map(|field| field.split_once(": "))
            .filter(|(field, _)| *field == name)
            .map(|(_, value)| value)
            .collect()
    }
}

/// Content that arrived whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub content: Vec<u8>,
    /// As `name: value`.
    pub trailers: Vec<String>,
}

/// Gives the steps for a request.
pub type Handler = Arc<dyn Fn(&Head) -> Vec<Step> + Send + Sync>;

/// What a handler does next. After its last step it returns; a message that it started and did not
/// finish is then dropped.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads the content to its end, and reports [`Observation::Content`].
    ReadAll,
    /// Reads until at least one byte or the end has arrived.
    ReadSome,
    /// Drops the content that was not read.
    DropContent,
    /// Sends an informational response.
    Inform(u16, Vec<(&'static str, &'static str)>),
    /// Sends a response whose content is known.
    Respond { status: u16, fields: Vec<(&'static str, &'static str)>, content: Content },
    /// Sends the head of a response; `Write`, `Finish` and `Trailers` follow.
    Start(u16, Vec<(&'static str, &'static str)>),
    /// Writes content and flushes it.
    Write(Vec<u8>),
    /// Ends the content.
    Finish,
    /// Ends the content with trailers.
    Trailers(Vec<(&'static str, &'static str)>),
    /// Waits until the case opens the gate.
    Wait(Gate),
    /// Waits until the stream ends early, and reports [`Observation::Cancelled`].
    WaitForEnd,
    /// Fails with an error.
    Fail,
    /// Panics.
    Panic,
}

/// Creates the steps of a handler that sends a status and a text.
pub fn respond(status: u16, content: &str) -> Vec<Step> {
    let content = Content::Whole(content.into());
    vec![Step::Respond { status, fields: Vec::new(), content }]
}

/// The content of a message.
#[derive(Clone, Debug, Default)]
pub enum Content {
    #[default]
    Nothing,
    /// Bytes, whose length is known.
    Whole(Vec<u8>),
    /// A source that yields pieces; `len` is the length that it announces.
    Source { len: Option<u64>, pieces: Vec<Piece> },
}

/// What a source of content does next. After its last piece it ends.
#[derive(Clone, Debug)]
pub enum Piece {
    Bytes(Vec<u8>),
    /// Yields nothing until the case opens the gate.
    Wait(Gate),
    /// Opens the gate when the source is dropped.
    OpenOnDrop(Gate),
    /// Fails with an error.
    Fail,
}

/// A request of a client.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: &'static str,
    pub path: &'static str,
    pub fields: Vec<(&'static str, &'static str)>,
    pub content: Content,
}

impl Call {
    pub fn get(path: &'static str) -> Self {
        Self { method: "GET", path, fields: Vec::new(), content: Content::Nothing }
    }

    pub fn post(path: &'static str, content: Content) -> Self {
        Self { method: "POST", path, fields: Vec::new(), content }
    }

    #[must_use]
    pub fn field(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.push((name, value));
        self
    }
}

/// What a handler saw, with the path of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    Request(Head),
    Content(String, Received),
    /// Reading the content failed.
    ReadFailed(String),
    /// Sending the response failed.
    WriteFailed(String),
    /// The handler was dropped, or learned that its stream has ended, before its last step.
    Cancelled(String),
    /// The handler has done its last step.
    Done(String),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub cause: Option<CloseCause>,
    /// The text for logs.
    pub text: String,
    pub is_warning: bool,
}

/// What the caller of a failed request receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error and its sources.
    pub text: String,
    pub is_retryable: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Opens once; clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    pub fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Blocks until it is open; returns `false` after [`LIMIT`].
    #[must_use]
    pub fn wait(&self) -> bool {
        self.wait_unless(|| false)
    }

    /// Blocks until it is open; returns `false` as soon as `given_up` holds, or after [`LIMIT`].
    pub(crate) fn wait_unless(&self, given_up: impl Fn() -> bool) -> bool {
        let until = Instant::now() + LIMIT;
        while !self.is_open() {
            if given_up() || Instant::now() > until {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }
}

/// How often a wait looks.
pub(crate) const POLL: Duration = Duration::from_millis(1);

/// Returns an error and its sources as one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
