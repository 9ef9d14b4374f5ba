//! RFC 9113 §6.9: WINDOW_UPDATE and the windows of both directions.

use thalweg::{ErrorCode, Violation, WindowRelease};
use thalweg_testkit::frames::{
    data, headers, kind, raw, rst_stream, setting, settings, settings_ack, window_update,
};
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::{Opening, client, client_with, server, server_with};

const WINDOW_MAX: u32 = 0x7fff_ffff;

// Rules that bind the peer.

#[test]
fn s6_9_a_window_update_of_0_on_a_stream_resets_it() {
    // 9113-6.9-2
    for increment in [0, 1 << 31] {
        server(|s| {
            s.post(1);
            s.peer(window_update(1, increment));
            s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::WindowUpdateZero);
        });
    }
}

#[test]
fn s6_9_a_window_update_of_0_on_the_connection_ends_it() {
    // 9113-6.9-3
    client(|s| {
        s.get();
        s.peer(window_update(0, 0));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::WindowUpdateZeroOnConnection, 0);
    });
}

#[test]
fn s6_9_a_window_update_of_another_length_ends_the_connection() {
    // 9113-6.9-7
    for (stream, len) in [(0, 0), (0, 3), (0, 5), (1, 3), (1, 8)] {
        server(|s| {
            s.post(1);
            s.peer(raw(kind::WINDOW_UPDATE, 0, stream, vec![1; len]));
            s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::WindowUpdateLength, 1);
        });
    }
}

#[test]
fn s6_9_window_updates_after_the_end_are_no_error() {
    // 9113-6.9-4, 9113-6.9-5
    server(|s| {
        let stream = s.get(1);
        s.peer(window_update(1, 1));
        s.unmoved();
        assert_eq!(s.core().send_capacity(stream).map(|c| (c.stream, c.connection)), Some((65_536, 65_535)));
        s.call(|core| core.send_response(stream, thalweg::Status::OK, [], true)).unwrap();
        s.output(["HEADERS stream=1 end [:status: 200]"]);
        s.peer(window_update(1, 1));
        s.peer(window_update(1, 0));
        s.unmoved();
    });
}

#[test]
fn s6_9_data_in_error_counts_on_the_connection() {
    // 9113-6.9-6
    let opening = |opening: &mut Opening| opening.config.connection_window_bytes = 65_535;
    server_with(opening, |s| {
        s.get(1);
        // Rejected, and credited when half the window is due.
        s.peer(data(1, [0; 16_384]));
        s.stream_error(1, ErrorCode::STREAM_CLOSED, Violation::DataAfterEnd);
        s.peer(data(1, [0; 16_384]));
        s.output(["WINDOW_UPDATE increment=32768"]);
    });
}

#[test]
fn s6_9_1_data_beyond_the_window_of_its_stream_resets_it() {
    // 9113-6.9.1-4, 9113-5.2.1-1
    let opening = |opening: &mut Opening| opening.config.stream_window_bytes = 10_000;
    server_with(opening, |s| {
        s.post(1);
        s.peer(data(1, [0; 10_000]));
        s.peer(data(1, []));
        s.events(["DATA stream=1 10000 bytes"]);
        s.peer(data(1, [0; 1]));
        s.stream_error(1, ErrorCode::FLOW_CONTROL_ERROR, Violation::WindowExceeded);
    });
}

#[test]
fn s6_9_1_window_over_the_limit_resets_the_stream() {
    // 9113-6.9.1-7, 9113-6.9.1-8
    server(|s| {
        let stream = s.post(1);
        s.peer(window_update(1, WINDOW_MAX - 65_535));
        s.unmoved();
        assert_eq!(
            s.core().send_capacity(stream).map(|c| (c.stream, c.connection)),
            Some((WINDOW_MAX, 65_535))
        );
        s.peer(window_update(1, 1));
        s.stream_error(1, ErrorCode::FLOW_CONTROL_ERROR, Violation::WindowOverflow);
    });
}

#[test]
fn s6_9_1_window_over_the_limit_closes_the_connection() {
    // 9113-6.9.1-7, 9113-6.9.1-9
    server(|s| {
        s.post(1);
        s.peer(window_update(0, WINDOW_MAX - 65_535));
        s.unmoved();
        s.peer(window_update(0, 1));
        s.connection_error(ErrorCode::FLOW_CONTROL_ERROR, Violation::WindowOverflowOnConnection, 1);
    });
}

// Rules that bind our output.

#[test]
fn s6_9_1_sending_lowers_both_windows_by_the_payload() {
    // 9113-6.9.1-3, 9113-6.9.1-4
    client(|s| {
        let (first, second) = (s.post(), s.post());
        for len in [1, 999, 0] {
            s.call(|core| core.send_data(first, &[0; 1000][..len], false)).unwrap();
        }
        s.call(|core| core.send_data(second, &[0; 500], true)).unwrap();
        assert_eq!(s.core().send_capacity(first).map(|c| (c.stream, c.connection)), Some((64_535, 64_035)));
        assert_eq!(s.core().send_capacity(second).map(|c| (c.stream, c.connection)), Some((65_035, 64_035)));
        s.output(["DATA stream=1 \"\\x00\"", "DATA stream=1 999 bytes", "DATA stream=3 500 bytes end"]);
    });
}

#[test]
fn s6_9_1_window_updates_raise_the_window_that_they_name() {
    // 9113-6.9.1-6
    client(|s| {
        let stream = s.post();
        s.peer(window_update(0, 1000));
        s.peer(window_update(1, 70_000));
        s.nothing();
        assert_eq!(s.core().send_capacity(stream).map(|c| (c.stream, c.connection)), Some((135_535, 66_535)));
    });
}

#[test]
fn s6_9_1_no_frame_is_longer_than_either_window() {
    // 9113-6.9.1-1, 9113-6.9.1-2
    let opening = |opening: &mut Opening| {
        opening.peer_settings = settings().entry(setting::INITIAL_WINDOW_SIZE, 100);
    };
    client_with(opening, |s| {
        let stream = s.post();
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 300], true)), Ok(100));
        s.peer(window_update(1, 50));
        assert_eq!(s.call(thalweg::Connection::poll_writable), Some(stream));
        assert_eq!(s.call(|core| core.splice_data(stream, 200, true)), Ok(50));
        s.call(|core| core.poll_transmit_spliced(&mut Vec::new(), &mut Vec::new()));
        assert_eq!(s.core().send_capacity(stream).map(|c| (c.stream, c.connection)), Some((0, 65_385)));
        s.peer(window_update(1, WINDOW_MAX));
        s.nothing();
        let taken = s.call(|core| core.send_data(stream, &[0; 70_000], true)).unwrap();
        assert!(taken <= 65_385);
        let frames = s.frames();
        assert_eq!(frames.iter().map(|frame| frame.body.len()).sum::<usize>(), taken);
        let rest = s.call(|core| core.send_data(stream, &[0; 70_000], true)).unwrap();
        assert_eq!(taken + rest, 65_385, "the connection's window ends it");
        s.frames();
    });
}

#[test]
fn s6_9_1_consumed_data_is_given_back_to_the_stream_and_the_connection() {
    // 9113-6.9.1-5
    let opening = |opening: &mut Opening| {
        opening.config.stream_window_bytes = 10_000;
        opening.config.connection_window_bytes = 65_535;
    };
    server_with(opening, |s| {
        let streams = [1, 3, 5, 7, 9, 11].map(|id| s.post(id));
        for stream in streams {
            s.peer(data(stream.id().as_u32(), [0; 6_000]));
            s.events([format!("DATA stream={stream} 6000 bytes")]);
        }
        s.nothing();
        // 29,535 bytes of the connection's window are left, and 30,000 are due.
        for (stream, shared) in streams.into_iter().zip([None, None, None, None, Some(30_000), None]) {
            s.call(|core| core.release(stream, 3_999));
            s.nothing();
            s.call(|core| core.release(stream, 2_001));
            let own = format!("WINDOW_UPDATE stream={stream} increment=6000");
            let shared = shared.map(|bytes| format!("WINDOW_UPDATE increment={bytes}"));
            s.output([own].into_iter().chain(shared).collect::<Vec<_>>());
        }
    });
}

#[test]
fn s6_9_1_discarded_data_returns_to_the_connection_alone() {
    // RFC 9113 §8.1: a client may finish a request after its early response, within its window.
    let opening = |opening: &mut Opening| {
        opening.config.stream_window_bytes = 30_000;
        opening.config.connection_window_bytes = 65_535;
    };
    server_with(opening, |s| {
        let stream = s.post(1);
        s.respond(stream);
        assert_eq!(s.call(|core| core.send_data(stream, b"", true)), Ok(0));
        s.output(["DATA stream=1 \"\" end"]);
        for len in [16_000, 10_000] {
            s.peer(data(1, vec![0; len]));
            s.events([format!("DATA stream=1 {len} bytes")]);
            s.call(|core| core.discard(stream, len));
            s.unmoved();
        }
        // The rest of the stream's window, and then half of the connection's is due.
        s.peer(data(1, [0; 4_000]));
        s.events(["DATA stream=1 4000 bytes"]);
        s.call(|core| core.discard(stream, usize::MAX));
        s.unmoved();
        let other = s.post(3);
        s.peer(data(3, [0; 3_000]));
        s.events(["DATA stream=3 3000 bytes"]);
        s.call(|core| core.discard(other, 3_000));
        s.output(["WINDOW_UPDATE increment=33000"]);
        // A violation stays one.
        s.peer(data(1, [0; 1]));
        s.stream_error(1, ErrorCode::FLOW_CONTROL_ERROR, Violation::WindowExceeded);
    });
}

#[test]
fn s6_9_1_discarded_data_of_a_completed_stream_returns_to_the_connection() {
    let opening = |opening: &mut Opening| opening.config.connection_window_bytes = 65_535;
    server_with(opening, |s| {
        let stream = s.post(1);
        s.respond(stream);
        for (len, end) in [(16_384, ""), (16_384, " end")] {
            let frame = data(1, vec![0; len]);
            s.peer(if end.is_empty() { frame } else { frame.end_stream() });
            s.events([format!("DATA stream=1 {len} bytes{end}")]);
        }
        assert_eq!(s.call(|core| core.send_data(stream, b"", true)), Ok(0));
        s.output(["DATA stream=1 \"\" end"]);
        s.call(|core| core.discard(stream, 32_768));
        s.output(["WINDOW_UPDATE increment=32768"]);
        s.call(|core| core.discard(stream, 32_768));
        s.unmoved();
    });
}

#[test]
fn s6_9_1_automatic_release_gives_data_back() {
    // 9113-6.9.1-5
    let opening = |opening: &mut Opening| {
        opening.config.stream_window_bytes = 10_000;
        opening.config.release = WindowRelease::Automatic;
    };
    server_with(opening, |s| {
        s.post(1);
        s.peer(data(1, [0; 5_000]));
        s.events(["DATA stream=1 5000 bytes"]);
        s.output(["WINDOW_UPDATE stream=1 increment=5000"]);
        s.peer(data(1, [0; 5_000]).end_stream());
        s.events(["DATA stream=1 5000 bytes end"]);
        s.nothing();
    });
}

// §6.9.2: the initial window.

#[test]
fn s6_9_2_both_windows_start_at_65535() {
    // 9113-6.9.2-1
    client(|s| {
        let stream = s.post();
        assert_eq!(s.core().send_capacity(stream).map(|c| (c.stream, c.connection)), Some((65_535, 65_535)));
    });
    // Ours too, as long as nothing else was acknowledged.
    thalweg_testkit::scenario::new_server(|s| {
        s.frames();
        s.peer(thalweg_testkit::frames::preface());
        s.peer_settings(settings());
        s.post(1);
        s.peer(vec![data(1, [0; 13_107]); 5]);
        s.events(["DATA stream=1 65535 bytes"]);
        s.peer(data(1, "x"));
        s.stream_error(1, ErrorCode::FLOW_CONTROL_ERROR, Violation::WindowExceeded);
    });
}

#[test]
fn s6_9_2_a_new_initial_window_moves_every_stream_by_the_difference() {
    // 9113-6.9.2-2, 9113-6.9.2-5
    client(|s| {
        let (used, fresh) = (s.post(), s.post());
        s.call(|core| core.send_data(used, &[0; 1000], false)).unwrap();
        s.output(["DATA stream=1 1000 bytes"]);
        s.peer(window_update(3, 10));
        s.peer_settings(settings().entry(setting::INITIAL_WINDOW_SIZE, 70_000));
        assert_eq!(s.core().send_capacity(used).map(|c| (c.stream, c.connection)), Some((69_000, 64_535)));
        assert_eq!(s.core().send_capacity(fresh).map(|c| (c.stream, c.connection)), Some((70_010, 64_535)));
        let new = s.post();
        assert_eq!(s.core().send_capacity(new).map(|c| (c.stream, c.connection)), Some((70_000, 64_535)));
    });
}

#[test]
fn s6_9_2_a_negative_window_is_kept_and_has_to_be_filled_first() {
    // 9113-6.9.2-3, 9113-6.9.2-4
    client(|s| {
        let stream = s.post();
        s.call(|core| core.send_data(stream, &[0; 60_000], false)).unwrap();
        s.frames();
        s.peer_settings(settings().entry(setting::INITIAL_WINDOW_SIZE, 16_384));
        assert_eq!(s.call(|core| core.send_data(stream, b"x", false)), Ok(0));
        // 16,384 - 60,000 = -43,616
        s.peer(window_update(1, 43_616));
        assert_eq!(s.core().send_capacity(stream).map(|c| (c.stream, c.connection)), Some((0, 5_535)));
        assert_eq!(s.call(thalweg::Connection::poll_writable), None);
        assert_eq!(s.call(|core| core.send_data(stream, b"x", false)), Ok(0));
        s.peer(window_update(1, 1));
        assert_eq!(s.call(thalweg::Connection::poll_writable), Some(stream));
        // One byte of two waits for more window, and is sent alone if none is received.
        assert_eq!(s.call(|core| core.send_data(stream, b"xy", false)), Ok(0));
        assert_eq!(s.call(thalweg::Connection::poll_writable), None);
        for _ in 0..3 {
            s.nothing();
            s.pass(std::time::Duration::from_millis(100));
        }
        assert_eq!(s.call(thalweg::Connection::poll_writable), Some(stream));
        assert_eq!(s.call(|core| core.send_data(stream, b"xy", false)), Ok(1));
        s.output(["DATA stream=1 \"x\""]);
    });
}

#[test]
fn s6_9_2_an_initial_window_can_open_a_stream_that_waits() {
    // 9113-6.9.2-2
    let opening = |opening: &mut Opening| {
        opening.peer_settings = settings().entry(setting::INITIAL_WINDOW_SIZE, 0);
    };
    client_with(opening, |s| {
        let stream = s.post();
        assert_eq!(s.call(|core| core.send_data(stream, b"hello", true)), Ok(0));
        assert_eq!(s.call(thalweg::Connection::poll_writable), None);
        s.peer_settings(settings().entry(setting::INITIAL_WINDOW_SIZE, 5));
        assert_eq!(s.call(thalweg::Connection::poll_writable), Some(stream));
        assert_eq!(s.call(|core| core.send_data(stream, b"hello", true)), Ok(5));
        s.output(["DATA stream=1 \"hello\" end"]);
    });
}

#[test]
fn s6_9_2_an_initial_window_that_lifts_a_stream_over_the_limit_ends_the_connection() {
    // 9113-6.9.2-6, 9113-6.9.1-7
    server(|s| {
        s.post(1);
        s.peer(window_update(1, WINDOW_MAX - 65_535));
        s.peer(settings().entry(setting::INITIAL_WINDOW_SIZE, 65_536));
        s.connection_error(ErrorCode::FLOW_CONTROL_ERROR, Violation::SettingsWindowOverflow, 1);
    });
}

// §6.9.3: reducing our window.

#[test]
fn s6_9_3_what_the_old_window_covers_is_received() {
    // 9113-6.9.3-1, 9113-6.5.3-5
    let opening = |opening: &mut Opening| opening.config.stream_window_bytes = 10_000;
    server_with(opening, |s| {
        let stream = s.post(1);
        s.call(|core| core.send_settings(|settings| settings.initial_window_size = 1000)).unwrap();
        s.output(["SETTINGS INITIAL_WINDOW_SIZE=1000"]);
        s.peer(data(1, [0; 10_000]));
        s.events(["DATA stream=1 10000 bytes"]);
        s.peer(settings_ack());
        s.events(["SETTINGS ACK"]);
        // The window is -9,000: released bytes fill that first.
        s.call(|core| core.release(stream, 10_000));
        s.output(["WINDOW_UPDATE stream=1 increment=10000"]);
        s.peer(data(1, [0; 1000]));
        s.events(["DATA stream=1 1000 bytes"]);
        s.peer(data(1, [0; 1]));
        s.stream_error(1, ErrorCode::FLOW_CONTROL_ERROR, Violation::WindowExceeded);
    });
}

#[test]
fn s6_9_frames_without_flow_control_are_received_with_both_windows_exhausted() {
    // 9113-6.9-1
    let opening = |opening: &mut Opening| {
        opening.config.stream_window_bytes = 65_535;
        opening.config.connection_window_bytes = 65_535;
    };
    server_with(opening, |s| {
        s.post(1);
        s.peer(vec![data(1, [0; 13_107]); 5]);
        s.events(["DATA stream=1 65535 bytes"]);
        s.get(3);
        s.peer_settings(settings());
        s.peer(window_update(3, 1));
        s.peer(rst_stream(3, ErrorCode::CANCEL));
        s.events(["RESET stream=3 CANCEL by the peer"]);
        s.peer(headers(1, hpack::block(&[("x-sum", "1")])).end_stream().end_headers());
        s.events(["HEADERS stream=1 trailers end [x-sum: 1]"]);
        s.answers();
    });
}

#[test]
fn s6_9_a_stream_blocked_on_window_ends_with_the_peers_input() {
    const RESET: &str = "us: the peer ended the byte stream, and no window is left";
    // One stream is blocked before its end, the other after it; frames that need no window are
    // still sent.
    let opening = |opening: &mut Opening| {
        opening.peer_settings = settings().entry(setting::INITIAL_WINDOW_SIZE, 5);
    };
    server_with(opening, |s| {
        let (first, second, third) = (s.get(1), s.get(3), s.get(5));
        for stream in [first, second, third] {
            s.respond(stream);
        }
        s.take_output();
        assert_eq!(s.call(|core| core.send_data(first, b"hello!", true)), Ok(5));
        s.output(["DATA stream=1 \"hello\""]);
        s.eof();
        s.output(["GOAWAY last=5 NO_ERROR", "RST_STREAM stream=1 CANCEL"]);
        s.events([format!("RESET stream=1 CANCEL by {RESET}")]);
        assert_eq!(s.call(|core| core.send_data(second, b"hello!", true)), Ok(5));
        s.output(["DATA stream=3 \"hello\"", "RST_STREAM stream=3 CANCEL"]);
        s.events([format!("RESET stream=3 CANCEL by {RESET}")]);
        assert_eq!(s.call(|core| core.send_data(third, b"hello", true)), Ok(5));
        s.output(["DATA stream=5 \"hello\" end"]);
        assert!(s.core().is_finished());
    });
}
