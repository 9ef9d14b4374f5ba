//! RFC 9113 §6.9: small windows and increments. Which DATA frames wait for more window, when the
//! core sends WINDOW_UPDATE, and which WINDOW_UPDATE frames of the peer count against its rate
//! limit.

use std::collections::VecDeque;
use std::time::Duration;

use thalweg::{
    CloseCause, Connection, ErrorCode, Limit, RateLimit, Role, Server, Status, StreamKey, WindowRelease,
};
use thalweg_testkit::frames::{Frame, data, headers, setting, settings, settings_ack, window_update};
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::{Opening, Scene, client_with, server_with};

/// Lets the time pass for which a short frame waits: its timer starts, and expires twice.
fn wait_short<R: Role>(s: &mut Scene<R>) {
    for _ in 0..3 {
        s.pass(Duration::from_millis(100));
    }
}

/// Returns a start at which the peer gives its streams windows of `window` bytes.
fn send_window(window: u32) -> impl Fn(&mut Opening) {
    move |opening| {
        opening.peer_settings = settings().entry(setting::INITIAL_WINDOW_SIZE, window);
        opening.config.output_bytes_max = 1 << 20;
    }
}

// DATA that the core sends.

#[test]
fn s6_9_windows_of_1_and_3_bytes_carry_frames_of_one_byte() {
    for (window, first) in [(1, "DATA stream=1 \"a\""), (3, "DATA stream=1 \"abc\"")] {
        client_with(send_window(window), |s| {
            let stream = s.post();
            let taken = s.call(|core| core.send_data(stream, b"abcdef", true));
            assert_eq!(taken, Ok(window as usize));
            s.output([first]);
            assert_eq!(s.call(Connection::poll_writable), None);
            s.peer(window_update(1, 1));
            assert_eq!(s.call(Connection::poll_writable), Some(stream));
            assert_eq!(s.call(|core| core.send_data(stream, b"xyz", true)), Ok(1));
            s.output(["DATA stream=1 \"x\""]);
        });
    }
}

#[test]
fn s6_9_a_window_of_0_is_not_waited_out() {
    client_with(send_window(0), |s| {
        let stream = s.post();
        assert_eq!(s.call(|core| core.send_data(stream, b"abc", true)), Ok(0));
        wait_short(s);
        s.nothing();
        assert_eq!(s.call(Connection::poll_writable), None);
        s.peer(window_update(1, 1));
        assert_eq!(s.call(|core| core.send_data(stream, b"abc", true)), Ok(1));
        s.output(["DATA stream=1 \"a\""]);
    });
}

#[test]
fn s6_9_data_waits_for_half_of_a_small_window() {
    client_with(send_window(1000), |s| {
        let stream = s.post();
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 5000], false)), Ok(1000));
        s.output(["DATA stream=1 1000 bytes"]);
        s.peer(window_update(1, 499));
        assert_eq!(s.call(Connection::poll_writable), None);
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 4000], false)), Ok(0));
        // The last frame of the content does not wait: it would not become longer.
        assert_eq!(s.call(|core| core.send_data(stream, b"all", false)), Ok(3));
        s.output(["DATA stream=1 \"all\""]);
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 4000], false)), Ok(0));
        s.peer(window_update(1, 3));
        assert_eq!(s.call(Connection::poll_writable), None);
        s.peer(window_update(1, 1));
        assert_eq!(s.call(Connection::poll_writable), Some(stream));
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 4000], false)), Ok(500));
        s.output(["DATA stream=1 500 bytes"]);
    });
}

#[test]
fn s6_9_a_short_frame_goes_when_it_has_waited_two_intervals() {
    client_with(send_window(1000), |s| {
        let stream = s.post();
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 5000], false)), Ok(1000));
        s.output(["DATA stream=1 1000 bytes"]);
        s.peer(window_update(1, 100));
        for _ in 0..2 {
            s.pass(Duration::from_millis(100));
            assert_eq!(s.call(Connection::poll_writable), None);
        }
        s.pass(Duration::from_millis(99));
        assert_eq!(s.call(Connection::poll_writable), None);
        s.pass(Duration::from_millis(1));
        assert_eq!(s.call(Connection::poll_writable), Some(stream));
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 4000], false)), Ok(100));
        s.output(["DATA stream=1 100 bytes"]);
        // The peer holds 900 bytes. Half of what it lets circulate is enough now.
        s.peer(window_update(1, 100));
        assert_eq!(s.call(Connection::poll_writable), Some(stream));
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 3900], false)), Ok(100));
        s.output(["DATA stream=1 100 bytes"]);
        s.peer(window_update(1, 54));
        assert_eq!(s.call(Connection::poll_writable), None);
        s.peer(window_update(1, 2));
        assert_eq!(s.call(Connection::poll_writable), Some(stream));
    });
}

#[test]
fn s6_9_a_short_frame_goes_although_the_clock_stands() {
    client_with(send_window(1000), |s| {
        let stream = s.post();
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 5000], false)), Ok(1000));
        s.output(["DATA stream=1 1000 bytes"]);
        s.peer(window_update(1, 100));
        // One call starts the timer; sixteen stand for an interval.
        for _ in 0..1 + 2 * 16 {
            assert_eq!(s.call(Connection::poll_writable), None);
            s.pass(Duration::ZERO);
        }
        assert_eq!(s.call(Connection::poll_writable), Some(stream));
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 4000], false)), Ok(100));
        s.output(["DATA stream=1 100 bytes"]);
    });
}

/// The output makes the frames shorter than the window does, and shorter than what a stream has.
#[test]
fn s6_9_a_stream_that_is_writable_sends_although_the_output_is_small() {
    let opening = |opening: &mut Opening| {
        let window = settings().entry(setting::INITIAL_WINDOW_SIZE, 1 << 20);
        opening.peer_settings = window.entry(setting::MAX_FRAME_SIZE, 40_000);
        opening.config.output_bytes_max = 5000;
    };
    client_with(opening, |s| {
        let content = vec![0; 100_000];
        let first = s.post();
        for _ in 0..7 {
            assert_eq!(s.call(|core| core.send_data(first, &content, false)), Ok(5000));
            s.take_output();
        }
        // 30,536 bytes of the connection's window are left, less than a frame of 40,000 needs.
        s.peer(window_update(0, 1));
        let second = s.post();
        assert_eq!(s.call(|core| core.send_data(second, &content[..21_000], true)), Ok(0));
        s.take_output();
        let mut named = Vec::new();
        for left in [21_000, 16_000, 11_000] {
            for _ in 0..2 {
                let stream = s.call(Connection::poll_writable).expect("two streams wait");
                let (len, end) = if stream == first { (100_000, false) } else { (left, true) };
                assert_eq!(s.call(|core| core.send_data(stream, &content[..len], end)), Ok(5000));
                s.take_output();
                named.push(stream.id().as_u32());
            }
        }
        assert_eq!(named, [1, 3, 1, 3, 1, 3]);
    });
}

/// A peer that credits each half of its window, in increments that are no multiple of a frame, as
/// nghttp2 does.
#[test]
fn s6_9_credit_by_halves_makes_no_short_frames() {
    client_with(send_window(65_535), |s| {
        let stream = s.post();
        let content = vec![0; 1 << 20];
        assert_eq!(s.call(|core| core.send_data(stream, &content, false)), Ok(65_535));
        let full = "DATA stream=1 16384 bytes";
        s.output([full, full, full, "DATA stream=1 16383 bytes"]);
        // Two frames and a rest of 10 bytes: half of the window is in flight and will be credited.
        for increment in [32_778, 32_757].into_iter().cycle().take(20) {
            s.peer(vec![window_update(1, increment), window_update(0, increment)]);
            let frames = s.call(|core| core.send_data(stream, &content, false)).unwrap() / 16_384;
            s.output(vec![full; frames]);
        }
    });
}

// What the peer holds.

/// Sends `bytes` on a stream to a peer that answers each DATA frame with `credit`. Returns the
/// lengths of the frames, and how often the stream waited for the timer.
fn send_all<R: Role>(
    s: &mut Scene<R>,
    stream: StreamKey,
    bytes: usize,
    mut credit: impl FnMut(u32) -> Vec<Frame>,
) -> (Vec<u32>, u32) {
    let content = vec![0; bytes];
    let (mut lens, mut waits, mut taken) = (Vec::new(), 0, 0);
    let mut updates = VecDeque::new();
    while taken < bytes {
        let sent = s.call(|core| core.send_data(stream, &content[taken..], true)).unwrap();
        taken += sent;
        for frame in s.frames() {
            lens.push(frame.flow_controlled_len());
            updates.extend(credit(frame.flow_controlled_len()));
        }
        if let Some(update) = updates.pop_front() {
            s.peer(update);
        } else if sent == 0 {
            waits += 1;
            wait_short(s);
            assert_eq!(s.call(Connection::poll_writable), Some(stream));
        }
    }
    (lens, waits)
}

/// The peer's streams have windows of 1 MiB, its connection has 65,535 bytes. Returns a second
/// stream, after a first one with 60,000 bytes that the peer does not read.
fn beside_a_paused_stream(s: &mut Scene<Server>) -> StreamKey {
    let paused = s.get(1);
    s.respond(paused);
    assert_eq!(s.call(|core| core.send_data(paused, &[0; 60_000], false)), Ok(60_000));
    s.frames();
    let stream = s.get(3);
    s.respond(stream);
    stream
}

#[test]
fn s6_9_a_stream_beside_a_paused_one_waits_once_for_the_window_that_the_other_holds() {
    for (bytes, expected_waits) in [(200_000, 1), (10_000_000, 5)] {
        server_with(send_window(1 << 20), |s| {
            let stream = beside_a_paused_stream(s);
            let (lens, waits) =
                send_all(s, stream, bytes, |len| vec![window_update(3, len), window_update(0, len)]);
            let (last, frames) = lens.split_last().unwrap();
            assert_eq!((waits, bytes as u32 % 5535), (expected_waits, *last), "{bytes} bytes");
            assert!(frames.iter().all(|len| *len == 5535), "{frames:?}");
            // The paused stream is read: frames are long again.
            s.peer(window_update(0, 60_000));
            let third = s.get(5);
            s.respond(third);
            assert_eq!(s.call(|core| core.send_data(third, &[0; 50_000], false)), Ok(50_000));
            let full = "DATA stream=5 16384 bytes";
            s.output([full, full, full, "DATA stream=5 848 bytes"]);
        });
    }
}

#[test]
fn s6_9_a_peer_that_reads_ahead_costs_few_waits() {
    for (bytes, expected_waits) in [(300_000, 1), (10_000_000, 4)] {
        server_with(send_window(65_535), |s| {
            let stream = s.get(1);
            s.respond(stream);
            let mut held = 0;
            let (lens, waits) = send_all(s, stream, bytes, |len| {
                held += len;
                let increment = held.saturating_sub(50_000);
                held -= increment;
                if increment == 0 {
                    return Vec::new();
                }
                vec![window_update(1, increment), window_update(0, increment)]
            });
            assert_eq!(waits, expected_waits, "{bytes} bytes");
            assert_eq!(lens[..4], [16_384, 16_384, 16_384, 16_383]);
            let (_, frames) = lens[4..].split_last().unwrap();
            assert!(frames.iter().all(|len| *len == 15_535), "{frames:?}");
        });
    }
}

#[test]
fn s6_9_frames_are_long_again_once_a_slow_peer_credits_everything_in_small_pieces() {
    server_with(send_window(65_535), |s| {
        let stream = s.get(1);
        s.respond(stream);
        let mut received = 0;
        let (lens, waits) = send_all(s, stream, 1_500_000, |len| {
            received += len;
            match received {
                ..65_535 => Vec::new(),
                // It credits 100 bytes, and then nothing until they have arrived.
                65_535 => vec![window_update(1, 100), window_update(0, 100)],
                _ => {
                    let len = if received == 65_635 { 65_535 } else { len };
                    let pieces = (0..len).step_by(64).map(|at| 64.min(len - at));
                    pieces.flat_map(|piece| [window_update(1, piece), window_update(0, piece)]).collect()
                }
            }
        });
        assert_eq!((waits, lens[4]), (1, 100));
        assert!((50..100).contains(&lens[5]), "{}", lens[5]);
        let mut at = 0;
        let late: Vec<u32> = lens
            .iter()
            .copied()
            .filter(|len| {
                at += len;
                at > 700_000
            })
            .collect();
        let (_, late) = late.split_last().unwrap();
        assert!(late.iter().all(|len| *len == 16_384), "{late:?}");
    });
}

#[test]
fn s6_9_2_what_the_peer_holds_does_not_count_after_settings_have_moved_the_window() {
    client_with(send_window(1000), |s| {
        let stream = s.post();
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 5000], false)), Ok(1000));
        s.output(["DATA stream=1 1000 bytes"]);
        s.peer(window_update(1, 100));
        wait_short(s);
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 4000], false)), Ok(100));
        s.output(["DATA stream=1 100 bytes"]);
        // The peer holds 900 bytes. Of a window of 1,400 bytes, 500 circulate.
        s.peer_settings(settings().entry(setting::INITIAL_WINDOW_SIZE, 1400));
        assert_eq!(s.call(Connection::poll_writable), Some(stream));
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 3900], false)), Ok(400));
        s.output(["DATA stream=1 400 bytes"]);
        s.peer(window_update(1, 200));
        assert_eq!(s.call(Connection::poll_writable), None);
        // The peer holds more than the whole window: what it credits is all that circulates.
        s.peer_settings(settings().entry(setting::INITIAL_WINDOW_SIZE, 700));
        s.peer(window_update(1, 500));
        assert_eq!(s.call(Connection::poll_writable), None);
        s.peer(window_update(1, 2));
        assert_eq!(s.call(Connection::poll_writable), Some(stream));
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 3500], false)), Ok(2));
        s.output(["DATA stream=1 \"\\x00\\x00\""]);
    });
}

// Frames that pass the first stream of the queue.

#[test]
fn s6_9_eight_complete_messages_pass_a_stream_that_waits_for_the_connection() {
    server_with(send_window(1 << 20), |s| {
        let large = beside_a_paused_stream(s);
        assert_eq!(s.call(|core| core.send_data(large, &[0; 50_000], false)), Ok(5535));
        s.output(["DATA stream=3 5535 bytes"]);
        s.peer(window_update(0, 5535));
        assert_eq!(s.call(Connection::poll_writable), None, "the large response waits");
        let mut passed = 0;
        for id in (5..).step_by(2).take(20) {
            let small = s.get(id);
            s.respond(small);
            let taken = s.call(|core| core.send_data(small, &[0; 1000], true)).unwrap();
            passed += taken;
            if taken == 0 {
                break;
            }
            s.output([format!("DATA stream={id} 1000 bytes end")]);
            s.peer(window_update(0, 1000));
        }
        assert_eq!(passed, 8000);
        assert_eq!(s.call(Connection::poll_writable), None);
        wait_short(s);
        assert_eq!(s.call(Connection::poll_writable), Some(large));
        assert_eq!(s.call(|core| core.send_data(large, &[0; 44_465], false)), Ok(5535));
        s.output(["DATA stream=3 5535 bytes"]);
        // The ninth has its turn.
        s.peer(window_update(0, 5535));
        let small = s.stream(21);
        assert_eq!(s.call(Connection::poll_writable), Some(small));
        assert_eq!(s.call(|core| core.send_data(small, &[0; 1000], true)), Ok(1000));
        s.output(["DATA stream=21 1000 bytes end"]);
    });
}

#[test]
fn s6_9_a_blocked_message_is_writable_before_a_stream_that_waits_for_the_connection() {
    server_with(send_window(1 << 20), |s| {
        let [paused, large, cut, small] = [1, 3, 5, 7].map(|id| {
            let stream = s.get(id);
            s.respond(stream);
            stream
        });
        assert_eq!(s.call(|core| core.send_data(paused, &[0; 100_000], false)), Ok(65_535));
        s.frames();
        for (stream, len) in [(large, 50_000), (cut, 1001), (small, 500)] {
            assert_eq!(s.call(|core| core.send_data(stream, &vec![0; len], true)), Ok(0));
        }
        s.peer(window_update(0, 1000));
        let late = s.get(9);
        s.respond(late);
        let taken = s.call(|core| core.send_data(late, &[0; 100], true));
        assert_eq!(taken, Ok(0), "the blocked message precedes it");
        assert_eq!(s.call(Connection::poll_writable), Some(small));
        assert_eq!(s.call(|core| core.send_data(small, &[0; 500], true)), Ok(500));
        s.output(["DATA stream=7 500 bytes end"]);
        assert_eq!(s.call(Connection::poll_writable), Some(late));
        assert_eq!(s.call(|core| core.send_data(late, &[0; 100], true)), Ok(100));
        s.output(["DATA stream=9 100 bytes end"]);
        assert_eq!(s.call(Connection::poll_writable), None, "1,001 bytes do not fit");
        assert_eq!(s.call(|core| core.send_data(cut, &[0; 1001], true)), Ok(0));
        wait_short(s);
        let next = s.call(Connection::poll_writable).unwrap();
        assert_eq!(next, paused, "it was blocked first");
        assert_eq!(s.call(|core| core.send_data(next, &[0; 34_465], false)), Ok(400));
        s.output(["DATA stream=1 400 bytes"]);
    });
}

#[test]
fn s6_9_spliced_data_waits_as_copied_data_does() {
    client_with(send_window(65_535), |s| {
        let stream = s.post();
        let taken: Vec<_> =
            (0..5).map(|_| s.call(|core| core.splice_data(stream, 100_000, false)).unwrap()).collect();
        // The fourth is short, and the first such one after half the window went without credit.
        assert_eq!(taken, [16_384, 16_384, 16_384, 16_383, 0]);
        let (mut out, mut splices) = (Vec::new(), Vec::new());
        s.call(|core| core.poll_transmit_spliced(&mut out, &mut splices));
        let head = |len: u16| [&[0], &len.to_be_bytes()[..], &[0, 0, 0, 0, 0, 1]].concat();
        let heads = [head(16_384), head(16_384), head(16_384), head(16_383)].concat();
        assert_eq!(out[out.len() - 36..], heads);
        s.peer(vec![window_update(1, 16_383), window_update(0, 16_383)]);
        assert_eq!(s.call(Connection::poll_writable), None);
        assert_eq!(s.call(|core| core.splice_data(stream, 100_000, false)), Ok(0));
        s.peer(window_update(1, 1));
        assert_eq!(s.call(Connection::poll_writable), None, "the connection's window counts, too");
        s.peer(window_update(0, 1));
        assert_eq!(s.call(Connection::poll_writable), Some(stream));
        assert_eq!(s.call(|core| core.splice_data(stream, 100_000, false)), Ok(16_384));
        out.clear();
        s.call(|core| core.poll_transmit_spliced(&mut out, &mut splices));
        assert_eq!(out, head(16_384));
    });
}

#[test]
fn s6_9_padded_data_waits_and_padding_gives_way_to_content() {
    client_with(send_window(1000), |s| {
        let stream = s.post();
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 5000], false)), Ok(1000));
        s.output(["DATA stream=1 1000 bytes"]);
        s.peer(window_update(1, 100));
        assert_eq!(s.call(|core| core.send_data_padded(stream, &[0; 4000], false, 200)), Ok(0));
        s.nothing();
        // The content fits: only its padding is cut.
        assert_eq!(s.call(|core| core.send_data_padded(stream, &[7; 50], false, 200)), Ok(50));
        let [frame] = &s.frames()[..] else { panic!("one frame") };
        let expected = data(1, [7; 50]).padded(49).bytes();
        assert_eq!((frame.bytes(), frame.flow_controlled_len()), (expected, 100));
        assert_eq!(
            s.core().send_capacity(stream).map(|left| (left.stream, left.connection)),
            Some((0, 64_435))
        );
    });
}

#[test]
fn s6_9_tiny_window_update_increments_count_as_a_stall() {
    client_with(send_window(65_535), |s| {
        let stream = s.post();
        assert_eq!(s.call(|core| core.send_data(stream, &[0; 100_000], false)), Ok(65_535));
        s.frames();
        s.pass(Duration::ZERO);
        // The first increment is waited out. After the second wait in vain, too, the next ones are
        // sent at once.
        for waits in [true, false, false, true, false] {
            s.peer(vec![window_update(1, 1), window_update(0, 1)]);
            if waits {
                assert_eq!(s.call(Connection::poll_writable), None);
                wait_short(s);
            }
            assert_eq!(s.call(Connection::poll_writable), Some(stream));
            assert_eq!(s.call(|core| core.send_data(stream, &[0; 100_000], false)), Ok(1));
            s.output(["DATA stream=1 \"\\x00\""]);
            s.pass(Duration::ZERO);
            s.pass(Duration::from_secs(10));
            s.nothing();
        }
        s.pass(Duration::from_millis(9_399));
        s.nothing();
        s.pass(Duration::from_millis(1));
        s.events(["RESET stream=1 CANCEL by us: timeouts.stall passed"]);
        s.output(["RST_STREAM stream=1 CANCEL"]);
    });
}

// The cost of the peer's increments.

fn three_updates(opening: &mut Opening) {
    opening.config.rate_limits.window_updates = RateLimit::new(3, 0);
}

#[test]
fn s6_9_window_updates_for_bytes_that_were_sent_are_free_and_others_are_charged() {
    for id in [0, 1] {
        client_with(three_updates, |s| {
            let stream = s.post();
            assert_eq!(s.call(|core| core.send_data(stream, &[0; 100], false)), Ok(100));
            s.frames();
            s.peer(vec![window_update(id, 1); 100]);
            s.peer(vec![window_update(id, 1); 3]);
            s.answers();
            s.peer(window_update(id, 1));
            s.ends(ErrorCode::ENHANCE_YOUR_CALM, CloseCause::Limit(Limit::WindowUpdates), 0);
        });
    }
}

#[test]
fn s6_9_late_window_updates_of_streams_that_have_ended_are_free_for_what_was_sent() {
    client_with(three_updates, |s| {
        let streams = [s.post(), s.post()];
        for stream in streams {
            assert_eq!(s.call(|core| core.send_data(stream, &[0; 50], true)), Ok(50));
        }
        s.frames();
        s.peer(window_update(1, 20));
        for id in [1, 3] {
            s.peer(headers(id, hpack::block(&[(":status", "200")])).end_stream().end_headers());
        }
        assert_eq!(s.take_events().len(), 2);
        // 30 bytes of the first stream and 50 of the second are not credited yet.
        s.peer(vec![window_update(1, 1); 30]);
        s.peer(vec![window_update(3, 1); 50]);
        s.peer(vec![window_update(1, 1); 3]);
        s.answers();
        s.peer(window_update(1, 1));
        s.ends(ErrorCode::ENHANCE_YOUR_CALM, CloseCause::Limit(Limit::WindowUpdates), 0);
    });
}

// When the core sends WINDOW_UPDATE.

/// Streams and the connection have windows of 65,535 bytes.
fn both_windows(opening: &mut Opening) {
    opening.config.stream_window_bytes = 65_535;
    opening.config.connection_window_bytes = 65_535;
}

#[test]
fn s6_9_content_that_is_read_byte_by_byte_is_credited_frame_by_frame() {
    server_with(both_windows, |s| {
        let stream = s.post(1);
        s.peer(vec![data(1, [0; 13_107]); 5]);
        s.events(["DATA stream=1 65535 bytes"]);
        for _ in 0..65_535 {
            s.call(|core| core.release(stream, 1));
        }
        s.output([
            "WINDOW_UPDATE stream=1 increment=16384",
            "WINDOW_UPDATE increment=16384",
            "WINDOW_UPDATE stream=1 increment=16385",
            "WINDOW_UPDATE increment=16385",
        ]);
    });
}

#[test]
fn s6_9_credit_goes_out_when_a_frame_leaves_the_peer_less_than_is_due() {
    server_with(both_windows, |s| {
        let stream = s.post(1);
        s.peer(vec![data(1, [0; 10_000]); 2]);
        s.events(["DATA stream=1 20000 bytes"]);
        s.call(|core| core.release(stream, 20_000));
        s.peer(vec![data(1, [0; 16_384]), data(1, [0; 9151])]);
        s.events(["DATA stream=1 25535 bytes"]);
        s.nothing();
        // 19,999 bytes are left now. A caller that waits for more content than that gets it.
        s.peer(data(1, "x"));
        s.events(["DATA stream=1 \"x\""]);
        s.output(["WINDOW_UPDATE stream=1 increment=20000", "WINDOW_UPDATE increment=20000"]);
    });
}

#[test]
fn s6_9_windows_of_1_and_3_bytes_are_credited_in_both_release_modes() {
    let run = |window: u32, release: WindowRelease, script: &dyn Fn(&mut Scene<Server>)| {
        let opening = move |opening: &mut Opening| {
            opening.config.stream_window_bytes = window;
            opening.config.release = release;
        };
        server_with(opening, script);
    };
    for release in [WindowRelease::Explicit, WindowRelease::Automatic] {
        let consume = |s: &mut Scene<Server>| {
            s.peer(data(1, "x"));
            s.events(["DATA stream=1 \"x\""]);
            let stream = s.stream(1);
            s.call(|core| core.release(stream, 1));
        };
        run(1, release, &|s| {
            s.post(1);
            for _ in 0..3 {
                consume(s);
                s.output(["WINDOW_UPDATE stream=1 increment=1"]);
            }
        });
        run(3, release, &|s| {
            s.post(1);
            for _ in 0..3 {
                consume(s);
                s.nothing();
                consume(s);
                s.output(["WINDOW_UPDATE stream=1 increment=2"]);
            }
        });
    }
}

#[test]
fn s6_9_3_credit_that_leaves_a_window_negative_waits() {
    let opening = |opening: &mut Opening| opening.config.stream_window_bytes = 10_000;
    server_with(opening, |s| {
        let stream = s.post(1);
        s.call(|core| core.send_settings(|settings| settings.initial_window_size = 1000)).unwrap();
        s.output(["SETTINGS INITIAL_WINDOW_SIZE=1000"]);
        s.peer(data(1, [0; 10_000]));
        s.events(["DATA stream=1 10000 bytes"]);
        s.peer(settings_ack());
        s.events(["SETTINGS ACK"]);
        // -9,000: the peer gains half of the new window with 9,500 bytes.
        for _ in 0..95 {
            s.nothing();
            s.call(|core| core.release(stream, 100));
        }
        s.output(["WINDOW_UPDATE stream=1 increment=9500"]);
        s.call(|core| core.release(stream, 499));
        s.nothing();
        s.call(|core| core.release(stream, 1));
        s.output(["WINDOW_UPDATE stream=1 increment=500"]);
        s.call(|core| core.send_response(stream, Status::OK, [], true)).unwrap();
        s.output(["HEADERS stream=1 end [:status: 200]"]);
    });
}
