//! How long the core waits by default: for streams on an idle connection, and for the content of a
//! request.

use std::time::Duration;

use thalweg::{ErrorCode, Server, Status};
use thalweg_testkit::frames::{data, goaway, headers, ping_ack};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{POST, Scene, client, server, server_with};

const MINUTE: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);
const RESET: &str = "RESET stream=1 CANCEL by us: timeouts.content passed";
/// After a write, the connection asks for the time: the answer to a PING is timed from then.
const TIME_OF_WRITE: Duration = Duration::ZERO;
const TIMED_OUT: &str = "RESET stream=1 NO_ERROR by us: timeouts.content passed";
const ANSWERED: [&str; 2] = ["HEADERS stream=1 end [:status: 408]", "RST_STREAM stream=1 NO_ERROR"];

/// Returns a POST without END_STREAM and with one more field.
fn post(s: &mut Scene<Server>, id: u32, name: &str, value: &str) {
    let block = hpack::request("POST", "/");
    let block = [block, Block::new().literal(name, value).bytes()].concat();
    s.peer(headers(id, block).end_headers());
    s.events([format!("HEADERS stream={id} request [{POST}, {name}: {value}]")]);
}

#[test]
fn an_idle_connection_is_shut_down_after_three_minutes() {
    server(|s| {
        s.pass(3 * MINUTE - MILLISECOND);
        s.nothing();
        s.pass(MILLISECOND);
        s.output(["GOAWAY last=2147483647 NO_ERROR", "PING \\x00thaldwn"]);
        // A peer that answers PING gets GOAWAY at once.
        s.peer(ping_ack(*b"\0thaldwn"));
        s.output(["GOAWAY last=0 NO_ERROR"]);
        assert!(s.core().is_finished() && s.core().report().error.is_none());
    });
}

#[test]
fn an_idle_peer_that_does_not_answer_has_the_ping_timeout_and_no_more() {
    server(|s| {
        s.pass(3 * MINUTE);
        s.output(["GOAWAY last=2147483647 NO_ERROR", "PING \\x00thaldwn"]);
        s.pass(TIME_OF_WRITE);
        s.pass(Duration::from_secs(10) - MILLISECOND);
        s.nothing();
        s.pass(MILLISECOND);
        s.output(["GOAWAY last=0 NO_ERROR"]);
        assert!(s.core().is_finished());
        assert!(s.core().report().error.is_none(), "no side is at fault");
    });
}

#[test]
fn a_peer_that_answers_the_first_goaway_by_its_own_is_not_waited_for() {
    server(|s| {
        s.pass(3 * MINUTE);
        s.output(["GOAWAY last=2147483647 NO_ERROR", "PING \\x00thaldwn"]);
        s.peer(goaway(0, ErrorCode::NO_ERROR));
        s.take_events();
        s.output(["GOAWAY last=0 NO_ERROR"]);
        s.pass(Duration::from_secs(11));
        s.nothing();
        assert!(s.core().is_finished() && s.core().report().error.is_none());
    });
}

#[test]
fn the_last_stream_of_a_peer_that_goes_away_ends_the_wait_for_its_answer() {
    server(|s| {
        let stream = s.get(1);
        s.call(thalweg::Connection::shutdown);
        s.output(["GOAWAY last=2147483647 NO_ERROR", "PING \\x00thaldwn"]);
        s.peer(goaway(0, ErrorCode::NO_ERROR));
        s.take_events();
        assert_eq!(s.call(|core| core.send_response(stream, Status::OK, [], true)), Ok(()));
        s.output(["HEADERS stream=1 end [:status: 200]", "GOAWAY last=1 NO_ERROR"]);
        s.pass(Duration::from_secs(11));
        s.pass(Duration::from_secs(11));
        s.nothing();
        assert!(s.core().is_finished() && s.core().report().error.is_none());
    });
}

#[test]
fn a_request_that_crosses_the_first_goaway_is_served_though_the_ping_is_not_answered() {
    server(|s| {
        s.pass(3 * MINUTE);
        s.output(["GOAWAY last=2147483647 NO_ERROR", "PING \\x00thaldwn"]);
        s.pass(TIME_OF_WRITE);
        let stream = s.get(1);
        s.pass(Duration::from_secs(10));
        s.output(["GOAWAY last=1 NO_ERROR"]);
        assert_eq!(s.call(|core| core.send_response(stream, Status::OK, [], true)), Ok(()));
        s.output(["HEADERS stream=1 end [:status: 200]"]);
        assert!(s.core().is_finished() && s.core().report().error.is_none());
    });
}

#[test]
fn a_stream_keeps_a_connection_from_being_idle() {
    server(|s| {
        let stream = s.get(1);
        s.pass(60 * MINUTE);
        s.nothing();
        assert_eq!(s.call(|core| core.send_response(stream, Status::OK, [], true)), Ok(()));
        s.output(["HEADERS stream=1 end [:status: 200]"]);
        s.pass(3 * MINUTE - MILLISECOND);
        s.nothing();
    });
}

#[test]
fn a_client_keeps_its_connection_as_long_as_it_likes() {
    client(|s| {
        s.pass(600 * MINUTE);
        s.nothing();
    });
}

#[test]
fn a_client_has_an_idle_timeout_of_its_own() {
    thalweg_testkit::scenario::client_with(
        |opening| opening.config.timeouts.client_idle = Some(MINUTE),
        |s| {
            s.pass(MINUTE);
            s.output(["GOAWAY last=0 NO_ERROR"]);
            assert!(s.core().is_finished());
        },
    );
}

#[test]
fn announced_content_that_does_not_come_is_answered_408_after_a_minute() {
    // 9110-15.5-1
    server(|s| {
        post(s, 1, "content-length", "10");
        s.pass(MINUTE - MILLISECOND);
        s.nothing();
        s.pass(MILLISECOND);
        s.events([TIMED_OUT]);
        s.output(ANSWERED);
        s.answers();
    });
}

#[test]
fn content_of_unknown_length_is_awaited_for_a_minute() {
    server(|s| {
        s.post(1);
        s.pass(MINUTE);
        s.events([TIMED_OUT]);
        s.output(ANSWERED);
    });
}

#[test]
fn a_stream_on_which_nothing_moves_after_the_start_of_the_response_is_reset() {
    server(|s| {
        let stream = s.post(1);
        s.respond(stream);
        // A call carries no time: its minute counts from the next expiry.
        s.pass(MINUTE);
        s.nothing();
        s.pass(MINUTE - MILLISECOND);
        s.nothing();
        s.pass(MILLISECOND);
        s.events([RESET]);
        s.output(["RST_STREAM stream=1 CANCEL"]);
    });
}

#[test]
fn content_of_a_response_gives_the_peer_another_minute() {
    server(|s| {
        let stream = s.post(1);
        s.respond(stream);
        for _ in 0..10 {
            s.pass(MINUTE / 2);
            s.call(|core| assert_eq!(core.send_data(stream, b"1", false), Ok(1)));
            s.output(["DATA stream=1 \"1\""]);
        }
        s.pass(MINUTE);
        s.nothing();
        s.pass(MINUTE);
        s.events([RESET]);
        s.output(["RST_STREAM stream=1 CANCEL"]);
    });
}

#[test]
fn a_response_that_has_begun_is_reset_when_announced_content_does_not_come() {
    server(|s| {
        post(s, 1, "content-length", "10");
        let stream = s.stream(1);
        s.respond(stream);
        s.peer(data(1, "12345"));
        s.events(["DATA stream=1 \"12345\""]);
        // The response counts from the next expiry.
        s.pass(MINUTE);
        s.nothing();
        s.pass(MINUTE);
        s.events([RESET]);
        s.output(["RST_STREAM stream=1 CANCEL"]);
    });
}

#[test]
fn each_byte_of_content_gives_another_minute() {
    server(|s| {
        post(s, 1, "content-length", "10");
        for _ in 0..5 {
            s.pass(MINUTE - MILLISECOND);
            s.peer(data(1, "1"));
            s.events(["DATA stream=1 \"1\""]);
        }
        s.pass(MINUTE - MILLISECOND);
        s.nothing();
        s.pass(MILLISECOND);
        s.events([TIMED_OUT]);
        s.output(ANSWERED);
    });
}

#[test]
fn content_on_another_stream_counts_since_peers_send_streams_one_after_another() {
    server(|s| {
        post(s, 1, "content-length", "10");
        post(s, 3, "content-length", "100");
        for _ in 0..10 {
            s.pass(MINUTE / 2);
            s.peer(data(3, "1"));
            s.events(["DATA stream=3 \"1\""]);
        }
        s.pass(MINUTE);
        let events = s.take_events();
        assert_eq!(events, [TIMED_OUT, "RESET stream=3 NO_ERROR by us: timeouts.content passed"]);
        assert_eq!(s.take_output().len(), 4);
    });
}

#[test]
fn time_without_window_is_ours() {
    let window = |opening: &mut thalweg_testkit::scenario::Opening| opening.config.stream_window_bytes = 10;
    server_with(window, |s| {
        post(s, 1, "content-length", "20");
        s.peer(data(1, "1234567890"));
        s.events(["DATA stream=1 \"1234567890\""]);
        s.pass(10 * MINUTE);
        s.nothing();
        // The handler reads on: the peer has a whole minute again, independent of the time of the
        // last timeout.
        s.pass(MINUTE / 2);
        let stream = s.stream(1);
        s.call(|core| core.release(stream, 10));
        s.output(["WINDOW_UPDATE stream=1 increment=10"]);
        s.pass(MINUTE - MILLISECOND);
        s.nothing();
        s.pass(MINUTE);
        s.events([TIMED_OUT]);
        s.output(ANSWERED);
    });
}

#[test]
fn window_that_opens_before_the_timeout_gives_another_minute() {
    let window = |opening: &mut thalweg_testkit::scenario::Opening| opening.config.stream_window_bytes = 10;
    server_with(window, |s| {
        post(s, 1, "content-length", "20");
        s.pass(Duration::from_secs(1));
        s.peer(data(1, "1234567890"));
        s.events(["DATA stream=1 \"1234567890\""]);
        s.pass(Duration::from_secs(54));
        let stream = s.stream(1);
        s.call(|core| core.release(stream, 10));
        s.output(["WINDOW_UPDATE stream=1 increment=10"]);
        // A minute after the content, the window is six seconds old.
        s.pass(Duration::from_secs(6));
        s.nothing();
        s.pass(MINUTE - MILLISECOND);
        s.nothing();
        s.pass(MILLISECOND);
        s.events([TIMED_OUT]);
        s.output(ANSWERED);
    });
}

#[test]
fn streams_that_may_be_silent_by_design_are_left_alone() {
    let connect = |opening: &mut thalweg_testkit::scenario::Opening| {
        opening.config.enable_connect_protocol = true;
    };
    server_with(connect, |s| {
        for (id, value) in
            [(1, "application/grpc"), (3, "Application/gRPC+proto"), (5, "application/grpc; a=b")]
        {
            post(s, id, "content-type", value);
        }
        let tunnel = hpack::block(&[(":method", "CONNECT"), (":authority", "example.org:443")]);
        s.peer(headers(7, tunnel).end_headers());
        s.take_events();
        s.pass(600 * MINUTE);
        s.nothing();
    });
}

#[test]
fn types_that_only_begin_like_grpc_are_timed() {
    server(|s| {
        post(s, 1, "content-type", "application/grpc-web+proto");
        post(s, 3, "content-type", "application/grpcx");
        post(s, 5, "content-type", "application/grp");
        s.pass(MINUTE);
        assert_eq!(s.take_events().len(), 3);
        assert_eq!(s.take_output().len(), 6);
    });
}

#[test]
fn an_informational_response_restarts_the_timeout() {
    server(|s| {
        post(s, 1, "expect", "100-continue");
        s.pass(MINUTE - MILLISECOND);
        let stream = s.stream(1);
        assert_eq!(s.call(|core| core.send_informational(stream, Status::CONTINUE, [])), Ok(()));
        s.output(["HEADERS stream=1 [:status: 100]"]);
        s.pass(MINUTE - MILLISECOND);
        s.nothing();
    });
}

#[test]
fn the_timeout_can_be_turned_off() {
    let off = |opening: &mut thalweg_testkit::scenario::Opening| opening.config.timeouts.content = None;
    server_with(off, |s| {
        post(s, 1, "content-length", "10");
        s.pass(600 * MINUTE);
        s.nothing();
    });
}

#[test]
fn the_code_of_a_stream_that_times_out_is_cancel() {
    assert_eq!(thalweg::Timeout::Content.code(), ErrorCode::CANCEL);
    assert_eq!(thalweg::Timeout::Content.config_field(), "timeouts.content");
}
