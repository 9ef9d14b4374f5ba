//! RFC 9110 §5.3, §6.4, §6.5 and §15: content, trailers and lengths of messages.

use thalweg::{ErrorCode, Field, SendError, Server, Status, Violation};
use thalweg_testkit::frames::{data, headers};
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::{Scene, client, server};

const SUM: [Field<'static>; 1] = [Field::with_unlisted_name(b"x-sum", b"1")];

/// Opens a stream with a request of this method.
fn requested(s: &mut Scene<Server>, method: &str) -> thalweg::StreamKey {
    s.peer(headers(1, hpack::request(method, "/")).end_stream().end_headers());
    assert_eq!(s.take_events().len(), 1);
    s.stream(1)
}

#[test]
fn s15_trailers_of_a_response_that_ends_with_its_headers_are_not_sent() {
    // 9110-15.3.5-1, 9110-15.4.5-4, 9110-6.4.1-1, 9110-9.3.2-1
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        server(|s| {
            let stream = requested(s, method);
            let status = Status::new(status).unwrap();
            s.call(|core| core.send_response(stream, status, [], false)).unwrap();
            let refused = s.call(|core| core.send_trailers(stream, SUM));
            assert_eq!(refused, Err(SendError::Malformed(Violation::TrailersWithoutContent)));
            assert_eq!(s.call(|core| core.send_data(stream, b"", true)), Ok(0));
            s.output([format!("HEADERS stream=1 [:status: {status}]"), "DATA stream=1 \"\" end".to_owned()]);
        });
    }
    // Other responses without content may have trailers.
    for (status, length) in [(200, "0"), (205, "0")] {
        server(|s| {
            let stream = requested(s, "GET");
            let length = Field::new(b"content-length", length.as_bytes());
            let status = Status::new(status).unwrap();
            s.call(|core| core.send_response(stream, status, [length], false)).unwrap();
            assert_eq!(s.call(|core| core.send_trailers(stream, SUM)), Ok(()));
            s.output([
                format!("HEADERS stream=1 [:status: {status}, content-length: 0]"),
                "HEADERS stream=1 end [x-sum: 1]".to_owned(),
            ]);
        });
    }
}

#[test]
fn s15_trailers_of_a_response_that_ends_with_its_headers_are_malformed() {
    // 9110-15.3.5-1, 9110-15.4.5-4, 9110-6.4.1-1
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        client(|s| {
            let request = thalweg::Request::new(method, "https", "example.org", "/");
            s.call(|core| core.send_request(&request, [], true)).unwrap();
            s.take_output();
            s.peer(headers(1, hpack::response(status)).end_headers());
            s.events([format!("HEADERS stream=1 response [:status: {status}]")]);
            s.peer(headers(1, hpack::block(&[("x-sum", "1")])).end_stream().end_headers());
            s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::TrailersWithoutContent);
        });
        client(|s| {
            let request = thalweg::Request::new(method, "https", "example.org", "/");
            s.call(|core| core.send_request(&request, [], true)).unwrap();
            s.take_output();
            s.peer(headers(1, hpack::response(status)).end_headers());
            s.peer(data(1, "").end_stream());
            s.events([
                format!("HEADERS stream=1 response [:status: {status}]"),
                "DATA stream=1 \"\" end".into(),
            ]);
            s.answers();
        });
    }
}

#[test]
fn s15_trailers_of_a_request_outlive_a_response_without_content() {
    // 9110-15.3.5-1
    server(|s| {
        let stream = s.post(1);
        s.call(|core| core.send_response(stream, Status::new(204).unwrap(), [], true)).unwrap();
        s.output(["HEADERS stream=1 end [:status: 204]"]);
        s.peer(headers(1, hpack::block(&[("x-sum", "1")])).end_stream().end_headers());
        s.events(["HEADERS stream=1 trailers end [x-sum: 1]"]);
        s.answers();
    });
    client(|s| {
        let stream = s.post();
        s.peer(headers(1, hpack::response(204)).end_stream().end_headers());
        s.events(["HEADERS stream=1 response end [:status: 204]"]);
        assert_eq!(s.call(|core| core.send_trailers(stream, SUM)), Ok(()));
        s.output(["HEADERS stream=1 end [x-sum: 1]"]);
    });
}

#[test]
fn s15_3_6_a_205_is_sent_without_content() {
    // 9110-15.3.6-1
    server(|s| {
        let stream = requested(s, "POST");
        let reset_content = Status::new(205).unwrap();
        let five = [Field::new(b"content-length", b"5")];
        let refused = Err(SendError::ContentLength { left: 5, given: 0 });
        assert_eq!(s.call(|core| core.send_response(stream, reset_content, five, false)), refused);
        s.call(|core| core.send_response(stream, reset_content, [], false)).unwrap();
        let refused = Err(SendError::ContentLength { left: 0, given: 5 });
        assert_eq!(s.call(|core| core.send_data(stream, b"hello", true)), refused);
        assert_eq!(s.call(|core| core.send_data(stream, b"", true)), Ok(0));
        s.output(["HEADERS stream=1 [:status: 205]", "DATA stream=1 \"\" end"]);
    });
    // RFC 9110 asks nothing of a client that receives it.
    client(|s| {
        s.get();
        s.peer(headers(1, hpack::response(205)).end_headers());
        s.peer(data(1, "content").end_stream());
        s.events(["HEADERS stream=1 response [:status: 205]", "DATA stream=1 \"content\" end"]);
        s.answers();
    });
}

#[test]
fn s5_3_a_repeated_content_length_is_sent_once() {
    // 9110-5.3-2, 9110-8.6-8
    let lengths =
        |values: [&'static str; 2]| values.map(|value| Field::new(b"content-length", value.as_bytes()));
    server(|s| {
        let stream = requested(s, "GET");
        let two = Err(SendError::Malformed(Violation::ContentLengthInvalid));
        assert_eq!(s.call(|core| core.send_response(stream, Status::OK, lengths(["5", "6"]), false)), two);
        s.call(|core| core.send_response(stream, Status::OK, lengths(["5", "5"]), false)).unwrap();
        s.call(|core| core.send_data(stream, b"hello", true)).unwrap();
        s.output(["HEADERS stream=1 [:status: 200, content-length: 5]", "DATA stream=1 \"hello\" end"]);
    });
}

#[test]
fn s6_5_1_content_length_is_not_sent_in_trailers() {
    // 9110-6.5.1-1
    server(|s| {
        let stream = requested(s, "GET");
        s.respond(stream);
        let length = [Field::new(b"content-length", b"0")];
        let refused = s.call(|core| core.send_trailers(stream, length));
        assert_eq!(refused, Err(SendError::Malformed(Violation::ContentLengthInTrailers)));
        s.nothing();
        assert_eq!(s.call(|core| core.send_trailers(stream, SUM)), Ok(()));
        s.output(["HEADERS stream=1 end [x-sum: 1]"]);
    });
}

#[test]
fn s9_3_6_a_204_to_connect_opens_a_tunnel() {
    client(|s| {
        let request = thalweg::Request::connect("example.org:443");
        let stream = s.call(|core| core.send_request(&request, [], false)).unwrap();
        s.output(["HEADERS stream=1 [:method: CONNECT, :authority: example.org:443]"]);
        s.peer(headers(1, hpack::response(204)).end_headers());
        s.events(["HEADERS stream=1 response [:status: 204]"]);
        let refused = s.call(|core| core.send_trailers(stream, SUM));
        assert_eq!(refused, Err(SendError::Malformed(Violation::FrameInTunnel)));
    });
}
