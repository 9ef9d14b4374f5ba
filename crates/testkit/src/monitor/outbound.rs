//! Checks of the frames that an endpoint sends.

use super::stream::{HalfState, StreamState};
use super::{Mismatch, Monitor, is_block};
use crate::frames::{Frame, flag, kind};

impl Monitor {
    pub(super) fn check_outbound_frame(&mut self, frame: &Frame) -> Result<(), Mismatch> {
        if !self.settings_sent && (frame.kind != kind::SETTINGS || frame.has(flag::ACK)) {
            return Err("the first frame is SETTINGS".to_owned());
        }
        if self.goaway_sent.is_some_and(|(_, code)| code != 0) {
            return Err("no frame may follow a GOAWAY with an error".to_owned());
        }
        if is_block(frame.kind) {
            return self.check_outbound_fragment(frame);
        }
        match frame.kind {
            kind::DATA => self.check_outbound_data(frame),
            kind::RST_STREAM => self.check_outbound_reset(frame),
            kind::SETTINGS => self.check_outbound_settings(frame),
            kind::PING => self.check_outbound_ping(frame),
            kind::GOAWAY => self.check_outbound_goaway(frame),
            kind::WINDOW_UPDATE => self.check_outbound_window_update(frame),
            kind::PRIORITY => Err("PRIORITY is deprecated".to_owned()),
            kind::PRIORITY_UPDATE if !self.is_client => Err("only clients send PRIORITY_UPDATE".to_owned()),
            kind::ORIGIN | kind::ALTSVC if self.is_client => Err("only servers send this".to_owned()),
            _ if frame.stream != 0 && self.state(frame.stream) == StreamState::Idle => {
                Err("a frame on an idle stream".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Collects a field block. The reader has checked that no other frame is between its frames.
    fn check_outbound_fragment(&mut self, frame: &Frame) -> Result<(), Mismatch> {
        let fragment = frame.block().expect("the reader checked the length");
        let (first, mut block) = self.block.take().unwrap_or_else(|| (frame.clone(), Vec::new()));
        block.extend_from_slice(fragment);
        if !frame.has(flag::END_HEADERS) {
            self.block = Some((first, block));
            return Ok(());
        }
        self.check_outbound_block(&first, &block)
    }

    fn check_outbound_data(&mut self, frame: &Frame) -> Result<(), Mismatch> {
        let batch = self.batch;
        let stream = self.streams.get_mut(&frame.stream).filter(|stream| stream.may_send(batch));
        let Some(stream) = stream.filter(|stream| stream.local == HalfState::Data) else {
            return Err("DATA on a stream on which this end may not send it".to_owned());
        };
        let len = i64::from(frame.flow_controlled_len());
        stream.send_window -= len;
        self.send_window -= len;
        if len > 0 && (stream.send_window < 0 || self.send_window < 0) {
            let window = stream.send_window.min(self.send_window);
            return Err(format!("DATA of {len} bytes is {} beyond the window", -window));
        }
        if let Some(left) = &mut stream.remaining_length {
            *left = left.checked_sub(frame.body.len() as u64).ok_or("DATA beyond content-length")?;
        }
        if frame.ends_stream() {
            if stream.remaining_length.is_some_and(|left| left != 0) {
                return Err("content-length is not reached".to_owned());
            }
            stream.local = HalfState::Closed;
        }
        Ok(())
    }

    fn check_outbound_reset(&mut self, frame: &Frame) -> Result<(), Mismatch> {
        if self.state(frame.stream) == StreamState::Idle {
            return Err("RST_STREAM on an idle stream".to_owned());
        }
        if let Some(stream) = self.streams.get_mut(&frame.stream) {
            stream.reset_sent = true;
        }
        Ok(())
    }

    fn check_outbound_settings(&mut self, frame: &Frame) -> Result<(), Mismatch> {
        if !frame.has(flag::ACK) {
            self.settings_sent = true;
            self.local_pending.push_back(frame.entries());
            return Ok(());
        }
        let entries = self.remote_pending.pop_front().ok_or("an acknowledgement of nothing")?;
        let before = self.remote.initial_window_size;
        self.remote.apply(&entries);
        let change = self.remote.initial_window_size - before;
        for stream in self.streams.values_mut() {
            stream.send_window += change;
        }
        for &(id, value) in &entries {
            if id == crate::frames::setting::HEADER_TABLE_SIZE {
                self.decoder.allow_table_bytes(value as usize);
            }
        }
        Ok(())
    }

    fn check_outbound_ping(&mut self, frame: &Frame) -> Result<(), Mismatch> {
        if frame.has(flag::ACK) {
            let answered = self.pings.pop_front().ok_or("an answer to no PING")?;
            if answered != frame.body {
                return Err("an answer to another PING".to_owned());
            }
        }
        Ok(())
    }

    fn check_outbound_goaway(&mut self, frame: &Frame) -> Result<(), Mismatch> {
        let last = frame.last_stream().expect("the reader checked the length");
        let code = frame.code().expect("the reader checked the length").0;
        if self.goaway_sent.is_some_and(|(earlier, _)| last > earlier) {
            return Err("GOAWAY raises its last stream".to_owned());
        }
        self.goaway_sent = Some((last, code));
        Ok(())
    }

    fn check_outbound_window_update(&mut self, frame: &Frame) -> Result<(), Mismatch> {
        let increment = i64::from(frame.increment().expect("the reader checked the length"));
        if frame.stream == 0 {
            self.receive_window += increment;
            if self.receive_window > self.connection_window_max {
                return Err(format!("a connection window of {} is granted", self.receive_window));
            }
            return Ok(());
        }
        match self.state(frame.stream) {
            StreamState::Idle => return Err("WINDOW_UPDATE on an idle stream".to_owned()),
            StreamState::Closed | StreamState::HalfClosedRemote | StreamState::ReservedLocal => {}
            _ => {
                let initial = self.local.initial_window_size;
                let most = self.local_pending.iter().fold((initial, initial), |(most, _), entries| {
                    let mut settings = self.local;
                    settings.apply(entries);
                    (most.max(settings.initial_window_size), settings.initial_window_size)
                });
                let stream = self.streams.get_mut(&frame.stream).expect("an open stream is known");
                stream.receive_window += increment;
                if stream.receive_window > most.0 {
                    return Err(format!("a stream window of {} is granted", stream.receive_window));
                }
            }
        }
        Ok(())
    }
}
