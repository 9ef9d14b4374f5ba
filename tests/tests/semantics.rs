//! `thalweg-http` on the core: what an I/O layer that follows both puts on the wire.

use thalweg::{ErrorCode, Field, Instant, SendError, Server, Status, StreamKey, Violation};
use thalweg_http::content::{Body, Digits, Plan, announced_length};
use thalweg_http::exchange::{Actions, Exchange, ExchangeEnd, Frame, Input, Timeouts};
use thalweg_http::expect::{Expectation, ServerExpect};
use thalweg_http::repair::{self, Repair, Section};
use thalweg_http::{Method, date};
use thalweg_testkit::frames::{data, headers};
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::{Opening, Scene, server, server_with};

const TIMEOUTS: fn() -> Timeouts = Timeouts::default;

/// Sends what the exchange asks for.
fn execute(s: &mut Scene<Server>, stream: StreamKey, actions: Actions) {
    match actions.send {
        Frame::None => {}
        Frame::EndStream => assert_eq!(s.call(|core| core.send_data(stream, b"", true)), Ok(0)),
        Frame::Reset(code) => s.call(|core| core.send_reset(stream, code)),
    }
}

/// A server that answers an upload of 40,000 bytes with 401 and reads nothing of it.
fn early_response(s: &mut Scene<Server>) -> (StreamKey, Exchange) {
    let stream = s.post(1);
    let status = Status::new(401).expect("three digits");
    let mut exchange = Exchange::server(Method::Post);
    let plan = Plan::response(Method::Post, status, Body::EMPTY, None).expect("no content");
    let mut digits = Digits::default();
    let fields = plan.fields([], &mut digits);
    assert_eq!(s.call(|core| core.send_response(stream, status, fields, plan.ends_with_headers())), Ok(()));
    s.output(["HEADERS stream=1 end [:status: 401, content-length: 0]"]);
    for input in [Input::HeadersSent { status }, Input::OutboundEnded, Input::ReaderDropped] {
        let actions = exchange.handle(input, Instant::ZERO, &TIMEOUTS());
        assert_eq!(actions, Actions::NONE, "no reset follows the response");
    }
    (stream, exchange)
}

fn discard(s: &mut Scene<Server>, stream: StreamKey, exchange: &Exchange, len: usize) {
    assert!(exchange.is_discarding());
    s.peer(data(1, vec![0; len]));
    s.events([format!("DATA stream=1 {len} bytes")]);
    s.call(|core| core.discard(stream, len));
    s.unmoved();
}

fn opening(opening: &mut Opening) {
    opening.config.stream_window_bytes = 40_000;
}

#[test]
fn a_client_that_finishes_its_upload_after_an_early_response_sees_no_reset() {
    server_with(opening, |s| {
        let (stream, mut exchange) = early_response(s);
        discard(s, stream, &exchange, 16_384);
        s.peer(data(1, vec![0; 16_384]).end_stream());
        s.events(["DATA stream=1 16384 bytes end"]);
        s.call(|core| core.discard(stream, 16_384));
        let actions = exchange.handle(Input::InboundEnded, Instant::ZERO, &TIMEOUTS());
        assert_eq!((actions.send, actions.end), (Frame::None, Some(ExchangeEnd::Completed)));
        s.unmoved();
        assert_eq!(s.core().live_streams(), 0);
    });
}

#[test]
fn a_client_that_does_not_finish_its_upload_gets_a_reset_and_no_window() {
    server_with(opening, |s| {
        let (stream, mut exchange) = early_response(s);
        for len in [16_384, 16_384, 7_232] {
            discard(s, stream, &exchange, len);
        }
        let deadline = exchange.deadline().expect("the upload is unwanted");
        assert_eq!(deadline, Instant::ZERO + TIMEOUTS().unread_request);
        let actions = exchange.handle(Input::Timeout, deadline, &TIMEOUTS());
        execute(s, stream, actions);
        s.output(["RST_STREAM stream=1 NO_ERROR"]);
        assert_eq!(actions.end, Some(ExchangeEnd::LocalReset(ErrorCode::NO_ERROR)));
        assert_eq!(s.core().live_streams(), 0);
    });
}

#[test]
fn a_violation_on_an_unwanted_upload_is_answered_as_one() {
    server_with(opening, |s| {
        let (stream, mut exchange) = early_response(s);
        for len in [16_384, 16_384, 7_232] {
            discard(s, stream, &exchange, len);
        }
        s.peer(data(1, [0; 1]));
        s.stream_error(1, ErrorCode::FLOW_CONTROL_ERROR, Violation::WindowExceeded);
        let code = ErrorCode::FLOW_CONTROL_ERROR;
        let actions = exchange.handle(Input::StreamReset { code }, Instant::ZERO, &TIMEOUTS());
        assert_eq!(actions, Actions { end: Some(ExchangeEnd::Reset(code)), ..Actions::NONE });
    });
}

#[test]
fn a_tunnel_that_finishes_puts_end_stream_alone_on_the_wire() {
    server(|s| {
        let connect = hpack::block(&[(":method", "CONNECT"), (":authority", "example.org:443")]);
        s.peer(headers(1, connect).end_headers());
        s.events(["HEADERS stream=1 request [:method: CONNECT, :authority: example.org:443]"]);
        let stream = s.stream(1);
        let mut exchange = Exchange::server(Method::Connect);
        s.respond(stream);
        let inputs = [Input::HeadersSent { status: Status::OK }, Input::ReaderDropped, Input::SourceDropped];
        for input in inputs {
            let actions = exchange.handle(input, Instant::ZERO, &TIMEOUTS());
            execute(s, stream, actions);
        }
        s.output(["DATA stream=1 \"\" end"]);
        s.peer(data(1, []).end_stream());
        s.events(["DATA stream=1 \"\" end"]);
        let actions = exchange.handle(Input::InboundEnded, Instant::ZERO, &TIMEOUTS());
        assert_eq!((actions.send, actions.end), (Frame::None, Some(ExchangeEnd::Completed)));
        s.unmoved();
    });
}

#[test]
fn fields_of_http_1_1_are_repaired_after_the_core_has_refused_them() {
    server(|s| {
        let stream = s.get(1);
        let fields = [
            Field::new("connection", "x-hop"),
            Field::new("x-hop", "1"),
            Field::new("te", "gzip"),
            Field::new("server", " x\t"),
        ];
        let refused = s.call(|core| core.send_response(stream, Status::OK, fields, false));
        let Err(SendError::Malformed(violation)) = refused else { panic!("{refused:?}") };
        assert!(repair::is_repairable(violation));
        let repair = Repair::outbound(Section::Headers, fields).expect("four faults");
        assert_eq!(
            s.call(|core| core.send_response(stream, Status::OK, repair.fields(fields), false)),
            Ok(())
        );
        s.output(["HEADERS stream=1 [:status: 200, server: x]"]);
        let trailers = [Field::new("content-length", "1"), Field::new("te", "gzip"), Field::new("sum", "2")];
        let repair = Repair::outbound(Section::Trailers, trailers).expect("two faults");
        assert_eq!(s.call(|core| core.send_trailers(stream, repair.fields(trailers))), Ok(()));
        s.output(["HEADERS stream=1 end [sum: 2]"]);
    });
}

#[test]
fn a_204_carries_a_date_and_no_content_length() {
    server(|s| {
        let stream = s.get(1);
        let status = Status::new(204).expect("three digits");
        let own = [Field::new("content-length", "5")];
        let announced = announced_length(own).expect("a number");
        let plan = Plan::response(Method::Get, status, Body::of_len(5), announced).expect("a plan");
        let date = date::Date::from_unix_seconds(784_111_777).filter(|_| date::is_due(status));
        let mut digits = Digits::default();
        let fields = date::with_date(plan.fields(own, &mut digits), date.as_ref());
        assert_eq!(
            s.call(|core| core.send_response(stream, status, fields, plan.ends_with_headers())),
            Ok(())
        );
        s.output(["HEADERS stream=1 end [:status: 204, date: Sun, 06 Nov 1994 08:49:37 GMT]"]);
    });
}

#[test]
fn the_first_read_sends_100_and_the_second_does_not() {
    server(|s| {
        let stream = s.post(1);
        let mut expect = ServerExpect::new(Expectation::of([Field::new("expect", "100-continue")]), true);
        for _ in 0..2 {
            if expect.read_content() {
                assert_eq!(s.call(|core| core.send_informational(stream, Status::CONTINUE, [])), Ok(()));
            }
        }
        s.output(["HEADERS stream=1 [:status: 100]"]);
        s.unmoved();
    });
}
