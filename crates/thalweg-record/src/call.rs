//! One call on a connection, with its arguments.
//!
//! Invariants: a call is read as it was written. Getters (`poll_timeout`, `is_finished`, `report`
//! and others) change nothing and are not recorded.

use alloc::vec::Vec;

use thalweg::frame::{Flags, FrameType, SettingId};
use thalweg::{
    ErrorCode, Field, Indexing, Instant, KnownName, Priority, Request, Settings, Status, StreamId,
};

use crate::codec::{Clock, Reader, put_bytes, put_number};
use crate::error::ReadError;

/// A call of a method of [`Connection`](thalweg::Connection).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Call<'a> {
    /// `receive`
    Receive {
        /// The time of the call.
        now: Instant,
        /// The whole input, or `None` if it was the rest of the previous call.
        input: Option<&'a [u8]>,
    },
    /// `handle_eof`
    HandleEof,
    /// `handle_timeout`
    HandleTimeout {
        /// The time of the call.
        now: Instant,
    },
    /// `release`
    Release {
        /// The stream.
        stream: StreamId,
        /// The number of released bytes.
        bytes: u64,
    },
    /// `discard`
    Discard {
        /// The stream.
        stream: StreamId,
        /// The number of discarded bytes.
        bytes: u64,
    },
    /// `send_data` and `send_data_padded`
    SendData {
        /// The stream.
        stream: StreamId,
        /// The offered bytes.
        data: &'a [u8],
        /// Whether this is the end of the stream.
        end: bool,
        /// The requested padding.
        pad_len: Option<u8>,
    },
    /// `splice_data`
    SpliceData {
        /// The stream.
        stream: StreamId,
        /// The number of offered bytes.
        len: u64,
        /// Whether this is the end of the stream.
        end: bool,
    },
    /// `send_trailers`
    SendTrailers {
        /// The stream.
        stream: StreamId,
        /// The fields.
        fields: Vec<Field<'a>>,
    },
    /// `send_reset`
    SendReset {
        /// The stream.
        stream: StreamId,
        /// The code.
        code: ErrorCode,
    },
    /// `send_settings`
    SendSettings {
        /// The new settings; `None` if the call failed before it computed them.
        settings: Option<Settings>,
    },
    /// `send_extension_settings`
    SendExtensionSettings {
        /// The entries.
        entries: Vec<(SettingId, u32)>,
    },
    /// `send_ping`
    SendPing {
        /// The payload.
        payload: [u8; 8],
    },
    /// `set_priority`
    SetPriority {
        /// The stream.
        stream: StreamId,
        /// Its priority.
        priority: Priority,
    },
    /// `send_extension`
    SendExtension {
        /// The frame type.
        kind: FrameType,
        /// Its flags.
        flags: Flags,
        /// The stream, or the connection.
        on: Option<StreamId>,
        /// The payload.
        payload: &'a [u8],
    },
    /// `poll_writable`
    PollWritable,
    /// `poll_transmit` and `poll_transmit_spliced`
    PollTransmit {
        /// Whether it was `poll_transmit_spliced`.
        spliced: bool,
    },
    /// `shutdown`
    Shutdown,
    /// `close`
    Close {
        /// The code.
        code: ErrorCode,
        /// The debug data.
        debug: &'a [u8],
    },
    /// `send_request`, on clients
    SendRequest {
        /// The control data.
        request: Request<'a>,
        /// The fields.
        fields: Vec<Field<'a>>,
        /// Whether there is no content.
        end: bool,
    },
    /// `send_response`, on servers
    SendResponse {
        /// The stream.
        stream: StreamId,
        /// The status.
        status: Status,
        /// The fields.
        fields: Vec<Field<'a>>,
        /// Whether there is no content.
        end: bool,
    },
    /// `send_informational`, on servers
    SendInformational {
        /// The stream.
        stream: StreamId,
        /// The status.
        status: Status,
        /// The fields.
        fields: Vec<Field<'a>>,
    },
    /// `send_push`, on servers
    SendPush {
        /// The stream of the request that the push belongs to.
        parent: StreamId,
        /// The control data of the promised request.
        request: Request<'a>,
        /// Its fields.
        fields: Vec<Field<'a>>,
    },
    /// `send_origins`, on servers
    SendOrigins {
        /// The origins.
        origins: Vec<&'a [u8]>,
    },
    /// `send_alt_svc`, on servers
    SendAltSvc {
        /// The stream, or none.
        on: Option<StreamId>,
        /// The origin.
        origin: &'a [u8],
        /// The value.
        value: &'a [u8],
    },
}

impl<'a> Call<'a> {
    /// Returns the name of the method.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Receive { .. } => "receive",
            Self::HandleEof => "handle_eof",
            Self::HandleTimeout { .. } => "handle_timeout",
            Self::Release { .. } => "release",
            Self::Discard { .. } => "discard",
            Self::SendData { .. } => "send_data",
            Self::SpliceData { .. } => "splice_data",
            Self::SendTrailers { .. } => "send_trailers",
            Self::SendReset { .. } => "send_reset",
            Self::SendSettings { .. } => "send_settings",
            Self::SendExtensionSettings { .. } => "send_extension_settings",
            Self::SendPing { .. } => "send_ping",
            Self::SetPriority { .. } => "set_priority",
            Self::SendExtension { .. } => "send_extension",
            Self::PollWritable => "poll_writable",
            Self::PollTransmit { .. } => "poll_transmit",
            Self::Shutdown => "shutdown",
            Self::Close { .. } => "close",
            Self::SendRequest { .. } => "send_request",
            Self::SendResponse { .. } => "send_response",
            Self::SendInformational { .. } => "send_informational",
            Self::SendPush { .. } => "send_push",
            Self::SendOrigins { .. } => "send_origins",
            Self::SendAltSvc { .. } => "send_alt_svc",
        }
    }

    /// Returns the number of bytes of content and input, the smallest size of the call in a file.
    pub fn content_len(&self) -> usize {
        match self {
            Self::Receive { input, .. } => input.map_or(0, <[u8]>::len),
            Self::SendData { data, .. } => data.len(),
            Self::SendExtension { payload, .. } => payload.len(),
            Self::Close { debug, .. } => debug.len(),
            _ => 0,
        }
    }

    /// Appends the call: a byte with the operation in five bits and flags in three, then the
    /// arguments.
    pub fn put(&self, out: &mut Vec<u8>, clock: &mut Clock) {
        let (operation, bits) = self.lead(*clock);
        out.push(operation | bits << 5);
        match self {
            Self::HandleEof | Self::PollWritable | Self::PollTransmit { .. } | Self::Shutdown => {}
            Self::Receive { now, input } => {
                clock.put(out, *now);
                if let Some(input) = input {
                    put_bytes(out, input);
                }
            }
            Self::HandleTimeout { now } => clock.put(out, *now),
            Self::Release { stream, bytes } | Self::Discard { stream, bytes } => {
                put_numbers(out, [id(*stream), *bytes]);
            }
            Self::SendData { stream, data, pad_len, .. } => {
                put_number(out, id(*stream));
                out.extend(pad_len);
                put_bytes(out, data);
            }
            Self::SpliceData { stream, len, .. } => put_numbers(out, [id(*stream), *len]),
            Self::SendTrailers { stream, fields } => {
                put_number(out, id(*stream));
                put_fields(out, fields);
            }
            Self::SendReset { stream, code } => put_numbers(out, [id(*stream), code.0.into()]),
            Self::SendSettings { settings } => {
                if let Some(settings) = settings {
                    put_numbers(out, numbers_of(settings));
                }
            }
            Self::SendExtensionSettings { entries } => {
                put_number(out, entries.len() as u64);
                for (id, value) in entries {
                    put_numbers(out, [id.0.into(), (*value).into()]);
                }
            }
            Self::SendPing { payload } => out.extend_from_slice(payload),
            Self::SetPriority { stream, priority } => {
                put_number(out, id(*stream));
                out.push(priority.urgency() | u8::from(priority.incremental()) << 3);
            }
            Self::SendExtension { kind, flags, on, payload } => {
                out.extend([kind.0, flags.0]);
                put_on(out, *on);
                put_bytes(out, payload);
            }
            Self::Close { code, debug } => {
                put_number(out, code.0.into());
                put_bytes(out, debug);
            }
            Self::SendRequest { request, fields, .. } => {
                put_request(out, request);
                put_fields(out, fields);
            }
            Self::SendResponse { stream, status, fields, .. }
            | Self::SendInformational { stream, status, fields } => {
                put_number(out, id(*stream));
                out.extend_from_slice(status.as_bytes());
                put_fields(out, fields);
            }
            Self::SendPush { parent, request, fields } => {
                put_number(out, id(*parent));
                put_request(out, request);
                put_fields(out, fields);
            }
            Self::SendOrigins { origins } => {
                put_number(out, origins.len() as u64);
                for origin in origins {
                    put_bytes(out, origin);
                }
            }
            Self::SendAltSvc { on, origin, value } => {
                put_on(out, *on);
                put_bytes(out, origin);
                put_bytes(out, value);
            }
        }
    }

    /// Returns the operation and its flags.
    fn lead(&self, clock: Clock) -> (u8, u8) {
        let two = |low: bool, high: bool| u8::from(low) | u8::from(high) << 1;
        match self {
            Self::Receive { now, input } => (RECEIVE, clock.code(*now) | u8::from(input.is_some()) << 2),
            Self::HandleEof => (HANDLE_EOF, 0),
            Self::HandleTimeout { now } => (HANDLE_TIMEOUT, clock.code(*now)),
            Self::Release { .. } => (RELEASE, 0),
            Self::Discard { .. } => (DISCARD, 0),
            Self::SendData { end, pad_len, .. } => (SEND_DATA, two(*end, pad_len.is_some())),
            Self::SpliceData { end, .. } => (SPLICE_DATA, two(*end, false)),
            Self::SendTrailers { .. } => (SEND_TRAILERS, 0),
            Self::SendReset { .. } => (SEND_RESET, 0),
            Self::SendSettings { settings } => (SEND_SETTINGS, two(settings.is_some(), false)),
            Self::SendExtensionSettings { .. } => (SEND_EXTENSION_SETTINGS, 0),
            Self::SendPing { .. } => (SEND_PING, 0),
            Self::SetPriority { .. } => (SET_PRIORITY, 0),
            Self::SendExtension { .. } => (SEND_EXTENSION, 0),
            Self::PollWritable => (POLL_WRITABLE, 0),
            Self::PollTransmit { spliced } => (POLL_TRANSMIT, two(*spliced, false)),
            Self::Shutdown => (SHUTDOWN, 0),
            Self::Close { .. } => (CLOSE, 0),
            Self::SendRequest { end, .. } => (SEND_REQUEST, two(*end, false)),
            Self::SendResponse { end, .. } => (SEND_RESPONSE, two(*end, false)),
            Self::SendInformational { .. } => (SEND_INFORMATIONAL, 0),
            Self::SendPush { .. } => (SEND_PUSH, 0),
            Self::SendOrigins { .. } => (SEND_ORIGINS, 0),
            Self::SendAltSvc { .. } => (SEND_ALT_SVC, 0),
        }
    }

    /// Reads a call.
    pub fn take(reader: &mut Reader<'a>, clock: &mut Clock) -> Result<Self, ReadError> {
        let start = *reader;
        let lead = reader.byte("a call")?;
        let (operation, bits) = (lead & 0x1f, lead >> 5);
        let (first, second) = (bits & 1 != 0, bits & 2 != 0);
        Ok(match operation {
            RECEIVE => {
                let now = clock.take(bits & 3, reader)?;
                let input = if bits & 4 != 0 { Some(reader.bytes("input")?) } else { None };
                Self::Receive { now, input }
            }
            HANDLE_EOF => Self::HandleEof,
            HANDLE_TIMEOUT => Self::HandleTimeout { now: clock.take(bits & 3, reader)? },
            RELEASE => Self::Release { stream: take_id(reader)?, bytes: reader.number("bytes")? },
            DISCARD => Self::Discard { stream: take_id(reader)?, bytes: reader.number("bytes")? },
            SEND_DATA => {
                let stream = take_id(reader)?;
                let pad_len = if second { Some(reader.byte("padding")?) } else { None };
                Self::SendData { stream, data: reader.bytes("content")?, end: first, pad_len }
            }
            SPLICE_DATA => {
                Self::SpliceData { stream: take_id(reader)?, len: reader.number("a length")?, end: first }
            }
            SEND_TRAILERS => Self::SendTrailers { stream: take_id(reader)?, fields: take_fields(reader)? },
            SEND_RESET => Self::SendReset { stream: take_id(reader)?, code: take_code(reader)? },
            SEND_SETTINGS => {
                Self::SendSettings { settings: first.then(|| take_settings(reader)).transpose()? }
            }
            SEND_EXTENSION_SETTINGS => {
                let count = reader.number("settings")?;
                let entries = (0..count).map(|_| take_entry(reader));
                Self::SendExtensionSettings { entries: entries.collect::<Result<_, _>>()? }
            }
            SEND_PING => Self::SendPing { payload: reader.array("a payload")? },
            SET_PRIORITY => {
                let stream = take_id(reader)?;
                let priority = reader.byte("a priority")?;
                Self::SetPriority { stream, priority: Priority::new(priority & 7, priority & 8 != 0) }
            }
            SEND_EXTENSION => {
                let [kind, flags] = reader.array("a frame type")?;
                let (on, payload) = (take_on(reader)?, reader.bytes("a payload")?);
                Self::SendExtension { kind: FrameType(kind), flags: Flags(flags), on, payload }
            }
            POLL_WRITABLE => Self::PollWritable,
            POLL_TRANSMIT => Self::PollTransmit { spliced: first },
            SHUTDOWN => Self::Shutdown,
            CLOSE => Self::Close { code: take_code(reader)?, debug: reader.bytes("debug data")? },
            SEND_REQUEST => {
                Self::SendRequest { request: take_request(reader)?, fields: take_fields(reader)?, end: first }
            }
            SEND_RESPONSE => {
                let (stream, status) = (take_id(reader)?, take_status(reader)?);
                Self::SendResponse { stream, status, fields: take_fields(reader)?, end: first }
            }
            SEND_INFORMATIONAL => {
                let (stream, status) = (take_id(reader)?, take_status(reader)?);
                Self::SendInformational { stream, status, fields: take_fields(reader)? }
            }
            SEND_PUSH => {
                let (parent, request) = (take_id(reader)?, take_request(reader)?);
                Self::SendPush { parent, request, fields: take_fields(reader)? }
            }
            SEND_ORIGINS => {
                let count = reader.number("origins")?;
                let origins = (0..count).map(|_| reader.bytes("an origin"));
                Self::SendOrigins { origins: origins.collect::<Result<_, _>>()? }
            }
            SEND_ALT_SVC => {
                let (on, origin) = (take_on(reader)?, reader.bytes("an origin")?);
                Self::SendAltSvc { on, origin, value: reader.bytes("a value")? }
            }
            _ => return Err(start.malformed("a call")),
        })
    }
}

fn id(stream: StreamId) -> u64 {
    stream.as_u32().into()
}

fn put_numbers(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        put_number(out, number);
    }
}

fn take_id(reader: &mut Reader<'_>) -> Result<StreamId, ReadError> {
    reader.narrow("a stream").map(StreamId::new)
}

fn take_code(reader: &mut Reader<'_>) -> Result<ErrorCode, ReadError> {
    reader.narrow("an error code").map(ErrorCode)
}

/// Appends a stream, or 0 for the connection, since no stream has this identifier.
fn put_on(out: &mut Vec<u8>, on: Option<StreamId>) {
    put_number(out, on.map_or(0, id));
}

fn take_on(reader: &mut Reader<'_>) -> Result<Option<StreamId>, ReadError> {
    Ok(Some(take_id(reader)?).filter(|stream| !stream.is_connection()))
}

fn take_status(reader: &mut Reader<'_>) -> Result<Status, ReadError> {
    let start = *reader;
    let digits: [u8; 3] = reader.array("a status")?;
    let number = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0')));
    let status = Status::new(number).filter(|status| *status.as_bytes() == digits);
    status.ok_or(start.malformed("a status"))
}

fn put_request(out: &mut Vec<u8>, request: &Request<'_>) {
    let rest = [request.scheme, request.authority, request.path, request.protocol];
    let bits = rest.iter().rev().fold(0, |bits, part| bits << 1 | u8::from(part.is_some()));
    out.push(bits);
    put_bytes(out, request.method);
    for part in rest.into_iter().flatten() {
        put_bytes(out, part);
    }
}

fn take_request<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, ReadError> {
    let bits = reader.byte("a request")?;
    let mut request = Request::connect(&b""[..]);
    request.method = reader.bytes("a method")?;
    for (bit, part) in [&mut request.scheme, &mut request.authority, &mut request.path, &mut request.protocol]
        .into_iter()
        .enumerate()
    {
        *part = if bits >> bit & 1 != 0 { Some(reader.bytes("a request")?) } else { None };
    }
    Ok(request)
}

/// Appends fields. A field begins with its representation in two bits, and a bit that says whether
/// its name is in no list although it could be: an empty token follows then.
fn put_fields(out: &mut Vec<u8>, fields: &[Field<'_>]) {
    put_number(out, fields.len() as u64);
    for field in fields {
        let is_odd = field.known_name() != KnownName::of(field.name());
        let indexing = match field.indexing {
            Indexing::Default => 0,
            Indexing::Always => 1,
            Indexing::NotIndexed => 2,
            Indexing::Never => 3,
        };
        out.push(indexing | u8::from(is_odd) << 2);
        put_bytes(out, field.name());
        put_bytes(out, field.value);
        if is_odd {
            put_bytes(out, field.known_name().name());
        }
    }
}

fn take_fields<'a>(reader: &mut Reader<'a>) -> Result<Vec<Field<'a>>, ReadError> {
    let count = reader.number("fields")?;
    (0..count).map(|_| take_field(reader)).collect()
}

fn take_field<'a>(reader: &mut Reader<'a>) -> Result<Field<'a>, ReadError> {
    let bits = reader.byte("a field")?;
    let mut field = Field::new(reader.bytes("a name")?, reader.bytes("a value")?);
    field.indexing = match bits & 3 {
        0 => Indexing::Default,
        1 => Indexing::Always,
        2 => Indexing::NotIndexed,
        _ => Indexing::Never,
    };
    if bits & 4 != 0 {
        let offset = reader.offset();
        if !reader.bytes("a token")?.is_empty() {
            return Err(ReadError::Malformed { offset, what: "an empty token" });
        }
        field = Field::with_unlisted_name(field.name(), field.value).with_indexing(field.indexing);
    }
    Ok(field)
}

fn take_entry(reader: &mut Reader<'_>) -> Result<(SettingId, u32), ReadError> {
    Ok((reader.narrow("a setting").map(SettingId)?, reader.narrow("a setting")?))
}

fn numbers_of(settings: &Settings) -> [u64; 8] {
    [
        settings.header_table_size.into(),
        settings.enable_push.into(),
        settings.max_concurrent_streams.into(),
        settings.initial_window_size.into(),
        settings.max_frame_size.into(),
        settings.max_header_list_size.into(),
        settings.enable_connect_protocol.into(),
        settings.no_rfc7540_priorities.into(),
    ]
}

fn take_settings(reader: &mut Reader<'_>) -> Result<Settings, ReadError> {
    let mut settings = Settings::default();
    settings.header_table_size = reader.narrow("a setting")?;
    settings.enable_push = reader.number("a setting")? != 0;
    settings.max_concurrent_streams = reader.narrow("a setting")?;
    settings.initial_window_size = reader.narrow("a setting")?;
    settings.max_frame_size = reader.narrow("a setting")?;
    settings.max_header_list_size = reader.narrow("a setting")?;
    settings.enable_connect_protocol = reader.number("a setting")? != 0;
    settings.no_rfc7540_priorities = reader.number("a setting")? != 0;
    Ok(settings)
}

const RECEIVE: u8 = 0;
const HANDLE_EOF: u8 = 1;
const HANDLE_TIMEOUT: u8 = 2;
const RELEASE: u8 = 3;
const SEND_DATA: u8 = 4;
const SPLICE_DATA: u8 = 5;
const SEND_TRAILERS: u8 = 6;
const SEND_RESET: u8 = 7;
const SEND_SETTINGS: u8 = 8;
const SEND_PING: u8 = 9;
const SET_PRIORITY: u8 = 10;
const SEND_EXTENSION: u8 = 11;
const POLL_WRITABLE: u8 = 12;
const POLL_TRANSMIT: u8 = 13;
const SHUTDOWN: u8 = 14;
const CLOSE: u8 = 15;
const SEND_REQUEST: u8 = 16;
const SEND_RESPONSE: u8 = 17;
const SEND_INFORMATIONAL: u8 = 18;
const SEND_PUSH: u8 = 19;
const SEND_ORIGINS: u8 = 20;
const SEND_ALT_SVC: u8 = 21;
const SEND_EXTENSION_SETTINGS: u8 = 22;
const DISCARD: u8 = 23;
