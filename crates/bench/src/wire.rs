//! The sink of output bytes, and the counts of the frames in them.

/// The sink of an endpoint's output. Keeps the bytes if the frames in them are to be counted.
#[derive(Debug, Default)]
pub struct Wire {
    kept: Option<Vec<u8>>,
    /// The buffer that a library fills or swaps with its own: one for all connections of the
    /// thread.
    taken: Vec<u8>,
}

impl Wire {
    /// Creates a sink that drops its input.
    pub fn dropping() -> Self {
        Self::default()
    }

    /// Creates a sink that keeps its input for [`Wire::tally`].
    pub fn keeping() -> Self {
        Self { kept: Some(Vec::new()), ..Self::default() }
    }

    /// Appends bytes. A call costs nothing else, as in a vectored write.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        // `black_box` counts as a use of the bytes, so the optimiser cannot remove the code that
        // makes them.
        std::hint::black_box(bytes);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
    }

    /// Appends what `take` writes to an empty buffer, if it returns true.
    #[inline]
    pub fn put_taken(&mut self, take: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let mut bytes = std::mem::take(&mut self.taken);
        bytes.clear();
        let has_taken = take(&mut bytes);
        if has_taken {
            self.put(&bytes);
        }
        self.taken = bytes;
        has_taken
    }

    /// Counts the frames in the kept bytes of all connections. Skips the prefaces of clients.
    ///
    /// # Panics
    /// If the last frame is incomplete, or if there is a GOAWAY: then the endpoint failed, and its
    /// figures are invalid.
    pub fn tally(&self) -> Tally {
        let mut rest = self.kept.as_deref().unwrap_or_default();
        let mut tally = Tally::default();
        loop {
            rest = rest.strip_prefix(PREFACE).unwrap_or(rest);
            let Some((header, after)) = rest.split_first_chunk::<9>() else { break };
            let len = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
            let (payload, next) = after.split_at_checked(len).expect("output ends within a frame");
            tally.add(header[3], header[4], payload);
            rest = next;
        }
        assert!(rest.is_empty(), "output ends within a frame header");
        tally
    }
}

/// Counts of sent frames. The number of CONTINUATION and WINDOW_UPDATE frames differs between
/// libraries for the same work, so only what the application sent is counted.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// SETTINGS frames that acknowledge.
    pub acks: u64,
    /// HEADERS frames.
    pub headers: u64,
    /// Payload bytes of DATA frames.
    pub data_bytes: u64,
    /// Frames with END_STREAM.
    pub ends: u64,
    /// RST_STREAM frames.
    pub resets: u64,
}

impl Tally {
    fn add(&mut self, kind: u8, flags: u8, payload: &[u8]) {
        match kind {
            0 => self.data_bytes += payload.len() as u64,
            1 => self.headers += 1,
            3 => self.resets += 1,
            4 => self.acks += u64::from(flags & 1),
            7 => panic!("the endpoint closed the connection: {payload:02x?}"),
            _ => {}
        }
        self.ends += u64::from(kind < 2 && flags & 1 != 0);
    }
}

/// RFC 9113 §3.4: the first bytes of a client.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn tally_of(bytes: &[u8]) -> Tally {
        let mut wire = Wire::keeping();
        wire.put(bytes);
        wire.tally()
    }

    #[test]
    fn frames_are_counted_by_type_and_flags() {
        let data = [0, 0, 2, 0, 1, 0, 0, 0, 1, b'o', b'k'];
        let headers = [0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
        let reset = [0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 8];
        let ack = [0, 0, 0, 4, 1, 0, 0, 0, 0];
        let tally = tally_of(&[PREFACE, &ack, &headers, &data, PREFACE, &reset].concat());
        assert_eq!(tally, Tally { acks: 1, headers: 1, data_bytes: 2, ends: 1, resets: 1 });
    }

    #[test]
    #[should_panic(expected = "within a frame")]
    fn an_incomplete_frame_is_a_failure() {
        tally_of(&[0, 0, 2, 0, 1, 0, 0, 0, 1, b'o']);
    }

    #[test]
    #[should_panic(expected = "within a frame header")]
    fn an_incomplete_frame_header_is_a_failure() {
        tally_of(&[0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    #[should_panic(expected = "closed the connection")]
    fn a_goaway_is_a_failure() {
        tally_of(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
