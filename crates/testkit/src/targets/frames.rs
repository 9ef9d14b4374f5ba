//! Compares the core's frame layer, its inspector, and the test kit's reader.

use thalweg::frame::{Frame, FrameHeader, HEADER_LEN};
use thalweg::inspect::{Direction, Inspector};

use crate::chunking::Chunking;
use crate::frames::{self, Reader};
use crate::random::Random;

/// Runs the frame layer on arbitrary bytes: a parsed frame is emitted and parses to the same frame;
/// the core parses what the strict reader accepts, and emits the same bytes; an inspector captures
/// the same frames for every split.
///
/// # Panics
/// On a finding.
pub fn frame_roundtrip(input: &[u8]) {
    parse_all(input);
    read_all(input);
    for direction in [Direction::ToServer, Direction::ToClient] {
        let whole = inspect(direction, input, Chunking::Whole);
        for chunking in [Chunking::Bytewise, Chunking::Random(Random::new(1))] {
            assert_eq!(whole, inspect(direction, input, chunking), "the inspector depends on the cuts");
        }
    }
}

fn parse_all(input: &[u8]) {
    let mut rest = input;
    while let Some((header, after)) = rest.split_first_chunk::<HEADER_LEN>() {
        let header = FrameHeader::parse(header);
        let Some((payload, after)) = after.split_at_checked(header.len as usize) else { break };
        rest = after;
        let Ok(frame) = Frame::parse(header, payload) else { continue };
        let mut emitted = Vec::new();
        frame.emit(&mut emitted);
        let (head_again, payload_again) =
            emitted.split_first_chunk::<HEADER_LEN>().expect("a frame has a head");
        let head_again = FrameHeader::parse(head_again);
        assert_eq!(head_again.len, header.len, "{frame:?} is emitted with another length");
        assert_eq!(Frame::parse(head_again, payload_again), Ok(frame), "{frame:?} is emitted as another");
    }
}

/// The strict reader shares no code with the core.
fn read_all(input: &[u8]) {
    let mut reader = Reader::default();
    reader.allow_frame_bytes(1 << 24);
    reader.push(input);
    while let Ok(Some(frame)) = reader.next_frame() {
        let bytes = frame.bytes();
        let (header, payload) = bytes.split_first_chunk::<HEADER_LEN>().expect("a frame has a head");
        let parsed = Frame::parse(FrameHeader::parse(header), payload);
        let parsed = parsed.unwrap_or_else(|violation| panic!("{frame} is rejected: {violation}"));
        let mut emitted = Vec::new();
        parsed.emit(&mut emitted);
        // RFC 8336 §2.1: an origin whose length exceeds the payload is dropped by the iterator, not
        // by `emit`.
        assert_eq!(emitted, bytes, "{frame} is emitted as other bytes");
        let shown = frames::kind_name(frame.kind).map(str::to_owned);
        assert_eq!(FrameHeader::parse(header).kind.name().map(str::to_owned), shown, "the name of a type");
    }
}

fn inspect(direction: Direction, input: &[u8], mut chunking: Chunking) -> Vec<String> {
    let mut inspector = Inspector::new();
    let mut lines = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let mut piece = chunking.take(&mut rest);
        while let Some(seen) = inspector.inspect(direction, &mut piece) {
            lines.push(seen.to_string());
        }
    }
    lines
}
