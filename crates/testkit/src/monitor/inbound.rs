//! Frames that an endpoint received. The peer may be hostile: invalid frames are skipped.

use super::message::Message;
use super::stream::HalfState;
use super::{InboundFrame, Monitor, Stream, is_block};
use crate::frames::{flag, kind, setting};
use crate::hpack::Header;

impl Monitor {
    pub(super) fn track_inbound_frame(&mut self, frame: InboundFrame) {
        let InboundFrame { kind, flags, stream: id, len, ref payload } = frame;
        if is_block(kind) {
            return self.track_inbound_fragment(frame);
        }
        match kind {
            kind::DATA => self.track_inbound_data(id, len as i64, flags & flag::END_STREAM != 0),
            kind::RST_STREAM => {
                let batch = self.batch;
                if let Some(stream) = self.inbound_stream(id) {
                    stream.reset_received.get_or_insert(batch);
                }
            }
            kind::SETTINGS if flags & flag::ACK != 0 => self.track_inbound_settings_ack(),
            kind::SETTINGS => {
                let entries = payload.chunks_exact(6).map(|entry| {
                    let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
                    (u16::from_be_bytes([entry[0], entry[1]]), value)
                });
                self.remote_pending.push_back(entries.collect());
            }
            kind::PING if flags & flag::ACK == 0 => self.pings.push_back(payload.clone()),
            kind::GOAWAY => {
                self.goaway_received.get_or_insert(self.batch);
            }
            kind::WINDOW_UPDATE => {
                let increment = payload.first_chunk().map_or(0, |word| u32::from_be_bytes(*word));
                let increment = i64::from(increment & (u32::MAX >> 1));
                if id == 0 {
                    self.send_window += increment;
                } else if let Some(stream) = self.inbound_stream(id) {
                    stream.send_window += increment;
                }
            }
            _ => {}
        }
    }

    /// Returns the stream of a frame. A stream that this endpoint has opened and not sent yet
    /// counts as open: an altered wire may contain frames for it early.
    fn inbound_stream(&mut self, id: u32) -> Option<&mut Stream> {
        if self.streams.contains_key(&id) {
            return self.streams.get_mut(&id);
        }
        let is_early = id != 0 && self.is_local(id) && id > self.last_local;
        is_early.then(|| self.early.entry(id).or_default())
    }

    fn track_inbound_data(&mut self, id: u32, len: i64, ends: bool) {
        self.receive_window -= len;
        if let Some(stream) = self.inbound_stream(id) {
            stream.receive_window -= len;
            if ends {
                stream.remote = HalfState::Closed;
            }
        }
    }

    fn track_inbound_fragment(&mut self, frame: InboundFrame) {
        let fragment = fragment(&frame).to_vec();
        let ends = frame.flags & flag::END_HEADERS != 0;
        let (first, mut block) = self.inbound_block.take().unwrap_or((frame, Vec::new()));
        block.extend(fragment);
        if !ends {
            self.inbound_block = Some((first, block));
            return;
        }
        let fields: Vec<Header> = match self.inbound_decoder.as_mut().map(|decoder| decoder.decode(&block)) {
            Some(Ok(fields)) => fields,
            _ => {
                self.inbound_decoder = None;
                Vec::new()
            }
        };
        let message = Message::with_method(&fields);
        match first.kind {
            kind::HEADERS => {
                self.track_inbound_headers(first.stream, &message, first.flags & flag::END_STREAM != 0);
            }
            kind::PUSH_PROMISE => self.track_inbound_promise(&first, &message),
            _ => {}
        }
    }

    fn track_inbound_headers(&mut self, id: u32, message: &Message<'_>, ends: bool) {
        let remote = if ends { HalfState::Closed } else { HalfState::Data };
        if let Some(stream) = self.inbound_stream(id) {
            // A final and an informational response allow the same frames.
            stream.reserved &= stream.local == HalfState::Headers;
            if stream.remote != HalfState::Closed {
                stream.remote = remote;
            }
            return;
        }
        if !self.is_client && id % 2 == 1 && id > self.last_remote {
            self.last_remote = id;
            let stream = self.new_stream(message);
            self.streams.insert(id, Stream { remote, ..stream });
        }
    }

    fn track_inbound_promise(&mut self, first: &InboundFrame, message: &Message<'_>) {
        let at = usize::from(first.flags & flag::PADDED != 0);
        let Some(word) = first.payload.get(at..).and_then(<[u8]>::first_chunk) else { return };
        let promised = u32::from_be_bytes(*word) & (u32::MAX >> 1);
        if self.is_client && promised % 2 == 0 && promised > self.last_remote {
            self.last_remote = promised;
            let stream = self.new_stream(message);
            self.streams.insert(promised, Stream { local: HalfState::Closed, reserved: true, ..stream });
        }
    }

    fn track_inbound_settings_ack(&mut self) {
        let Some(entries) = self.local_pending.pop_front() else { return };
        let before = self.local.initial_window_size;
        self.local.apply(&entries);
        let change = self.local.initial_window_size - before;
        for stream in self.streams.values_mut() {
            stream.receive_window += change;
        }
        for (id, value) in entries {
            if let (setting::HEADER_TABLE_SIZE, Some(decoder)) = (id, &mut self.inbound_decoder) {
                decoder.allow_table_bytes(value as usize);
            }
        }
    }
}

/// Returns the field block fragment in a payload, without padding, priority fields and promised
/// identifier.
fn fragment(frame: &InboundFrame) -> &[u8] {
    let mut rest = frame.payload.as_slice();
    let mut padding = 0;
    if frame.kind != kind::CONTINUATION && frame.flags & flag::PADDED != 0 {
        padding = rest.first().copied().map_or(0, usize::from);
        rest = rest.get(1..).unwrap_or_default();
    }
    let fixed = match frame.kind {
        kind::HEADERS if frame.flags & flag::PRIORITY != 0 => 5,
        kind::PUSH_PROMISE => 4,
        _ => 0,
    };
    let end = rest.len().saturating_sub(padding);
    rest.get(fixed..end).unwrap_or_default()
}
