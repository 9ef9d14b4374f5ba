//! RFC 9113 §6.9: a program that never calls `handle_timeout` sends every byte that the windows
//! allow, however the peer credits them.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::io::{self, Read, Write};
use std::time::Duration;

use thalweg::{Config, Connection, Event, HeadersKind, Instant, Server, Status};
use thalweg_testkit::frames::{
    Frame, Reader, flag, headers, kind, preface, setting, settings, window_update,
};
use thalweg_testkit::hpack;

/// The loop of README.md over any transport.
fn serve(mut socket: impl Read + Write, content: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut connection = Connection::<Server>::new(Config::default())?;
    let (mut buf, mut out, mut now) = ([0; 16 << 10], Vec::new(), Instant::ZERO);
    let mut unsent = HashMap::new();
    loop {
        while let Some(stream) = connection.poll_writable() {
            let rest: &[u8] = unsent[&stream.index()];
            unsent.insert(stream.index(), &rest[connection.send_data(stream, rest, true)?..]);
        }
        if connection.poll_transmit(&mut out) {
            socket.write_all(&out)?;
            out.clear();
            continue;
        }
        if connection.is_finished() {
            return Ok(());
        }
        let len = socket.read(&mut buf)?;
        if len == 0 {
            return Ok(connection.handle_eof()?);
        }
        now = now + Duration::from_millis(1);
        let mut input = &buf[..len];
        while let Ok(Some(event)) = connection.receive(&mut input, now) {
            match event {
                Event::Headers { stream, kind: HeadersKind::Request, .. } => {
                    connection.send_response(stream, Status::OK, [], false)?;
                    let taken = connection.send_data(stream, content, true)?;
                    unsent.insert(stream.index(), &content[taken..]);
                }
                Event::Data { stream, data, .. } => connection.release(stream, data.len()),
                _ => {}
            }
        }
    }
}

/// A peer that asks for one response, and answers each DATA frame with `credit`.
struct Peer<'a, F> {
    credit: F,
    reader: Reader,
    input: VecDeque<u8>,
    received: &'a mut u32,
    is_complete: bool,
}

impl<F: FnMut(u32) -> Vec<Frame>> Write for Peer<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reader.push(bytes);
        while let Some(frame) = self.reader.next_frame().unwrap() {
            if frame.kind == kind::DATA {
                *self.received += frame.flow_controlled_len();
                self.is_complete |= frame.has(flag::END_STREAM);
                let updates = (self.credit)(frame.flow_controlled_len());
                self.input.extend(updates.iter().flat_map(Frame::bytes));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F> Read for Peer<'_, F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        assert!(self.is_complete || !self.input.is_empty(), "both wait after {} bytes", self.received);
        self.input.read(buf)
    }
}

/// Returns how many of 300,000 bytes the peer has received.
fn run(window: u32, credit: impl FnMut(u32) -> Vec<Frame>) -> u32 {
    let request = headers(1, hpack::get("/")).end_stream().end_headers();
    let start = settings().entry(setting::INITIAL_WINDOW_SIZE, window);
    let input = [preface().to_vec(), start.bytes(), request.bytes()].concat();
    let mut received = 0;
    let peer = Peer {
        credit,
        reader: Reader::default(),
        input: input.into(),
        received: &mut received,
        is_complete: false,
    };
    serve(peer, &[b'x'; 300_000]).unwrap();
    received
}

#[test]
fn s6_9_the_loop_of_the_readme_serves_a_peer_that_always_holds_50_000_bytes() {
    let mut held = 0;
    let received = run(65_535, |len| {
        held += len;
        let increment = held.saturating_sub(50_000);
        held -= increment;
        if increment == 0 {
            return Vec::new();
        }
        vec![window_update(0, increment), window_update(1, increment)]
    });
    assert_eq!(received, 300_000);
}

#[test]
fn s6_9_the_loop_of_the_readme_serves_a_peer_that_credits_a_stream_when_it_is_used_up() {
    let mut held = 0;
    let received = run(100_000, |len| {
        held += len;
        if held < 100_000 {
            return vec![window_update(0, len)];
        }
        vec![window_update(0, len), window_update(1, std::mem::take(&mut held))]
    });
    assert_eq!(received, 300_000);
}

#[test]
fn s6_9_the_first_blocked_stream_asks_for_the_time_until_the_caller_handles_timeouts() {
    let mut config = Config::default();
    (config.timeouts.stall, config.output_bytes_max) = (None, 1 << 20);
    let mut connection = Connection::<Server>::new(config).unwrap();
    let request = headers(1, hpack::get("/")).end_stream().end_headers();
    let bytes = [preface().to_vec(), settings().bytes(), request.bytes()].concat();
    let (mut input, now) = (&bytes[..], Instant::from_nanos(1_000_000_000));
    let mut stream = None;
    while let Some(event) = connection.receive(&mut input, now).unwrap() {
        if let Event::Headers { stream: opened, .. } = event {
            stream = Some(opened);
        }
    }
    let stream = stream.unwrap();
    connection.send_response(stream, Status::OK, [], false).unwrap();
    while connection.poll_transmit(&mut Vec::new()) {}
    let now = now + Duration::from_millis(1);
    assert_eq!(connection.receive(&mut &[][..], now).map(|event| event.is_none()), Ok(true));
    assert!(connection.poll_timeout().unwrap() > now);
    assert_eq!(connection.send_data(stream, &[0; 70_000], true), Ok(65_535));
    assert_eq!(connection.poll_timeout(), Some(now));
    // Input with a later time is no such call.
    let now = now + Duration::from_millis(1);
    assert_eq!(connection.receive(&mut &[][..], now).map(|event| event.is_none()), Ok(true));
    assert_eq!(connection.poll_timeout(), Some(now));
    connection.handle_timeout(now).unwrap();
    // From now on a short frame waits.
    let credit = [window_update(1, 100).bytes(), window_update(0, 100).bytes()].concat();
    assert_eq!(connection.receive(&mut &credit[..], now).map(|event| event.is_none()), Ok(true));
    assert_eq!(connection.poll_writable(), None);
    assert_eq!(connection.send_data(stream, &[0; 4465], true), Ok(0));
}
