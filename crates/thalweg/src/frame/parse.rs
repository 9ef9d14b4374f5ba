//! From bytes to views. Each function judges what can be judged from one frame alone.

use super::{Dependency, Flags, Frame, HEAD_LEN, Head, Kind, OriginEntries, SettingEntries};
use crate::error::ErrorCode;
use crate::stream_id::StreamId;
use crate::violation::Violation;

impl Head {
    /// Reads a head. Any nine bytes are one.
    #[inline]
    pub const fn parse(bytes: &[u8; HEAD_LEN]) -> Self {
        // Length and type are one load, the identifier another.
        let [l2, l1, l0, kind, flags, s3, s2, s1, s0] = *bytes;
        let first = u32::from_be_bytes([l2, l1, l0, kind]);
        Self {
            len: first >> 8,
            kind: Kind(first as u8),
            flags: Flags(flags),
            stream: StreamId::new(u32::from_be_bytes([s3, s2, s1, s0])),
        }
    }

    /// Judges what the head alone tells: whether the type belongs on a stream or on the connection, and
    /// whether the length is possible for the type.
    ///
    /// # Errors
    /// The violation, for example [`Violation::PingLength`].
    pub const fn check(&self) -> Result<(), Violation> {
        let on_connection = self.stream.is_connection();
        let violation = match self.kind {
            Kind::DATA if on_connection => Violation::DataOnConnection,
            Kind::HEADERS if on_connection => Violation::HeadersOnConnection,
            Kind::PRIORITY if on_connection => Violation::PriorityOnConnection,
            Kind::PRIORITY if self.len != 5 => Violation::PriorityLength,
            Kind::RST_STREAM if on_connection => Violation::ResetOnConnection,
            Kind::RST_STREAM if self.len != 4 => Violation::ResetLength,
            Kind::SETTINGS if !on_connection => Violation::SettingsOnStream,
            Kind::SETTINGS if self.flags.contains(Flags::ACK) && self.len != 0 => {
                Violation::SettingsAckLength
            }
            Kind::SETTINGS if !self.len.is_multiple_of(6) => Violation::SettingsLength,
            Kind::PUSH_PROMISE if on_connection => Violation::PushPromiseOnConnection,
            Kind::PING if !on_connection => Violation::PingOnStream,
            Kind::PING if self.len != 8 => Violation::PingLength,
            Kind::GOAWAY if !on_connection => Violation::GoAwayOnStream,
            Kind::GOAWAY if self.len < 8 => Violation::GoAwayLength,
            Kind::WINDOW_UPDATE if self.len != 4 => Violation::WindowUpdateLength,
            Kind::CONTINUATION if on_connection => Violation::ContinuationOnConnection,
            Kind::PRIORITY_UPDATE if !on_connection => Violation::PriorityUpdateOnStream,
            Kind::PRIORITY_UPDATE if self.len < 4 => Violation::PriorityUpdateLength,
            _ => return Ok(()),
        };
        Err(violation)
    }
}

impl<'a> Frame<'a> {
    /// Reads a frame whose payload is whole.
    ///
    /// # Errors
    /// The violation. `payload` must be as long as the head says; any other length is
    /// [`Violation::FrameTooLarge`].
    pub fn parse(head: Head, payload: &'a [u8]) -> Result<Self, Violation> {
        if payload.len() != head.len as usize {
            return Err(Violation::FrameTooLarge);
        }
        head.check()?;
        let stream = head.stream;
        Ok(match head.kind {
            Kind::DATA => {
                let (data, padding) = unpad(head.flags, payload, Violation::DataLength)?;
                Self::Data { stream, data, end_stream: head.flags.contains(Flags::END_STREAM), padding }
            }
            Kind::HEADERS => {
                let (fragment, dependency, padding) = headers(head.flags, payload)?;
                let end_stream = head.flags.contains(Flags::END_STREAM);
                let end_headers = head.flags.contains(Flags::END_HEADERS);
                Self::Headers { stream, fragment, end_stream, end_headers, dependency, padding }
            }
            Kind::PRIORITY => {
                let fields = payload.first_chunk().ok_or(Violation::PriorityLength)?;
                Self::Priority { stream, dependency: dependency(fields) }
            }
            Kind::RST_STREAM => {
                Self::Reset { stream, code: ErrorCode(word(payload, Violation::ResetLength)?) }
            }
            Kind::SETTINGS => {
                Self::Settings { ack: head.flags.contains(Flags::ACK), entries: SettingEntries::new(payload) }
            }
            Kind::PUSH_PROMISE => {
                let (promised, fragment, padding) = push_promise(head.flags, payload)?;
                // RFC 9113 §5.1.1: servers have the even identifiers.
                if promised.is_connection() || promised.is_client_initiated() {
                    return Err(Violation::PushIdInvalid);
                }
                let end_headers = head.flags.contains(Flags::END_HEADERS);
                Self::PushPromise { stream, promised, fragment, end_headers, padding }
            }
            Kind::PING => {
                let payload = *payload.first_chunk().ok_or(Violation::PingLength)?;
                Self::Ping { ack: head.flags.contains(Flags::ACK), payload }
            }
            Kind::GOAWAY => {
                let (last_stream, code, debug) = go_away(payload)?;
                Self::GoAway { last_stream, code, debug }
            }
            Kind::WINDOW_UPDATE => match window_increment(payload)? {
                0 if stream.is_connection() => return Err(Violation::WindowUpdateZeroOnConnection),
                0 => return Err(Violation::WindowUpdateZero),
                increment => Self::WindowUpdate { stream, increment },
            },
            Kind::CONTINUATION => {
                let end_headers = head.flags.contains(Flags::END_HEADERS);
                Self::Continuation { stream, fragment: payload, end_headers }
            }
            Kind::PRIORITY_UPDATE => {
                let (prioritized, value) = priority_update(payload)?;
                Self::PriorityUpdate { prioritized, value }
            }
            Kind::ORIGIN => Self::Origin { origins: OriginEntries::new(payload) },
            Kind::ALTSVC => match alt_svc(payload) {
                Some((origin, value)) => Self::AltSvc { stream, origin, value },
                None => Self::Unknown { kind: head.kind, flags: head.flags, stream, payload },
            },
            kind => Self::Unknown { kind, flags: head.flags, stream, payload },
        })
    }
}

/// Takes Pad Length and padding off a payload.
///
/// RFC 9113 §6.1: padding as long as what is left of the payload, or longer, is an error.
pub fn unpad(flags: Flags, payload: &[u8], too_short: Violation) -> Result<(&[u8], Option<u8>), Violation> {
    if !flags.contains(Flags::PADDED) {
        return Ok((payload, None));
    }
    let (&pad_len, rest) = payload.split_first().ok_or(too_short)?;
    let data_len = rest.len().checked_sub(usize::from(pad_len)).ok_or(Violation::PaddingTooLong)?;
    Ok((&rest[..data_len], Some(pad_len)))
}

/// What a HEADERS payload holds: fragment, deprecated priority fields, Pad Length.
pub type HeadersParts<'a> = (&'a [u8], Option<Dependency>, Option<u8>);

/// Takes a HEADERS payload apart: fragment, deprecated priority fields, Pad Length.
pub fn headers(flags: Flags, payload: &[u8]) -> Result<HeadersParts<'_>, Violation> {
    let (rest, padding) = unpad(flags, payload, Violation::HeadersLength)?;
    if !flags.contains(Flags::PRIORITY) {
        return Ok((rest, None, padding));
    }
    let (fields, fragment) = rest.split_first_chunk().ok_or(Violation::HeadersLength)?;
    Ok((fragment, Some(dependency(fields)), padding))
}

/// Takes a PUSH_PROMISE payload apart: promised stream, fragment, Pad Length.
pub fn push_promise(flags: Flags, payload: &[u8]) -> Result<(StreamId, &[u8], Option<u8>), Violation> {
    let (rest, padding) = unpad(flags, payload, Violation::PushPromiseLength)?;
    let (id, fragment) = rest.split_first_chunk::<4>().ok_or(Violation::PushPromiseLength)?;
    Ok((StreamId::new(u32::from_be_bytes(*id)), fragment, padding))
}

/// Takes a GOAWAY payload apart: last stream, code, debug data.
pub fn go_away(payload: &[u8]) -> Result<(StreamId, ErrorCode, &[u8]), Violation> {
    let (last, rest) = payload.split_first_chunk::<4>().ok_or(Violation::GoAwayLength)?;
    let (code, debug) = rest.split_first_chunk::<4>().ok_or(Violation::GoAwayLength)?;
    Ok((StreamId::new(u32::from_be_bytes(*last)), ErrorCode(u32::from_be_bytes(*code)), debug))
}

/// Reads the increment of a WINDOW_UPDATE, without its reserved bit.
pub fn window_increment(payload: &[u8]) -> Result<u32, Violation> {
    Ok(word(payload, Violation::WindowUpdateLength)? & 0x7fff_ffff)
}

/// Takes a PRIORITY_UPDATE payload apart.
pub fn priority_update(payload: &[u8]) -> Result<(StreamId, &[u8]), Violation> {
    let (id, value) = payload.split_first_chunk::<4>().ok_or(Violation::PriorityUpdateLength)?;
    Ok((StreamId::new(u32::from_be_bytes(*id)), value))
}

/// Takes an ALTSVC payload apart; `None` when it is shorter than it says (RFC 7838 §4: then it is ignored).
pub fn alt_svc(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = payload.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

/// Reads a payload that is one 32-bit number.
pub fn word(payload: &[u8], wrong_length: Violation) -> Result<u32, Violation> {
    payload.try_into().map(u32::from_be_bytes).map_err(|_| wrong_length)
}

fn dependency(fields: &[u8; 5]) -> Dependency {
    let [a, b, c, d, weight] = *fields;
    let stream = u32::from_be_bytes([a, b, c, d]);
    Dependency { stream: StreamId::new(stream), exclusive: stream >> 31 == 1, weight }
}
