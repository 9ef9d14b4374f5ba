//! RFC 9113 §6.1 to §6.4, §6.6 to §6.8, §6.10: the rules of each frame type. SETTINGS and flow
//! control have modules of their own.

use std::time::Duration;

use thalweg::{ErrorCode, Field, OpenError, Request, SendError, Status, Violation};
use thalweg_testkit::frames::{
    Frame, continuation, data, flag, goaway, headers, kind, ping, ping_ack, priority, push_promise, raw,
    rst_stream, setting, settings, window_update,
};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{GET, Opening, POST, client, client_with, server, server_with};

fn with_push(opening: &mut Opening) {
    opening.config.enable_push = true;
}

// Frames of a stream on stream 0, and frames of the connection on a stream.

#[test]
fn s6_frames_of_a_stream_on_the_connection_end_it() {
    // 9113-6.1-3, 9113-6.2-7, 9113-6.3-1, 9113-6.4-4, 9113-6.10-5
    let cases = [
        (data(0, "x"), Violation::DataOnConnection),
        (headers(0, hpack::get("/")).end_headers(), Violation::HeadersOnConnection),
        (priority(0, 1, 0), Violation::PriorityOnConnection),
        (rst_stream(0, ErrorCode::CANCEL), Violation::ResetOnConnection),
        (continuation(0, []).end_headers(), Violation::ContinuationOnConnection),
    ];
    for (frame, violation) in cases {
        server(|s| {
            s.get(1);
            s.peer(frame.clone());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, violation, 1);
        });
        client(|s| {
            s.get();
            s.peer(frame.clone());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, violation, 0);
        });
    }
}

#[test]
fn s6_frames_of_the_connection_on_a_stream_end_it() {
    // 9113-6.5-7, 9113-6.7-6, 9113-6.8-5
    let cases = [
        (raw(kind::SETTINGS, 0, 1, []), Violation::SettingsOnStream),
        (raw(kind::SETTINGS, flag::ACK, 1, []), Violation::SettingsOnStream),
        (raw(kind::PING, 0, 1, [0; 8]), Violation::PingOnStream),
        (raw(kind::PING, flag::ACK, 1, [0; 8]), Violation::PingOnStream),
        (raw(kind::GOAWAY, 0, 1, [0; 8]), Violation::GoAwayOnStream),
    ];
    for (frame, violation) in cases {
        server(|s| {
            s.get(1);
            s.peer(frame.clone());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, violation, 1);
        });
        client(|s| {
            s.get();
            s.peer(frame.clone());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, violation, 0);
        });
    }
}

// Padding.

#[test]
fn s6_1_padding_is_sent_as_zeros_and_counts_in_the_windows() {
    // 9113-6.1-1, 9113-6.1-5
    client(|s| {
        let stream = s.post();
        assert_eq!(s.call(|core| core.send_data_padded(stream, b"hello", false, 9)), Ok(5));
        let frames = s.frames();
        assert_eq!(frames[0].bytes(), *b"\0\0\x0f\0\x08\0\0\0\x01\x09hello\0\0\0\0\0\0\0\0\0");
        assert_eq!(s.core().send_capacity(stream).map(|c| (c.stream, c.connection)), Some((65_520, 65_520)));
    });
}

#[test]
fn s6_1_padding_that_no_window_covers_is_not_sent() {
    // 9113-6.1-5, 9113-6.9.1-1
    let opening = |opening: &mut Opening| {
        opening.peer_settings = settings().entry(setting::INITIAL_WINDOW_SIZE, 10);
    };
    client_with(opening, |s| {
        let stream = s.post();
        // Content comes first, and padding takes the rest: here 4 of 5 bytes, then none.
        assert_eq!(s.call(|core| core.send_data_padded(stream, b"hello", false, 5)), Ok(5));
        s.output(["DATA stream=1 \"hello\" pad=4"]);
        assert_eq!(s.call(|core| core.send_data_padded(stream, b"o", true, 5)), Ok(0));
        s.peer(window_update(1, 1));
        assert_eq!(s.call(|core| core.send_data_padded(stream, b"o", true, 5)), Ok(1));
        s.output(["DATA stream=1 \"o\" end"]);
    });
}

#[test]
fn s6_1_received_padding_counts_in_the_windows() {
    // 9113-6.1-6
    let opening = |opening: &mut Opening| opening.config.stream_window_bytes = 100;
    server_with(opening, |s| {
        s.post(1);
        s.peer(data(1, "x").padded(98));
        s.events(["DATA stream=1 \"x\""]);
        // The core credits the 99 bytes of padding; the caller releases the one of content.
        s.output(["WINDOW_UPDATE stream=1 increment=99"]);
        s.peer(data(1, "x").padded(97));
        s.events(["DATA stream=1 \"x\""]);
        s.output(["WINDOW_UPDATE stream=1 increment=98"]);
        s.peer(data(1, "").padded(98));
        s.stream_error(1, ErrorCode::FLOW_CONTROL_ERROR, Violation::WindowExceeded);
    });
}

#[test]
fn s6_1_a_pad_length_that_reaches_the_payload_ends_the_connection() {
    // 9113-6.1-8
    server(|s| {
        s.post(1);
        s.peer(data(1, "").padded(255));
        s.peer(data(1, "x").padded(2));
        s.events(["DATA stream=1 \"x\""]);
        s.peer(data(1, "x").pad_length(2));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PaddingTooLong, 1);
    });
}

#[test]
fn s6_2_padding_of_field_blocks_leaves_room_for_the_other_fields() {
    // 9113-6.2-8, 9113-6.6-17
    let block = Block::new().indexed(2).indexed(7).indexed(4).bytes();
    for (frame, fits) in [
        (headers(1, &block).padded(255), true),
        (headers(1, &block).pad_length(4), false),
        (headers(1, []).pad_length(1), false),
        (headers(1, &block).with_priority(3, false, 0).padded(2), true),
        (headers(1, &block).with_priority(3, false, 0).pad_length(9), false),
    ] {
        server(|s| {
            s.peer(frame.clone().end_headers());
            if fits {
                s.events(["HEADERS stream=1 request [:method: GET, :scheme: https, :path: /]"]);
            } else {
                s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PaddingTooLong, 0);
            }
        });
    }
    client_with(with_push, |s| {
        s.get();
        s.peer(push_promise(1, 2, hpack::get("/")).padded(7).end_headers());
        s.events([format!("HEADERS stream=2 push on=1 [{GET}]")]);
        s.peer(push_promise(1, 4, "xy").pad_length(7).end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PaddingTooLong, 2);
    });
}

// §6.2: HEADERS.

#[test]
fn s6_2_the_fields_of_the_priority_flag_are_no_part_of_the_block() {
    // 9113-6.2-2
    server(|s| {
        s.peer(headers(1, hpack::get("/")).with_priority(3, true, 200).end_stream().end_headers());
        s.events([format!("HEADERS stream=1 request end [{GET}]")]);
        s.peer(headers(3, hpack::request("POST", "/")).padded(9).with_priority(1, false, 0).end_headers());
        s.events([format!("HEADERS stream=3 request [{POST}]")]);
    });
}

/// Returns the frames that may not come between the frames of a field block of stream 1.
fn intruders() -> Vec<(Frame, Violation)> {
    let interrupted = Violation::ContinuationExpected;
    vec![
        (data(1, "x"), interrupted),
        (headers(1, []).end_headers(), interrupted),
        (headers(3, hpack::get("/")).end_headers(), interrupted),
        (priority(1, 3, 0), interrupted),
        (rst_stream(1, ErrorCode::CANCEL), interrupted),
        (settings(), interrupted),
        (push_promise(1, 2, hpack::get("/")).end_headers(), interrupted),
        (ping([0; 8]), interrupted),
        (goaway(0, ErrorCode::NO_ERROR), interrupted),
        (window_update(0, 1), interrupted),
        (window_update(1, 1), interrupted),
        (continuation(3, []).end_headers(), interrupted),
        (continuation(0, []).end_headers(), interrupted),
        (raw(0xf0, 0, 0, []), interrupted),
    ]
}

#[test]
fn s6_2_nothing_but_continuation_follows_headers_without_end() {
    // 9113-6.2-4, 9113-6.2-5, 9113-6.3-3
    for (frame, violation) in intruders() {
        server(|s| {
            s.peer(headers(1, hpack::get("/")));
            s.peer(frame.clone());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, violation, 0);
        });
    }
}

#[test]
fn s6_10_nothing_but_continuation_follows_continuation_without_end() {
    // 9113-6.10-2, 9113-6.10-3, 9113-6.3-3
    for (frame, violation) in intruders() {
        client(|s| {
            s.get();
            s.peer(headers(1, hpack::response(200)));
            s.peer(continuation(1, []));
            s.peer(frame.clone());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, violation, 0);
        });
    }
}

#[test]
fn s6_6_nothing_but_continuation_follows_push_promise_without_end() {
    // 9113-6.6-4, 9113-6.6-5
    for (frame, violation) in intruders() {
        client_with(with_push, |s| {
            s.get();
            s.peer(push_promise(1, 2, hpack::get("/")));
            s.peer(frame.clone());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, violation, 0);
        });
    }
}

#[test]
fn s6_10_a_block_in_many_frames_is_one_block() {
    // 9113-6.10-1, 9113-6.2-3
    let block = hpack::get("/");
    server(|s| {
        s.peer(headers(1, &block[..3]).padded(4).end_stream());
        s.peer(continuation(1, []));
        s.peer(continuation(1, &block[3..20]));
        s.peer(continuation(1, &block[20..]).end_headers());
        s.events([format!("HEADERS stream=1 request end [{GET}]")]);
    });
    client_with(with_push, |s| {
        s.get();
        s.peer(push_promise(1, 2, &block[..1]).padded(4));
        s.peer(continuation(1, &block[1..]).end_headers());
        s.events([format!("HEADERS stream=2 push on=1 [{GET}]")]);
    });
}

#[test]
fn s6_10_continuation_of_nothing_ends_the_connection() {
    // 9113-6.10-7
    server(|s| {
        s.post(1);
        s.peer(continuation(1, hpack::get("/")).end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::ContinuationUnexpected, 1);
    });
    server(|s| {
        s.peer(headers(1, []));
        s.peer(continuation(1, hpack::get("/")).end_headers());
        s.events([format!("HEADERS stream=1 request [{GET}]")]);
        s.peer(continuation(1, []).end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::ContinuationUnexpected, 1);
    });
}

#[test]
fn s6_10_long_blocks_are_sent_in_continuations() {
    // 9113-6.2-1, 9113-6.2-3, 9113-6.6-2, 9113-6.6-3, 9113-6.10-1, 9113-6.10-4, 9113-6.10-6
    let long = [b'~'; 40_000];
    let field = || [Field::new(b"x-long", &long)];
    let shape = |frames: Vec<Frame>| -> Vec<_> {
        frames.iter().map(|frame| (frame.kind, frame.flags, frame.stream, frame.padding())).collect()
    };
    let more = (kind::CONTINUATION, 0, 1, None);
    let last = (kind::CONTINUATION, flag::END_HEADERS, 1, None);
    server(|s| {
        let stream = s.get(1);
        let request = Request::get("https", "example.org", "/");
        s.call(|core| core.send_push(stream, &request, field())).unwrap();
        assert_eq!(shape(s.frames())[..2], [(kind::PUSH_PROMISE, 0, 1, None), more]);
        s.call(|core| core.send_response(stream, Status::OK, field(), true)).unwrap();
        let response = shape(s.frames());
        assert_eq!(response[..2], [(kind::HEADERS, flag::END_STREAM, 1, None), more]);
        assert_eq!(response.last(), Some(&last));
    });
}

// §6.3: PRIORITY.

#[test]
fn s6_3_priority_of_a_wrong_length_is_a_stream_error() {
    // 9113-6.3-4, 9113-4.2-3
    for len in [0, 4, 6] {
        server(|s| {
            s.post(1);
            s.peer(raw(kind::PRIORITY, 0, 1, vec![0; len]));
            s.stream_error(1, ErrorCode::FRAME_SIZE_ERROR, Violation::PriorityLength);
        });
        // RST_STREAM must not be sent on an idle stream: there the stream error becomes a
        // connection error.
        server(|s| {
            s.peer(raw(kind::PRIORITY, 0, 1, vec![0; len]));
            s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::PriorityLength, 0);
        });
    }
}

// §6.4: RST_STREAM.

#[test]
fn s6_4_a_reset_ends_the_stream_at_once() {
    // 9113-6.4-1
    server(|s| {
        let stream = s.post(1);
        s.respond(stream);
        s.peer(rst_stream(1, ErrorCode::CANCEL));
        s.events(["RESET stream=1 CANCEL by the peer"]);
        assert_eq!(s.call(|core| core.send_data(stream, b"x", true)), Err(SendError::StreamClosed));
        assert_eq!(s.call(|core| core.send_trailers(stream, [])), Err(SendError::StreamClosed));
        s.call(|core| core.release(stream, 100));
        s.call(|core| core.send_reset(stream, ErrorCode::CANCEL));
        s.unmoved();
    });
}

#[test]
fn s6_4_a_reset_of_another_length_ends_the_connection() {
    // 9113-6.4-7
    for len in [0, 3, 5, 8] {
        server(|s| {
            s.post(1);
            s.peer(raw(kind::RST_STREAM, 0, 1, vec![0; len]));
            s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::ResetLength, 1);
        });
    }
}

// §6.6: PUSH_PROMISE.

#[test]
fn s6_6_a_push_that_the_client_has_not_allowed_is_refused_to_the_caller() {
    // 9113-6.5.2-1, 9113-6.6-8
    server(|s| {
        s.peer_settings(settings().entry(setting::ENABLE_PUSH, 0));
        let stream = s.get(1);
        let request = Request::get("https", "example.org", "/");
        let refused = s.call(|core| core.send_push(stream, &request, []));
        assert_eq!(refused, Err(OpenError::Send(SendError::NotAllowedByPeer)));
        s.nothing();
        s.peer_settings(settings().entry(setting::ENABLE_PUSH, 1));
        s.promise(stream);
    });
}

#[test]
fn s6_6_promises_are_made_on_streams_of_the_client() {
    // 9113-6.6-6
    server(|s| {
        let parent = s.get(1);
        let pushed = s.promise(parent);
        s.respond(pushed);
        let request = Request::get("https", "example.org", "/");
        let refused = s.call(|core| core.send_push(pushed, &request, []));
        assert_eq!(refused, Err(OpenError::Send(SendError::AlreadyEnded)));
    });
}

#[test]
fn s6_6_a_push_promise_on_the_connection_ends_it() {
    // 9113-6.6-7
    client_with(with_push, |s| {
        s.get();
        s.peer(push_promise(0, 2, hpack::get("/")).end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PushPromiseOnConnection, 0);
    });
}

#[test]
fn s6_6_a_push_after_we_have_disabled_it_ends_the_connection() {
    // 9113-6.5.2-2, 9113-6.6-9
    client(|s| {
        s.get();
        s.peer(push_promise(1, 2, hpack::get("/")).end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PushDisabled, 0);
    });
}

// §6.7: PING.

#[test]
fn s6_7_a_ping_is_answered_with_its_payload() {
    // 9113-6.7-1, 9113-6.7-2, 9113-6.7-4
    server(|s| {
        s.peer(ping([0, 1, 2, 3, 0xfc, 0xfd, 0xfe, 0xff]));
        let answer = &s.frames()[0];
        assert_eq!(answer.bytes(), b"\0\0\x08\x06\x01\0\0\0\0\0\x01\x02\x03\xfc\xfd\xfe\xff");
        s.call(|core| core.send_ping(*b"question")).unwrap();
        assert_eq!(s.frames()[0].bytes(), b"\0\0\x08\x06\x00\0\0\0\0question");
        s.peer(ping_ack(*b"question"));
        s.events(["PONG \"question\""]);
    });
}

#[test]
fn s6_7_an_answer_goes_before_data_that_waits() {
    // 9113-6.7-3
    client(|s| {
        let stream = s.post();
        let body = [0; 100_000];
        let taken = s.call(|core| core.send_data(stream, &body, false)).unwrap();
        assert!(taken < body.len());
        s.peer(window_update(0, 1 << 20));
        s.peer(window_update(1, 1 << 20));
        s.frames();
        s.peer(ping(*b"urgent! "));
        assert_eq!(s.call(thalweg::Connection::poll_writable), Some(stream));
        assert_eq!(s.call(|core| core.send_data(stream, b"x", false)), Ok(1));
        s.output(["PING ACK urgent! ", "DATA stream=1 \"x\""]);
    });
}

#[test]
fn s6_7_an_answer_is_not_answered() {
    // 9113-6.7-5
    server(|s| {
        s.peer(ping_ack(*b"unasked!"));
        s.unmoved();
    });
}

#[test]
fn s6_7_a_ping_of_another_length_ends_the_connection() {
    // 9113-6.7-7
    for len in [0, 7, 9, 16] {
        server(|s| {
            s.peer(raw(kind::PING, 0, 0, vec![0; len]));
            s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::PingLength, 0);
        });
    }
}

// §6.8: GOAWAY.

/// Starts a graceful shutdown of the server and returns the client's PING acknowledgement.
fn announce(s: &mut thalweg_testkit::scenario::Scene<thalweg::Server>) -> Frame {
    s.call(thalweg::Connection::shutdown);
    let [goodbye, mark] = &s.frames()[..] else { panic!("GOAWAY and PING") };
    assert_eq!(goodbye.to_string(), "GOAWAY last=2147483647 NO_ERROR");
    ping_ack(mark.body[..].try_into().unwrap())
}

#[test]
fn s6_8_a_graceful_shutdown_serves_what_was_under_way() {
    // 9113-6.8-8, 9113-6.8-7, 9113-6.8-6, 9113-6.8-4
    server(|s| {
        let early = s.get(1);
        let mark = announce(s);
        let late = s.get(5);
        s.peer(mark);
        s.output(["GOAWAY last=5 NO_ERROR"]);
        for stream in [late, early] {
            assert_eq!(s.call(|core| core.send_response(stream, Status::OK, [], true)), Ok(()));
            s.output([format!("HEADERS stream={stream} end [:status: 200]")]);
        }
        assert!(s.core().is_finished());
    });
}

#[test]
fn s6_8_a_client_sends_its_only_goaway_at_once() {
    // 9113-6.8-3, 9113-6.8-6
    client(|s| {
        s.get();
        s.call(thalweg::Connection::shutdown);
        s.output(["GOAWAY last=0 NO_ERROR"]);
        assert!(!s.core().is_finished());
        s.peer(headers(1, hpack::response(200)).end_stream().end_headers());
        s.events(["HEADERS stream=1 response end [:status: 200]"]);
        assert!(s.core().is_finished());
        s.nothing();
    });
}

#[test]
fn s6_8_streams_above_our_goaway_are_ignored() {
    // 9113-6.8-1, 9113-6.8-9
    server(|s| {
        let open = s.get(1);
        let mark = announce(s);
        s.peer(mark);
        s.output(["GOAWAY last=1 NO_ERROR"]);
        let block = Block::new().raw(hpack::request("POST", "/")).literal_indexed("x-kept", "yes").bytes();
        s.peer(headers(3, block).end_headers());
        s.peer(data(3, "ignored"));
        s.peer(headers(3, Block::new().indexed(62).bytes()).end_stream().end_headers());
        s.peer(window_update(3, 1));
        s.peer(rst_stream(3, ErrorCode::CANCEL));
        s.unmoved();
        s.respond(open);
    });
}

#[test]
fn s6_8_data_above_our_goaway_counts_on_the_connection() {
    // 9113-6.8-10
    server(|s| {
        let open = s.post(1);
        let mark = announce(s);
        s.peer(mark);
        s.output(["GOAWAY last=1 NO_ERROR"]);
        s.peer(headers(3, hpack::request("POST", "/")).end_headers());
        s.peer(vec![data(3, [0; 16_384]); 32]);
        s.output(["WINDOW_UPDATE increment=524288"]);
        s.respond(open);
    });
}

#[test]
fn s6_8_after_the_goaway_of_the_peer_no_stream_is_opened() {
    // 9113-6.8-2
    let request = Request::get("https", "example.org", "/");
    client(|s| {
        s.get();
        s.peer(goaway(1, ErrorCode::NO_ERROR));
        s.events(["GOAWAY last=1 NO_ERROR"]);
        let refused = s.call(|core| core.send_request(&request, [], true));
        assert_eq!(refused, Err(OpenError::GoingAway));
        s.nothing();
    });
    server(|s| {
        let parent = s.get(1);
        s.peer(goaway(0, ErrorCode::NO_ERROR));
        s.events(["GOAWAY last=0 NO_ERROR"]);
        let refused = s.call(|core| core.send_push(parent, &request, []));
        assert_eq!(refused, Err(OpenError::GoingAway));
        s.nothing();
    });
}

#[test]
fn s6_8_requests_that_the_goaway_excludes_may_be_retried() {
    // 9113-6.8-6
    client(|s| {
        for _ in 0..3 {
            s.get();
        }
        s.peer(goaway(3, ErrorCode::NO_ERROR).debug("be back soon"));
        s.peer(headers(1, hpack::response(200)).end_stream().end_headers());
        s.events([
            "GOAWAY last=3 NO_ERROR \"be back soon\"",
            "RESET stream=5 REFUSED_STREAM by GOAWAY",
            "HEADERS stream=1 response end [:status: 200]",
        ]);
        s.peer(goaway(1, ErrorCode::NO_ERROR));
        s.events(["GOAWAY last=1 NO_ERROR", "RESET stream=3 REFUSED_STREAM by GOAWAY"]);
        s.output(["GOAWAY last=0 NO_ERROR"]);
    });
}

#[test]
fn s6_8_a_goaway_that_takes_an_earlier_one_back_ends_the_connection() {
    // 9113-6.8-7: the same rule binds the peer
    client(|s| {
        s.get();
        s.peer(goaway(1, ErrorCode::NO_ERROR));
        s.events(["GOAWAY last=1 NO_ERROR"]);
        s.peer(goaway(3, ErrorCode::NO_ERROR));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::GoAwayIdRising, 0);
    });
}

#[test]
fn s6_8_the_last_stream_of_our_goaway_never_rises() {
    // 9113-6.8-7
    server(|s| {
        s.get(1);
        let mark = announce(s);
        s.peer(mark);
        s.output(["GOAWAY last=1 NO_ERROR"]);
        s.peer(headers(7, hpack::get("/")).end_stream().end_headers());
        s.peer(window_update(0, 0));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::WindowUpdateZeroOnConnection, 1);
    });
}

#[test]
fn s6_8_the_receiver_of_goaway_sends_one_before_the_end() {
    // 9113-6.8-4, 9113-5.4.1-3
    client(|s| {
        s.get();
        s.peer(goaway(1, ErrorCode::NO_ERROR));
        s.events(["GOAWAY last=1 NO_ERROR"]);
        s.pass(Duration::from_secs(1));
        s.nothing();
        s.peer(headers(1, hpack::response(200)).end_stream().end_headers());
        s.events(["HEADERS stream=1 response end [:status: 200]"]);
        s.output(["GOAWAY last=0 NO_ERROR"]);
        assert!(s.core().is_finished());
    });
}

#[test]
fn s6_8_a_goaway_before_any_stream_names_stream_0() {
    // 9113-6.8-6
    server(|s| {
        s.call(|core| core.close(ErrorCode::NO_ERROR, b""));
        s.output(["GOAWAY last=0 NO_ERROR"]);
        s.events(["ERROR NO_ERROR: closed by us with NO_ERROR"]);
    });
}
