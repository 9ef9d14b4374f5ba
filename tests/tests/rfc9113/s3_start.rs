//! RFC 9113 §3: how a connection starts.

use thalweg::{Client, CloseCause, Config, Connection, ErrorCode, Role, Server, Violation};
use thalweg_testkit::frames::{
    PREFACE, after_preface, data, headers, kind, ping, preface, priority, read_all, setting, settings,
    settings_ack, window_update,
};
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::{Scene, new_client, new_server};

fn first_bytes<R: Role>() -> Vec<u8> {
    let mut wire = Vec::new();
    assert!(Connection::<R>::new(Config::default()).unwrap().poll_transmit(&mut wire));
    wire
}

#[test]
fn s3_4_a_client_begins_with_the_preface_and_settings() {
    // 9113-3.2-2, 9113-3.4-1, 9113-3.4-2, 9113-6.5-1, 9110-6.2-1, 9110-6.2-2
    let first = &read_all(after_preface(&first_bytes::<Client>()))[0];
    assert_eq!((first.kind, first.flags), (kind::SETTINGS, 0));
}

#[test]
fn s3_4_a_server_begins_with_settings() {
    // 9113-3.2-2, 9113-3.3-2, 9113-3.4-3, 9113-6.5-1
    let first = &read_all(&first_bytes::<Server>())[0];
    assert_eq!((first.kind, first.flags), (kind::SETTINGS, 0));
}

/// The core sends its first frames before it has received anything.
fn own_preface<R: Role>(s: &mut Scene<R>) {
    let kinds: Vec<u8> = s.frames().iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [kind::SETTINGS, kind::WINDOW_UPDATE]);
}

#[test]
fn s3_4_the_settings_of_the_peer_are_acknowledged_after_our_preface() {
    // 9113-3.4-4, 9113-6.5.3-4
    new_server(|s| {
        s.peer(preface());
        s.peer(settings().entry(setting::MAX_CONCURRENT_STREAMS, 7));
        s.events(["SETTINGS MAX_CONCURRENT_STREAMS=7"]);
        let kinds: Vec<u8> = s.frames().iter().map(|frame| frame.kind).collect();
        assert_eq!(kinds, [kind::SETTINGS, kind::WINDOW_UPDATE, kind::SETTINGS]);
    });
    new_client(|s| {
        own_preface(s);
        s.peer_settings(settings());
    });
}

#[test]
fn s3_4_requests_before_the_settings_of_the_server_stay_valid() {
    // 9113-3.4-5
    new_client(|s| {
        own_preface(s);
        let early = s.post();
        assert_eq!(s.call(|core| core.send_data(early, &[0; 200], false)), Ok(200));
        s.output(["DATA stream=1 200 bytes"]);
        s.peer_settings(settings().entry(setting::INITIAL_WINDOW_SIZE, 100));
        assert_eq!(
            s.core().send_capacity(early).map(|c| (c.stream, c.connection)),
            Some((0, 65_335)),
            "200 of 100 bytes are used"
        );
        let late = s.post();
        assert_eq!(s.core().send_capacity(late).map(|c| (c.stream, c.connection)), Some((100, 65_335)));
        s.peer(headers(1, hpack::response(200)).end_stream().end_headers());
        s.events(["HEADERS stream=1 response end [:status: 200]"]);
    });
}

#[test]
fn s3_4_a_wrong_preface_ends_the_connection() {
    // 9113-3.4-6
    let mut last_byte_wrong = PREFACE;
    last_byte_wrong[23] = b'\r';
    let beginnings: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0",
        &last_byte_wrong,
    ];
    for beginning in beginnings {
        new_server(|s| {
            own_preface(s);
            s.peer(beginning.to_vec());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PrefaceInvalid, 0);
        });
    }
}

#[test]
fn s3_4_a_preface_that_is_cut_short_is_no_clean_end() {
    // 9113-3.4-6
    for len in 1..PREFACE.len() {
        new_server(|s| {
            own_preface(s);
            s.peer(PREFACE[..len].to_vec());
            s.nothing();
            s.eof();
            s.ends(ErrorCode::PROTOCOL_ERROR, CloseCause::Eof, 0);
        });
    }
}

#[test]
fn s3_4_a_client_that_does_not_begin_with_settings_is_refused() {
    // 9113-3.4-7
    let firsts = [
        ping([0; 8]),
        settings_ack(),
        headers(1, hpack::get("/")).end_stream().end_headers(),
        window_update(0, 1),
        priority(1, 0, 0),
        data(1, "x"),
    ];
    for first in firsts {
        new_server(|s| {
            own_preface(s);
            s.peer(preface());
            s.peer(first.clone());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PrefaceWithoutSettings, 0);
        });
    }
}

#[test]
fn s3_4_a_server_that_does_not_begin_with_settings_is_refused() {
    // 9113-3.4-8
    for first in [ping([0; 8]), settings_ack(), window_update(0, 1)] {
        new_client(|s| {
            own_preface(s);
            s.peer(first.clone());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PrefaceWithoutSettings, 0);
        });
    }
}

#[test]
fn s3_4_a_server_that_responds_in_http_1_is_distinguished() {
    // 9113-3.4-8
    for line in ["HTTP/1.1 400 Bad Request\r\n", "HTTP/1.0 505 HTTP Version Not Supported\r\n"] {
        new_client(|s| {
            own_preface(s);
            s.peer(line.as_bytes().to_vec());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PrefaceOfHttp1, 0);
        });
    }
    // Another first frame that is too long is no SETTINGS before anything else.
    new_client(|s| {
        own_preface(s);
        s.peer(b"\x01\x02\x03\x7f400 Bad Request\r\n".to_vec());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PrefaceWithoutSettings, 0);
    });
}

#[test]
fn s3_4_a_server_that_answers_in_another_protocol_is_named() {
    // 9113-3.4-8
    let cases: [(&[u8], Violation, &str); 4] = [
        (
            b"<!DOCTYPE html>\n<html>",
            Violation::PrefaceOfText,
            "the server answers with text: it does not speak HTTP/2 here (RFC 9113 §3.4): \"<!DOCTYP\"",
        ),
        (
            b"220 ready\r\n",
            Violation::PrefaceOfText,
            "the server answers with text: it does not speak HTTP/2 here (RFC 9113 §3.4): \"220 read\"",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n",
            Violation::PrefaceOfHttp1,
            "the server answers in HTTP/1: it does not speak HTTP/2 here (RFC 9113 §3.4): \"HTTP/1.1\"",
        ),
        (
            b"\x15\x03\x03\x00\x02\x02\x46\x15\x03",
            Violation::PrefaceOfTls,
            "the server speaks TLS on this port: connect with TLS (https) (RFC 9113 §3.4): \
             \"\\x15\\x03\\x03\\x00\\x02\\x02F\\x15\"",
        ),
    ];
    for (bytes, violation, text) in cases {
        new_client(|s| {
            own_preface(s);
            s.peer(bytes.to_vec());
            s.connection_error(ErrorCode::PROTOCOL_ERROR, violation, 0);
            assert_eq!(s.core().report().error.unwrap().to_string(), text);
        });
    }
}

#[test]
fn s3_4_an_alert_of_tls_that_ends_the_bytes_is_named() {
    // 9113-3.4-8: it is shorter than the head of a frame.
    new_client(|s| {
        own_preface(s);
        s.peer(b"\x15\x03\x01\x00\x02\x02\x46".to_vec());
        s.eof();
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PrefaceOfTls, 0);
    });
}

#[test]
fn a_byte_stream_that_ends_without_goaway_is_not_an_orderly_end() {
    thalweg_testkit::scenario::client(|s| {
        s.eof();
        s.output(["GOAWAY last=0 NO_ERROR"]);
        let report = s.core().report();
        assert!(report.error.is_none() && report.ended_without_goaway && !report.is_warning());
        assert!(report.to_string().starts_with("the peer ended the transport without GOAWAY; 0 streams"));
    });
    thalweg_testkit::scenario::client(|s| {
        s.call(Connection::shutdown);
        s.eof();
        s.output(["GOAWAY last=0 NO_ERROR"]);
        assert!(s.core().report().to_string().starts_with("ended in order; 0 streams"));
    });
}
