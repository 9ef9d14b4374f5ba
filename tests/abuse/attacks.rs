//! The scripts of the attacks.

use std::time::Duration;

use thalweg::{Config, ErrorCode};
use thalweg_testkit::frames::{
    self, continuation, data, headers, ping, priority, priority_update, raw, rst_stream, settings,
    settings_ack, window_update,
};
use thalweg_testkit::hpack::{self, Block};

use super::{Application, Attack, End};

/// Returns the stream of a step: each opens a new one.
fn id(step: u32) -> u32 {
    2 * step + 1
}

fn get(stream: u32) -> Vec<u8> {
    headers(stream, hpack::get("/")).end_stream().end_headers().bytes()
}

/// Returns a request whose content follows.
fn post(stream: u32) -> Vec<u8> {
    headers(stream, hpack::request("POST", "/")).end_headers().bytes()
}

fn two(mut first: Vec<u8>, second: &frames::Frame) -> Vec<u8> {
    first.extend_from_slice(&second.bytes());
    first
}

/// Returns a block that inserts a large field into the dynamic table once and then repeats it by
/// its index: 4 KiB of header list for each byte.
fn hpack_bomb(stream: u32) -> Vec<u8> {
    let block = Block::new().raw(hpack::get("/")).literal_indexed("x-bomb", "b".repeat(4000));
    let block = (0..8000).fold(block, |block, _| block.indexed(62));
    headers(stream, block.bytes()).end_stream().end_headers().bytes()
}

/// Returns a request, or the end of one, whose field block takes many frames.
fn oversized(stream: u32, fields: &[u8]) -> Vec<u8> {
    let block = Block::new().raw(hpack::get("/")).raw(fields).bytes();
    frames::fragments(headers(stream, block).end_stream(), 16_384)
        .iter()
        .flat_map(frames::Frame::bytes)
        .collect()
}

/// Every attack, in the order of the table in `docs/security.md`.
pub const ALL: &[Attack] = &[
    Attack {
        name: "header bomb",
        known_as: "CVE-2016-6581: one byte names 4 KiB",
        step: |step| hpack_bomb(id(step)),
        steps: 1100,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "one-byte fields",
        known_as: "indexed fields beyond header_fields_max",
        step: |step| {
            let block = (0..6000).fold(Block::new().raw(hpack::get("/")), |block, _| block.indexed(17));
            headers(id(step), block.bytes()).end_stream().end_headers().bytes()
        },
        steps: 2000,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "CONTINUATION flood",
        known_as: "CVE-2024-27316 and others: a header block that never ends",
        opening: || headers(1, hpack::get("/")).bytes(),
        step: |_| continuation(1, Block::new().literal("x-a", "b".repeat(100)).bytes()).bytes(),
        end: End::Cut("continuations_max"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "large CONTINUATION",
        known_as: "a field block beyond oversized_block_bytes_max",
        opening: || headers(1, hpack::get("/")).bytes(),
        step: |_| continuation(1, Block::new().literal("x-a", "b".repeat(16_000)).bytes()).bytes(),
        end: End::Cut("oversized_block_bytes_max"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "oversized requests",
        known_as: "field blocks of 1 MB, each decoded and answered 431",
        step: |step| oversized(id(step), &Block::new().literal("x-a", "b".repeat(1_000_000)).bytes()),
        steps: 100,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "oversized bomb",
        known_as: "CVE-2016-6581 in 1 MB: one byte names 4 KiB",
        step: |step| {
            let block = Block::new().literal_indexed("x-bomb", "b".repeat(4000));
            oversized(id(step), &block.raw(vec![0xbe; 1_000_000]).bytes())
        },
        steps: 100,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "oversized insertions",
        known_as: "three bytes enter a field into the table and evict another",
        step: |step| oversized(id(step), &[0x50, 0x01, b'a'].repeat(333_000)),
        steps: 100,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "oversized Huffman string",
        known_as: "1 MB of code that is never kept",
        step: |step| {
            let block = Block::new().raw([0x00, 0x01, b'a', 0xff, 0xc1, 0x83, 0x3d]);
            oversized(id(step), &block.raw(vec![0x18; 1_000_000]).bytes())
        },
        steps: 100,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "oversized trailers",
        known_as: "field blocks of 1 MB on a stream that was reset",
        opening: || post(1),
        step: |_| oversized(1, &Block::new().literal("x-a", "b".repeat(1_000_000)).bytes()),
        steps: 100,
        server: Application::Waits,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "empty CONTINUATION",
        known_as: "CVE-2019-9518 in header blocks",
        opening: || headers(1, hpack::get("/")).bytes(),
        step: |_| continuation(1, []).bytes(),
        end: End::Cut("continuations_max"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "rapid reset",
        known_as: "CVE-2023-44487: streams opened and cancelled in one breath",
        step: |step| two(get(id(step)), &rst_stream(id(step), ErrorCode::CANCEL)),
        server: Application::Waits,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "patient reset",
        known_as: "CVE-2023-44487 with streams that are all left open for 101 ms",
        opening: || settings_ack().bytes(),
        step: |step| {
            let stream = |count| id(256 * step + count);
            let old = step.checked_sub(1).map(|last| {
                (0..256).flat_map(move |count| rst_stream(id(256 * last + count), ErrorCode::CANCEL).bytes())
            });
            let resets: Vec<u8> = old.into_iter().flatten().collect();
            resets.into_iter().chain((0..256).flat_map(|count| get(stream(count)))).collect()
        },
        steps: 2000,
        pause: Duration::from_millis(101),
        server: Application::Waits,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "made you reset: window",
        known_as: "CVE-2025-8671: WINDOW_UPDATE of 0 makes the server reset",
        step: |step| two(get(id(step)), &window_update(id(step), 0)),
        server: Application::Waits,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "made you reset: data",
        known_as: "CVE-2025-8671: DATA after END_STREAM",
        step: |step| two(get(id(step)), &data(id(step), "x")),
        server: Application::Waits,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "malformed requests",
        known_as: "CVE-2019-9514: requests that must be reset",
        step: |step| {
            headers(id(step), Block::new().literal("x", "y").bytes()).end_stream().end_headers().bytes()
        },
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "empty field names",
        known_as: "CVE-2019-9516: fields without a name",
        step: |step| {
            let block = Block::new().raw(hpack::get("/")).literal("", "").bytes();
            headers(id(step), block).end_stream().end_headers().bytes()
        },
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "beyond the stream limit",
        known_as: "streams that must be refused",
        step: |step| post(id(step)),
        server: Application::Waits,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "PING flood",
        known_as: "CVE-2019-9512",
        step: |step| ping(u64::from(step).to_be_bytes()).bytes(),
        end: End::Cut("rate_limits.pings"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "PING answers",
        known_as: "answers to no PING",
        step: |_| frames::ping_ack([7; 8]).bytes(),
        end: End::Cut("rate_limits.pings"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "GOAWAY flood",
        known_as: "each names a lower stream, so that all of ours are looked at",
        opening: || post(1),
        server: Application::Waits,
        step: |step| frames::goaway(1_000_000 - step, ErrorCode::NO_ERROR).bytes(),
        end: End::Cut("rate_limits.extensions"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "late field blocks",
        known_as: "field blocks of 16 KB on a stream that was reset, decoded and not shown",
        opening: || two(post(1), &window_update(1, 0)),
        step: |_| {
            let block = Block::new().literal("x-a", "b".repeat(16_000)).bytes();
            headers(1, block).end_stream().end_headers().bytes()
        },
        server: Application::Waits,
        end: End::Cut("rate_limits.resets"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "SETTINGS flood",
        known_as: "CVE-2019-9515",
        step: |step| settings().entry(4, 1000 + step % 2).bytes(),
        end: End::Cut("rate_limits.settings"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "SETTINGS bomb",
        known_as: "thousands of entries in one frame",
        step: |_| (0..2000).fold(settings(), |frame, value| frame.entry(1, value)).bytes(),
        end: End::Cut("settings_entries_max"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "empty DATA",
        known_as: "CVE-2019-9518",
        opening: || post(1),
        step: |_| data(1, []).bytes(),
        end: End::Cut("rate_limits.empty_frames"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "tiny DATA, unread",
        known_as: "CVE-2019-9511, the other way round: content byte by byte",
        opening: || [1, 3, 5, 7, 9].map(post).concat(),
        step: |step| data(1 + step % 5 * 2, "x").bytes(),
        steps: 300_000,
        server: Application::RetainsInput,
        end: End::Cut("rate_limits.small_data"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "tiny DATA, read",
        known_as: "content byte by byte for an application that consumes it",
        opening: || post(1),
        step: |_| data(1, "x").bytes(),
        steps: 300_000,
        server: Application::Waits,
        end: End::Allowed,
        ..Attack::DEFAULT
    },
    Attack {
        name: "PRIORITY flood",
        known_as: "CVE-2019-9513",
        step: |step| priority(id(step), 0, 7).bytes(),
        end: End::Cut("rate_limits.priorities"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "PRIORITY_UPDATE flood",
        known_as: "priorities for streams that never come",
        step: |step| priority_update(id(step), "u=1").bytes(),
        end: End::Cut("rate_limits.priorities"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "WINDOW_UPDATE of 1",
        known_as: "tiny increments",
        step: |_| window_update(0, 1).bytes(),
        end: End::Cut("rate_limits.window_updates"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "unknown frames",
        known_as: "extensions that were not negotiated",
        step: |_| raw(0xfe, 0, 0, [0; 64]).bytes(),
        end: End::Cut("rate_limits.extensions"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "answers left unread",
        known_as: "PINGs of a peer that does not read",
        step: |_| ping(*b"unread!!").repeated(100),
        config: || {
            let mut config = Config::default();
            config.rate_limits.pings = thalweg::RateLimit::UNLIMITED;
            config
        },
        reads: false,
        end: End::Cut("output_bytes_max"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "zero window",
        known_as: "CVE-2019-9517, CVE-2016-1546: responses without window",
        opening: || two(settings().entry(4, 0).bytes(), &settings_ack()),
        step: |step| if step < 50 { get(id(step)) } else { Vec::new() },
        steps: 200,
        pause: Duration::from_secs(1),
        server: Application::Large,
        end: End::StreamsReset,
        ..Attack::DEFAULT
    },
    Attack {
        name: "window byte by byte",
        known_as: "CVE-2019-9511: a response that lasts indefinitely",
        opening: || {
            let limits = two(settings().entry(4, 0).bytes(), &settings_ack());
            two(limits, &headers(1, hpack::get("/")).end_stream().end_headers())
        },
        step: |_| window_update(1, 1).bytes(),
        steps: 200,
        pause: Duration::from_secs(1),
        server: Application::Large,
        end: End::StreamsReset,
        ..Attack::DEFAULT
    },
    Attack {
        name: "half a header block",
        known_as: "CVE-2007-6750 in HTTP/2: a head that never ends",
        opening: || two(settings_ack().bytes(), &headers(1, hpack::get("/"))),
        steps: 100,
        pause: Duration::from_secs(1),
        end: End::Cut("timeouts.header_block"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "SETTINGS never acknowledged",
        known_as: "a peer that will not be bound",
        step: |step| get(id(step)),
        steps: 100,
        pause: Duration::from_secs(1),
        end: End::Cut("timeouts.settings_ack"),
        ..Attack::DEFAULT
    },
    Attack {
        name: "table size flapping",
        known_as: "size updates that empty and refill the table",
        opening: || settings_ack().bytes(),
        step: |step| {
            let block = Block::new().table_size(0).table_size(4096).raw(hpack::get("/"));
            headers(id(step), block.literal_indexed("x-a", "b".repeat(3000)).bytes())
                .end_stream()
                .end_headers()
                .bytes()
        },
        steps: 5000,
        ..Attack::DEFAULT
    },
    Attack {
        name: "late frames",
        known_as: "RST_STREAM and WINDOW_UPDATE on streams that have ended",
        opening: || two(settings_ack().bytes(), &headers(1, hpack::get("/")).end_stream().end_headers()),
        step: |step| {
            let late = if step % 2 == 0 { rst_stream(1, ErrorCode::CANCEL) } else { window_update(1, 1000) };
            late.bytes()
        },
        ..Attack::DEFAULT
    },
];

trait Repeated {
    fn repeated(&self, times: usize) -> Vec<u8>;
}

impl Repeated for frames::Frame {
    fn repeated(&self, times: usize) -> Vec<u8> {
        self.bytes().repeat(times)
    }
}
