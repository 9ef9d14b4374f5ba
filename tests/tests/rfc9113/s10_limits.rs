//! RFC 9113 §10.5: the work and memory that a peer can cause are bounded. The attacks are in
//! `abuse.rs`.

use thalweg::{CloseCause, ErrorCode, Limit, OpenError, RateLimit, Request, StreamError};
use thalweg_testkit::frames::{headers, ping, priority, push_promise, raw, settings, window_update};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{GET, Opening, PUSHED, client_with, server_with};

#[test]
fn s10_5_promises_are_limited_before_they_count_as_streams() {
    // 9113-10.5-1
    let opening = |opening: &mut Opening| {
        opening.config.enable_push = true;
        opening.config.concurrent_streams_max = 2;
    };
    client_with(opening, |s| {
        s.get();
        for id in [2, 4, 6, 8] {
            s.promised(1, id);
        }
        s.peer(push_promise(1, 10, hpack::get("/")).end_headers());
        s.refused(10, ErrorCode::REFUSED_STREAM);
        s.peer(headers(2, hpack::response(204)).end_stream().end_headers());
        s.peer(push_promise(1, 12, hpack::get("/pushed")).end_headers());
        s.events([
            "HEADERS stream=2 response end [:status: 204]".to_owned(),
            format!("HEADERS stream=12 push on=1 [{PUSHED}]"),
        ]);
    });
}

#[test]
fn s10_5_frames_that_cost_more_than_they_carry_are_counted() {
    // 9113-10.5-2
    let cases = [
        (ping([0; 8]), Limit::Pings),
        (settings(), Limit::Settings),
        (priority(1, 3, 0), Limit::Priorities),
        (window_update(0, 1), Limit::WindowUpdates),
        (raw(0xf0, 0, 0, []), Limit::Extensions),
    ];
    let three = RateLimit::new(3, 0);
    let opening = |opening: &mut Opening| {
        let rate_limits = &mut opening.config.rate_limits;
        rate_limits.pings = three;
        // One for the handshake.
        rate_limits.settings = RateLimit::new(4, 0);
        rate_limits.priorities = three;
        rate_limits.window_updates = three;
        rate_limits.extensions = three;
    };
    for (frame, limit) in cases {
        server_with(opening, |s| {
            for _ in 0..3 {
                s.peer(frame.clone());
            }
            s.take_events();
            s.take_output();
            s.peer(frame.clone());
            s.ends(ErrorCode::ENHANCE_YOUR_CALM, CloseCause::Limit(limit), 0);
        });
    }
}

#[test]
fn s10_5_1_a_list_over_the_limit_is_decoded_and_answered() {
    // 9113-10.5.1-1, 9113-4.3-2, 9110-2.3-1, 9110-5.4-1, 9110-15.5-1
    let opening = |opening: &mut Opening| opening.config.header_list_bytes_max = 300;
    server_with(opening, |s| {
        let long = "a".repeat(300);
        let block = Block::new()
            .raw(hpack::get("/"))
            .literal("x-long", long)
            .literal_indexed("x-kept", "yes")
            .bytes();
        s.peer(headers(1, block).end_stream().end_headers());
        s.output(["HEADERS stream=1 end [:status: 431]"]);
        s.peer(headers(3, Block::new().raw(hpack::get("/")).indexed(62).bytes()).end_stream().end_headers());
        s.events([format!("HEADERS stream=3 request end [{GET}, x-kept: yes]")]);
    });
    client_with(opening, |s| {
        s.get();
        let long = "a".repeat(300);
        let block = Block::new().indexed(8).literal("x-long", long).literal_indexed("x-kept", "yes").bytes();
        s.peer(headers(1, block).end_headers());
        let limit = StreamError::Limit(Limit::HeaderListBytes);
        s.events([format!("RESET stream=1 ENHANCE_YOUR_CALM by us: {limit}")]);
        s.refused(1, ErrorCode::ENHANCE_YOUR_CALM);
        s.get();
        s.peer(headers(3, Block::new().indexed(8).indexed(62).bytes()).end_headers());
        s.events(["HEADERS stream=3 response [:status: 200, x-kept: yes]"]);
    });
}

#[test]
fn s10_5_promises_of_ours_are_limited_before_they_count_as_streams() {
    // 9113-10.5-1
    server_with(
        |opening| opening.config.concurrent_streams_max = 2,
        |s| {
            let parent = s.get(1);
            let first = s.promise(parent);
            s.promise(parent);
            let request = Request::get("https", "example.org", "/third");
            let third = s.call(|core| core.send_push(parent, &request, []));
            assert!(matches!(third, Err(OpenError::TooManyStreams { .. })), "{third:?}");
            s.respond(first);
            s.promise(parent);
        },
    );
}
