//! Field blocks in a monitor: decoded, and checked against RFC 9113 §8.

use super::stream::HalfState;
use super::{Mismatch, Monitor, Stream};
use crate::frames::{Frame, flag, kind};
use crate::hpack::Header;

impl Monitor {
    /// Handles a complete sent field block that begins with `first`.
    pub(super) fn check_outbound_block(&mut self, first: &Frame, block: &[u8]) -> Result<(), Mismatch> {
        let fields = self.decoder.decode(block).map_err(|malformed| format!("the block has {malformed}"))?;
        let message = Message::new(&fields)?;
        if first.kind == kind::PUSH_PROMISE {
            return self.check_outbound_promise(first, &message);
        }
        let ends = first.has(flag::END_STREAM);
        let Some(stream) = self.streams.get(&first.stream).copied() else {
            return self.check_outbound_request(first.stream, &message, ends);
        };
        if !stream.may_send(self.batch) {
            return Err("a header block on a half that has ended".to_owned());
        }
        let after = match (stream.local, message.status) {
            (HalfState::Headers, Some(100..=199)) if ends => {
                return Err("an informational response ends".to_owned());
            }
            (HalfState::Headers, Some(100..=199)) => stream,
            (HalfState::Headers, Some(status)) => {
                self.check_outbound_response(stream, &message, status, ends)?
            }
            (HalfState::Data, None) if stream.is_connect => return Err("trailers in a tunnel".to_owned()),
            (HalfState::Data, None) if message.has_pseudo => {
                return Err("pseudo-headers in trailers".to_owned());
            }
            (HalfState::Data, None) if !ends => return Err("trailers that do not end the stream".to_owned()),
            (HalfState::Data, None) if stream.remaining_length.is_some_and(|left| left != 0) => {
                return Err("content-length is not reached".to_owned());
            }
            (HalfState::Data, None) => Stream { local: HalfState::Closed, ..stream },
            _ => return Err("a header block of the wrong kind".to_owned()),
        };
        self.streams.insert(first.stream, after);
        Ok(())
    }

    fn check_outbound_request(&mut self, id: u32, message: &Message<'_>, ends: bool) -> Result<(), Mismatch> {
        if !self.is_client || !self.is_local(id) {
            return Err("only a client opens streams with HEADERS, and odd ones".to_owned());
        }
        if id <= self.last_local {
            return Err("identifiers rise".to_owned());
        }
        if self.goaway_received.is_some_and(|inbound| inbound < self.batch) {
            return Err("no streams are opened after GOAWAY".to_owned());
        }
        self.check_concurrency()?;
        message.is_request(self.remote.enable_connect_protocol)?;
        let stream = Stream {
            local: if ends { HalfState::Closed } else { HalfState::Data },
            remote: HalfState::Headers,
            remaining_length: message.content_length,
            ..self.new_stream(message)
        };
        self.insert_local_stream(id, stream);
        Ok(())
    }

    fn check_outbound_response(
        &mut self,
        stream: Stream,
        message: &Message<'_>,
        status: u16,
        ends: bool,
    ) -> Result<Stream, Mismatch> {
        if self.is_client {
            return Err("a client does not answer".to_owned());
        }
        if stream.reserved {
            self.check_concurrency()?;
        }
        let no_content = stream.is_head || status == 204 || status == 304;
        let tunnel = stream.is_connect && (200..300).contains(&status);
        let remaining_length = match message.content_length {
            _ if no_content => Some(0),
            _ if tunnel => None,
            length => length,
        };
        if ends && remaining_length.is_some_and(|left| left != 0) {
            return Err("content-length is not reached".to_owned());
        }
        let local = if ends { HalfState::Closed } else { HalfState::Data };
        Ok(Stream { local, reserved: false, remaining_length, is_connect: tunnel, ..stream })
    }

    fn check_outbound_promise(&mut self, first: &Frame, message: &Message<'_>) -> Result<(), Mismatch> {
        let promised = first.promised().ok_or("a promise without an identifier")?;
        if self.is_client || !self.remote.enable_push {
            return Err("a push that the client does not allow".to_owned());
        }
        let parent = self.streams.get(&first.stream).filter(|parent| parent.may_send(self.batch));
        if parent.is_none() || self.is_local(first.stream) {
            return Err("a push on a stream that is not open".to_owned());
        }
        if promised <= self.last_local {
            return Err("identifiers rise".to_owned());
        }
        message.is_request(false)?;
        if !matches!(message.method, Some(b"GET" | b"HEAD")) {
            return Err("a promised request is safe".to_owned());
        }
        let stream = Stream {
            local: HalfState::Headers,
            remote: HalfState::Closed,
            reserved: true,
            ..self.new_stream(message)
        };
        self.insert_local_stream(promised, stream);
        Ok(())
    }

    /// Adds a stream with its first sent frame. Frames that were received for it before still
    /// count.
    fn insert_local_stream(&mut self, id: u32, stream: Stream) {
        let early = self.early.remove(&id).unwrap_or_default();
        self.last_local = id;
        self.streams.insert(
            id,
            Stream {
                send_window: stream.send_window + early.send_window,
                receive_window: stream.receive_window + early.receive_window,
                reset_received: early.reset_received,
                remote: stream.remote_after(early.remote),
                ..stream
            },
        );
    }

    /// RFC 9113 §5.1.2: the peer's limit that this endpoint has acknowledged.
    fn check_concurrency(&self) -> Result<(), Mismatch> {
        let open = self.streams.iter().filter(|(id, stream)| self.is_local(**id) && stream.is_active());
        let limit = self.remote.max_concurrent_streams;
        if open.count() as u64 >= u64::from(limit) {
            return Err(format!("more than {limit} concurrent streams"));
        }
        Ok(())
    }

    /// Creates a stream with the current initial windows.
    pub(super) fn new_stream(&self, message: &Message<'_>) -> Stream {
        Stream {
            local: HalfState::Headers,
            remote: HalfState::Headers,
            reserved: false,
            send_window: self.remote.initial_window_size,
            receive_window: self.local.initial_window_size,
            reset_sent: false,
            reset_received: None,
            remaining_length: None,
            is_head: message.method == Some(b"HEAD"),
            is_connect: message.method == Some(b"CONNECT"),
        }
    }
}

/// The fields of a block that the monitor checks.
#[derive(Debug, Default)]
pub struct Message<'a> {
    pub method: Option<&'a [u8]>,
    scheme: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    authority: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
    status: Option<u16>,
    has_pseudo: bool,
    content_length: Option<u64>,
}

impl<'a> Message<'a> {
    /// Reads fields. Returns an error for a field that no message may have.
    pub fn new(fields: &'a [Header]) -> Result<Self, Mismatch> {
        let mut message = Self::default();
        let mut regular = false;
        for Header { name, value, .. } in fields {
            if !name.starts_with(b":") {
                regular = true;
                message.regular(name, value)?;
                continue;
            }
            if regular {
                return Err("a pseudo-header after a regular field".to_owned());
            }
            message.pseudo(name, value)?;
        }
        Ok(message)
    }

    /// Reads only the method.
    pub fn with_method(fields: &'a [Header]) -> Self {
        let method = fields.iter().find(|field| field.name == b":method").map(|field| field.value.as_slice());
        Self { method, ..Self::default() }
    }

    fn regular(&mut self, name: &[u8], value: &[u8]) -> Result<(), Mismatch> {
        let bad_name = name.is_empty()
            || name.iter().any(|byte| !(0x21..0x7f).contains(byte) || byte.is_ascii_uppercase());
        let bad_value = value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
            || value.trim_ascii().len() != value.len();
        if bad_name || bad_value {
            return Err(format!("a malformed field {}: {}", name.escape_ascii(), value.escape_ascii()));
        }
        if name == b"content-length" {
            let text = std::str::from_utf8(value).map_err(|_| "content-length is no number")?;
            self.content_length = Some(text.parse().map_err(|_| "content-length is no number")?);
        }
        if matches!(
            name,
            b"connection" | b"transfer-encoding" | b"keep-alive" | b"upgrade" | b"proxy-connection"
        ) {
            return Err("a connection-specific field".to_owned());
        }
        Ok(())
    }

    fn pseudo(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Mismatch> {
        self.has_pseudo = true;
        let slot = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":path" => &mut self.path,
            b":authority" => &mut self.authority,
            b":protocol" => &mut self.protocol,
            b":status" if self.status.is_none() => {
                let text = std::str::from_utf8(value).map_err(|_| ":status is no number")?;
                self.status = Some(text.parse().map_err(|_| ":status is no number")?);
                return Ok(());
            }
            _ => return Err("an unknown or repeated pseudo-header".to_owned()),
        };
        if slot.replace(value).is_some() {
            return Err("a repeated pseudo-header".to_owned());
        }
        Ok(())
    }

    /// RFC 9113 §8.3.1, §8.5, RFC 8441 §4
    fn is_request(&self, connect_protocol: bool) -> Result<(), Mismatch> {
        let is_tunnel = self.method == Some(b"CONNECT") && self.protocol.is_none();
        let complete = if is_tunnel {
            self.scheme.is_none() && self.path.is_none() && self.authority.is_some()
        } else {
            self.scheme.is_some() && self.path.is_some_and(|path| !path.is_empty())
        };
        if self.method.is_none() || self.status.is_some() || !complete {
            return Err("a request without its pseudo-headers, or with others".to_owned());
        }
        if self.protocol.is_some() && !connect_protocol {
            return Err(":protocol was not allowed".to_owned());
        }
        Ok(())
    }
}
