//! Compares `heap_bytes` with the allocator.
#![expect(clippy::unwrap_used, reason = "these are tests, their own functions included")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use thalweg::{Config, Connection, ErrorCode, Event, Field, Instant, Server, Status, StreamKey};
use thalweg_testkit::frames::{
    continuation, data, headers, origin, preface, priority_update, settings, settings_ack, wire,
};
use thalweg_testkit::hpack::{self, Block};

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator; counts what each thread holds.
struct Counting;

// SAFETY: every call is forwarded unchanged to the system allocator; the counter does not affect
// its guarantees.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get() + layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// A server, and what its calls have allocated and not freed.
struct Held {
    core: Connection<Server>,
    bytes: isize,
    streams: Vec<StreamKey>,
}

impl Held {
    fn new() -> Self {
        // The first connection also allocates what the whole program shares.
        drop(Connection::<Server>::new(Config::default()));
        let before = LIVE.get();
        let core = Connection::new(Config::default()).unwrap();
        let bytes = LIVE.get() - before;
        let mut held = Self { core, bytes, streams: Vec::new() };
        held.compare("at the start");
        held.receive(wire([&preface(), &settings(), &settings_ack()]), "after the preface");
        held
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Connection<Server>) -> T) -> T {
        let before = LIVE.get();
        let result = call(&mut self.core);
        self.bytes += LIVE.get() - before;
        result
    }

    fn receive(&mut self, bytes: impl AsRef<[u8]>, when: &str) {
        let mut input = bytes.as_ref();
        let next = |core: &mut Connection<Server>, input: &mut &[u8]| {
            let event = core.receive(input, Instant::ZERO).unwrap()?;
            Some(if let Event::Headers { stream, .. } = event { Some(stream) } else { None })
        };
        while let Some(stream) = self.call(|core| next(core, &mut input)) {
            self.streams.extend(stream);
        }
        self.compare(when);
    }

    /// Compares `heap_bytes` with the allocator's count.
    fn compare(&self, when: &str) {
        assert_eq!(self.core.heap_bytes() as isize, self.bytes, "{when}");
    }
}

#[test]
fn heap_bytes_is_what_the_connection_holds() {
    let mut held = Held::new();
    // Identifiers, slots, header arena, decoder's table.
    for id in (1..40).step_by(2) {
        let block = Block::new().raw(hpack::request("POST", "/")).literal_indexed(format!("x-{id}"), "kept");
        held.receive(headers(id, block.bytes()).end_headers().bytes(), "with a request");
    }
    // The payload of a control frame in pieces, and one that an event borrows.
    let short = priority_update(1, "a".repeat(900)).bytes();
    held.receive(&short[..500], "with part of a payload");
    held.receive(&short[500..], "with the whole of it");
    held.receive(wire([&priority_update(99, "u=1"), &origin(["https://a.test"])]), "after control frames");
    // The output, the encoder's table, the queue of blocked streams.
    for stream in held.streams.clone() {
        let fields = [Field::new(b"x-answer", b"indexed")];
        held.call(|core| core.send_response(stream, Status::OK, fields, false)).unwrap();
        held.call(|core| core.send_data(stream, &[1; 60_000], true)).unwrap();
    }
    held.compare("with streams that wait");
    held.receive(priority_update(1, "u=1").bytes(), "after another priority");
    let first = held.streams[0];
    held.call(|core| core.send_reset(first, ErrorCode::CANCEL));
    held.compare("after a reset");
    // Several unacknowledged SETTINGS of ours.
    for bytes in [1, 2, 3] {
        held.call(|core| core.send_settings(|settings| settings.max_header_list_size = 1000 + bytes))
            .unwrap();
    }
    held.compare("with SETTINGS under way");
    // A header block in pieces, and a stream error.
    let block = hpack::get("/");
    held.receive(headers(41, &block[..1]).end_stream().bytes(), "with part of a header block");
    held.receive(continuation(41, &block[1..]).end_headers().bytes(), "after the header block");
    held.receive(data(41, "late").bytes(), "after a stream error");
    let mut out = Vec::with_capacity(1 << 20);
    out.push(0);
    held.call(|core| core.poll_transmit(&mut out));
    held.compare("after the output");
}

#[test]
fn long_pieces_are_not_kept() {
    let mut held = Held::new();
    let get = hpack::get("/");
    held.receive(headers(1, &get).end_headers().bytes(), "with a request");
    let before = held.core.heap_bytes();
    let long = priority_update(1, "a".repeat(3000)).bytes();
    held.receive(&long[..2000], "with part of a payload");
    assert!(held.core.heap_bytes() >= before + 1900);
    held.receive(&long[2000..], "with the whole of it");
    assert_eq!(held.core.heap_bytes(), before);
    let long = Block::new().raw(&get).literal("x-long", "a".repeat(3000)).bytes();
    held.receive(headers(3, &long[..2500]).end_stream().bytes(), "with part of a header block");
    held.receive(continuation(3, &long[2500..]).end_headers().bytes(), "with the whole of it");
    let kept = held.core.heap_bytes();
    assert!(kept < before + 3000 + 2000, "the arena alone has grown: {before} to {kept}");
}

#[test]
fn an_ended_connection_holds_only_its_last_output() {
    let mut held = Held::new();
    held.receive(headers(1, hpack::request("POST", "/")).end_headers().bytes(), "with a request");
    let before = held.core.heap_bytes();
    held.receive(&priority_update(1, "a".repeat(3000)).bytes()[..2000], "with part of a payload");
    held.call(|core| core.close(ErrorCode::NO_ERROR, b""));
    held.compare("after the end");
    assert!(held.core.heap_bytes() < before, "{before} to {}", held.core.heap_bytes());
}
