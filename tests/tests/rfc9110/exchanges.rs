//! RFC 9110 §7.5, §9, §15 and RFC 8297: requests and their responses, retries, CONNECT, and the
//! classes of status codes.

use thalweg::{ErrorCode, Field, Request, Status, Violation};
use thalweg_testkit::frames::{data, goaway, headers, rst_stream};
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::{client, server};

#[test]
fn s7_5_a_request_continues_after_its_response() {
    // 9110-7.5-1
    client(|s| {
        let stream = s.post();
        s.response(1);
        assert_eq!(s.call(|core| core.send_data(stream, b"after the head", false)), Ok(14));
        s.output(["DATA stream=1 \"after the head\""]);
        s.peer(data(1, "enough").end_stream());
        s.events(["DATA stream=1 \"enough\" end"]);
        s.output::<&str>([]);
        assert_eq!(s.call(|core| core.send_data(stream, b"after the end", true)), Ok(13));
        s.output(["DATA stream=1 \"after the end\" end"]);
        s.answers();
    });
    // The explicit indication that §7.5 speaks of.
    client(|s| {
        let stream = s.post();
        s.response(1);
        s.peer(rst_stream(1, ErrorCode::NO_ERROR));
        s.events(["RESET stream=1 NO_ERROR by the peer"]);
        assert!(s.call(|core| core.send_data(stream, b"too late", true)).is_err());
        s.nothing();
    });
}

#[test]
fn s15_status_codes_are_read_by_their_first_digit() {
    // 9110-15-1, 9110-15-2
    for status in [200, 299, 300, 399, 418, 499, 500, 599, 600, 999] {
        client(|s| {
            s.get();
            s.peer(headers(1, hpack::response(status)).end_headers());
            s.peer(data(1, "content").end_stream());
            s.events([
                format!("HEADERS stream=1 response [:status: {status}]"),
                "DATA stream=1 \"content\" end".to_owned(),
            ]);
            s.answers();
        });
    }
    for status in [100, 102, 104, 199] {
        client(|s| {
            s.get();
            s.peer(headers(1, hpack::response(status)).end_headers());
            s.events([format!("HEADERS stream=1 informational [:status: {status}]")]);
            s.response(1);
            s.answers();
        });
    }
}

#[test]
fn s15_2_informational_responses_precede_the_final_one_and_add_nothing_to_it() {
    // 9110-15.2-2, 8297-2-1
    client(|s| {
        s.get();
        for (status, link) in [("103", "</a.css>"), ("100", "</b.css>"), ("103", "</c.css>")] {
            s.peer(headers(1, hpack::block(&[(":status", status), ("link", link)])).end_headers());
        }
        let last = hpack::block(&[(":status", "200"), ("x-last", "1")]);
        s.peer(headers(1, last).end_stream().end_headers());
        s.events([
            "HEADERS stream=1 informational [:status: 103, link: </a.css>]",
            "HEADERS stream=1 informational [:status: 100, link: </b.css>]",
            "HEADERS stream=1 informational [:status: 103, link: </c.css>]",
            "HEADERS stream=1 response end [:status: 200, x-last: 1]",
        ]);
    });
}

#[test]
fn s9_2_2_a_request_that_was_not_processed_is_not_sent_again() {
    // 9110-9.2.2-1, 9110-9.2.2-2, 9110-9.2.2-3
    client(|s| {
        s.get();
        s.post();
        s.get();
        s.peer(rst_stream(1, ErrorCode::REFUSED_STREAM));
        s.peer(rst_stream(3, ErrorCode::REFUSED_STREAM));
        s.peer(goaway(3, ErrorCode::NO_ERROR));
        s.events([
            "RESET stream=1 REFUSED_STREAM by the peer",
            "RESET stream=3 REFUSED_STREAM by the peer",
            "GOAWAY last=3 NO_ERROR",
            "RESET stream=5 REFUSED_STREAM by GOAWAY",
        ]);
        s.output(["GOAWAY last=0 NO_ERROR"]);
    });
}

#[test]
fn s9_3_6_another_status_than_2xx_makes_no_tunnel() {
    // 9110-9.3.6-3
    let connect = || Request::connect("example.org:443");
    let trailers = || headers(1, hpack::block(&[("x-sum", "1")])).end_stream().end_headers();
    for status in ["300", "404", "503"] {
        client(|s| {
            s.call(|core| core.send_request(&connect(), [], false)).unwrap();
            s.frames();
            let block = hpack::block(&[(":status", status), ("content-length", "5")]);
            s.peer(headers(1, block).end_headers());
            s.peer(data(1, "hello"));
            s.peer(trailers());
            s.events([
                format!("HEADERS stream=1 response [:status: {status}, content-length: 5]"),
                "DATA stream=1 \"hello\"".to_owned(),
                "HEADERS stream=1 trailers end [x-sum: 1]".to_owned(),
            ]);
        });
        client(|s| {
            s.call(|core| core.send_request(&connect(), [], false)).unwrap();
            s.frames();
            let block = hpack::block(&[(":status", status), ("content-length", "5")]);
            s.peer(headers(1, block).end_headers());
            assert_eq!(s.take_events().len(), 1);
            s.peer(data(1, "hello!"));
            s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::ContentLengthMismatch);
        });
    }
    server(|s| {
        let block = hpack::block(&[(":method", "CONNECT"), (":authority", "example.org:443")]);
        s.peer(headers(1, block).end_headers());
        assert_eq!(s.take_events().len(), 1);
        let stream = s.stream(1);
        let five = [Field::new(b"content-length", b"5")];
        s.call(|core| core.send_response(stream, Status::NOT_FOUND, five, false)).unwrap();
        assert_eq!(s.call(|core| core.send_data(stream, b"hello", false)), Ok(5));
        s.call(|core| core.send_trailers(stream, [Field::new(b"x-sum", b"1")])).unwrap();
        s.output([
            "HEADERS stream=1 [:status: 404, content-length: 5]",
            "DATA stream=1 \"hello\"",
            "HEADERS stream=1 end [x-sum: 1]",
        ]);
    });
}
