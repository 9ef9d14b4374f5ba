//! RFC 9110 §4.2, §9.3.6: which authorities a request may name.

use thalweg::{Client, Connection, ErrorCode, Field, OpenError, Request, SendError, Violation};
use thalweg_testkit::frames::headers;
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::server;

/// A server refuses a request, or reports it unchanged.
fn receives(lines: &[(&str, &str)], is_good: bool) {
    server(|s| {
        s.peer(headers(1, hpack::block(lines)).end_stream().end_headers());
        if is_good {
            let shown: Vec<String> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            s.events([format!("HEADERS stream=1 request end [{}]", shown.join(", "))]);
        } else {
            s.refused(1, ErrorCode::PROTOCOL_ERROR);
        }
    });
}

fn sends(request: &Request<'_>, fields: &[Field<'_>]) -> Result<(), OpenError> {
    let mut client = Connection::<Client>::new(thalweg::Config::default()).unwrap();
    client.send_request(request, fields.iter().copied(), true).map(|_| ())
}

fn malformed(violation: Violation) -> Result<(), OpenError> {
    Err(SendError::Malformed(violation).into())
}

#[test]
fn s4_2_1_an_empty_host_is_refused_in_both_directions() {
    // 9110-4.2.1-1, 9110-4.2.1-2, 9110-4.2.2-1, 9110-4.2.2-2
    for scheme in ["http", "https"] {
        for (authority, is_good) in [
            ("a", true),
            ("a:80", true),
            ("a:", true),
            ("[::1]", true),
            (":80", false),
            (":443", false),
            (":", false),
        ] {
            let lines = [(":method", "GET"), (":scheme", scheme), (":authority", authority), (":path", "/")];
            receives(&lines, is_good);
            receives(&[lines[0], lines[1], lines[3], ("host", authority)], is_good);
            let request = Request::get(scheme, authority, "/");
            let expected = if is_good { Ok(()) } else { malformed(Violation::AuthorityInvalid) };
            assert_eq!(sends(&request, &[]), expected, "{authority}");
            let mut without = request;
            without.authority = None;
            assert_eq!(sends(&without, &[Field::new("host", authority)]), expected, "host: {authority}");
        }
    }
    // A target without an authority: neither URI of §4.2.
    receives(&[(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), ("host", "")], true);
}

#[test]
fn s4_2_4_a_host_field_is_validated_as_an_authority() {
    // 9110-4.2.4-1, 9110-4.2.4-2
    for host in ["user@example.org", "user:secret@example.org", "a b", "a/b", "a?b", "a#b", "a\\b"] {
        let lines = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", host)];
        receives(&lines, false);
        let mut request = Request::get("https", "example.org", "/");
        request.authority = None;
        let refused = malformed(Violation::AuthorityInvalid);
        assert_eq!(sends(&request, &[Field::new("host", host)]), refused, "{host}");
    }
}

#[test]
fn s9_3_6_connect_names_a_host_and_a_valid_port() {
    // 9110-9.3.6-1, 9110-9.3.6-2
    for (authority, is_good) in [
        ("example.org:443", true),
        ("example.org:1", true),
        ("example.org:65535", true),
        ("[::1]:22", true),
        ("example.org", false),
        ("example.org:", false),
        ("example.org:0", false),
        ("example.org:65536", false),
        ("example.org:99999999999999999999", false),
        ("example.org:https", false),
        ("example.org:-1", false),
        ("[::1]", false),
        (":443", false),
    ] {
        receives(&[(":method", "CONNECT"), (":authority", authority)], is_good);
        let sent = sends(&Request::connect(authority), &[]);
        let expected = if is_good { Ok(()) } else { malformed(Violation::ConnectPseudo) };
        assert_eq!(sent, expected, "{authority}");
    }
    // A table entry that passed as the authority of another method is validated again.
    server(|s| {
        s.peer(headers(1, b"\x82\x87\x41\x03a.b\x84").end_stream().end_headers());
        assert_eq!(s.take_events().len(), 1);
        let connect = [&b"\x02\x07CONNECT"[..], b"\xbe"].concat();
        s.peer(headers(3, connect).end_stream().end_headers());
        s.refused(3, ErrorCode::PROTOCOL_ERROR);
    });
}
