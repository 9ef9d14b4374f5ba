//! RFC 9113 §5.3.2, RFC 7540 §5.3.1: the deprecated priority signals, of which only the error is
//! left.

use thalweg::{ErrorCode, RateLimit, Violation};
use thalweg_testkit::frames::{Frame, continuation, data, headers, ping_ack, priority, push_promise};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{Opening, client, client_with, server, server_with};

fn request(stream: u32) -> Frame {
    headers(stream, hpack::get("/")).end_stream().end_headers()
}

#[test]
fn s5_3_a_request_that_depends_on_itself_is_a_stream_error() {
    let table = Block::new().raw(hpack::get("/")).literal_indexed("x-mine", "value").bytes();
    let indexed = [hpack::get("/"), Block::new().indexed(62).bytes()].concat();
    server(|s| {
        s.get(1);
        // The block still enters the dynamic table (RFC 9113 §4.3).
        s.peer(headers(3, &table).with_priority(3, true, 15).padded(3).end_stream().end_headers());
        s.refused(3, ErrorCode::PROTOCOL_ERROR);
        s.peer(headers(5, &indexed).with_priority(3, false, 15).end_stream().end_headers());
        let shown = ":method: GET, :scheme: https, :authority: example.org, :path: /, x-mine: value";
        s.events([format!("HEADERS stream=5 request end [{shown}]")]);
        // The peer may have sent more of the stream before it received the reset.
        s.peer(headers(7, &hpack::get("/")[..3]).with_priority(7, false, 0));
        s.peer(continuation(7, &hpack::get("/")[3..]).end_headers());
        s.refused(7, ErrorCode::PROTOCOL_ERROR);
        s.peer(data(7, "content").end_stream());
        s.unmoved();
    });
}

#[test]
fn s5_3_a_message_that_depends_on_itself_resets_its_stream() {
    let violation = Violation::DependencyOnItself;
    server(|s| {
        s.post(1);
        s.peer(
            headers(1, hpack::block(&[("x-sum", "1")])).with_priority(1, false, 0).end_stream().end_headers(),
        );
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, violation);
    });
    client(|s| {
        s.get();
        s.peer(headers(1, hpack::response(200)).with_priority(1, false, 0).end_headers());
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, violation);
    });
    // A stream that must not be used is the graver error.
    server(|s| {
        s.peer(headers(2, hpack::get("/")).with_priority(2, false, 0).end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::StreamIdParity, 0);
    });
    client(|s| {
        s.peer(headers(2, hpack::response(200)).with_priority(2, false, 0).end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::StreamIdle, 0);
    });
    server(|s| {
        s.get(3);
        s.peer(headers(1, hpack::get("/")).with_priority(1, false, 0).end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::StreamIdNotRising, 3);
    });
}

#[test]
fn s5_3_priority_of_a_stream_on_itself_is_an_error_of_its_stream() {
    let violation = Violation::DependencyOnItself;
    server(|s| {
        s.post(1);
        s.peer(priority(1, 1, 15));
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, violation);
        // A stream has one RST_STREAM.
        s.peer(priority(1, 1, 15));
        s.unmoved();
    });
    server(|s| {
        let stream = s.get(1);
        s.call(|core| core.send_response(stream, thalweg::Status::OK, [], true)).unwrap();
        s.output(["HEADERS stream=1 end [:status: 200]"]);
        s.peer(priority(1, 1, 15).exclusive());
        s.refused(1, ErrorCode::PROTOCOL_ERROR);
    });
    client_with(
        |opening| opening.config.enable_push = true,
        |s| {
            s.get();
            s.peer(push_promise(1, 2, hpack::get("/pushed")).end_headers());
            s.take_events();
            s.peer(priority(2, 2, 0));
            s.stream_error(2, ErrorCode::PROTOCOL_ERROR, violation);
        },
    );
    // RST_STREAM must not be sent on an idle stream.
    server(|s| {
        s.peer(priority(1, 1, 0));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, violation, 0);
    });
}

#[test]
fn s5_3_streams_that_depend_on_themselves_are_charged_as_malformed_requests_are() {
    let three = |opening: &mut Opening| opening.config.rate_limits.resets = RateLimit::new(3, 0);
    server_with(three, |s| {
        for stream in [1, 3, 5] {
            s.peer(request(stream).with_priority(stream, false, 0));
        }
        assert_eq!((s.take_events().len(), s.take_output().len()), (0, 3));
        s.peer(request(7).with_priority(7, false, 0));
        let error = "limit rate_limits.resets of the configuration reached on stream 7: 4, limit 3";
        s.events([format!("ERROR ENHANCE_YOUR_CALM: {error}")]);
        s.output([
            "RST_STREAM stream=7 PROTOCOL_ERROR".to_owned(),
            format!("GOAWAY last=7 ENHANCE_YOUR_CALM \"{error}\""),
        ]);
    });
}

#[test]
fn s5_3_beyond_the_final_goaway_it_is_ignored() {
    server(|s| {
        s.get(1);
        s.call(thalweg::Connection::shutdown);
        let [_, mark] = &s.frames()[..] else { panic!("GOAWAY and PING") };
        s.peer(ping_ack(mark.body[..].try_into().unwrap()));
        s.output(["GOAWAY last=1 NO_ERROR"]);
        s.peer(request(3).with_priority(3, false, 0));
        s.unmoved();
    });
}
