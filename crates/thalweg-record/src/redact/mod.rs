//! A redacted recording, which can still be replayed: with frames of the same kinds, lengths and
//! order.
//!
//! Invariants: values and content are removed; lengths, names, and the equality of values stay. The
//! key is not in the file.

mod huffman;
mod input;
mod pseudonyms;

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use thalweg::{Event, Field, Request};

use crate::call::Call;
use crate::codec::{Clock, Reader};
use crate::digest::Digest;
use crate::recording::{RecordedRole, Recording, Step};
use crate::replay::Replayer;
use crate::replay::{Difference, ReplayError, ReplayEvent, replay};
use input::FILL;
use pseudonyms::Pseudonyms;

/// A redacted recording.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redacted {
    /// The file.
    pub file: Vec<u8>,
    /// Whether its replay behaves as the original's: the same kinds, lengths and order of events
    /// and output, and the same report at the end. If not, the fault may depend on a removed value.
    pub is_same_shape: bool,
}

/// Why a recording cannot be redacted: the replay of the original must have no difference.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RedactError {
    /// The replay cannot start.
    Replay(ReplayError),
    /// The replay differs.
    Difference(Difference),
}

impl fmt::Display for RedactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replay(error) => error.fmt(f),
            Self::Difference(difference) => write!(f, "the recording is not reproduced: {difference}"),
        }
    }
}

impl core::error::Error for RedactError {}

impl From<ReplayError> for RedactError {
    fn from(error: ReplayError) -> Self {
        Self::Replay(error)
    }
}

impl Recording<'_> {
    /// Returns the recording without secrets. The replacement of a value depends on `key`, which
    /// the caller takes from a source of randomness and discards.
    ///
    /// Costs two replays, and memory for several copies of the recording.
    ///
    /// # Errors
    /// This version of the core does not reproduce the recording.
    pub fn redacted(&self, key: [u64; 2]) -> Result<Redacted, RedactError> {
        let (shape, mut consumed) = (&mut Shape::default(), ConsumedInput::default());
        let replayed = replay(self, |event| {
            shape.observe(&event);
            consumed.observe(&event);
        })?;
        if let Some(difference) = replayed.difference {
            return Err(RedactError::Difference(difference));
        }
        let mut pseudonyms = Pseudonyms::new(key);
        input::redact(&mut consumed.bytes, self.role == RecordedRole::Server, &mut pseudonyms);
        let script = self.script(consumed, &mut pseudonyms);

        let mut beginning = Self { steps: Vec::new(), ..self.clone() };
        // The seed affects how the encoder finds its entries, not its output, and it is a secret of
        // the process.
        beginning.config.hash_seed = 0;
        let mut replayer = Replayer::new(&beginning)?;
        let (mut reader, mut clock) = (Reader::new(&script, 0), Clock::default());
        let (mut other, mut is_executed) = (Shape::default(), true);
        while !reader.is_empty() {
            let call = Call::take(&mut reader, &mut clock).expect("it was written a moment ago");
            is_executed &= replayer.execute(&call, &mut |event| other.observe(&event)).is_ok();
        }
        let is_same_shape = is_executed && *shape == other && replayed.report == replayer.report();
        Ok(Redacted { file: replayer.into_file(self.is_truncated), is_same_shape })
    }

    /// Returns the calls without secrets, encoded as in a file, but without checks.
    fn script(&self, consumed: ConsumedInput, pseudonyms: &mut Pseudonyms) -> Vec<u8> {
        let (mut script, mut clock) = (Vec::new(), Clock::default());
        let (mut bytes, mut inputs) = (&consumed.bytes[..], consumed.inputs.into_iter());
        for step in &self.steps {
            match &step.call {
                Call::Receive { now, input: Some(input) } => {
                    let (consumed, rest) = bytes.split_at(inputs.next().unwrap_or(0));
                    bytes = rest;
                    // Input that the connection did not consume has no effect.
                    let mut redacted = consumed.to_vec();
                    redacted.resize(input.len(), 0);
                    Call::Receive { now: *now, input: Some(&redacted) }.put(&mut script, &mut clock);
                }
                call => redact_call(call, pseudonyms, &mut |call| call.put(&mut script, &mut clock)),
            }
        }
        script
    }
}

/// All bytes of the peer that the connection consumed, or had seen when it ended.
#[derive(Default)]
struct ConsumedInput {
    bytes: Vec<u8>,
    /// The number of these bytes in each new input.
    inputs: Vec<usize>,
    /// The last new input.
    input: Vec<u8>,
}

impl ConsumedInput {
    fn observe(&mut self, event: &ReplayEvent<'_>) {
        match event {
            ReplayEvent::Call(Step { call: Call::Receive { input: Some(input), .. }, .. }) => {
                self.inputs.push(0);
                self.input = input.to_vec();
            }
            ReplayEvent::Input(consumed) => self.consume(consumed.len()),
            ReplayEvent::Error(_) => self.consume(usize::MAX),
            _ => {}
        }
    }

    fn consume(&mut self, len: usize) {
        let Some(taken) = self.inputs.last_mut() else { return };
        let piece = &self.input[*taken..];
        let piece = &piece[..len.min(piece.len())];
        self.bytes.extend_from_slice(piece);
        *taken += piece.len();
    }
}

/// The kinds, lengths and order of the results of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Shape(Digest);

impl Default for Shape {
    fn default() -> Self {
        Self(Digest::new())
    }
}

impl Shape {
    fn observe(&mut self, event: &ReplayEvent<'_>) {
        let digest = &mut self.0;
        match event {
            ReplayEvent::Input(bytes) | ReplayEvent::Output(bytes) => digest.word(bytes.len() as u64),
            ReplayEvent::Event(Event::Headers { stream, headers, end, .. }) => {
                digest.debug(&("headers", stream, end));
                for field in headers.fields() {
                    digest.bytes(field.name());
                    digest.word(field.value.len() as u64);
                }
            }
            ReplayEvent::Event(Event::Data { stream, data, end }) => {
                digest.debug(&("data", stream, data.len(), end));
            }
            ReplayEvent::Event(Event::Reset { stream, code, by }) => {
                digest.debug(&("reset", stream, code, by));
            }
            _ => {}
        }
    }
}

/// Passes the call without its secrets to `put`.
fn redact_call(call: &Call<'_>, pseudonyms: &mut Pseudonyms, put: &mut dyn FnMut(Call<'_>)) {
    let fill = |len: usize| vec![FILL; len];
    match call {
        Call::SendData { stream, data, end, pad_len } => {
            put(Call::SendData { stream: *stream, data: &fill(data.len()), end: *end, pad_len: *pad_len });
        }
        Call::SendExtension { kind, flags, on, payload } => {
            let payload = &fill(payload.len());
            put(Call::SendExtension { kind: *kind, flags: *flags, on: *on, payload });
        }
        Call::Close { code, debug } => put(Call::Close { code: *code, debug: &fill(debug.len()) }),
        Call::SendOrigins { origins } => {
            let origins: Vec<_> = origins.iter().map(|origin| pseudonyms.replace(origin)).collect();
            put(Call::SendOrigins { origins: origins.iter().map(Vec::as_slice).collect() });
        }
        Call::SendAltSvc { on, origin, value } => {
            let (origin, value) = (&pseudonyms.replace(origin), &pseudonyms.replace(value));
            put(Call::SendAltSvc { on: *on, origin, value });
        }
        Call::SendTrailers { stream, fields } => {
            let values = Values::of(fields, pseudonyms);
            put(Call::SendTrailers { stream: *stream, fields: values.fields(fields) });
        }
        Call::SendResponse { stream, status, fields, end } => {
            let values = Values::of(fields, pseudonyms);
            let fields = values.fields(fields);
            put(Call::SendResponse { stream: *stream, status: *status, fields, end: *end });
        }
        Call::SendInformational { stream, status, fields } => {
            let values = Values::of(fields, pseudonyms);
            let fields = values.fields(fields);
            put(Call::SendInformational { stream: *stream, status: *status, fields });
        }
        Call::SendRequest { request, fields, end } => {
            let (values, target) = (Values::of(fields, pseudonyms), Target::of(request, pseudonyms));
            let (request, fields) = (target.request(request), values.fields(fields));
            put(Call::SendRequest { request, fields, end: *end });
        }
        Call::SendPush { parent, request, fields } => {
            let (values, target) = (Values::of(fields, pseudonyms), Target::of(request, pseudonyms));
            let (request, fields) = (target.request(request), values.fields(fields));
            put(Call::SendPush { parent: *parent, request, fields });
        }
        // Numbers, and values that the core has chosen.
        call => put(call.clone()),
    }
}

/// Returns the replacements for the values of fields.
struct Values(Vec<Vec<u8>>);

impl Values {
    fn of(fields: &[Field<'_>], pseudonyms: &mut Pseudonyms) -> Self {
        Self(fields.iter().map(|field| pseudonyms.value(field.name(), field.value)).collect())
    }

    fn fields<'a>(&'a self, fields: &[Field<'a>]) -> Vec<Field<'a>> {
        let replace = |(field, value): (&Field<'a>, &'a Vec<u8>)| {
            let mut field = *field;
            field.value = value;
            field
        };
        fields.iter().zip(&self.0).map(replace).collect()
    }
}

/// Returns the replacements for the authority and the path of a request.
struct Target {
    authority: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
}

impl Target {
    fn of(request: &Request<'_>, pseudonyms: &mut Pseudonyms) -> Self {
        Self {
            authority: request.authority.map(|authority| pseudonyms.value(b":authority", authority)),
            path: request.path.map(|path| pseudonyms.value(b":path", path)),
        }
    }

    fn request<'a>(&'a self, request: &Request<'a>) -> Request<'a> {
        let mut redacted = *request;
        redacted.authority = self.authority.as_deref();
        redacted.path = self.path.as_deref();
        redacted
    }
}
