//! RFC 9113 §10.5.1, §4.3: a field block that is too large to be kept is decoded as it arrives. It
//! costs its own message and no other stream.

use std::time::Duration;

use thalweg::{
    CloseCause, Config, Connection, ErrorCode, Event, Instant, Limit, RateLimit, RateLimits, Server, Status,
    StreamError, StreamKey, Violation,
};
use thalweg_testkit::frames::{
    continuation, data, flag, fragments, headers, kind, preface, push_promise, read_all, rst_stream,
    settings, settings_ack, wire,
};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{GET, Opening, PUSHED, client_with, server, server_with};

const TOO_LARGE: StreamError = StreamError::Limit(Limit::HeaderBlockBytes);

/// Returns a block with two fields for the table, one before and one behind a value of `bytes`
/// bytes.
fn oversized(front: &[u8], bytes: usize) -> Vec<u8> {
    Block::new()
        .raw(front)
        .literal_indexed("x-before", "1")
        .literal("x-large", "v".repeat(bytes))
        .literal_indexed("x-behind", "2")
        .bytes()
}

/// Names both fields by index: they decode only if the tables agree.
fn both(front: &[u8]) -> Vec<u8> {
    Block::new().raw(front).indexed(63).indexed(62).bytes()
}

/// Limits stored blocks to 1,000 bytes.
fn small(opening: &mut Opening) {
    opening.config.header_block_bytes_max = 1000;
}

#[test]
fn s10_5_1_an_oversized_request_is_answered_431_and_five_neighbours_go_on() {
    // 9113-10.5.1-1, 9113-4.3-2, 9110-5.4-1
    server(|s| {
        let neighbours = [1, 3, 5, 7, 9].map(|id| s.get(id));
        for stream in neighbours {
            s.respond(stream);
        }
        for frame in fragments(headers(11, oversized(&hpack::get("/"), 40_000)).end_stream(), 16_384) {
            s.peer(frame);
        }
        s.events::<&str>([]);
        s.output(["HEADERS stream=11 end [:status: 431]"]);
        for stream in neighbours {
            assert_eq!(s.call(|core| core.send_data(stream, b"download", true)), Ok(8));
            s.output([format!("DATA stream={stream} \"download\" end")]);
        }
        s.peer(headers(13, both(&hpack::get("/"))).end_stream().end_headers());
        s.events([format!("HEADERS stream=13 request end [{GET}, x-before: 1, x-behind: 2]")]);
        s.answers();
    });
}

/// The whole of grpcio's metadata of 60,000 bytes, and one block for each representation that is
/// cut.
#[test]
fn s10_5_1_a_block_of_small_entries_is_decoded_to_its_end() {
    // 9113-10.5.1-1
    server(|s| {
        let block = (0..1000).fold(Block::new().raw(hpack::request("POST", "/")), |block, number| {
            block.literal_indexed(format!("key-{number}"), "v".repeat(48))
        });
        for frame in fragments(headers(1, block.bytes()), 16_384) {
            s.peer(frame);
        }
        s.events::<&str>([]);
        s.output(["HEADERS stream=1 end [:status: 431]", "RST_STREAM stream=1 NO_ERROR"]);
        s.peer(headers(3, Block::new().raw(hpack::get("/")).indexed(62).bytes()).end_stream().end_headers());
        s.events([format!("HEADERS stream=3 request end [{GET}, key-999: {}]", "v".repeat(48))]);
    });
}

#[test]
fn s4_3_an_oversized_block_may_be_cut_at_every_byte() {
    // 9113-4.3-2
    let block = oversized(&hpack::get("/"), 3000);
    for cut in 0..=block.len() {
        let mut config = Config::default();
        config.header_block_bytes_max = 1000;
        let mut core = Connection::<Server>::new(config).unwrap();
        let (one, two) = block.split_at(cut);
        let next = headers(3, both(&hpack::get("/"))).end_stream().end_headers();
        let bytes = wire([
            &preface(),
            &settings(),
            &settings_ack(),
            &headers(1, one).end_stream(),
            &continuation(1, two).end_headers(),
            &next,
        ]);
        let mut input = &bytes[..];
        let mut received = Vec::new();
        while let Some(event) = core.receive(&mut input, Instant::ZERO).unwrap() {
            if let Event::Headers { stream, headers, .. } = event {
                let fields: Vec<_> =
                    headers.fields().map(|field| (field.name().to_vec(), field.value.to_vec())).collect();
                received.push((stream.id().as_u32(), fields));
            }
        }
        core.check();
        let expected = vec![(b"x-before".to_vec(), b"1".to_vec()), (b"x-behind".to_vec(), b"2".to_vec())];
        assert_eq!(received, [(3, expected)], "cut at {cut}");
    }
}

/// Small entries: the table turns over more often than once, within the 32,768 bytes that are kept
/// and behind them.
#[test]
fn s4_3_a_block_of_40_000_bytes_may_be_cut_at_every_byte_under_the_default_limits() {
    // 9113-4.3-2
    let front = Block::new().raw(hpack::get("/")).literal_indexed("x-before", "1");
    let front = front.literal("x-one", "v".repeat(8_000)).literal_indexed("x-behind", "2");
    let block = (0..520)
        .fold(front, |block, number| block.literal_indexed(format!("key-{number:03}"), "w".repeat(52)));
    cut_at_every_byte(&block.literal_indexed("x-before", "1").literal_indexed("x-behind", "2").bytes());
}

/// Large entries, and large literals on both sides of the bound on what is kept.
#[test]
fn s4_3_a_block_of_large_fields_may_be_cut_at_every_byte_under_the_default_limits() {
    // 9113-4.3-2
    let front = Block::new().raw(hpack::get("/")).literal_indexed("x-before", "1");
    let front = front.literal("x-one", "v".repeat(18_000)).literal_indexed("x-behind", "2");
    let block = (0..32).fold(front, |block, number| {
        block.literal_indexed(format!("key-{number:02}"), "w".repeat(500 + number))
    });
    let block = block.literal("x-two", "v".repeat(5100));
    cut_at_every_byte(&block.literal_indexed("x-before", "1").literal_indexed("x-behind", "2").bytes());
}

/// Sends a block that ends with the two fields for the table, once for each of its bytes: divided
/// there between two frames, and where a frame is full. Each is refused, and the request behind it
/// finds both fields in the table.
fn cut_at_every_byte(block: &[u8]) {
    assert!(block.len() > 40_000, "{}", block.len());
    let next = both(&hpack::get("/"));
    let unlimited = RateLimits::default().resets(RateLimit::UNLIMITED);
    let mut core = Connection::<Server>::new(Config::default().rate_limits(unlimited)).unwrap();
    let mut bytes = wire([&preface(), &settings(), &settings_ack()]);
    let mut input = &bytes[..];
    while core.receive(&mut input, Instant::ZERO).unwrap().is_some() {}
    let mut output = Vec::new();
    while core.poll_transmit(&mut output) {}
    for cut in 0..=block.len() {
        let id = 4 * cut as u32 + 1;
        let (one, two) = block.split_at(cut);
        // An empty first half is a frame, too.
        let empty: &[&[u8]] = if one.is_empty() { &[one] } else { &[] };
        let halves = one.chunks(16_384).chain(two.chunks(16_384));
        let fragments: Vec<&[u8]> = empty.iter().copied().chain(halves).collect();
        bytes.clear();
        for (index, fragment) in fragments.iter().enumerate() {
            let (kind, start) =
                if index == 0 { (kind::HEADERS, flag::END_STREAM) } else { (kind::CONTINUATION, 0) };
            let end = if index + 1 == fragments.len() { flag::END_HEADERS } else { 0 };
            put_frame(&mut bytes, kind, start | end, id, fragment);
        }
        put_frame(&mut bytes, kind::HEADERS, flag::END_STREAM | flag::END_HEADERS, id + 2, &next);
        let requests = receive_both(&mut core, &bytes, cut);
        let [stream] = requests[..] else { panic!("cut at {cut}: {requests:?}") };
        assert_eq!(stream.id().as_u32(), id + 2, "cut at {cut}");
        core.send_response(stream, Status::OK, [], true).unwrap();
        output.clear();
        while core.poll_transmit(&mut output) {}
        // The first 431 enters the table of our encoder.
        let refusal: &[u8] = if cut == 0 { &[0x48, 3, b'4', b'3', b'1'] } else { &[0xbe] };
        let expected = [
            headers(id, refusal).end_stream().end_headers(),
            headers(id + 2, [0x88]).end_stream().end_headers(),
        ];
        assert_eq!(read_all(&output), expected, "cut at {cut}");
    }
    core.check();
}

/// Receives frames that may show requests alone, each with the two fields from the table.
fn receive_both(core: &mut Connection<Server>, bytes: &[u8], cut: usize) -> Vec<StreamKey> {
    let mut requests = Vec::new();
    let mut input = bytes;
    while let Some(event) = core.receive(&mut input, Instant::ZERO).unwrap() {
        let Event::Headers { stream, headers, .. } = event else { panic!("cut at {cut}: {event:?}") };
        let fields: Vec<_> = headers.fields().map(|field| (field.name(), field.value)).collect();
        assert_eq!(fields, [(&b"x-before"[..], &b"1"[..]), (b"x-behind", b"2")], "cut at {cut}");
        requests.push(stream);
    }
    requests
}

fn put_frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// Metadata of gRPC with 130 entries, and 300 fields, which hyper takes, are within the default
/// limits.
#[test]
fn s10_5_1_130_and_300_fields_pass_under_the_default_limits() {
    // 9113-10.5.1-1
    server(|s| {
        for (id, count) in [(1, 130), (3, 300)] {
            let block = (0..count).fold(Block::new().raw(hpack::get("/")), |block, number| {
                block.literal(format!("key-{number}"), "v")
            });
            s.peer(headers(id, block.bytes()).end_stream().end_headers());
            let fields: Vec<String> = (0..count).map(|number| format!("key-{number}: v")).collect();
            s.events([format!("HEADERS stream={id} request end [{GET}, {}]", fields.join(", "))]);
        }
        // Fields of the least size reach the bound on the list before the one on their number.
        let block = (0..512).fold(Block::new().raw(hpack::get("/")), |block, _| block.literal("a", ""));
        s.peer(headers(5, block.bytes()).end_stream().end_headers());
        s.output(["HEADERS stream=5 end [:status: 431]"]);
    });
}

#[test]
fn s10_5_1_the_content_of_an_oversized_request_is_discarded_and_credited() {
    // 9113-10.5.1-1
    let opening = |opening: &mut Opening| {
        small(opening);
        opening.config.connection_window_bytes = 65_535;
    };
    server_with(opening, |s| {
        s.peer(fragments(headers(1, oversized(&hpack::request("POST", "/"), 2000)), 1500));
        s.output(["HEADERS stream=1 end [:status: 431]", "RST_STREAM stream=1 NO_ERROR"]);
        for _ in 0..3 {
            s.peer(data(1, [0; 11_000]));
        }
        s.events::<&str>([]);
        s.output(["WINDOW_UPDATE increment=33000"]);
        s.peer(headers(1, hpack::block(&[("x-trailer", "1")])).end_stream().end_headers());
        s.nothing();
        s.peer(headers(3, both(&hpack::get("/"))).end_stream().end_headers());
        s.events([format!("HEADERS stream=3 request end [{GET}, x-before: 1, x-behind: 2]")]);
    });
}

#[test]
fn s10_5_1_a_block_at_each_bound_and_one_past_it() {
    // 9113-10.5.1-1, 9113-4.3-3, 9110-2.3-1
    let opening = |opening: &mut Opening| {
        small(opening);
        opening.config.oversized_block_bytes_max = 2000;
    };
    // Three octets of name and three of length precede the value.
    let value = |bytes: usize| "v".repeat(bytes - hpack::get("/").len() - 6);
    let padded = |bytes| Block::new().raw(hpack::get("/")).literal("x", value(bytes)).bytes();
    server_with(opening, |s| {
        assert_eq!(padded(1000).len(), 1000);
        s.peer(headers(1, padded(1000)).end_stream().end_headers());
        s.events([format!("HEADERS stream=1 request end [{GET}, x: {}]", value(1000))]);
        s.peer(fragments(headers(3, padded(1000)).end_stream(), 700));
        s.events([format!("HEADERS stream=3 request end [{GET}, x: {}]", value(1000))]);
    });
    for bytes in [1001, 2000] {
        server_with(opening, |s| {
            s.peer(headers(1, padded(bytes)).end_stream().end_headers());
            s.output(["HEADERS stream=1 end [:status: 431]"]);
            s.answers();
        });
    }
    for len in [2001, 700] {
        server_with(opening, |s| {
            s.peer(fragments(headers(1, padded(2001)).end_stream(), len));
            s.ends(ErrorCode::COMPRESSION_ERROR, CloseCause::Limit(Limit::OversizedBlockBytes), 0);
        });
    }
}

#[test]
fn s10_5_1_oversized_trailers_reset_their_stream() {
    // 9113-10.5.1-1
    server_with(small, |s| {
        s.post(1);
        s.get(3);
        s.peer(fragments(headers(1, oversized(&[], 2000)).end_stream(), 1500));
        s.events([format!("RESET stream=1 ENHANCE_YOUR_CALM by us: {TOO_LARGE}")]);
        s.refused(1, ErrorCode::ENHANCE_YOUR_CALM);
        s.peer(headers(5, both(&hpack::get("/"))).end_stream().end_headers());
        s.events([format!("HEADERS stream=5 request end [{GET}, x-before: 1, x-behind: 2]")]);
        let stream = s.stream(3);
        s.respond(stream);
    });
    client_with(small, |s| {
        s.get();
        s.get();
        s.response(1);
        s.peer(fragments(headers(1, oversized(&[], 2000)).end_stream(), 1500));
        s.events([format!("RESET stream=1 ENHANCE_YOUR_CALM by us: {TOO_LARGE}")]);
        s.refused(1, ErrorCode::ENHANCE_YOUR_CALM);
        s.peer(headers(3, both(&hpack::response(200))).end_headers());
        s.events(["HEADERS stream=3 response [:status: 200, x-before: 1, x-behind: 2]"]);
    });
}

#[test]
fn s10_5_1_an_oversized_response_resets_its_stream() {
    // 9113-10.5.1-1
    for status in [103, 200] {
        client_with(small, |s| {
            s.get();
            s.get();
            s.peer(fragments(headers(1, oversized(&hpack::response(status), 2000)), 1500));
            s.events([format!("RESET stream=1 ENHANCE_YOUR_CALM by us: {TOO_LARGE}")]);
            s.refused(1, ErrorCode::ENHANCE_YOUR_CALM);
            s.peer(headers(3, both(&hpack::response(200))).end_headers());
            s.events(["HEADERS stream=3 response [:status: 200, x-before: 1, x-behind: 2]"]);
        });
    }
}

#[test]
fn s10_5_1_an_oversized_promise_is_refused_and_its_parent_continues() {
    // 9113-10.5.1-1
    let opening = |opening: &mut Opening| {
        small(opening);
        opening.config.enable_push = true;
    };
    client_with(opening, |s| {
        s.get();
        s.peer(fragments(push_promise(1, 2, oversized(&hpack::get("/pushed"), 2000)), 1500));
        s.refused(2, ErrorCode::ENHANCE_YOUR_CALM);
        s.peer(push_promise(1, 4, both(&hpack::get("/pushed"))).end_headers());
        s.events([format!("HEADERS stream=4 push on=1 [{PUSHED}, x-before: 1, x-behind: 2]")]);
        s.response(1);
    });
}

#[test]
fn s4_3_an_oversized_block_is_decoded_whatever_became_of_its_stream() {
    // 9113-4.3-2
    let opening = |opening: &mut Opening| {
        small(opening);
        opening.config.concurrent_streams_max = 1;
    };
    let send = |id| fragments(headers(id, oversized(&hpack::get("/"), 2000)).end_stream(), 1500);
    // The stream was reset by us.
    server_with(opening, |s| {
        let stream = s.post(1);
        s.call(|core| core.send_reset(stream, ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=1 CANCEL"]);
        s.peer(send(1));
        s.unmoved();
        s.peer(headers(3, both(&hpack::get("/"))).end_stream().end_headers());
        s.events([format!("HEADERS stream=3 request end [{GET}, x-before: 1, x-behind: 2]")]);
    });
    // It is one too many.
    server_with(opening, |s| {
        s.post(1);
        s.peer(send(3));
        s.refused(3, ErrorCode::REFUSED_STREAM);
        s.peer(rst_stream(1, ErrorCode::CANCEL));
        s.events(["RESET stream=1 CANCEL by the peer"]);
        s.peer(headers(5, both(&hpack::get("/"))).end_stream().end_headers());
        s.events([format!("HEADERS stream=5 request end [{GET}, x-before: 1, x-behind: 2]")]);
    });
}

#[test]
fn s4_3_an_oversized_block_that_cannot_be_decoded_ends_the_connection() {
    // 9113-4.3-4
    let bad = [
        Block::new().raw(hpack::get("/")).literal("x", "v".repeat(2000)).indexed(62).bytes(),
        Block::new().raw(hpack::get("/")).literal("x", "v".repeat(2000)).raw([0x00, 0x01]).bytes(),
        Block::new().raw(hpack::get("/")).literal("x", "v".repeat(2000)).table_size(0).bytes(),
    ];
    for block in bad {
        for len in [700, 16_384] {
            server_with(small, |s| {
                s.get(1);
                s.peer(fragments(headers(3, block.clone()).end_stream(), len));
                s.connection_error(ErrorCode::COMPRESSION_ERROR, Violation::HeaderBlockInvalid, 1);
            });
        }
    }
    // At the fragment that shows it, not at the end of the block.
    server_with(small, |s| {
        s.get(1);
        let block = Block::new().raw(hpack::get("/")).literal("x", "v".repeat(2000)).indexed(62);
        s.peer(headers(3, block.bytes()).end_stream());
        s.connection_error(ErrorCode::COMPRESSION_ERROR, Violation::HeaderBlockInvalid, 1);
    });
}

#[test]
fn s10_5_oversized_blocks_are_charged_by_their_length_and_in_rate() {
    // 9113-10.5-2
    let opening = |opening: &mut Opening| {
        small(opening);
        opening.config.rate_limits.resets = RateLimit::new(6, 1);
    };
    // 40,000 bytes beyond the bound are three pieces of 16 KiB; the refusal is one token more.
    let send = |id| fragments(headers(id, oversized(&hpack::get("/"), 41_000 - 70)).end_stream(), 16_384);
    server_with(opening, |s| {
        s.peer(send(1));
        s.output(["HEADERS stream=1 end [:status: 431]"]);
        s.peer(send(3));
        s.ends(ErrorCode::ENHANCE_YOUR_CALM, CloseCause::Limit(Limit::Resets), 1);
    });
    server_with(opening, |s| {
        for id in (1..40).step_by(2) {
            s.peer(send(id));
            s.output([format!("HEADERS stream={id} end [:status: 431]")]);
            s.pass(Duration::from_secs(4));
        }
    });
}

#[test]
fn s10_5_1_a_mebibyte_is_decoded_without_being_kept() {
    // 9113-10.5-1
    server(|s| {
        let block = oversized(&hpack::get("/"), 1_000_000);
        let mut peak = 0;
        for frame in fragments(headers(1, &block).end_stream(), 16_384) {
            s.peer(frame);
            peak = peak.max(s.core().heap_bytes());
        }
        s.output(["HEADERS stream=1 end [:status: 431]"]);
        assert!(peak < 80 << 10, "{peak} bytes of heap");
    });
}
