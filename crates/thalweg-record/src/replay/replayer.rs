//! Makes recorded calls on a new connection, which records them again.
//!
//! Invariants: a key is that of the new connection for the recorded identifier; the same code as in
//! the recording writes the results, so that equal results have equal digests.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use thalweg::{
    Client, CloseReport, Event, HeadersKind, Instant, Server, Settings, Splice, StreamId, StreamKey,
};

use super::{ReplayError, ReplayEvent};
use crate::call::Call;
use crate::digest::Digest;
use crate::recorder::{RecordOptions, Recorder};
use crate::recording::{RecordedRole, Recording, Start};

pub(crate) struct Replayer<'a> {
    recorder: AnyRecorder,
    /// The keys of the connection, by identifier.
    streams: BTreeMap<StreamId, StreamKey>,
    /// The input that the last `receive` did not consume.
    input: &'a [u8],
    output: Vec<u8>,
    splices: Vec<Splice>,
    pub output_bytes: u64,
}

enum AnyRecorder {
    Client(Recorder<Client>),
    Server(Recorder<Server>),
}

/// Makes a call for either role.
macro_rules! on {
    ($replayer:ident, $recorder:ident => $call:expr) => {
        match &mut $replayer.recorder {
            AnyRecorder::Client($recorder) => $call,
            AnyRecorder::Server($recorder) => $call,
        }
    };
}

/// The reason why a call cannot be made: the stream that does not exist, or `None` if the role has
/// no such call.
pub(crate) type UnknownStream = Option<StreamId>;

/// Receives the events of a replay.
pub(crate) type Observer<'o> = dyn FnMut(ReplayEvent<'_>) + 'o;

impl<'a> Replayer<'a> {
    /// Creates the connection of the recording.
    pub(crate) fn new(recording: &Recording<'a>) -> Result<Self, ReplayError> {
        let (config, options) = (recording.config, RecordOptions::max_bytes(usize::MAX));
        let (recorder, stream) = match (recording.role, recording.start) {
            (RecordedRole::Client, Start::New) => {
                (AnyRecorder::Client(Recorder::new(config, options)?), None)
            }
            (RecordedRole::Server, Start::New) => {
                (AnyRecorder::Server(Recorder::new(config, options)?), None)
            }
            (RecordedRole::Client, Start::Upgraded { method, .. }) => {
                let (recorder, stream) = Recorder::<Client>::from_upgrade(config, method, options)?;
                (AnyRecorder::Client(recorder), Some(stream))
            }
            (RecordedRole::Server, Start::Upgraded { settings, method }) => {
                let (recorder, stream) = Recorder::<Server>::from_upgrade(config, settings, method, options)?;
                (AnyRecorder::Server(recorder), Some(stream))
            }
        };
        Ok(Self {
            recorder,
            streams: stream.map(|stream| (stream.id(), stream)).into_iter().collect(),
            input: &[],
            output: Vec::new(),
            splices: Vec::new(),
            output_bytes: 0,
        })
    }

    /// Returns the digest of the results of all steps.
    pub(crate) fn digest(&mut self) -> Digest {
        on!(self, recorder => recorder.digest()).expect("it records until it is finished")
    }

    /// Returns the report of the connection.
    pub(crate) fn report(&mut self) -> CloseReport {
        on!(self, recorder => recorder.report())
    }

    /// Returns the new recording. With `is_truncated` there were more calls than were replayed.
    pub(crate) fn into_file(mut self, is_truncated: bool) -> Vec<u8> {
        on!(self, recorder => recorder.finish_as(is_truncated)).expect("it records until it is finished")
    }

    fn stream(&self, id: StreamId) -> Result<StreamKey, UnknownStream> {
        self.streams.get(&id).copied().ok_or(Some(id))
    }

    fn on(&self, id: Option<StreamId>) -> Result<Option<StreamKey>, UnknownStream> {
        id.map(|id| self.stream(id)).transpose()
    }

    fn insert_stream(&mut self, stream: StreamKey) {
        self.streams.insert(stream.id(), stream);
    }

    /// Makes a call.
    pub(crate) fn execute(
        &mut self,
        call: &Call<'a>,
        observe: &mut Observer<'_>,
    ) -> Result<(), UnknownStream> {
        // What it gives is in the digest.
        match call {
            Call::Receive { now, input } => self.receive(*now, *input, observe),
            Call::HandleEof => {
                let _ = on!(self, recorder => recorder.handle_eof());
            }
            Call::HandleTimeout { now } => {
                let _ = on!(self, recorder => recorder.handle_timeout(*now));
            }
            Call::Release { stream, bytes } => {
                let (stream, bytes) = (self.stream(*stream)?, usize::try_from(*bytes).unwrap_or(usize::MAX));
                on!(self, recorder => recorder.release(stream, bytes));
            }
            Call::Discard { stream, bytes } => {
                let (stream, bytes) = (self.stream(*stream)?, usize::try_from(*bytes).unwrap_or(usize::MAX));
                on!(self, recorder => recorder.discard(stream, bytes));
            }
            Call::SendReset { stream, code } => {
                let stream = self.stream(*stream)?;
                on!(self, recorder => recorder.send_reset(stream, *code));
            }
            Call::SendSettings { settings } => {
                let change = |announced: &mut Settings| *announced = settings.unwrap_or(*announced);
                let _ = on!(self, recorder => recorder.send_settings(change));
            }
            Call::SendExtensionSettings { entries } => {
                let _ = on!(self, recorder => recorder.send_extension_settings(entries));
            }
            Call::SendPing { payload } => {
                let _ = on!(self, recorder => recorder.send_ping(*payload));
            }
            Call::SetPriority { stream, priority } => {
                let stream = self.stream(*stream)?;
                let _ = on!(self, recorder => recorder.set_priority(stream, *priority));
            }
            Call::SendExtension { kind, flags, on, payload } => {
                let on = self.on(*on)?;
                let _ = on!(self, recorder => recorder.send_extension(*kind, *flags, on, payload));
            }
            Call::PollWritable => {
                let _ = on!(self, recorder => recorder.poll_writable());
            }
            Call::PollTransmit { spliced } => self.transmit(*spliced, observe),
            Call::Shutdown => on!(self, recorder => recorder.shutdown()),
            Call::Close { code, debug } => on!(self, recorder => recorder.close(*code, debug)),
            Call::SendData { .. } | Call::SpliceData { .. } | Call::SendTrailers { .. } => {
                self.send_content(call)?;
            }
            call => self.send_of_role(call)?,
        }
        Ok(())
    }

    fn receive(&mut self, now: Instant, input: Option<&'a [u8]>, observe: &mut Observer<'_>) {
        let before = input.unwrap_or(self.input);
        let mut rest = before;
        let event = on!(self, recorder => recorder.receive(&mut rest, now));
        self.input = rest;
        observe(ReplayEvent::Input(&before[..before.len() - rest.len()]));
        let event = match event {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(error) => return observe(ReplayEvent::Error(error)),
        };
        observe(ReplayEvent::Event(&event));
        let Event::Headers { stream, kind, .. } = event else { return };
        if matches!(kind, HeadersKind::Request | HeadersKind::Push { .. }) {
            self.insert_stream(stream);
        }
    }

    fn transmit(&mut self, spliced: bool, observe: &mut Observer<'_>) {
        self.output.clear();
        self.splices.clear();
        let (output, splices) = (&mut self.output, &mut self.splices);
        let was_any = if spliced {
            on!(self, recorder => recorder.poll_transmit_spliced(output, splices))
        } else {
            on!(self, recorder => recorder.poll_transmit(output))
        };
        self.output_bytes += self.output.len() as u64;
        if was_any {
            observe(ReplayEvent::Output(&self.output));
        }
    }

    fn send_content(&mut self, call: &Call<'a>) -> Result<(), UnknownStream> {
        match call {
            Call::SendData { stream, data, end, pad_len } => {
                let stream = self.stream(*stream)?;
                let _ = match pad_len {
                    None => on!(self, recorder => recorder.send_data(stream, data, *end)),
                    Some(pad_len) => {
                        on!(self, recorder => recorder.send_data_padded(stream, data, *end, *pad_len))
                    }
                };
            }
            Call::SpliceData { stream, len, end } => {
                let (stream, len) = (self.stream(*stream)?, usize::try_from(*len).unwrap_or(usize::MAX));
                let _ = on!(self, recorder => recorder.splice_data(stream, len, *end));
            }
            Call::SendTrailers { stream, fields } => {
                let (stream, fields) = (self.stream(*stream)?, fields.iter().copied());
                let _ = on!(self, recorder => recorder.send_trailers(stream, fields));
            }
            _ => return Err(None),
        }
        Ok(())
    }

    /// Makes the calls that only one role has.
    fn send_of_role(&mut self, call: &Call<'a>) -> Result<(), UnknownStream> {
        let stream = match call {
            Call::SendResponse { stream, .. }
            | Call::SendInformational { stream, .. }
            | Call::SendPush { parent: stream, .. } => Some(self.stream(*stream)?),
            Call::SendAltSvc { on, .. } => self.on(*on)?,
            _ => None,
        };
        let opened = match (&mut self.recorder, call, stream) {
            (AnyRecorder::Client(client), Call::SendRequest { request, fields, end }, _) => {
                client.send_request(request, fields.iter().copied(), *end).ok()
            }
            (AnyRecorder::Server(server), Call::SendPush { request, fields, .. }, Some(parent)) => {
                server.send_push(parent, request, fields.iter().copied()).ok()
            }
            (AnyRecorder::Server(server), Call::SendResponse { status, fields, end, .. }, Some(stream)) => {
                let _ = server.send_response(stream, *status, fields.iter().copied(), *end);
                None
            }
            (AnyRecorder::Server(server), Call::SendInformational { status, fields, .. }, Some(stream)) => {
                let _ = server.send_informational(stream, *status, fields.iter().copied());
                None
            }
            (AnyRecorder::Server(server), Call::SendOrigins { origins }, _) => {
                let _ = server.send_origins(origins);
                None
            }
            (AnyRecorder::Server(server), Call::SendAltSvc { origin, value, .. }, on) => {
                let _ = server.send_alt_svc(on, origin, value);
                None
            }
            _ => return Err(None),
        };
        opened.into_iter().for_each(|stream| self.insert_stream(stream));
        Ok(())
    }
}
