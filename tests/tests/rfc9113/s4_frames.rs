//! RFC 9113 §4: frames, their sizes, and field blocks.

use thalweg::{CloseCause, ErrorCode, Field, Limit, Request, Status, Violation};
use thalweg_testkit::frames::{
    Frame, continuation, data, flag, goaway, headers, kind, ping, preface, priority, push_promise, raw,
    rst_stream, setting, settings, window_update,
};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{GET, Opening, POST, client, client_with, new_server, server, server_with};

// §4.1: the frame header.

#[test]
fn s4_1_data_is_cut_at_the_frame_size_of_the_peer() {
    // 9113-4.1-1
    server(|s| {
        let stream = s.get(1);
        s.respond(stream);
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 20_000], false)), Ok(20_000));
        s.output(["DATA stream=1 16384 bytes", "DATA stream=1 3616 bytes"]);
        s.peer_settings(settings().entry(setting::MAX_FRAME_SIZE, 19_999));
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 20_000], false)), Ok(20_000));
        s.output(["DATA stream=1 19999 bytes", "DATA stream=1 \"\\x00\""]);
    });
}

#[test]
fn s4_1_header_blocks_are_cut_at_the_frame_size_of_the_peer() {
    // 9113-4.1-1, 9113-6.2-3, 9113-6.10-1
    server(|s| {
        let stream = s.get(1);
        let value = [b'~'; 50_000];
        let field = Field::new(b"x-long", &value).sensitive();
        assert_eq!(s.call(|core| core.send_response(stream, Status::OK, [field], true)), Ok(()));
        let frames = s.frames();
        let sizes: Vec<_> = frames.iter().map(|frame| (frame.kind, frame.flags, frame.body.len())).collect();
        let [(kind::HEADERS, flag::END_STREAM, 16_384), .., (kind::CONTINUATION, flag::END_HEADERS, _)] =
            sizes[..]
        else {
            panic!("{sizes:?}");
        };
        assert!(
            sizes.len() > 2
                && sizes[1..sizes.len() - 1].iter().all(|s| *s == (kind::CONTINUATION, 0, 16_384))
        );
    });
}

#[test]
fn s4_1_unknown_frame_types_are_ignored() {
    // 9113-4.1-2, 9113-5.5-2
    for stream in [0, 1, 3, 4] {
        server(|s| {
            s.post(1);
            s.peer(raw(0xf0, 0xff, stream, "whatever"));
            s.peer(raw(0x0b, 0, stream, []));
            s.unmoved();
        });
        client(|s| {
            s.post();
            s.peer(raw(0xf0, 0xff, stream, "whatever"));
            s.unmoved();
        });
    }
}

#[test]
fn s4_1_flags_without_a_meaning_are_ignored() {
    // 9113-4.1-3
    let unused = |known: u8, set: u8| !known | set;
    server(|s| {
        let flags = unused(flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY, 0);
        s.peer(headers(1, hpack::request("POST", "/")).flags(flags));
        s.peer(continuation(1, []).flags(unused(flag::END_HEADERS, flag::END_HEADERS)));
        s.events([format!("HEADERS stream=1 request [{POST}]")]);
        s.peer(data(1, "x").flags(unused(flag::END_STREAM | flag::PADDED, 0)));
        s.events(["DATA stream=1 \"x\""]);
        s.peer(ping(*b"flagged!").flags(unused(flag::ACK, 0)));
        s.output(["PING ACK flagged!"]);
        s.peer(settings().flags(unused(flag::ACK, 0)));
        s.events(["SETTINGS"]);
        s.output(["SETTINGS ACK"]);
        s.peer(priority(1, 0, 0).flags(0xff));
        s.peer(window_update(1, 5).flags(0xff));
        s.unmoved();
        s.peer(rst_stream(1, ErrorCode::CANCEL).flags(0xff));
        s.events(["RESET stream=1 CANCEL by the peer"]);
        s.peer(goaway(0, ErrorCode::NO_ERROR).flags(0xff));
        s.events(["GOAWAY last=0 NO_ERROR"]);
        s.output(["GOAWAY last=1 NO_ERROR"]);
    });
    client_with(with_push, |s| {
        s.get();
        let flags = unused(flag::END_HEADERS | flag::PADDED, flag::END_HEADERS);
        s.peer(push_promise(1, 2, hpack::get("/")).flags(flags));
        s.events([format!("HEADERS stream=2 push on=1 [{GET}]")]);
    });
}

fn with_push(opening: &mut Opening) {
    opening.config.enable_push = true;
}

/// Frames of every type that we send, as bytes.
fn all_that_we_send() -> Vec<u8> {
    let sent = std::cell::RefCell::new(Vec::new());
    let keep = |frames: Vec<Frame>| sent.borrow_mut().extend(frames.iter().flat_map(Frame::bytes));
    server_with(
        |opening| opening.config.stream_window_bytes = 1000,
        |s| {
            let stream = s.post(1);
            s.peer(ping([0; 8]));
            s.peer(data(1, [0; 1000]));
            s.events(["DATA stream=1 1000 bytes"]);
            let long = [b'~'; 20_000];
            s.call(|core| {
                core.send_settings(|settings| settings.initial_window_size = 1000).unwrap();
                core.send_ping([1; 8]).unwrap();
                core.send_origins(&[b"https://example.org"]).unwrap();
                core.send_alt_svc(Some(stream), b"", b"h2=\":1\"").unwrap();
                core.send_push(stream, &Request::get("https", "example.org", "/p"), []).unwrap();
                core.send_informational(stream, Status::EARLY_HINTS, []).unwrap();
                core.send_response(stream, Status::OK, [Field::new(b"x-long", &long)], false).unwrap();
                assert_eq!(core.send_data(stream, b"x", false), Ok(1));
                assert_eq!(core.send_data_padded(stream, b"x", false, 3), Ok(1));
                core.send_trailers(stream, [Field::new(b"x-sum", b"1")]).unwrap();
                core.release(stream, 1000);
                core.send_reset(stream, ErrorCode::CANCEL);
                core.close(ErrorCode::NO_ERROR, b"");
            });
            keep(s.frames());
            s.events(["ERROR NO_ERROR: closed by us with NO_ERROR"]);
        },
    );
    let goes_by_rfc_9218 =
        |opening: &mut Opening| opening.peer_settings = settings().entry(setting::NO_RFC7540_PRIORITIES, 1);
    client_with(goes_by_rfc_9218, |s| {
        let stream = s.post();
        s.call(|core| core.set_priority(stream, thalweg::Priority::new(1, true))).unwrap();
        keep(s.frames());
    });
    sent.into_inner()
}

#[test]
fn s4_1_unused_flags_and_reserved_bits_are_sent_as_zero() {
    // 9113-4.1-4, 9113-4.1-5
    let sent = all_that_we_send();
    let mut rest = &sent[..];
    let mut kinds = std::collections::BTreeSet::new();
    while let Some((&[a, b, c, kind, flags, stream @ ..], after)) = rest.split_first_chunk::<9>() {
        let defined = match kind {
            kind::DATA => 0x9,
            kind::HEADERS => 0x2d,
            kind::SETTINGS | kind::PING => 0x1,
            kind::PUSH_PROMISE => 0xc,
            kind::CONTINUATION => 0x4,
            _ => 0,
        };
        assert_eq!(flags & !defined, 0, "flags of type {kind:#x}");
        assert_eq!(stream[0] & 0x80, 0, "reserved bit of type {kind:#x}");
        let (payload, after) = after.split_at(u32::from_be_bytes([0, a, b, c]) as usize);
        let words = match kind {
            kind::GOAWAY | kind::WINDOW_UPDATE | kind::PUSH_PROMISE | kind::PRIORITY_UPDATE => {
                payload[0] & 0x80
            }
            _ => 0,
        };
        assert_eq!(words, 0, "reserved bit in the payload of type {kind:#x}");
        kinds.insert(kind);
        rest = after;
    }
    let all = [0x0, 0x1, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0x9, 0xa, 0xc, 0x10];
    assert_eq!(kinds.into_iter().collect::<Vec<u8>>(), all, "PRIORITY is never sent");
}

#[test]
fn s4_1_the_reserved_bit_is_ignored() {
    // 9113-4.1-6
    server(|s| {
        s.peer(headers(1, hpack::request("POST", "/")).end_headers().reserved_bit());
        s.events([format!("HEADERS stream=1 request [{POST}]")]);
        s.peer(data(1, "x").end_stream().reserved_bit());
        s.events(["DATA stream=1 \"x\" end"]);
        s.peer(ping(*b"top bit!").reserved_bit());
        s.output(["PING ACK top bit!"]);
        s.peer(window_update(0, 1 << 31 | 5).reserved_bit());
        s.unmoved();
        let stream = s.stream(1);
        assert_eq!(s.core().send_capacity(stream).map(|c| (c.stream, c.connection)), Some((65_535, 65_540)));
        s.peer(goaway(1 << 31, ErrorCode::NO_ERROR));
        s.events(["GOAWAY last=0 NO_ERROR"]);
    });
    client_with(with_push, |s| {
        s.get();
        s.peer(push_promise(1, 1 << 31 | 2, hpack::get("/")).end_headers());
        s.events([format!("HEADERS stream=2 push on=1 [{GET}]")]);
    });
}

// §4.2: frame sizes.

fn with_large_lists(opening: &mut Opening) {
    opening.config.header_list_bytes_max = 100_000;
    opening.config.header_block_bytes_max = 100_000;
}

/// Returns a GET whose block has exactly `len` bytes.
fn block_of(len: usize) -> Vec<u8> {
    let fixed = Block::new().raw(hpack::get("/")).literal("x-filler", []).bytes().len();
    // A length of 127 and more takes more bytes than one of 0: three in all below 16,511.
    let block = Block::new().raw(hpack::get("/")).literal("x-filler", vec![b'a'; len - fixed - 2]).bytes();
    assert_eq!(block.len(), len);
    block
}

#[test]
fn s4_2_payloads_of_16384_bytes_are_received() {
    // 9113-4.2-1
    server_with(with_large_lists, |s| {
        s.peer(headers(1, block_of(16_384)).end_headers());
        let filler = "a".repeat(16_384 - hpack::get("/").len() - 13);
        s.events([format!("HEADERS stream=1 request [{GET}, x-filler: {filler}]")]);
        s.peer(data(1, [0; 16_384]));
        s.events(["DATA stream=1 16384 bytes"]);
        s.peer(data(1, [0; 16_383 - 255]).padded(255));
        s.events(["DATA stream=1 16128 bytes"]);
        s.peer(raw(0xf0, 0, 0, [0; 16_384]));
        s.unmoved();
    });
}

#[test]
fn s4_2_payloads_up_to_our_frame_size_are_received_and_no_larger_ones() {
    // 9113-4.2-1, 9113-4.2-2
    let opening = |opening: &mut Opening| opening.config.frame_bytes_max = 20_000;
    server_with(opening, |s| {
        s.post(1);
        s.peer(data(1, [0; 20_000]));
        s.events(["DATA stream=1 20000 bytes"]);
        s.peer(data(1, [0; 20_001]));
        s.stream_error(1, ErrorCode::FRAME_SIZE_ERROR, Violation::DataTooLarge);
    });
}

#[test]
fn s4_2_data_beyond_our_frame_size_resets_its_stream() {
    // 9113-4.2-2
    server(|s| {
        s.post(1);
        s.peer(data(1, [0; 16_385]));
        s.stream_error(1, ErrorCode::FRAME_SIZE_ERROR, Violation::DataTooLarge);
    });
}

#[test]
fn s4_2_field_blocks_beyond_our_frame_size_end_the_connection() {
    // 9113-4.2-2, 9113-4.2-5
    server_with(with_large_lists, |s| {
        s.peer(headers(1, block_of(16_385)).end_headers());
        s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::FrameTooLarge, 0);
    });
    server_with(with_large_lists, |s| {
        s.peer(headers(1, []));
        s.peer(continuation(1, block_of(16_385)).end_headers());
        s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::FrameTooLarge, 0);
    });
    client_with(with_push, |s| {
        s.get();
        s.peer(push_promise(1, 2, block_of(16_381)).end_headers());
        s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::FrameTooLarge, 0);
    });
}

#[test]
fn s4_2_frames_of_the_connection_beyond_our_frame_size_end_it() {
    // 9113-4.2-2, 9113-4.2-6, 9113-4.2-7
    for frame in [
        raw(kind::SETTINGS, 0, 0, [0; 16_386]),
        raw(kind::GOAWAY, 0, 0, [0; 16_385]),
        raw(0xf0, 0, 0, [0; 16_385]),
    ] {
        server(|s| {
            s.peer(frame.clone());
            s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::FrameTooLarge, 0);
        });
    }
}

#[test]
fn s4_2_sizes_that_the_type_does_not_allow_end_the_connection() {
    // 9113-4.2-3, 9113-4.2-4, 9113-4.2-5, 9113-4.2-6, 9113-4.2-7
    let one_off = |kind: u8, flags: u8, stream: u32, len: usize, violation| {
        [len - 1, len + 1].map(|len| (raw(kind, flags, stream, vec![0; len]), violation))
    };
    let cases = [
        one_off(kind::RST_STREAM, 0, 1, 4, Violation::ResetLength),
        one_off(kind::SETTINGS, 0, 0, 6, Violation::SettingsLength),
        one_off(kind::PING, 0, 0, 8, Violation::PingLength),
        one_off(kind::WINDOW_UPDATE, 0, 1, 4, Violation::WindowUpdateLength),
        one_off(kind::WINDOW_UPDATE, 0, 0, 4, Violation::WindowUpdateLength),
        [
            (raw(kind::SETTINGS, flag::ACK, 0, [0; 1]), Violation::SettingsAckLength),
            (raw(kind::SETTINGS, flag::ACK, 0, [0; 6]), Violation::SettingsAckLength),
        ],
        [
            (raw(kind::GOAWAY, 0, 0, [0; 7]), Violation::GoAwayLength),
            (raw(kind::PRIORITY_UPDATE, 0, 0, [0; 3]), Violation::PriorityUpdateLength),
        ],
        [
            (raw(kind::DATA, flag::PADDED, 1, []), Violation::DataLength),
            (raw(kind::HEADERS, flag::END_HEADERS | flag::PADDED, 1, []), Violation::HeadersLength),
        ],
        [4, 5].map(|len| {
            let padded = if len == 5 { flag::PADDED } else { 0 };
            let flags = flag::END_HEADERS | flag::PRIORITY | padded;
            (raw(kind::HEADERS, flags, 1, vec![0; len]), Violation::HeadersLength)
        }),
    ];
    for (frame, violation) in cases.into_iter().flatten() {
        server(|s| {
            s.post(1);
            s.peer(frame.clone());
            s.connection_error(ErrorCode::FRAME_SIZE_ERROR, violation, 1);
        });
    }
}

#[test]
fn s4_2_a_push_promise_too_short_for_its_fields_ends_the_connection() {
    // 9113-4.2-4, 9113-4.2-5
    for (flags, payload) in [(0, &[0; 3][..]), (flag::PADDED, &[0; 4]), (flag::PADDED, &[])] {
        client_with(with_push, |s| {
            s.get();
            s.peer(raw(kind::PUSH_PROMISE, flag::END_HEADERS | flags, 1, payload));
            s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::PushPromiseLength, 0);
        });
    }
}

// §4.3: field blocks.

#[test]
fn s4_3_no_frame_comes_between_the_frames_of_a_field_block() {
    // 9113-4.3-1, 9113-8.1-2
    server_with(
        |opening| opening.config.output_bytes_max = 1 << 20,
        |s| {
            let (first, second) = (s.get(1), s.get(3));
            s.respond(first);
            assert_eq!(s.call(|core| core.send_data(first, &[0; 100_000], true)), Ok(65_535));
            s.frames();
            let long = [b'~'; 50_000];
            s.peer(ping(*b"first   "));
            s.call(|core| core.send_response(second, Status::OK, [Field::new(b"x-long", &long)], true))
                .unwrap();
            s.peer(window_update(0, 1000));
            s.peer(window_update(1, 1000));
            s.peer(ping(*b"second  "));
            let kinds: Vec<_> = s.frames().iter().map(|frame| (frame.kind, frame.stream)).collect();
            let blocks = kinds.len() - 3;
            assert_eq!(kinds[..2], [(kind::PING, 0), (kind::HEADERS, 3)]);
            assert!(blocks > 0 && kinds[2..2 + blocks].iter().all(|k| *k == (kind::CONTINUATION, 3)));
            assert_eq!(kinds[2 + blocks..], [(kind::PING, 0)]);
        },
    );
}

#[test]
fn s4_3_the_blocks_of_refused_requests_are_decoded() {
    // 9113-4.3-2, 9113-5.1.2-4
    let one_stream = |opening: &mut Opening| opening.config.concurrent_streams_max = 1;
    server_with(one_stream, |s| {
        s.post(1);
        let block = Block::new().raw(hpack::get("/")).literal_indexed("x-kept", "yes");
        s.peer(headers(3, block.bytes()).end_stream().end_headers());
        s.refused(3, ErrorCode::REFUSED_STREAM);
        s.peer(headers(1, Block::new().indexed(62).bytes()).end_stream().end_headers());
        s.events(["HEADERS stream=1 trailers end [x-kept: yes]"]);
    });
}

#[test]
fn s4_3_the_blocks_of_malformed_requests_are_decoded() {
    // 9113-4.3-2
    server(|s| {
        let block = Block::new().literal("no-method", "").literal_indexed("x-kept", "yes");
        s.peer(headers(1, block.bytes()).end_stream().end_headers());
        s.refused(1, ErrorCode::PROTOCOL_ERROR);
        s.peer(headers(3, Block::new().raw(hpack::get("/")).indexed(62).bytes()).end_stream().end_headers());
        s.events([format!("HEADERS stream=3 request end [{GET}, x-kept: yes]")]);
    });
}

#[test]
fn s4_3_a_block_that_is_too_long_to_decode_ends_the_connection() {
    // 9113-4.3-3
    server_with(
        |opening| {
            opening.config.header_block_bytes_max = 1000;
            opening.config.oversized_block_bytes_max = 1500;
        },
        |s| {
            s.peer(headers(1, [0x82; 1000]));
            s.peer(continuation(1, [0x82; 501]));
            s.ends(ErrorCode::COMPRESSION_ERROR, CloseCause::Limit(Limit::OversizedBlockBytes), 0);
        },
    );
    server(|s| {
        s.peer(headers(1, []));
        for _ in 0..129 {
            s.peer(continuation(1, [0x88]));
        }
        s.ends(ErrorCode::COMPRESSION_ERROR, CloseCause::Limit(Limit::Continuations), 0);
    });
}

#[test]
fn s4_3_a_block_that_cannot_be_decoded_ends_the_connection() {
    // 9113-4.3-4
    let invalid = [
        Block::new().indexed(62).bytes(),
        Block::new().indexed(0).bytes(),
        Block::new().literal("cut", "short").bytes()[..9].to_vec(),
        vec![0xff; 12],
    ];
    for block in invalid {
        server(|s| {
            s.get(1);
            s.peer(headers(3, block.clone()).end_stream().end_headers());
            s.connection_error(ErrorCode::COMPRESSION_ERROR, Violation::HeaderBlockInvalid, 1);
        });
        client(|s| {
            s.get();
            s.peer(headers(1, block.clone()).end_stream().end_headers());
            s.connection_error(ErrorCode::COMPRESSION_ERROR, Violation::HeaderBlockInvalid, 0);
        });
    }
}

// §4.3.1: the compression state.

#[test]
fn s4_3_1_the_decoder_starts_with_4096_bytes_whatever_we_announce() {
    // 9113-4.3.1-1, 9113-6.5.3-5
    let large = |opening: &mut Opening| opening.config.header_table_bytes_max = 8192;
    server_with(large, |s| {
        let block = Block::new().table_size(8192).raw(hpack::get("/")).bytes();
        s.peer(headers(1, block).end_stream().end_headers());
        s.events([format!("HEADERS stream=1 request end [{GET}]")]);
    });
    for (size, fits) in [(4096, true), (4097, false)] {
        new_server(|s| {
            s.frames();
            s.peer(preface());
            s.peer_settings(settings());
            let block = Block::new().table_size(size).raw(hpack::get("/")).bytes();
            s.peer(headers(1, block).end_stream().end_headers());
            if fits {
                s.events([format!("HEADERS stream=1 request end [{GET}]")]);
            } else {
                s.connection_error(ErrorCode::COMPRESSION_ERROR, Violation::HeaderBlockInvalid, 0);
            }
        });
    }
}

#[test]
fn s4_3_1_the_encoder_starts_with_4096_bytes_whatever_we_could_use() {
    // 9113-4.3.1-1 The test's own decoder has room for 4,096 bytes: different evictions would
    // decode to other fields.
    let large = |opening: &mut Opening| opening.config.encoder_table_bytes_max = 65_536;
    server_with(large, |s| {
        for round in 0..4 {
            let stream = s.get(1 + 2 * round);
            let values: Vec<String> = (0..40).map(|n| format!("{:0>60}", n + round % 2 * 40)).collect();
            let fields = values.iter().map(|value| Field::new(b"x-entry", value.as_bytes()));
            s.call(|core| core.send_response(stream, Status::OK, fields, true)).unwrap();
            let expected: Vec<String> = values.iter().map(|value| format!("x-entry: {value}")).collect();
            s.output([format!("HEADERS stream={stream} end [:status: 200, {}]", expected.join(", "))]);
        }
    });
}

#[test]
fn s4_3_1_a_reduced_table_is_announced_by_the_next_block() {
    // 9113-4.3.1-2, 9113-4.3.1-3, 9113-6.5.3-1
    server(|s| {
        let (first, second, third) = (s.get(1), s.get(3), s.get(5));
        let field = || [Field::new(b"x-entry", b"indexed by the first, forgotten by the second")];
        s.call(|core| core.send_response(first, Status::OK, field(), true)).unwrap();
        s.frames();
        s.peer_settings(settings().entry(setting::HEADER_TABLE_SIZE, 0));
        s.call(|core| core.send_response(second, Status::OK, field(), true)).unwrap();
        let block = s.frames()[0].body.clone();
        assert_eq!(block[0], 0x20, "a size update to 0");
        assert!(block.len() > 30, "nothing is in the table");
        s.call(|core| core.send_response(third, Status::OK, [], true)).unwrap();
        assert_eq!(s.frames()[0].body, [0x88], "announced once");
    });
}

#[test]
fn s4_3_1_the_smallest_size_between_two_blocks_is_announced_too() {
    // 9113-4.3.1-3
    client(|s| {
        let field = || [Field::new(b"x-entry", b"a value that is worth an entry")];
        let request = Request::get("https", "example.org", "/");
        s.call(|core| core.send_request(&request, field(), true)).unwrap();
        s.frames();
        s.peer_settings(
            settings().entry(setting::HEADER_TABLE_SIZE, 10).entry(setting::HEADER_TABLE_SIZE, 4096),
        );
        s.call(|core| core.send_request(&request, field(), true)).unwrap();
        let block = s.frames()[0].body.clone();
        assert_eq!(block[..4], [0x2a, 0x3f, 0xe1, 0x1f], "size updates to 10 and to 4,096");
    });
}

#[test]
fn s4_3_1_a_peer_that_ignores_our_reduced_table_is_disconnected() {
    // 9113-4.3.1-4
    let small = |opening: &mut Opening| opening.config.header_table_bytes_max = 1000;
    for (block, fits) in [
        (Block::new(), false),
        (Block::new().table_size(1001), false),
        (Block::new().table_size(1000), true),
        (Block::new().table_size(0).table_size(1000), true),
    ] {
        server_with(small, |s| {
            s.peer(headers(1, block.clone().raw(hpack::get("/")).bytes()).end_stream().end_headers());
            if fits {
                s.events([format!("HEADERS stream=1 request end [{GET}]")]);
            } else {
                s.connection_error(ErrorCode::COMPRESSION_ERROR, Violation::HeaderBlockInvalid, 0);
            }
        });
    }
}
