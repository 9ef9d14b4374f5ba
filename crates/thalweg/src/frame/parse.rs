//! Parses frames: from bytes to views. Each function checks what one frame alone can show.

use super::{Dependency, Flags, Frame, FrameHeader, FrameType, HEADER_LEN, OriginEntries, SettingEntries};
use crate::error_code::ErrorCode;
use crate::stream_id::StreamId;
use crate::violation::Violation;

impl FrameHeader {
    /// Parses a frame header. Any nine bytes are one.
    #[inline]
    pub const fn parse(bytes: &[u8; HEADER_LEN]) -> Self {
        // Length and type are one load, the identifier another.
        let [l2, l1, l0, kind, flags, s3, s2, s1, s0] = *bytes;
        let first = u32::from_be_bytes([l2, l1, l0, kind]);
        Self {
            len: first >> 8,
            kind: FrameType(first as u8),
            flags: Flags(flags),
            stream: StreamId::new(u32::from_be_bytes([s3, s2, s1, s0])),
        }
    }

    /// Checks the header alone: whether the type belongs on a stream or on the connection, and
    /// whether the length is possible for the type.
    ///
    /// # Errors
    /// The violation, for example [`Violation::PingLength`].
    pub const fn check(&self) -> Result<(), Violation> {
        let on_connection = self.stream.is_connection();
        let violation = match self.kind {
            FrameType::DATA if on_connection => Violation::DataOnConnection,
            FrameType::HEADERS if on_connection => Violation::HeadersOnConnection,
            FrameType::PRIORITY if on_connection => Violation::PriorityOnConnection,
            FrameType::PRIORITY if self.len != 5 => Violation::PriorityLength,
            FrameType::RST_STREAM if on_connection => Violation::ResetOnConnection,
            FrameType::RST_STREAM if self.len != 4 => Violation::ResetLength,
            FrameType::SETTINGS if !on_connection => Violation::SettingsOnStream,
            FrameType::SETTINGS if self.flags.contains(Flags::ACK) && self.len != 0 => {
                Violation::SettingsAckLength
            }
            FrameType::SETTINGS if !self.len.is_multiple_of(6) => Violation::SettingsLength,
            FrameType::PUSH_PROMISE if on_connection => Violation::PushPromiseOnConnection,
            FrameType::PING if !on_connection => Violation::PingOnStream,
            FrameType::PING if self.len != 8 => Violation::PingLength,
            FrameType::GOAWAY if !on_connection => Violation::GoAwayOnStream,
            FrameType::GOAWAY if self.len < 8 => Violation::GoAwayLength,
            FrameType::WINDOW_UPDATE if self.len != 4 => Violation::WindowUpdateLength,
            FrameType::CONTINUATION if on_connection => Violation::ContinuationOnConnection,
            FrameType::PRIORITY_UPDATE if !on_connection => Violation::PriorityUpdateOnStream,
            FrameType::PRIORITY_UPDATE if self.len < 4 => Violation::PriorityUpdateLength,
            _ => return Ok(()),
        };
        Err(violation)
    }
}

impl<'a> Frame<'a> {
    /// Parses a frame whose payload is whole.
    ///
    /// # Errors
    /// The violation. `payload` must have the length in the header; any other length is
    /// [`Violation::FrameTooLarge`].
    pub fn parse(header: FrameHeader, payload: &'a [u8]) -> Result<Self, Violation> {
        if payload.len() != header.len as usize {
            return Err(Violation::FrameTooLarge);
        }
        header.check()?;
        let stream = header.stream;
        Ok(match header.kind {
            FrameType::DATA => {
                let (data, padding) = unpad(header.flags, payload, Violation::DataLength)?;
                Self::Data { stream, data, end_stream: header.flags.contains(Flags::END_STREAM), padding }
            }
            FrameType::HEADERS => {
                let (fragment, dependency, padding) = headers(header.flags, payload)?;
                let end_stream = header.flags.contains(Flags::END_STREAM);
                let end_headers = header.flags.contains(Flags::END_HEADERS);
                Self::Headers { stream, fragment, end_stream, end_headers, dependency, padding }
            }
            FrameType::PRIORITY => {
                let fields = payload.first_chunk().ok_or(Violation::PriorityLength)?;
                Self::Priority { stream, dependency: dependency(fields) }
            }
            FrameType::RST_STREAM => {
                Self::Reset { stream, code: ErrorCode(word(payload, Violation::ResetLength)?) }
            }
            FrameType::SETTINGS => Self::Settings {
                ack: header.flags.contains(Flags::ACK),
                entries: SettingEntries::new(payload),
            },
            FrameType::PUSH_PROMISE => {
                let (promised, fragment, padding) = push_promise(header.flags, payload)?;
                // RFC 9113 §5.1.1: servers use the even identifiers.
                if promised.is_connection() || promised.is_client_initiated() {
                    return Err(Violation::PushIdInvalid);
                }
                let end_headers = header.flags.contains(Flags::END_HEADERS);
                Self::PushPromise { stream, promised, fragment, end_headers, padding }
            }
            FrameType::PING => {
                let payload = *payload.first_chunk().ok_or(Violation::PingLength)?;
                Self::Ping { ack: header.flags.contains(Flags::ACK), payload }
            }
            FrameType::GOAWAY => {
                let (last_stream, code, debug) = goaway(payload)?;
                Self::GoAway { last_stream, code, debug }
            }
            FrameType::WINDOW_UPDATE => match window_increment(payload)? {
                0 if stream.is_connection() => return Err(Violation::WindowUpdateZeroOnConnection),
                0 => return Err(Violation::WindowUpdateZero),
                increment => Self::WindowUpdate { stream, increment },
            },
            FrameType::CONTINUATION => {
                let end_headers = header.flags.contains(Flags::END_HEADERS);
                Self::Continuation { stream, fragment: payload, end_headers }
            }
            FrameType::PRIORITY_UPDATE => {
                let (prioritized, value) = priority_update(payload)?;
                Self::PriorityUpdate { prioritized, value }
            }
            FrameType::ORIGIN => Self::Origin { origins: OriginEntries::new(payload) },
            FrameType::ALTSVC => match alt_svc(payload) {
                Some((origin, value)) => Self::AltSvc { stream, origin, value },
                None => Self::Unknown { kind: header.kind, flags: header.flags, stream, payload },
            },
            kind => Self::Unknown { kind, flags: header.flags, stream, payload },
        })
    }
}

/// Removes Pad Length and padding from a payload.
///
/// RFC 9113 §6.1: padding as long as what is left of the payload, or longer, is an error.
pub(crate) fn unpad(
    flags: Flags,
    payload: &[u8],
    too_short: Violation,
) -> Result<(&[u8], Option<u8>), Violation> {
    if !flags.contains(Flags::PADDED) {
        return Ok((payload, None));
    }
    let (&pad_len, rest) = payload.split_first().ok_or(too_short)?;
    let data_len = rest.len().checked_sub(usize::from(pad_len)).ok_or(Violation::PaddingTooLong)?;
    Ok((&rest[..data_len], Some(pad_len)))
}

/// The parts of a HEADERS payload: fragment, deprecated priority fields, Pad Length.
pub(crate) type HeadersParts<'a> = (&'a [u8], Option<Dependency>, Option<u8>);

/// Splits a HEADERS payload: fragment, deprecated priority fields, Pad Length.
pub(crate) fn headers(flags: Flags, payload: &[u8]) -> Result<HeadersParts<'_>, Violation> {
    let (rest, padding) = unpad(flags, payload, Violation::HeadersLength)?;
    if !flags.contains(Flags::PRIORITY) {
        return Ok((rest, None, padding));
    }
    let (fields, fragment) = rest.split_first_chunk().ok_or(Violation::HeadersLength)?;
    Ok((fragment, Some(dependency(fields)), padding))
}

/// Returns the fields of a PRIORITY payload; `None` if it is not 5 bytes long.
pub(crate) fn priority(payload: &[u8]) -> Option<Dependency> {
    payload.try_into().ok().map(dependency)
}

/// Splits a PUSH_PROMISE payload: promised stream, fragment, Pad Length.
pub(crate) fn push_promise(flags: Flags, payload: &[u8]) -> Result<(StreamId, &[u8], Option<u8>), Violation> {
    let (rest, padding) = unpad(flags, payload, Violation::PushPromiseLength)?;
    let (id, fragment) = rest.split_first_chunk::<4>().ok_or(Violation::PushPromiseLength)?;
    Ok((StreamId::new(u32::from_be_bytes(*id)), fragment, padding))
}

/// Splits a GOAWAY payload: last stream, code, debug data.
pub(crate) fn goaway(payload: &[u8]) -> Result<(StreamId, ErrorCode, &[u8]), Violation> {
    let (last, rest) = payload.split_first_chunk::<4>().ok_or(Violation::GoAwayLength)?;
    let (code, debug) = rest.split_first_chunk::<4>().ok_or(Violation::GoAwayLength)?;
    Ok((StreamId::new(u32::from_be_bytes(*last)), ErrorCode(u32::from_be_bytes(*code)), debug))
}

/// Returns the increment of a WINDOW_UPDATE, without its reserved bit.
pub(crate) fn window_increment(payload: &[u8]) -> Result<u32, Violation> {
    Ok(word(payload, Violation::WindowUpdateLength)? & 0x7fff_ffff)
}

/// Splits a PRIORITY_UPDATE payload: prioritized stream, field value.
pub(crate) fn priority_update(payload: &[u8]) -> Result<(StreamId, &[u8]), Violation> {
    let (id, value) = payload.split_first_chunk::<4>().ok_or(Violation::PriorityUpdateLength)?;
    Ok((StreamId::new(u32::from_be_bytes(*id)), value))
}

/// Splits an ALTSVC payload: origin, field value. `None`: it is shorter than its Origin-Len
/// requires, and is ignored (RFC 7838 §4).
pub(crate) fn alt_svc(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = payload.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

/// Returns a payload that is one 32-bit number.
pub(crate) fn word(payload: &[u8], wrong_length: Violation) -> Result<u32, Violation> {
    payload.try_into().map(u32::from_be_bytes).map_err(|_| wrong_length)
}

fn dependency(fields: &[u8; 5]) -> Dependency {
    let [a, b, c, d, weight] = *fields;
    let stream = u32::from_be_bytes([a, b, c, d]);
    Dependency { stream: StreamId::new(stream), exclusive: stream >> 31 == 1, weight }
}
