//! RFC 9113 §5: streams apart from their states: identifiers, concurrency, flow-control principles,
//! errors, extensions.

use std::time::Duration;

use thalweg::frame::{Flags, FrameType, SettingId};
use thalweg::{
    CloseCause, ErrorCode, Field, OpenError, Request, SendError, Status, StreamId, Timeouts, Violation,
};
use thalweg_testkit::frames::{
    data, flag, goaway, headers, kind, ping, priority, push_promise, raw, rst_stream, setting, settings,
    settings_ack, window_update,
};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{GET, Opening, PUSHED, Scene, client, client_with, server, server_with};

fn with_push(opening: &mut Opening) {
    opening.config.enable_push = true;
}

// §5.1: after a reset.

#[test]
fn s5_1_field_blocks_after_our_reset_still_move_the_decoder() {
    // 9113-5.1-14, 9113-4.3-2, 9113-5.4.2-4, 9113-6.4-2
    server(|s| {
        let stream = s.post(1);
        s.call(|core| core.send_reset(stream, ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=1 CANCEL"]);
        let trailers = Block::new().literal_indexed("x-late", "yes").bytes();
        s.peer(headers(1, trailers).end_stream().end_headers());
        s.unmoved();
        s.peer(headers(3, Block::new().raw(hpack::get("/")).indexed(62).bytes()).end_stream().end_headers());
        s.events([format!("HEADERS stream=3 request end [{GET}, x-late: yes]")]);
    });
}

#[test]
fn s5_1_a_promise_after_our_reset_takes_its_stream() {
    // 9113-5.1-15, 9113-6.6-14
    client_with(with_push, |s| {
        let stream = s.get();
        s.call(|core| core.send_reset(stream, ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=1 CANCEL"]);
        let block = Block::new().raw(hpack::get("/")).literal_indexed("x-late", "yes").bytes();
        s.peer(push_promise(1, 2, block).end_headers());
        s.refused(2, ErrorCode::CANCEL);
        // The response was sent before too; and 2 is used.
        s.peer(headers(2, Block::new().indexed(62).literal(":status", "200").bytes()).end_headers());
        s.peer(data(2, "x").end_stream());
        s.unmoved();
        s.get();
        s.peer(push_promise(3, 2, hpack::get("/")).end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PushIdInvalid, 2);
    });
}

#[test]
fn s5_1_data_after_our_reset_counts_on_the_connection() {
    // 9113-5.1-16, 9113-6.8-10
    server(|s| {
        let (kept, reset) = (s.post(1), s.post(3));
        s.call(|core| core.send_reset(reset, ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=3 CANCEL"]);
        s.peer(vec![data(1, [0; 16_000]); 16]);
        s.events(["DATA stream=1 256000 bytes"]);
        // 1 MiB in all: discarded bytes are credited, half a window at a time.
        for _ in 0..3 {
            s.peer(vec![data(3, [0; 16_000]); 16]);
        }
        s.output(["WINDOW_UPDATE increment=400000"]);
        s.call(|core| core.release(kept, 256_000));
        s.output(["WINDOW_UPDATE stream=1 increment=256000", "WINDOW_UPDATE increment=624000"]);
    });
    server_with(small_connection_window, |s| {
        let (_, reset) = (s.post(1), s.post(3));
        s.call(|core| core.send_reset(reset, ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=3 CANCEL"]);
        s.peer(vec![data(1, [0; 16_000]); 4]);
        s.events(["DATA stream=1 64000 bytes"]);
        s.peer(data(3, [0; 1536]));
        s.connection_error(ErrorCode::FLOW_CONTROL_ERROR, Violation::WindowExceededOnConnection, 3);
    });
}

fn small_connection_window(opening: &mut Opening) {
    opening.config.connection_window_bytes = 65_535;
}

#[test]
fn s5_1_no_timer_makes_late_frames_an_error() {
    // 9113-5.1-17
    server_with(
        |opening| opening.config.timeouts = Timeouts::OFF,
        |s| {
            let stream = s.post(1);
            s.call(|core| core.send_reset(stream, ErrorCode::CANCEL));
            s.output(["RST_STREAM stream=1 CANCEL"]);
            s.pass(Duration::from_secs(86_400));
            s.peer(data(1, "late").end_stream());
            s.unmoved();
        },
    );
}

// §5.1.1: stream identifiers.

#[test]
fn s5_1_1_a_client_opens_odd_rising_streams() {
    // 9113-5.1.1-1, 9113-5.1.1-3, 9113-5.1.1-4
    client(|s| {
        let ids: Vec<u32> = (0..5).map(|_| s.get().id().as_u32()).collect();
        assert_eq!(ids, [1, 3, 5, 7, 9]);
    });
}

#[test]
fn s5_1_1_a_server_promises_even_rising_streams() {
    // 9113-5.1.1-2, 9113-5.1.1-3, 9113-5.1.1-5, 9113-6.6-1, 9113-6.6-11, 9113-6.6-12
    server(|s| {
        let parent = s.get(7);
        let ids: Vec<u32> = (0..5).map(|_| s.promise(parent).id().as_u32()).collect();
        assert_eq!(ids, [2, 4, 6, 8, 10]);
    });
}

#[test]
fn s5_1_1_a_request_below_an_earlier_one_ends_the_connection() {
    // 9113-5.1.1-6, 9113-5.1.1-10
    server(|s| {
        s.get(5);
        s.peer(headers(3, hpack::get("/")).end_stream().end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::StreamIdNotRising, 5);
    });
}

#[test]
fn s5_1_1_a_request_on_an_even_stream_ends_the_connection() {
    // 9113-5.1.1-7, 9113-5.1-3
    server(|s| {
        s.peer(headers(2, hpack::get("/")).end_stream().end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::StreamIdParity, 0);
    });
}

#[test]
fn s5_1_1_headers_on_a_stream_that_the_client_has_not_opened_end_the_connection() {
    // 9113-5.1.1-8, 9113-5.1-2
    for id in [2, 3] {
        client_with(with_push, |s| {
            s.get();
            s.peer(headers(id, hpack::response(200)).end_headers());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::StreamIdle, 0);
        });
    }
}

#[test]
fn s5_1_1_promised_streams_rise_and_are_even() {
    // 9113-5.1.1-9, 9113-5.1.1-10, 9113-6.6-15, 9113-6.6-16
    for id in [0, 1, 2, 3, 4, 7] {
        client_with(with_push, |s| {
            s.get();
            s.promised(1, 4);
            s.peer(push_promise(1, id, hpack::get("/")).end_headers());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PushIdInvalid, 4);
        });
    }
}

#[test]
fn s5_1_1_opening_a_stream_closes_the_idle_ones_below_it() {
    // 9113-5.1.1-10
    server(|s| {
        s.get(5);
        s.peer(window_update(3, 1));
        s.peer(rst_stream(1, ErrorCode::CANCEL));
        s.unmoved();
        s.peer(data(3, "x"));
        s.refused(3, ErrorCode::STREAM_CLOSED);
    });
}

// §5.1.2: concurrency.

fn two_streams(opening: &mut Opening) {
    opening.config.concurrent_streams_max = 2;
    opening.config.enable_push = true;
    opening.peer_settings = settings().entry(setting::MAX_CONCURRENT_STREAMS, 2);
}

#[test]
fn s5_1_2_a_request_beyond_our_limit_is_refused() {
    // 9113-5.1.2-1, 9113-5.1.2-4
    server_with(two_streams, |s| {
        let (open, _half_closed) = (s.post(1), s.get(3));
        s.peer(headers(5, hpack::get("/")).end_stream().end_headers());
        s.refused(5, ErrorCode::REFUSED_STREAM);
        s.call(|core| core.send_reset(open, ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=1 CANCEL"]);
        s.get(7);
    });
}

#[test]
fn s5_1_2_our_own_and_reserved_streams_do_not_count_against_the_peer() {
    // 9113-5.1.2-1
    server_with(two_streams, |s| {
        let parent = s.get(1);
        let pushed = s.promise(parent);
        s.promise(parent);
        s.respond(pushed);
        s.get(3);
    });
}

#[test]
fn s5_1_2_a_client_waits_for_room() {
    // 9113-5.1.2-2, 9113-6.5.2-7
    client_with(two_streams, |s| {
        s.get();
        s.post();
        let request = Request::get("https", "example.org", "/");
        let refused = s.call(|core| core.send_request(&request, [], true));
        assert_eq!(refused, Err(OpenError::TooManyStreams { limit: 2 }));
        s.nothing();
        s.peer(headers(1, hpack::response(204)).end_stream().end_headers());
        s.events(["HEADERS stream=1 response end [:status: 204]", "OPENABLE"]);
        s.get();
    });
    client(|s| {
        s.peer_settings(settings().entry(setting::MAX_CONCURRENT_STREAMS, 0));
        let request = Request::get("https", "example.org", "/");
        let refused = s.call(|core| core.send_request(&request, [], true));
        assert_eq!(refused, Err(OpenError::TooManyStreams { limit: 0 }));
        s.peer(settings().entry(setting::MAX_CONCURRENT_STREAMS, 1));
        s.events(["SETTINGS MAX_CONCURRENT_STREAMS=1", "OPENABLE"]);
        s.output(["SETTINGS ACK"]);
        s.get();
    });
}

#[test]
fn s5_1_2_a_server_begins_no_pushed_response_beyond_the_limit_of_the_client() {
    // 9113-5.1.2-3
    server_with(two_streams, |s| {
        let parent = s.get(1);
        let pushed: Vec<_> = (0..2).map(|_| s.promise(parent)).collect();
        s.peer_settings(settings().entry(setting::MAX_CONCURRENT_STREAMS, 1));
        s.respond(pushed[0]);
        let refused = s.call(|core| core.send_response(pushed[1], Status::OK, [], true));
        assert_eq!(refused, Err(SendError::TooManyPending));
        let refused = s.call(|core| core.send_informational(pushed[1], Status::EARLY_HINTS, []));
        assert_eq!(refused, Err(SendError::TooManyPending));
        s.nothing();
        assert_eq!(s.call(|core| core.send_data(pushed[0], b"", true)), Ok(0));
        s.output(["DATA stream=2 \"\" end"]);
        s.events(["OPENABLE"]);
        s.respond(pushed[1]);
    });
}

#[test]
fn s5_1_2_a_pushed_response_beyond_our_limit_is_refused() {
    // 9113-5.1.2-5
    client_with(two_streams, |s| {
        s.get();
        for id in [2, 4, 6] {
            s.promised(1, id);
        }
        s.response(2);
        s.response(4);
        s.peer(headers(6, Block::new().indexed(8).literal_indexed("x-kept", "yes").bytes()).end_headers());
        s.stream_error(6, ErrorCode::REFUSED_STREAM, Violation::StreamsExceeded);
        s.peer(headers(1, Block::new().indexed(8).indexed(62).bytes()).end_headers());
        s.events(["HEADERS stream=1 response [:status: 200, x-kept: yes]"]);
    });
}

// §5.2: flow control.

#[test]
fn s5_2_1_no_more_data_is_sent_than_the_windows_allow() {
    // 9113-5.2.1-1, 9113-6.9.1-1, 9113-6.9.1-2
    client_with(
        |opening| {
            opening.peer_settings = settings().entry(setting::INITIAL_WINDOW_SIZE, 40_000);
            opening.config.output_bytes_max = 1 << 20;
        },
        |s| {
            let (first, second) = (s.post(), s.post());
            assert_eq!(s.call(|core| core.send_data(first, &[0; 50_000], false)), Ok(40_000));
            // The rest of the connection's window is too short for a frame until the frame has
            // waited.
            assert_eq!(s.call(|core| core.send_data(second, &[0; 50_000], false)), Ok(16_384));
            assert_eq!(s.call(thalweg::Connection::poll_writable), None);
            for _ in 0..3 {
                s.pass(Duration::from_millis(100));
            }
            assert_eq!(s.call(thalweg::Connection::poll_writable), Some(second));
            assert_eq!(s.call(|core| core.send_data(second, &[0; 33_616], false)), Ok(9151));
            let sent: usize = s.frames().iter().map(|frame| frame.body.len()).sum();
            assert_eq!(sent, 65_535);
            assert_eq!(s.call(|core| core.send_data(second, b"x", false)), Ok(0));
            s.nothing();
        },
    );
}

#[test]
fn s5_2_1_other_frames_need_no_window() {
    // 9113-5.2.1-2, 9113-6.9-1
    server_with(
        |opening| opening.config.output_bytes_max = 1 << 20,
        |s| {
            let stream = s.post(1);
            s.respond(stream);
            assert_eq!(s.call(|core| core.send_data(stream, &[0; 65_535], false)), Ok(65_535));
            assert_eq!(s.frames().len(), 4);
            assert_eq!(s.core().send_capacity(stream).map(|c| (c.stream, c.connection)), Some((0, 0)));
            let other = s.get(3);
            s.respond(other);
            s.call(|core| core.send_ping(*b"no room ")).unwrap();
            s.call(|core| core.send_trailers(stream, [Field::new(b"x-sum", b"1")])).unwrap();
            s.output(["PING no room ", "HEADERS stream=1 end [x-sum: 1]"]);
            assert_eq!(
                s.call(|core| core.send_data(other, b"", true)),
                Ok(0),
                "an empty frame needs none either"
            );
            s.output(["DATA stream=3 \"\" end"]);
        },
    );
}

#[test]
fn s5_2_2_input_is_processed_while_data_is_not_consumed() {
    // 9113-5.2.2-1, 9113-6.9-1
    server_with(small_connection_window, |s| {
        let stream = s.post(1);
        s.peer(vec![data(1, [0; 13_107]); 5]);
        s.events(["DATA stream=1 65535 bytes"]);
        s.peer(window_update(1, 1));
        s.answers();
        s.get(3);
        s.peer(headers(1, hpack::block(&[("x-sum", "1")])).end_stream().end_headers());
        s.events(["HEADERS stream=1 trailers end [x-sum: 1]"]);
        s.call(|core| core.release(stream, 65_535));
        s.output(["WINDOW_UPDATE increment=65535"]);
    });
}

#[test]
fn s5_2_2_input_is_processed_while_spliced_content_waits_for_the_transport() {
    // 9113-5.2.2-1
    server_with(
        |opening| opening.config.output_bytes_max = 1024,
        |s| {
            let stream = s.post(1);
            s.respond(stream);
            let mut announced = 0;
            for left in (1..=10).rev() {
                let taken = s.call(|core| core.splice_data(stream, 1000 * left, false)).unwrap();
                announced += taken;
                if taken == 0 {
                    break;
                }
            }
            assert!((4 * 1024 - 100..=4 * 1024).contains(&announced), "four times the room: {announced}");
            assert_eq!(s.call(|core| core.send_data(stream, b"copied", false)), Ok(0));
            assert!(s.core().wants_read(), "only the heads of the frames lie here");
            let (mut wire, mut splices) = (Vec::new(), Vec::new());
            assert!(s.call(|core| core.poll_transmit_spliced(&mut wire, &mut splices)));
            assert_eq!(splices.iter().map(|splice| splice.len).sum::<usize>(), announced);
            assert_eq!(s.call(|core| core.send_data(stream, b"copied", false)), Ok(6));
            s.output(["DATA stream=1 \"copied\""]);
        },
    );
}

// §5.4: errors.

#[test]
fn s5_4_one_frame_leads_to_one_error() {
    // 9113-5.4-1, 9113-5.4-4
    // DATA on a half-closed stream and beyond the connection's window: the connection error takes
    // precedence.
    server_with(small_connection_window, |s| {
        s.post(1);
        s.get(3);
        s.peer(vec![data(1, [0; 16_000]); 4]);
        s.events(["DATA stream=1 64000 bytes"]);
        s.peer(data(3, [0; 1536]));
        s.connection_error(ErrorCode::FLOW_CONTROL_ERROR, Violation::WindowExceededOnConnection, 3);
    });
    // Trailers on a half-closed stream, in a block that cannot be decoded.
    server(|s| {
        s.get(1);
        s.peer(headers(1, Block::new().indexed(99).bytes()).end_stream().end_headers());
        s.connection_error(ErrorCode::COMPRESSION_ERROR, Violation::HeaderBlockInvalid, 1);
    });
}

#[test]
fn s5_4_padding_is_validated_even_if_data_is_discarded() {
    // 9113-5.4-4, 9113-6.1-8
    server(|s| {
        let stream = s.post(1);
        s.call(|core| core.send_reset(stream, ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=1 CANCEL"]);
        s.peer(data(1, "xyz").padded(2));
        s.peer(data(1, []).padded(255));
        s.unmoved();
        s.peer(data(1, "xyz").pad_length(4));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PaddingTooLong, 1);
    });
    server(|s| {
        let stream = s.post(1);
        s.call(|core| core.send_reset(stream, ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=1 CANCEL"]);
        s.peer(raw(kind::DATA, flag::PADDED, 1, []));
        s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::DataLength, 1);
    });
}

#[test]
fn s5_4_after_its_first_error_a_stream_has_no_second_one() {
    // 9113-5.4-2, 9113-5.4.2-5
    server(|s| {
        s.get(1);
        s.peer(data(1, "x"));
        s.stream_error(1, ErrorCode::STREAM_CLOSED, Violation::DataAfterEnd);
        s.peer(data(1, "x"));
        s.peer(window_update(1, 0));
        s.peer(raw(kind::PRIORITY, 0, 1, [0; 4]));
        s.peer(headers(1, hpack::get("/")).end_headers());
        s.nothing();
    });
}

#[test]
fn s5_4_2_a_closed_stream_is_reset_once() {
    // 9113-5.4.2-5, 9113-5.4-2
    server(|s| {
        let stream = s.get(1);
        s.call(|core| core.send_response(stream, Status::OK, [], true)).unwrap();
        s.output(["HEADERS stream=1 end [:status: 200]"]);
        s.peer(data(1, "x"));
        s.refused(1, ErrorCode::STREAM_CLOSED);
        s.peer(data(1, "x"));
        s.peer(data(1, "x").end_stream());
        s.unmoved();
    });
}

#[test]
fn s5_4_an_error_during_a_graceful_shutdown_is_reported_too() {
    // 9113-5.4-3
    server(|s| {
        s.get(1);
        s.call(thalweg::Connection::shutdown);
        let [goodbye, _ping] = &s.take_output()[..] else { panic!("GOAWAY and PING") };
        assert_eq!(goodbye, "GOAWAY last=2147483647 NO_ERROR");
        s.peer(window_update(0, 0));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::WindowUpdateZeroOnConnection, 1);
    });
}

#[test]
fn s5_4_1_a_connection_error_names_the_last_stream_and_the_code() {
    // 9113-5.4.1-1, 9113-5.4.1-2
    server(|s| {
        s.get(1);
        s.get(9);
        s.peer(ping([0; 8]).length(7));
        s.peer([0]);
        s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::PingLength, 9);
        assert!(s.core().is_finished(), "then the transport may be closed");
    });
    client_with(with_push, |s| {
        s.get();
        s.promised(1, 6);
        s.peer(window_update(0, 0));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::WindowUpdateZeroOnConnection, 6);
    });
}

#[test]
fn s5_4_1_every_end_begins_with_goaway() {
    // 9113-5.4.1-3, 9113-6.8-3, 9113-9.1-3
    server(|s| {
        s.get(1);
        s.call(|core| core.close(ErrorCode::INTERNAL_ERROR, b"out of ideas"));
        assert!(!s.core().is_finished(), "not before GOAWAY is fetched");
        s.output(["GOAWAY last=1 INTERNAL_ERROR \"out of ideas\""]);
        s.events(["ERROR INTERNAL_ERROR: closed by us with INTERNAL_ERROR"]);
        assert!(s.core().is_finished());
    });
    server(|s| {
        s.eof();
        s.output(["GOAWAY last=0 NO_ERROR"]);
        assert!(s.core().is_finished());
    });
    client(|s| {
        s.get();
        s.eof();
        s.ends(ErrorCode::NO_ERROR, CloseCause::Eof, 0);
    });
}

#[test]
fn s5_4_1_an_end_within_a_frame_or_a_block_is_an_error() {
    // 9113-5.4.1-3
    let whole = raw(0xf0, 0, 0, [0; 4]).bytes();
    let open_block = headers(1, &hpack::get("/")[..1]).bytes();
    for (bytes, last) in [(&whole[..1], 0), (&whole[..8], 0), (&whole[..10], 0), (&open_block[..], 0)] {
        server(|s| {
            s.peer(bytes.to_vec());
            s.eof();
            s.ends(ErrorCode::PROTOCOL_ERROR, CloseCause::Eof, last);
        });
    }
}

#[test]
fn s5_4_2_a_stream_error_leaves_the_others_alone() {
    // 9113-5.4.2-1, 9113-5.4.2-2
    server(|s| {
        let (bad, good) = (s.post(1), s.post(3));
        s.respond(good);
        s.peer(data(3, "be"));
        s.peer(window_update(1, 0));
        s.peer(data(3, "fore"));
        s.events([
            "DATA stream=3 \"be\"".to_owned(),
            format!("RESET stream=1 PROTOCOL_ERROR by us: {}", Violation::WindowUpdateZero),
            "DATA stream=3 \"fore\"".to_owned(),
        ]);
        s.output(["RST_STREAM stream=1 PROTOCOL_ERROR"]);
        assert_eq!(s.call(|core| core.send_data(good, b"after", true)), Ok(5));
        assert_eq!(s.call(|core| core.send_data(bad, b"after", true)), Err(SendError::StreamClosed));
        s.output(["DATA stream=3 \"after\" end"]);
    });
}

#[test]
fn s5_4_2_a_reset_is_not_answered_by_a_reset() {
    // 9113-5.4.2-6
    server(|s| {
        let stream = s.post(1);
        s.peer(rst_stream(1, ErrorCode::PROTOCOL_ERROR));
        s.events(["RESET stream=1 PROTOCOL_ERROR by the peer"]);
        s.peer(rst_stream(1, ErrorCode::PROTOCOL_ERROR));
        s.call(|core| core.send_reset(stream, ErrorCode::CANCEL));
        s.unmoved();
    });
}

// §5.5: extensions.

#[test]
fn s5_5_unknown_values_are_ignored() {
    // 9113-5.5-1, 9113-6.5.2-14, 9113-6.5.3-3, 9113-7-1
    server(|s| {
        s.peer_settings(settings().entry(0xff00, 7).entry(setting::MAX_CONCURRENT_STREAMS, 3).entry(0, 9));
        assert_eq!(s.core().remote_settings().max_concurrent_streams, 3);
        s.peer(raw(0xfe, 0x81, 0, "?"));
        s.post(1);
        s.peer(rst_stream(1, ErrorCode(0xdead)));
        s.events(["RESET stream=1 error code 0xdead by the peer"]);
        s.peer(goaway(0, ErrorCode(0xdead)));
        s.events(["GOAWAY last=0 error code 0xdead"]);
        s.output(["GOAWAY last=1 NO_ERROR"]);
    });
}

#[test]
fn s5_5_extension_frames_are_discarded_on_every_stream() {
    // 9113-5.5-2
    client_with(with_push, |s| {
        s.get();
        s.promised(1, 2);
        for stream in [0, 1, 2, 3, 4, StreamId::MAX.as_u32()] {
            s.peer(raw(0xfe, 0xff, stream, [0; 100]));
        }
        s.unmoved();
    });
}

#[test]
fn s5_5_an_extension_frame_inside_a_field_block_ends_the_connection() {
    // 9113-5.5-3
    server(|s| {
        s.peer(headers(1, hpack::get("/")));
        s.peer(raw(0xfe, 0, 1, "?"));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::ContinuationExpected, 0);
    });
}

/// A caller cannot send the frame types of RFC 9113 as extension frames.
#[test]
fn s5_5_only_unknown_frames_are_extensions() {
    // 9113-6.1-2, 9113-6.2-6, 9113-6.4-3, 9113-6.4-5, 9113-6.5-6, 9113-6.10-4, 9113-6.10-6,
    // 9113-8.4.1-6, 9218-7.1-1 9113-5.1.1-3, 9218-7.1-10, 8336-2.2-1
    fn refused<R: thalweg::Role>(s: &mut Scene<R>) {
        for kind in (0..=9).chain([0xa, 0xc, 0x10]) {
            let result = s.call(|core| core.send_extension(FrameType(kind), Flags(0), None, &[0; 8]));
            assert_eq!(result, Err(SendError::OutOfRange), "type {kind:#x}");
        }
    }
    server(refused);
    client(|s| {
        refused(s);
        let stream = s.post();
        assert_eq!(
            s.call(|core| core.send_extension(FrameType(0xfe), Flags(0x81), Some(stream), b"?")),
            Ok(())
        );
        s.output(["TYPE 0xfe stream=1 0x81 1 bytes"]);
    });
}

/// Settings of extensions are sent in a frame of their own, which the peer acknowledges like the
/// others.
#[test]
fn s5_5_only_unknown_settings_are_extensions_and_they_are_acknowledged() {
    fn sent<R: thalweg::Role>(s: &mut Scene<R>) {
        for id in (1..=6).chain([8, 9]) {
            let result =
                s.call(|core| core.send_extension_settings(&[(SettingId(0xfe), 1), (SettingId(id), 0)]));
            assert_eq!(result, Err(SendError::OutOfRange), "setting {id:#x}");
        }
        let many = [(SettingId(0xfe), 1); 16_384 / 6 + 1];
        assert_eq!(s.call(|core| core.send_extension_settings(&many)), Err(SendError::OutOfRange));
        s.unmoved();
        let entries = [(SettingId(0xfe), 1), (SettingId(0xfff0), u32::MAX)];
        assert_eq!(s.call(|core| core.send_extension_settings(&entries)), Ok(()));
        s.output(["SETTINGS 0xfe=1 0xfff0=4294967295"]);
        s.peer(settings_ack());
        s.events(["SETTINGS ACK"]);
        let outcomes = [0; 9].map(|_| s.call(|core| core.send_extension_settings(&entries)));
        assert_eq!(outcomes[7..], [Ok(()), Err(SendError::TooManyPending)]);
        s.output(["SETTINGS 0xfe=1 0xfff0=4294967295"; 8]);
    }
    server(sent);
    client(sent);
}

/// The fields of a promise are those that the test kit sent.
#[test]
fn s5_1_promised_streams_become_half_closed_by_their_response() {
    // 9113-5.1-7
    client_with(with_push, |s| {
        s.get();
        s.peer(push_promise(1, 2, hpack::get("/pushed")).end_headers());
        s.peer(priority(2, 1, 0));
        s.peer(headers(2, hpack::response(200)).end_headers());
        s.peer(data(2, "pushed").end_stream());
        s.events([
            format!("HEADERS stream=2 push on=1 [{PUSHED}]"),
            "HEADERS stream=2 response [:status: 200]".to_owned(),
            "DATA stream=2 \"pushed\" end".to_owned(),
        ]);
    });
}
