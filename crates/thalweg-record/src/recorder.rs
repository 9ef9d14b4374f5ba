//! A connection that records the calls on it.
//!
//! Invariants: it behaves as its connection does, whether it records or not; it records every call
//! that can change the connection, in order.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use thalweg::frame::{Flags, FrameType, SettingId};
use thalweg::{
    Client, CloseReport, Config, ConfigError, Connection, ConnectionError, ErrorCode, Event, Field, Instant,
    OpenError, Priority, Request, Role, SendError, Server, Settings, Splice, Status, StreamKey, UpgradeError,
};

use crate::call::Call;
use crate::digest::Digest;
use crate::outcome;
use crate::recording::{RecordedRole, Start};
use crate::recording_writer::RecordingWriter;

/// A [`Connection`] that can record. Its methods are those of the connection; getters are reached
/// through [`Deref`].
///
/// Without a recording each call costs one branch more than the connection's own. With one, it
/// costs a copy of the input, a digest of the output, and memory up to the limit.
pub struct Recorder<R: Role> {
    connection: Connection<R>,
    recording: Option<Box<ActiveRecording>>,
}

/// Receives the file of a recording when its connection is dropped.
pub(crate) type Sink = dyn FnOnce(Vec<u8>, &CloseReport) + Send + Sync;

struct ActiveRecording {
    writer: RecordingWriter,
    sink: Option<Box<Sink>>,
}

/// Whether to record, and the limit in bytes.
#[derive(Default)]
pub struct RecordOptions {
    bytes_max: Option<usize>,
    sink: Option<Box<Sink>>,
}

impl RecordOptions {
    /// Records nothing.
    pub const fn disabled() -> Self {
        Self { bytes_max: None, sink: None }
    }

    /// Records up to `bytes_max` bytes of file, of which the beginning and the end use about 300.
    /// The first call that does not fit is left out, and all later ones.
    pub const fn max_bytes(bytes_max: usize) -> Self {
        Self { bytes_max: Some(bytes_max), sink: None }
    }

    /// Passes the file to `sink` when the connection is dropped.
    #[must_use]
    pub fn to_sink(self, sink: impl FnOnce(Vec<u8>, &CloseReport) + Send + Sync + 'static) -> Self {
        Self { sink: Some(Box::new(sink)), ..self }
    }

    fn start<R: Role>(self, config: &Config, start: &Start<'_>) -> Option<Box<ActiveRecording>> {
        let role = if R::IS_CLIENT { RecordedRole::Client } else { RecordedRole::Server };
        let writer = RecordingWriter::new(role, config, start, self.bytes_max?);
        Some(Box::new(ActiveRecording { writer, sink: self.sink }))
    }
}

impl fmt::Debug for RecordOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordOptions").field("bytes_max", &self.bytes_max).finish_non_exhaustive()
    }
}

/// Makes a call, and records it if there is a recording.
macro_rules! record {
    ($self:ident, $call:expr, $made:expr) => {{
        let result = $made;
        if let Some(recording) = &mut $self.recording {
            recording.writer.step(&$call, |digest| outcome::returned(digest, &result));
        }
        result
    }};
}

impl<R: Role> Recorder<R> {
    /// Creates a connection by [`Connection::new`], and starts its recording.
    ///
    /// # Errors
    /// Those of the method.
    pub fn new(config: Config, options: RecordOptions) -> Result<Self, ConfigError> {
        let connection = Connection::new(config)?;
        Ok(Self { connection, recording: options.start::<R>(&config, &Start::New) })
    }

    /// Whether calls are recorded. The recording does not contain the content that
    /// [`splice_data`](Self::splice_data) sends: use [`send_data`](Self::send_data) for content
    /// that it should contain.
    #[must_use]
    pub const fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Ends the recording, if there is one, and returns the bytes of its file. The connection
    /// continues without it.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        self.recording.take().map(|recording| recording.writer.into_file())
    }

    /// Ends the recording, as `finish` does. With `is_truncated` there were more calls than it
    /// contains.
    pub(crate) fn finish_as(&mut self, is_truncated: bool) -> Option<Vec<u8>> {
        let ActiveRecording { mut writer, .. } = *self.recording.take()?;
        if is_truncated {
            writer.truncate();
        }
        Some(writer.into_file())
    }

    /// Returns the digest of the results of all recorded calls.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.recording.as_ref().map(|recording| recording.writer.digest())
    }

    /// Calls [`Connection::receive`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    #[inline]
    pub fn receive<'c, 'b>(
        &'c mut self,
        input: &mut &'b [u8],
        now: Instant,
    ) -> Result<Option<Event<'c, 'b>>, ConnectionError> {
        let before = *input;
        let event = self.connection.receive(input, now);
        if let Some(recording) = &mut self.recording {
            recording.writer.receive(before, before.len() - input.len(), now, &event);
        }
        event
    }

    /// Calls [`Connection::handle_eof`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn handle_eof(&mut self) -> Result<(), ConnectionError> {
        record!(self, Call::HandleEof, self.connection.handle_eof())
    }

    /// Calls [`Connection::handle_timeout`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        record!(self, Call::HandleTimeout { now }, self.connection.handle_timeout(now))
    }

    /// Calls [`Connection::discard`], and records the call.
    pub fn discard(&mut self, stream: StreamKey, bytes: usize) {
        self.connection.discard(stream, bytes);
        self.record_call(|| Call::Discard { stream: stream.id(), bytes: bytes as u64 });
    }

    /// Calls [`Connection::release`], and records the call.
    pub fn release(&mut self, stream: StreamKey, bytes: usize) {
        self.connection.release(stream, bytes);
        self.record_call(|| Call::Release { stream: stream.id(), bytes: bytes as u64 });
    }

    /// Calls [`Connection::send_data`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    #[must_use = "this is the number of accepted bytes: keep the rest until `poll_writable` returns the stream"]
    #[inline]
    pub fn send_data(&mut self, stream: StreamKey, data: &[u8], end: bool) -> Result<usize, SendError> {
        record!(
            self,
            Call::SendData { stream: stream.id(), data, end, pad_len: None },
            self.connection.send_data(stream, data, end)
        )
    }

    /// Calls [`Connection::send_buf`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    #[must_use = "this is the number of accepted bytes: keep the rest until `poll_writable` returns the stream"]
    #[cfg(feature = "bytes")]
    pub fn send_buf(
        &mut self,
        stream: StreamKey,
        buf: &mut impl ::bytes::Buf,
        end: bool,
    ) -> Result<usize, SendError> {
        if self.recording.is_none() {
            return self.connection.send_buf(stream, buf, end);
        }
        let mut taken = 0;
        loop {
            let chunk = buf.chunk();
            let (len, last) = (chunk.len(), chunk.len() == buf.remaining());
            let sent = self.send_data(stream, chunk, end && last)?;
            buf.advance(sent);
            taken += sent;
            if last || sent < len {
                return Ok(taken);
            }
        }
    }

    /// Calls [`Connection::send_data_padded`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    #[must_use = "this is the number of accepted bytes: keep the rest until `poll_writable` returns the stream"]
    pub fn send_data_padded(
        &mut self,
        stream: StreamKey,
        data: &[u8],
        end: bool,
        pad_len: u8,
    ) -> Result<usize, SendError> {
        record!(
            self,
            Call::SendData { stream: stream.id(), data, end, pad_len: Some(pad_len) },
            self.connection.send_data_padded(stream, data, end, pad_len)
        )
    }

    /// Calls [`Connection::splice_data`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    #[must_use = "this is the number of accepted bytes: keep the rest until `poll_writable` returns the stream"]
    pub fn splice_data(&mut self, stream: StreamKey, len: usize, end: bool) -> Result<usize, SendError> {
        record!(
            self,
            Call::SpliceData { stream: stream.id(), len: len as u64, end },
            self.connection.splice_data(stream, len, end)
        )
    }

    /// Calls [`Connection::send_trailers`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_trailers<'a>(
        &mut self,
        stream: StreamKey,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Result<(), SendError> {
        if self.recording.is_none() {
            return self.connection.send_trailers(stream, fields);
        }
        let fields: Vec<_> = fields.into_iter().collect();
        let result = self.connection.send_trailers(stream, fields.iter().copied());
        record!(self, Call::SendTrailers { stream: stream.id(), fields }, result)
    }

    /// Calls [`Connection::send_reset`], and records the call.
    pub fn send_reset(&mut self, stream: StreamKey, code: ErrorCode) {
        self.connection.send_reset(stream, code);
        self.record_call(|| Call::SendReset { stream: stream.id(), code });
    }

    /// Calls [`Connection::send_settings`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_settings(&mut self, change: impl FnOnce(&mut Settings)) -> Result<(), SendError> {
        let mut settings = None;
        let result = self.connection.send_settings(|announced| {
            change(announced);
            settings = Some(*announced);
        });
        record!(self, Call::SendSettings { settings }, result)
    }

    /// Calls [`Connection::send_extension_settings`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_extension_settings(&mut self, entries: &[(SettingId, u32)]) -> Result<(), SendError> {
        record!(
            self,
            Call::SendExtensionSettings { entries: entries.to_vec() },
            self.connection.send_extension_settings(entries)
        )
    }

    /// Calls [`Connection::send_ping`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_ping(&mut self, payload: [u8; 8]) -> Result<(), SendError> {
        record!(self, Call::SendPing { payload }, self.connection.send_ping(payload))
    }

    /// Calls [`Connection::set_priority`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn set_priority(&mut self, stream: StreamKey, priority: Priority) -> Result<(), SendError> {
        record!(
            self,
            Call::SetPriority { stream: stream.id(), priority },
            self.connection.set_priority(stream, priority)
        )
    }

    /// Calls [`Connection::send_extension`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_extension(
        &mut self,
        kind: FrameType,
        flags: Flags,
        on: Option<StreamKey>,
        payload: &[u8],
    ) -> Result<(), SendError> {
        record!(
            self,
            Call::SendExtension { kind, flags, on: on.map(StreamKey::id), payload },
            self.connection.send_extension(kind, flags, on, payload)
        )
    }

    /// Calls [`Connection::poll_writable`], and records the call.
    #[inline]
    #[must_use = "the stream that is returned is not named again until it is blocked again"]
    pub fn poll_writable(&mut self) -> Option<StreamKey> {
        let named = self.connection.poll_writable();
        if let Some(recording) = &mut self.recording {
            let word = named.map_or(u64::MAX, outcome::handle);
            recording.writer.step(&Call::PollWritable, |digest| digest.word(word));
        }
        named
    }

    /// Calls [`Connection::poll_transmit`], and records the call.
    #[inline]
    #[must_use = "call it until it returns `false`"]
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        let base = out.len();
        let was_any = self.connection.poll_transmit(out);
        if let Some(recording) = &mut self.recording {
            recording.writer.transmit(false, was_any, &out[base..], base, &[]);
        }
        was_any
    }

    /// Calls [`Connection::poll_transmit_spliced`], and records the call.
    #[inline]
    #[must_use = "call it until it returns `false`"]
    pub fn poll_transmit_spliced(&mut self, out: &mut Vec<u8>, splices: &mut Vec<Splice>) -> bool {
        let (base, first) = (out.len(), splices.len());
        let was_any = self.connection.poll_transmit_spliced(out, splices);
        if let Some(recording) = &mut self.recording {
            recording.writer.transmit(true, was_any, &out[base..], base, &splices[first..]);
        }
        was_any
    }

    /// Calls [`Connection::shutdown`], and records the call.
    pub fn shutdown(&mut self) {
        self.connection.shutdown();
        self.record_call(|| Call::Shutdown);
    }

    /// Calls [`Connection::close`], and records the call.
    pub fn close(&mut self, code: ErrorCode, debug: &[u8]) {
        self.connection.close(code, debug);
        self.record_call(|| Call::Close { code, debug });
    }

    /// Records a call that returns nothing.
    fn record_call<'a>(&mut self, call: impl FnOnce() -> Call<'a>) {
        if let Some(recording) = &mut self.recording {
            recording.writer.step(&call(), |_| {});
        }
    }
}

impl Recorder<Client> {
    /// Creates a connection by [`Connection::from_upgrade`], and starts its recording.
    ///
    /// # Errors
    /// Those of the method.
    pub fn from_upgrade(
        config: Config,
        method: &[u8],
        options: RecordOptions,
    ) -> Result<(Self, StreamKey), UpgradeError> {
        let (connection, stream) = Connection::<Client>::from_upgrade(config, method)?;
        let recording = options.start::<Client>(&config, &Start::Upgraded { settings: &[], method });
        Ok((Self { connection, recording }, stream))
    }

    /// Calls [`Connection::send_request`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    #[inline]
    pub fn send_request<'a>(
        &mut self,
        request: &Request<'a>,
        fields: impl IntoIterator<Item = Field<'a>>,
        end: bool,
    ) -> Result<StreamKey, OpenError> {
        if self.recording.is_none() {
            return self.connection.send_request(request, fields, end);
        }
        let fields: Vec<_> = fields.into_iter().collect();
        let result = self.connection.send_request(request, fields.iter().copied(), end);
        record!(self, Call::SendRequest { request: *request, fields, end }, result)
    }
}

impl Recorder<Server> {
    /// Creates a connection by [`Connection::from_upgrade`], and starts its recording.
    ///
    /// # Errors
    /// Those of the method.
    pub fn from_upgrade(
        config: Config,
        settings: &[u8],
        method: &[u8],
        options: RecordOptions,
    ) -> Result<(Self, StreamKey), UpgradeError> {
        let (connection, stream) = Connection::<Server>::from_upgrade(config, settings, method)?;
        let recording = options.start::<Server>(&config, &Start::Upgraded { settings, method });
        Ok((Self { connection, recording }, stream))
    }

    /// Calls [`Connection::send_response`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    #[inline]
    pub fn send_response<'a>(
        &mut self,
        stream: StreamKey,
        status: Status,
        fields: impl IntoIterator<Item = Field<'a>>,
        end: bool,
    ) -> Result<(), SendError> {
        if self.recording.is_none() {
            return self.connection.send_response(stream, status, fields, end);
        }
        let fields: Vec<_> = fields.into_iter().collect();
        let result = self.connection.send_response(stream, status, fields.iter().copied(), end);
        record!(self, Call::SendResponse { stream: stream.id(), status, fields, end }, result)
    }

    /// Calls [`Connection::send_informational`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_informational<'a>(
        &mut self,
        stream: StreamKey,
        status: Status,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Result<(), SendError> {
        if self.recording.is_none() {
            return self.connection.send_informational(stream, status, fields);
        }
        let fields: Vec<_> = fields.into_iter().collect();
        let result = self.connection.send_informational(stream, status, fields.iter().copied());
        record!(self, Call::SendInformational { stream: stream.id(), status, fields }, result)
    }

    /// Calls [`Connection::send_push`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_push<'a>(
        &mut self,
        parent: StreamKey,
        request: &Request<'a>,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Result<StreamKey, OpenError> {
        if self.recording.is_none() {
            return self.connection.send_push(parent, request, fields);
        }
        let fields: Vec<_> = fields.into_iter().collect();
        let result = self.connection.send_push(parent, request, fields.iter().copied());
        record!(self, Call::SendPush { parent: parent.id(), request: *request, fields }, result)
    }

    /// Calls [`Connection::send_origins`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_origins(&mut self, origins: &[&[u8]]) -> Result<(), SendError> {
        record!(self, Call::SendOrigins { origins: origins.to_vec() }, self.connection.send_origins(origins))
    }

    /// Calls [`Connection::send_alt_svc`], and records the call.
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_alt_svc(
        &mut self,
        on: Option<StreamKey>,
        origin: &[u8],
        value: &[u8],
    ) -> Result<(), SendError> {
        record!(
            self,
            Call::SendAltSvc { on: on.map(StreamKey::id), origin, value },
            self.connection.send_alt_svc(on, origin, value)
        )
    }
}

/// Getters, which change nothing: `poll_timeout`, `is_finished`, `wants_read`, `report` and others.
impl<R: Role> Deref for Recorder<R> {
    type Target = Connection<R>;

    #[inline]
    fn deref(&self) -> &Connection<R> {
        &self.connection
    }
}

/// Passes the recording to its sink, however the connection ended, unless it contains no step.
impl<R: Role> Drop for Recorder<R> {
    fn drop(&mut self) {
        let Some(recording) = self.recording.take() else { return };
        let ActiveRecording { writer, sink } = *recording;
        if let Some(sink) = sink
            && !writer.is_blank()
        {
            sink(writer.into_file(), &self.connection.report());
        }
    }
}

impl<R: Role> fmt::Debug for Recorder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("connection", &self.connection)
            .field("records", &self.recording.is_some())
            .finish()
    }
}
