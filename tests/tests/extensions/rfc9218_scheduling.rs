//! RFC 9218 §10: the order in which a server sends on blocked streams.
//!
//! Every response has more to send than the windows allow. The test opens the connection's window
//! for one frame at a time, and the stream that `poll_writable` returns sends it.

use thalweg::{Server, StreamKey};
use thalweg_testkit::frames::{headers, setting, settings, window_update};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{Opening, Scene, client_with, server_with};

/// As much as a frame takes: a shorter one would wait for more window.
const FRAME_BYTES: usize = 16_384;

/// Stream windows are large; the connection's window is used up at once, and then opens frame by
/// frame.
fn opening(opening: &mut Opening) {
    opening.peer_settings = settings().entry(setting::INITIAL_WINDOW_SIZE, 1 << 24);
    opening.config.output_bytes_max = 1 << 20;
    opening.config.enable_connect_protocol = true;
}

/// Uses the connection's window up, so that all others wait from the start.
fn use_up(s: &mut Scene<Server>) {
    s.peer(
        headers(1, Block::new().raw(hpack::get("/")).literal("priority", "").bytes())
            .end_stream()
            .end_headers(),
    );
    s.take_events();
    let first = s.stream(1);
    s.respond(first);
    s.call(|core| core.send_data(first, &[0; 65_535], true)).unwrap();
    s.frames();
}

/// Opens a response of this priority that waits.
fn waiting(s: &mut Scene<Server>, id: u32, priority: &str) -> StreamKey {
    let block = Block::new().raw(hpack::get("/")).literal("priority", priority).bytes();
    s.peer(headers(id, block).end_stream().end_headers());
    wait(s, id)
}

/// Opens a response that waits and that no priority was signalled for.
fn unsignalled(s: &mut Scene<Server>, id: u32) -> StreamKey {
    s.peer(headers(id, hpack::get("/")).end_stream().end_headers());
    wait(s, id)
}

/// Opens a tunnel that waits.
fn tunnel(s: &mut Scene<Server>, id: u32, priority: &str) -> StreamKey {
    let lines = [(":method", "CONNECT"), (":authority", "example.org:443"), ("priority", priority)];
    s.peer(headers(id, hpack::block(&lines)).end_headers());
    wait(s, id)
}

/// Opens a tunnel that waits and that no priority was signalled for.
fn silent_tunnel(s: &mut Scene<Server>, id: u32) -> StreamKey {
    let lines = [(":method", "CONNECT"), (":authority", "example.org:443")];
    s.peer(headers(id, hpack::block(&lines)).end_headers());
    wait(s, id)
}

fn wait(s: &mut Scene<Server>, id: u32) -> StreamKey {
    assert_eq!(s.take_events().len(), 1);
    let stream = s.stream(id);
    s.respond(stream);
    assert_eq!(s.call(|core| core.send_data(stream, &[0; FRAME_BYTES], false)), Ok(0));
    stream
}

/// Returns the streams that send the next frames. Each stream that `poll_writable` returns sends
/// one, and has more.
fn served(s: &mut Scene<Server>, frames: usize) -> Vec<u32> {
    let turn = |s: &mut Scene<Server>| {
        s.peer(window_update(0, FRAME_BYTES as u32));
        let stream = s.call(thalweg::Connection::poll_writable).expect("a stream waits");
        let taken = s.call(|core| core.send_data(stream, &[0; 2 * FRAME_BYTES], false)).unwrap();
        assert_eq!(taken, FRAME_BYTES, "the one that is named may send");
        let [frame] = &s.frames()[..] else { panic!("one frame") };
        frame.stream
    };
    (0..frames).map(|_| turn(s)).collect()
}

#[test]
fn s10_the_more_urgent_response_goes_first() {
    // 9218-10-1
    server_with(opening, |s| {
        use_up(s);
        waiting(s, 3, "u=5");
        waiting(s, 5, "u=1");
        let last = waiting(s, 7, "u=0, i");
        assert_eq!(served(s, 5), [7, 7, 7, 7, 7]);
        s.call(|core| core.send_reset(last, thalweg::ErrorCode::CANCEL));
        s.frames();
        assert_eq!(served(s, 3), [5, 5, 5]);
    });
}

#[test]
fn s10_no_response_sends_before_a_more_urgent_one_that_waits() {
    // 9218-10-1
    server_with(opening, |s| {
        use_up(s);
        let low = waiting(s, 3, "u=5");
        let high = waiting(s, 5, "u=1");
        s.peer(window_update(0, 5000));
        assert_eq!(s.call(|core| core.send_data(low, &[0; 100], false)), Ok(0));
        assert_eq!(s.call(|core| core.send_data(high, &[0; 100], false)), Ok(100));
        assert_eq!(s.call(|core| core.send_data(low, &[0; 100], false)), Ok(100));
        s.output(["DATA stream=5 100 bytes", "DATA stream=3 100 bytes"]);
    });
}

#[test]
fn s10_responses_that_are_not_incremental_go_in_the_order_of_their_streams() {
    // 9218-10-3, 9218-10-2
    server_with(opening, |s| {
        use_up(s);
        waiting(s, 5, "");
        waiting(s, 9, "");
        let second = waiting(s, 11, "u=3");
        assert_eq!(served(s, 4), [5, 5, 5, 5]);
        let first = s.stream(5);
        s.call(|core| core.send_reset(first, thalweg::ErrorCode::CANCEL));
        s.frames();
        assert_eq!(served(s, 3), [9, 9, 9]);
        s.call(|core| core.set_priority(second, thalweg::Priority::new(2, false))).unwrap();
        assert_eq!(served(s, 2), [11, 11]);
    });
}

#[test]
fn s10_incremental_responses_share() {
    // 9218-10-4, 9218-10-2
    server_with(opening, |s| {
        use_up(s);
        for id in [3, 5, 7] {
            waiting(s, id, "i");
        }
        assert_eq!(served(s, 9), [3, 5, 7, 3, 5, 7, 3, 5, 7]);
    });
}

#[test]
fn s10_a_long_response_does_not_starve_incremental_ones() {
    // 9218-10-5
    server_with(opening, |s| {
        use_up(s);
        waiting(s, 3, "");
        waiting(s, 5, "");
        waiting(s, 7, "i");
        waiting(s, 9, "i");
        let shares = served(s, 16);
        // Three frames in order, one in turns; stream 1 has used its three already.
        assert_eq!(shares, [7, 3, 3, 3, 9, 3, 3, 3, 7, 3, 3, 3, 9, 3, 3, 3]);
    });
}

#[test]
fn s10_1_tunnels_get_a_share() {
    // 9218-10.1-1
    server_with(opening, |s| {
        use_up(s);
        waiting(s, 3, "u=0");
        tunnel(s, 5, "u=6");
        tunnel(s, 7, "u=6");
        let shares = served(s, 16);
        // Seven frames of others, four of which stream 1 has sent, and one in a tunnel.
        assert_eq!(shares, [3, 3, 3, 5, 3, 3, 3, 3, 3, 3, 3, 7, 3, 3, 3, 3]);
    });
    server_with(opening, |s| {
        use_up(s);
        tunnel(s, 3, "");
        tunnel(s, 5, "");
        assert_eq!(served(s, 4), [3, 5, 3, 5], "among each other they share");
    });
}

#[test]
fn s10_1_a_tunnel_without_a_signal_is_not_starved_by_a_more_urgent_tunnel() {
    // 9218-10.1-1
    server_with(opening, |s| {
        use_up(s);
        let urgent = tunnel(s, 3, "u=0");
        silent_tunnel(s, 5);
        unsignalled(s, 7);
        let shares = served(s, 20);
        // Seven frames of others, four of which stream 1 has sent; streams 5 and 7 take turns.
        assert_eq!(shares, [3, 3, 3, 5, 3, 3, 3, 3, 3, 3, 3, 7, 3, 3, 3, 3, 3, 3, 3, 5]);
        s.call(|core| core.send_reset(urgent, thalweg::ErrorCode::CANCEL));
        s.frames();
        assert_eq!(served(s, 4), [7, 5, 7, 5]);
    });
    // The same where the application has made the first tunnel urgent.
    server_with(opening, |s| {
        use_up(s);
        let urgent = silent_tunnel(s, 3);
        silent_tunnel(s, 5);
        s.call(|core| core.set_priority(urgent, thalweg::Priority::new(0, false))).unwrap();
        assert_eq!(served(s, 12), [3, 3, 3, 5, 3, 3, 3, 3, 3, 3, 3, 5]);
    });
}

/// An end alone needs neither window nor a turn, so it takes no turn from the streams of its class.
#[test]
fn s10_1_ends_without_content_are_no_turns() {
    // 9218-10.1-1
    server_with(opening, |s| {
        use_up(s);
        tunnel(s, 3, "u=0");
        unsignalled(s, 5);
        let mut shares = Vec::new();
        for id in (7..).step_by(2).take(12) {
            shares.extend(served(s, 1));
            s.peer(headers(id, hpack::get("/")).end_stream().end_headers());
            s.take_events();
            let stream = s.stream(id);
            s.respond(stream);
            assert_eq!(s.call(|core| core.send_data(stream, b"", true)), Ok(0));
            s.frames();
        }
        assert_eq!(shares, [3, 3, 3, 5, 3, 3, 3, 3, 3, 3, 3, 5]);
    });
}

#[test]
fn s10_no_response_begins_before_a_more_urgent_one_that_waits() {
    // 9218-10-1
    server_with(opening, |s| {
        use_up(s);
        let high = waiting(s, 3, "u=1");
        s.peer(window_update(0, 5000));
        let block = Block::new().raw(hpack::get("/")).literal("priority", "u=5").bytes();
        s.peer(headers(5, block).end_stream().end_headers());
        assert_eq!(s.take_events().len(), 1);
        let low = s.stream(5);
        s.respond(low);
        assert_eq!(s.call(|core| core.send_data(low, &[0; 100], false)), Ok(0));
        assert_eq!(s.call(|core| core.send_data(high, &[0; 100], false)), Ok(100));
        assert_eq!(s.call(|core| core.send_data(low, &[0; 100], false)), Ok(100));
        s.output(["DATA stream=3 100 bytes", "DATA stream=5 100 bytes"]);
    });
}

#[test]
fn s10_an_incremental_response_that_sends_unasked_has_had_its_turn() {
    // 9218-10-4
    server_with(opening, |s| {
        use_up(s);
        let first = waiting(s, 3, "i");
        waiting(s, 5, "i");
        s.peer(window_update(0, FRAME_BYTES as u32));
        let taken = s.call(|core| core.send_data(first, &[0; 2 * FRAME_BYTES], false));
        assert_eq!(taken, Ok(FRAME_BYTES));
        s.output(["DATA stream=3 16384 bytes"]);
        assert_eq!(served(s, 3), [5, 3, 5]);
    });
}

#[test]
fn s10_responses_without_a_signal_take_turns_until_the_server_orders_one() {
    server_with(opening, |s| {
        use_up(s);
        for id in [3, 5, 7] {
            unsignalled(s, id);
        }
        assert_eq!(served(s, 6), [3, 5, 7, 3, 5, 7]);
        let ordered = s.stream(5);
        s.call(|core| core.set_priority(ordered, thalweg::Priority::new(1, false))).unwrap();
        // It goes first now, and after seven of its frames one without a signal does.
        assert_eq!(served(s, 18), [5, 5, 5, 5, 5, 5, 5, 3, 5, 5, 5, 5, 5, 5, 5, 7, 5, 5]);
    });
}

#[test]
fn s10_uploads_of_a_client_take_turns() {
    client_with(opening, |s| {
        let uploads = [s.post(), s.post(), s.post()];
        let taken = uploads.map(|stream| s.call(|core| core.send_data(stream, &[0; 100_000], false)));
        assert_eq!(taken, [Ok(65_535), Ok(0), Ok(0)]);
        s.frames();
        let turns = (0..6).map(|_| {
            s.peer(window_update(0, FRAME_BYTES as u32));
            let stream = s.call(thalweg::Connection::poll_writable).expect("three wait");
            let taken = s.call(|core| core.send_data(stream, &[0; 100_000], false));
            assert_eq!(taken, Ok(FRAME_BYTES));
            s.output([format!("DATA stream={stream} 16384 bytes")]);
            stream.id().as_u32()
        });
        assert_eq!(turns.collect::<Vec<_>>(), [1, 3, 5, 1, 3, 5]);
    });
}

#[test]
fn s10_a_response_without_window_is_not_named() {
    let small = |opening: &mut Opening| {
        opening.peer_settings = settings().entry(setting::INITIAL_WINDOW_SIZE, 1500);
        opening.config.output_bytes_max = 1024;
    };
    for priority in ["", "i"] {
        server_with(small, |s| {
            let block = Block::new().raw(hpack::get("/")).literal("priority", priority).bytes();
            s.peer(headers(1, block).end_stream().end_headers());
            s.take_events();
            let stream = s.stream(1);
            s.respond(stream);
            // Blocked by the output limit first, and then by its window.
            let taken = s.call(|core| core.send_data(stream, &[0; 2000], false)).unwrap();
            assert!(taken > 0 && taken < 1500, "{taken}");
            s.frames();
            let rest = s.call(|core| core.send_data(stream, &[0; 2000], false)).unwrap();
            assert_eq!(taken + rest, 1500);
            s.frames();
            assert_eq!(s.call(thalweg::Connection::poll_writable), None);
            // A frame of half the window is long enough.
            s.peer(window_update(1, 749));
            assert_eq!(s.call(thalweg::Connection::poll_writable), None);
            s.peer(window_update(1, 1));
            assert_eq!(s.call(thalweg::Connection::poll_writable), Some(stream));
        });
    }
}
