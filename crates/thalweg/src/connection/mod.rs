//! The public API: a connection of either role. Each method is a line or two; `Inner` and the
//! owners behind it do the work.

mod content;
mod field_blocks;
mod inner;
mod receive;
mod receive_control;
mod receive_data;
mod send_control;
mod send_data;
mod send_messages;
mod snapshot;
mod timeout;
mod upgrade;

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use thalweg_hpack::Field;

use self::inner::{ConnectionFailed, Inner};
use self::receive::{ControlPayload, RawEvent};
use self::upgrade::upgrade_settings;
use crate::config::Config;
use crate::error::{ConfigError, ConnectionError, ErrorCode, OpenError, SendError, UpgradeError};
use crate::event::Event;
use crate::frame::{Flags, FrameType, OriginEntries, SettingEntries, SettingId};
use crate::message::{Request, Status};
use crate::outbound::Splice;
use crate::priority::Priority;
use crate::settings::Settings;
use crate::snapshot::{RateLimitsSnapshot, SendCapacity, StreamSnapshot, WindowSnapshot};
use crate::stats::CloseReport;
use crate::stream_id::StreamKey;
use crate::time::Instant;

/// The role of a client, which opens streams with requests.
#[derive(Clone, Copy, Debug)]
pub enum Client {}

/// The role of a server, which answers requests and may push.
#[derive(Clone, Copy, Debug)]
pub enum Server {}

/// [`Client`] or [`Server`].
pub trait Role: sealed::Sealed + 'static {
    /// Whether it is the client's role.
    const IS_CLIENT: bool;
}

impl Role for Client {
    const IS_CLIENT: bool = true;
}

impl Role for Server {
    const IS_CLIENT: bool = false;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Client {}

    impl Sealed for super::Server {}
}

/// One end of an HTTP/2 connection.
///
/// There are four kinds of methods:
///
/// * `receive` and `handle_*` take input: bytes, the end of bytes, time;
/// * `poll_*` return what the caller should do next: write, wait, continue to send;
/// * `send_*`, `release`, `shutdown` and `close` do what the caller wants;
/// * all others are getters and change nothing.
///
/// Any method may be called at any time. A call that is not possible returns an error and changes
/// nothing. After a connection error, `receive` and every `send_*` return that same error, and the
/// output that remains can still be fetched.
///
/// # Time
///
/// Only [`receive`](Self::receive) and [`handle_timeout`](Self::handle_timeout) carry the time. A
/// timeout that a frame arms starts at the `now` that comes with the frame. Other calls carry no
/// time: a timeout that one of them arms (`shutdown`, `send_settings`, `send_data` that could not
/// take everything, `poll_transmit`, a call that ends the last stream) starts at the next time, and
/// until then [`poll_timeout`](Self::poll_timeout) returns the last known time. A timeout that
/// waits for the peer's answer to a frame (SETTINGS, PING, the client's preface) starts at the next
/// time after `poll_transmit` handed the frame out. So no timeout fires before its length has
/// passed since the call or the frame that armed it, however long the connection was silent before.
///
/// When a timeout is due, read the clock, then pass all input that has arrived, and then call
/// `handle_timeout` with that time: input that is there is not late.
///
/// # One iteration of an I/O loop
///
/// 1. Read bytes. Call [`receive`](Self::receive) until it returns `None` or an error, and act on
///    each event.
/// 2. Serve [`poll_writable`](Self::poll_writable) until it returns `None`.
/// 3. Write what [`poll_transmit`](Self::poll_transmit) returns, until it returns `false`.
/// 4. If [`is_finished`](Self::is_finished), close the transport. Otherwise wait for bytes, for
///    events of the application, and for [`poll_timeout`](Self::poll_timeout); then call
///    [`handle_timeout`](Self::handle_timeout).
pub struct Connection<R: Role> {
    inner: Inner,
    role: PhantomData<fn() -> R>,
}

impl<R: Role> Connection<R> {
    /// Creates a connection. The preface and SETTINGS are in the output at once. Costs one small
    /// allocation.
    ///
    /// # Errors
    /// The first field of `config` that is outside its range.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self { inner: Inner::new(&config, R::IS_CLIENT), role: PhantomData })
    }

    /// Takes bytes off the front of `input` until an event is due or `input` is empty.
    ///
    /// Returns `Ok(None)` only when `input` is empty and no event is due. How the input is divided
    /// between calls makes no difference, except for the pieces of [`Event::Data`]. With an empty
    /// input it still returns the events that time or calls have caused.
    ///
    /// `now` is the time at which the bytes were read. A later `now` than the last starts the
    /// timeouts that calls have armed since; an equal one is taken for the same reading of the
    /// clock, made before those calls.
    ///
    /// # Errors
    /// The connection has failed. GOAWAY is in the output, and every later call returns the same
    /// error.
    #[inline]
    pub fn receive<'c, 'b>(
        &'c mut self,
        input: &mut &'b [u8],
        now: Instant,
    ) -> Result<Option<Event<'c, 'b>>, ConnectionError> {
        match self.inner.receive(input, now) {
            Ok(event) => Ok(event.map(|event| self.event(event))),
            Err(ConnectionFailed) => Err(self.inner.connection_error()),
        }
    }

    #[inline]
    fn event<'c, 'b>(&'c self, event: RawEvent<'b>) -> Event<'c, 'b> {
        match event {
            RawEvent::Headers { stream, kind, end } => {
                Event::Headers { stream, kind, headers: self.inner.headers(), end }
            }
            RawEvent::Data { stream, data, end } => Event::Data { stream, data, end },
            RawEvent::Reset { stream, code, by } => Event::Reset { stream, code, by },
            RawEvent::SettingsAcknowledged => Event::SettingsAcknowledged,
            RawEvent::StreamAvailable => Event::StreamAvailable,
            RawEvent::Pong { payload } => Event::Pong { payload },
            RawEvent::Priority { stream, priority } => Event::Priority { stream, priority },
            RawEvent::Control(control) => self.control_event(control),
        }
    }

    fn control_event<'b>(&self, control: ControlPayload) -> Event<'_, 'b> {
        let payload = self.inner.control_payload();
        match control {
            ControlPayload::GoAway { last_stream, code } => {
                Event::GoAway { last_stream, code, debug: payload }
            }
            ControlPayload::Settings => Event::Settings { entries: SettingEntries::new(payload) },
            ControlPayload::Origin => Event::Origin { origins: OriginEntries::new(payload) },
            ControlPayload::AltSvc { stream, origin_len } => {
                let (origin, value) = payload.split_at(origin_len);
                Event::AltSvc { stream, origin, value }
            }
            ControlPayload::Extension { kind, flags, stream } => {
                Event::Extension { kind, flags, stream, payload }
            }
        }
    }

    /// Handles the end of the transport's byte stream. The final GOAWAY is in the output; requests
    /// that were received whole can still be answered.
    ///
    /// # Errors
    /// The preface, a frame, or a message was incomplete; or the peer ended the connection for an
    /// error that its GOAWAY reported.
    pub fn handle_eof(&mut self) -> Result<(), ConnectionError> {
        self.inner.handle_eof().map_err(|ConnectionFailed| self.inner.connection_error())
    }

    /// Releases `bytes` of a stream's content that the caller has consumed: the peer may send as
    /// much more. A number above what was received counts as all of it. A WINDOW_UPDATE is sent
    /// when the peer gains half of the window, or a frame of 16,384 bytes that is more than it has
    /// left: a caller that holds nearly all of a window, and waits for more before it releases
    /// that, may wait for itself. Works after the stream has ended, too. With
    /// [`WindowRelease::Automatic`](crate::WindowRelease) there is nothing to release.
    pub fn release(&mut self, stream: StreamKey, bytes: usize) {
        self.inner.release(stream, bytes);
    }

    /// Discards `bytes` of a stream's content that the caller does not want: they return to the
    /// connection's window, and the stream's window shrinks by them, so that the peer can send no
    /// more than it may already. Frames of the stream are validated as before. For a stream that
    /// stays open only to let the peer finish, such as a request after its early final response
    /// (RFC 9113 §8.1). With [`WindowRelease::Automatic`](crate::WindowRelease) it has no effect.
    pub fn discard(&mut self, stream: StreamKey, bytes: usize) {
        self.inner.discard(stream, bytes);
    }

    /// Sends content: frames as much of `data` as the windows, the peer's frame size, the order of
    /// priorities, and the room below `Config::output_bytes_max` allow, and returns how many bytes
    /// it took. END_STREAM is set if `end` and all was taken.
    ///
    /// A frame that only a window makes short waits for more window, 200 ms at most, which
    /// [`poll_timeout`](Self::poll_timeout) asks for. It does not wait if
    /// [`handle_timeout`](Self::handle_timeout) was never called.
    ///
    /// If less was taken, call again with the rest when [`poll_writable`](Self::poll_writable)
    /// returns the stream. An end alone, empty `data` with `end`, is always taken. Costs one copy
    /// of what was taken.
    ///
    /// # Errors
    /// `StreamClosed`, `HeadersNotSent`, `AlreadyEnded`, `ContentLength`, `Connection`.
    #[must_use = "keep what was not taken until `poll_writable` returns the stream"]
    #[inline]
    pub fn send_data(&mut self, stream: StreamKey, data: &[u8], end: bool) -> Result<usize, SendError> {
        self.inner.send_data(stream, data, end, None)
    }

    /// Sends content from a buffer, and advances it by what was taken, which it returns.
    ///
    /// # Errors
    /// As for [`send_data`](Self::send_data).
    #[must_use = "keep what was not taken until `poll_writable` returns the stream"]
    #[cfg(feature = "bytes")]
    pub fn send_buf(
        &mut self,
        stream: StreamKey,
        buf: &mut impl bytes::Buf,
        end: bool,
    ) -> Result<usize, SendError> {
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

    /// Sends content with `pad_len` bytes of padding in each frame, to hide lengths (RFC 9113
    /// §10.7). Padding counts in the windows; where a window is short, there is less padding:
    /// content goes first.
    ///
    /// # Errors
    /// As for [`send_data`](Self::send_data).
    #[must_use = "keep what was not taken until `poll_writable` returns the stream"]
    pub fn send_data_padded(
        &mut self,
        stream: StreamKey,
        data: &[u8],
        end: bool,
        pad_len: u8,
    ) -> Result<usize, SendError> {
        self.inner.send_data(stream, data, end, Some(pad_len))
    }

    /// Sends content that the caller places in the transport itself (`sendfile`, registered
    /// buffers, vectored writes): reserves window, writes the header of one DATA frame, and returns
    /// how many bytes of payload it announced, up to `len`.
    ///
    /// The output must then be fetched with [`poll_transmit_spliced`](Self::poll_transmit_spliced),
    /// which returns where the payload belongs. Costs no copy.
    ///
    /// # Errors
    /// As for [`send_data`](Self::send_data).
    #[must_use = "keep what was not taken until `poll_writable` returns the stream"]
    #[inline]
    pub fn splice_data(&mut self, stream: StreamKey, len: usize, end: bool) -> Result<usize, SendError> {
        self.inner.splice_data(stream, len, end)
    }

    /// Sends trailers; they end our half of the stream.
    ///
    /// # Errors
    /// `StreamClosed`, `HeadersNotSent`, `AlreadyEnded`, `ContentLength`, `Malformed`,
    /// `HeaderListTooLarge`, `Connection`.
    pub fn send_trailers<'a>(
        &mut self,
        stream: StreamKey,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Result<(), SendError> {
        self.inner.send_trailers(stream, fields)
    }

    /// Resets a stream. No further event reports it, and the content that the caller holds of it is
    /// credited to the peer. The key of a closed stream changes nothing.
    pub fn send_reset(&mut self, stream: StreamKey, code: ErrorCode) {
        self.inner.send_reset(stream, code);
    }

    /// Announces changed settings. They bind the peer once [`Event::SettingsAcknowledged`] has
    /// come; the limits of concurrent streams and of header lists apply at once.
    ///
    /// # Errors
    /// `OutOfRange`; `TooManyPending` when several announcements wait for their acknowledgement;
    /// `Connection`.
    pub fn send_settings(&mut self, change: impl FnOnce(&mut Settings)) -> Result<(), SendError> {
        self.inner.send_settings(change)
    }

    /// Announces settings that the core does not know, in a SETTINGS frame of their own (RFC 9113
    /// §5.5): a peer that does not know them either ignores them. Their acknowledgement is reported
    /// as [`Event::SettingsAcknowledged`], too; the peer's are entries of [`Event::Settings`].
    ///
    /// # Errors
    /// `OutOfRange` for a setting that the core knows, or more of them than fit a frame;
    /// `TooManyPending` when several announcements wait for their acknowledgement; `Connection`.
    pub fn send_extension_settings(&mut self, entries: &[(SettingId, u32)]) -> Result<(), SendError> {
        self.inner.send_extension_settings(entries)
    }

    /// Sends a PING; its acknowledgement is reported as [`Event::Pong`].
    ///
    /// # Errors
    /// `TooManyPending` if 16 are not acknowledged; `OutOfRange` for the two payloads that the core
    /// uses itself, which begin with a NUL and `thal`; `Connection`.
    pub fn send_ping(&mut self, payload: [u8; 8]) -> Result<(), SendError> {
        self.inner.send_ping(payload)
    }

    /// Changes the priority of a stream. A client sends it to the server in PRIORITY_UPDATE (RFC
    /// 9218 §7.1); on a server it orders [`poll_writable`](Self::poll_writable).
    ///
    /// # Errors
    /// `StreamClosed`, `Connection`; `NotAllowedByPeer` on a client whose server does not support
    /// RFC 9218 (§2.1.1).
    pub fn set_priority(&mut self, stream: StreamKey, priority: Priority) -> Result<(), SendError> {
        self.inner.set_priority(stream, priority)
    }

    /// Sends a frame of a type that the core does not know, on a stream or on the connection (RFC
    /// 9113 §5.5).
    ///
    /// # Errors
    /// `OutOfRange` for a known type or a payload above the peer's frame size; `StreamClosed`,
    /// `HeadersNotSent`, `AlreadyEnded` and `Malformed` on a stream that is closed, promised, ended
    /// by us, or a tunnel; `Connection`.
    pub fn send_extension(
        &mut self,
        kind: FrameType,
        flags: Flags,
        on: Option<StreamKey>,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.inner.send_extension(kind, flags, on, payload)
    }

    /// Returns a blocked stream that can send now: the most urgent first (RFC 9218 §10), in turns
    /// where no priority was signalled. Each is returned once until it is blocked again.
    #[inline]
    #[must_use = "the stream that is returned is not named again until it is blocked again"]
    pub fn poll_writable(&mut self) -> Option<StreamKey> {
        self.inner.poll_writable()
    }

    /// Moves the output to `out`. Call it until it returns `false`; a call also confirms that the
    /// bytes of the call before are written.
    ///
    /// An empty `out` is swapped with the output, which costs nothing and gives the connection its
    /// memory for the next iteration; otherwise the bytes are appended. Returns `false`, too, while
    /// a spliced frame waits.
    #[inline]
    #[must_use = "call it until it returns `false`"]
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.inner.poll_transmit(out)
    }

    /// Moves the output to `out`, and the places at which payloads of
    /// [`splice_data`](Self::splice_data) belong to `splices`: behind `offset` bytes of `out`, in
    /// rising order.
    #[inline]
    #[must_use = "call it until it returns `false`"]
    pub fn poll_transmit_spliced(&mut self, out: &mut Vec<u8>, splices: &mut Vec<Splice>) -> bool {
        self.inner.poll_transmit_spliced(out, splices)
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is to be called; it may change with
    /// every other call.
    ///
    /// After a call that has armed a timeout it returns the last time that was passed, which is due
    /// at once: the timeout starts at the `now` of that `handle_timeout`, or of a later `receive`.
    /// `None` if no timeout runs: always, with [`Timeouts::OFF`](crate::Timeouts::OFF).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    /// Acts on the timeouts that have passed, and starts at `now` those that calls have armed since
    /// the last time. [`receive`](Self::receive) reports streams that a timeout has reset. A `now`
    /// before the last is taken for the last.
    ///
    /// # Errors
    /// A timeout has ended the connection, or it had failed before.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        self.inner.handle_timeout(now).map_err(|ConnectionFailed| self.inner.connection_error())
    }

    /// Shuts the connection down gracefully (RFC 9113 §6.8): sends GOAWAY now, serves open streams
    /// and those whose requests are under way to their end, then sends a server's final GOAWAY. A
    /// client's first GOAWAY is its final one. `Config::timeouts.shutdown` counts from the next
    /// time that is passed, which [`poll_timeout`](Self::poll_timeout) asks for at once.
    pub fn shutdown(&mut self) {
        self.inner.shutdown();
    }

    /// Ends the connection now, with a code and up to 1,024 bytes of debug data for the peer's log.
    /// No further event reports the streams.
    pub fn close(&mut self, code: ErrorCode, debug: &[u8]) {
        self.inner.close(code, debug);
    }

    /// Whether no more output will follow: everything was fetched, and the connection has failed or
    /// is drained. The transport may be closed then: its sending side first, and the rest when the
    /// peer has closed its own.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    /// Whether the transport should be read: not while the peer leaves too many of our replies
    /// unread, and not after the end.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.inner.wants_read()
    }

    /// Returns the state of the connection; after the end, the one terminal report.
    pub fn report(&self) -> CloseReport {
        self.inner.report()
    }

    /// Returns the peer's settings.
    pub fn remote_settings(&self) -> &Settings {
        self.inner.remote_settings()
    }

    /// Returns our settings, as far as the peer has acknowledged them.
    pub fn local_settings(&self) -> &Settings {
        self.inner.local_settings()
    }

    /// Returns what flow control allows a stream to send now; `None` for the key of a closed
    /// stream.
    pub fn send_capacity(&self, stream: StreamKey) -> Option<SendCapacity> {
        self.inner.send_capacity(stream)
    }

    /// Returns the number of live streams, promised ones included.
    pub fn live_streams(&self) -> u32 {
        self.inner.live_streams()
    }

    /// Returns a snapshot of each live stream, promised ones included. Reads every slot.
    pub fn streams(&self) -> impl Iterator<Item = StreamSnapshot> {
        self.inner.streams()
    }

    /// Returns the windows of the connection as a whole. Costs four loads.
    pub fn window(&self) -> WindowSnapshot {
        self.inner.window()
    }

    /// Returns since when the peer can send no content on any stream because the caller has not
    /// released what it sent: the time of the content that used up the connection's window.
    /// `None` while the window has room. Costs three loads.
    ///
    /// A moment is ordinary. If it lasts while streams wait for content, the caller holds too much:
    /// messages that are kept unread use the window of all others. `window().held` says how many
    /// bytes it holds. Release or reset those messages, or raise
    /// [`Config::connection_window_bytes`].
    pub fn window_exhausted_since(&self) -> Option<Instant> {
        self.inner.window_exhausted_since()
    }

    /// Returns what is left of each rate limit. Costs a few loads each.
    pub fn rate_limits(&self) -> RateLimitsSnapshot {
        self.inner.rate_limits()
    }

    /// Whether the input so far ends with a whole frame outside a header block: from here on, an
    /// [`Inspector`](crate::inspect::Inspector::resume) can follow the input. Costs a load or two.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.inner.is_between_frames()
    }

    /// Returns the heap that the connection holds, bytes: all that it has allocated and not freed.
    pub fn heap_bytes(&self) -> usize {
        self.inner.heap_bytes()
    }

    /// Asserts every invariant, in builds with debug assertions. For tests and fuzzing.
    pub fn check(&self) {
        self.inner.check();
    }
}

impl Connection<Client> {
    /// Takes over after a `101` response to an Upgrade to h2c (RFC 7540 §3.2). `method` is that of
    /// the request; its response comes on the stream that is returned. The bytes behind the 101
    /// belong to [`receive`](Self::receive).
    ///
    /// # Errors
    /// `Config`.
    pub fn from_upgrade(config: Config, method: &[u8]) -> Result<(Self, StreamKey), UpgradeError> {
        let mut connection = Self::new(config)?;
        let stream = connection.inner.open_upgrade_stream(method);
        Ok((connection, stream))
    }

    /// Returns the payload for the field `HTTP2-Settings` of an Upgrade request, before base64url.
    pub fn upgrade_settings(config: &Config) -> Vec<u8> {
        upgrade_settings(config)
    }

    /// Opens a stream with a request. `end`: there is no content.
    ///
    /// # Errors
    /// `TooManyStreams`: wait for [`Event::StreamAvailable`]. `GoingAway`, `IdsExhausted`: use a
    /// new connection. `Send`: the request is malformed, too large for the peer, or the connection
    /// has failed.
    #[inline]
    pub fn send_request<'a>(
        &mut self,
        request: &Request<'a>,
        fields: impl IntoIterator<Item = Field<'a>>,
        end: bool,
    ) -> Result<StreamKey, OpenError> {
        self.inner.send_request(request, fields, end)
    }
}

impl Connection<Server> {
    /// Takes over after the `101` response to an Upgrade to h2c (RFC 7540 §3.2). `settings` is the
    /// decoded field `HTTP2-Settings`, `method` that of the request, which must have been received
    /// whole; answer it on the stream that is returned. The client's preface still follows.
    ///
    /// # Errors
    /// `Settings`: respond over HTTP/1.1 instead. `Config`.
    pub fn from_upgrade(
        config: Config,
        settings: &[u8],
        method: &[u8],
    ) -> Result<(Self, StreamKey), UpgradeError> {
        let mut connection = Self::new(config)?;
        connection.inner.apply_upgrade_settings(settings).map_err(UpgradeError::Settings)?;
        let stream = connection.inner.open_upgrade_stream(method);
        Ok((connection, stream))
    }

    /// Sends the final response. `end`: there is no content.
    ///
    /// # Errors
    /// `StreamClosed`, `HeadersSent`, `ContentLength`, `Malformed`, `HeaderListTooLarge`,
    /// `Connection`; `TooManyPending` for a pushed response beyond the client's limit of concurrent
    /// streams: wait for [`Event::StreamAvailable`].
    #[inline]
    pub fn send_response<'a>(
        &mut self,
        stream: StreamKey,
        status: Status,
        fields: impl IntoIterator<Item = Field<'a>>,
        end: bool,
    ) -> Result<(), SendError> {
        self.inner.send_response(stream, &status, fields, end)
    }

    /// Sends an informational response, for example 103 Early Hints (RFC 8297); any number of them
    /// may precede the final one.
    ///
    /// # Errors
    /// `StreamClosed`, `HeadersSent`, `Malformed`, `HeaderListTooLarge`, `Connection`, and
    /// `TooManyPending` as for a response.
    pub fn send_informational<'a>(
        &mut self,
        stream: StreamKey,
        status: Status,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Result<(), SendError> {
        self.inner.send_informational(stream, &status, fields)
    }

    /// Promises a response (RFC 9113 §8.4): `request` is the request that the client would have
    /// sent. Answer the new stream as any other.
    ///
    /// # Errors
    /// `NotAllowedByPeer` when the client does not accept pushes; `TooManyStreams`; `GoingAway`;
    /// `Send` as for a request, and when `parent` has ended.
    pub fn send_push<'a>(
        &mut self,
        parent: StreamKey,
        request: &Request<'a>,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Result<StreamKey, OpenError> {
        self.inner.send_push(parent, request, fields)
    }

    /// Sends the origins for which this server is authoritative (RFC 8336).
    ///
    /// # Errors
    /// `OutOfRange` when they do not fit a frame; `Connection`.
    pub fn send_origins(&mut self, origins: &[&[u8]]) -> Result<(), SendError> {
        self.inner.send_origins(origins)
    }

    /// Announces an alternative service (RFC 7838 §4): for `origin`, or, with a stream and an empty
    /// origin, for the origin of that stream's request.
    ///
    /// # Errors
    /// `OutOfRange`; `StreamClosed`, `HeadersNotSent`, `AlreadyEnded` and `Malformed` on a stream
    /// that is closed, promised, ended by us, or a tunnel; `Connection`.
    pub fn send_alt_svc(
        &mut self,
        on: Option<StreamKey>,
        origin: &[u8],
        value: &[u8],
    ) -> Result<(), SendError> {
        self.inner.send_alt_svc(on, origin, value)
    }
}

impl<R: Role> fmt::Debug for Connection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("client", &R::IS_CLIENT)
            .field("live_streams", &self.live_streams())
            .field("report", &self.report())
            .finish()
    }
}
