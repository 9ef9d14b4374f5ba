//! The upgrader: the exact request, and what each kind of answer is taken for, at every cut of its bytes.

mod common;

use common::*;
use thalweg_h2c::{Answer, AnswerError, Config, Request, RequestError, SettingsError, Upgrader};

const SETTINGS: &[u8] = b"\0\x03\0\0\0\x64\0\x04\x02\0\0\0";

fn bytes_of(request: &Request) -> String {
    let upgrader = Upgrader::new(request, SETTINGS, Config::default()).expect("the request is valid");
    String::from_utf8(upgrader.bytes().into()).expect("the request is text")
}

#[test]
fn the_request_is_exact() {
    let request = Request::new("GET", "example.com:8080", "/a?b").with_field("Accept", "*/*");
    assert_eq!(
        bytes_of(&request),
        "GET /a?b HTTP/1.1\r\nHost: example.com:8080\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQCAAAA\r\nAccept: */*\r\n\r\n"
    );
    let request = Request::new("POST", "[::1]", "/").with_field("te", "trailers").with_body("hello");
    assert_eq!(
        bytes_of(&request),
        "POST / HTTP/1.1\r\nHost: [::1]\r\nConnection: Upgrade, HTTP2-Settings, TE\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQCAAAA\r\nte: trailers\r\nContent-Length: 5\r\n\r\nhello"
    );
}

#[test]
fn a_body_is_announced_once_and_an_empty_one_where_it_is_expected() {
    for (method, body, field) in [
        ("GET", "", ""),
        ("OPTIONS", "", ""),
        ("GET", "x", "Content-Length: 1\r\n"),
        ("POST", "", "Content-Length: 0\r\n"),
        ("PUT", "", "Content-Length: 0\r\n"),
        ("PATCH", "", "Content-Length: 0\r\n"),
    ] {
        let bytes = bytes_of(&Request::new(method, "a", "/").with_body(body));
        assert!(
            bytes.ends_with(&format!("HTTP2-Settings: AAMAAABkAAQCAAAA\r\n{field}\r\n{body}")),
            "{bytes}"
        );
    }
    let bytes = bytes_of(&Request::new("POST", "a", "/").with_field("content-length", "3").with_body("abc"));
    assert!(bytes.ends_with("AAAA\r\ncontent-length: 3\r\n\r\nabc"), "{bytes}");
}

#[test]
fn settings_that_token68_cannot_say_become_a_default() {
    // RFC 9113 §6.5.2: SETTINGS_HEADER_TABLE_SIZE is 4,096 to begin with.
    let upgrader = Upgrader::new(&Request::new("GET", "a", "/"), &[], Config::default()).unwrap();
    let (found, 0) = sniff_at_every_cut(upgrader.bytes()) else { panic!() };
    let Found::Upgrade { settings, .. } = found else { panic!() };
    assert_eq!(settings, [0, 1, 0, 0, 0x10, 0]);
}

#[test]
fn what_cannot_be_sent_is_named() {
    let get = || Request::new("GET", "a", "/");
    let field = |name: &str, value: &str| get().with_field("x", "y").with_field(name, value);
    let cases = [
        (Request::new("", "a", "/"), RequestError::Method),
        (Request::new("GE T", "a", "/"), RequestError::Method),
        (Request::new("GET\r\n", "a", "/"), RequestError::Method),
        (Request::new("CONNECT", "a", "/"), RequestError::Method),
        (Request::new("GET", "", "/"), RequestError::Authority),
        (Request::new("GET", "u@a", "/"), RequestError::Authority),
        (Request::new("GET", "a\r\nX: y", "/"), RequestError::Authority),
        (Request::new("GET", "a", ""), RequestError::Path),
        (Request::new("GET", "a", "*"), RequestError::Path),
        (Request::new("GET", "a", "x"), RequestError::Path),
        (Request::new("GET", "a", "/ HTTP/1.1\r\n\r\n"), RequestError::Path),
        (Request::new("GET", "a", "/#x"), RequestError::Path),
        (field("", "y"), RequestError::FieldName { index: 1 }),
        (field(":path", "y"), RequestError::FieldName { index: 1 }),
        (field("a b", "y"), RequestError::FieldName { index: 1 }),
        (field("a", "y\r\nz: w"), RequestError::FieldValue { index: 1 }),
        (field("a", "y\0"), RequestError::FieldValue { index: 1 }),
        (field("a", "\x7f"), RequestError::FieldValue { index: 1 }),
        (field("a", " y"), RequestError::FieldValue { index: 1 }),
        (field("a", "y\t"), RequestError::FieldValue { index: 1 }),
        (field("Host", "a"), RequestError::FieldForbidden { index: 1 }),
        (field("connection", "x"), RequestError::FieldForbidden { index: 1 }),
        (field("Upgrade", "h2c"), RequestError::FieldForbidden { index: 1 }),
        (field("HTTP2-Settings", "AAMAAABk"), RequestError::FieldForbidden { index: 1 }),
        (field("keep-alive", "5"), RequestError::FieldForbidden { index: 1 }),
        (field("proxy-connection", "x"), RequestError::FieldForbidden { index: 1 }),
        (field("transfer-encoding", "chunked"), RequestError::FieldForbidden { index: 1 }),
        (field("expect", "100-continue"), RequestError::FieldForbidden { index: 1 }),
        (field("te", "gzip"), RequestError::FieldForbidden { index: 1 }),
        (field("content-length", "1"), RequestError::FieldForbidden { index: 1 }),
        (field("content-length", "00"), RequestError::FieldForbidden { index: 1 }),
        (
            field("content-length", "0").with_field("Content-Length", "0"),
            RequestError::FieldForbidden { index: 2 },
        ),
    ];
    for (request, error) in cases {
        assert_eq!(Upgrader::new(&request, SETTINGS, Config::default()).unwrap_err(), error, "{request:?}");
    }
    assert_eq!(RequestError::FieldValue { index: 1 }.to_string(), "value of field 1 has invalid bytes");
    let settings = |payload: &[u8]| Upgrader::new(&get(), payload, Config::default()).unwrap_err();
    assert_eq!(settings(&[0; 7]), RequestError::Settings(SettingsError::Length { bytes: 7 }));
    assert_eq!(
        settings(&[0, 2, 0, 0, 0, 2]),
        RequestError::Settings(SettingsError::Value { id: 2, value: 2 })
    );
    assert_eq!(
        settings(&[0; 33 * 6]),
        RequestError::Settings(SettingsError::TooMany { settings: 33, limit: 32 })
    );
    assert!(Upgrader::new(&get(), &[0; 32 * 6], Config::default()).is_ok());
    assert!(Upgrader::new(&Request::new("OPTIONS", "a", "*"), &[], Config::default()).is_ok());
}

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

#[test]
fn a_101_switches_and_leaves_the_rest() {
    for head in [
        SWITCHED,
        "HTTP/1.1 101\r\nupgrade: H2C\r\nconnection: keep-alive, UPGRADE\r\nDate: now\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 101 x\r\nUpgrade:,h2c\r\n\
         Connection: Upgrade\r\n\r\n",
    ] {
        let frame = b"\0\0\0\x04\0\0\0\0\0";
        let (heard, left) = hear_at_every_cut(&[head.as_bytes(), frame].concat());
        assert_eq!((heard, left), (Heard::Answer(Answer::Switched), frame.len()), "{head}");
        for len in 0..head.len() {
            assert!(matches!(hear(Config::default(), &[&head.as_bytes()[..len]]).0, Heard::More { .. }));
        }
    }
}

#[test]
fn another_response_is_handed_back_at_the_end_of_its_status_line() {
    for (status, seen, rest) in [
        (200, "HTTP/1.1 200 OK\r\n", "Content-Length: 0\r\n\r\n"),
        (426, "HTTP/1.1 426\r\n", "Upgrade: h2c\r\n\r\n"),
        (505, "HTTP/1.0 505 \r\n", "\r\n"),
        (302, "HTTP/1.1 302 M\u{f6}ved\n", "Folded: a\r\n b\r\n"),
        (999, "HTTP/1.1 999 x\r\n", ""),
        (204, "HTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 204 No Content\r\n", "\r\n"),
    ] {
        let (heard, left) = hear_at_every_cut(&[seen, rest].concat().into_bytes());
        let answer = Answer::Http1 { status, seen: seen.into() };
        assert_eq!((heard, left), (Heard::Answer(answer), rest.len()));
    }
}

#[test]
fn a_101_that_does_not_switch_to_h2c_is_an_error() {
    let but = |part: &str, by: &str| SWITCHED.replace(part, by);
    for (head, why) in [
        (but("HTTP/1.1", "HTTP/1.0"), AnswerError::Http10),
        (but("Upgrade: h2c", "Upgrade: websocket"), AnswerError::Protocol),
        (but("Upgrade: h2c", "Upgrade: h2"), AnswerError::Protocol),
        (but("Upgrade: h2c", "Upgrade: h2c, websocket"), AnswerError::Protocol),
        (but("Upgrade: h2c", "Upgrade: h2c\r\nUpgrade: h2c"), AnswerError::Protocol),
        (but("Upgrade: h2c", "Upgrade:"), AnswerError::Protocol),
        (but("Upgrade: h2c\r\n", ""), AnswerError::Protocol),
        (but("Connection: Upgrade", "Connection: close"), AnswerError::UpgradeNotListed),
        (but("Connection: Upgrade\r\n", ""), AnswerError::UpgradeNotListed),
        (but("Upgrade: h2c", "Upgrade: h2c\r\nContent-Length: 0"), AnswerError::Framed),
        (but("Upgrade: h2c", "Upgrade: h2c\r\nTransfer-Encoding: chunked"), AnswerError::Framed),
        (but("Upgrade: h2c\r\n", "Upgrade: h2c\n"), AnswerError::BareLineFeed),
        (but("h2c\r\n\r\n", "h2c\r\n\n"), AnswerError::BareLineFeed),
        (but("Upgrade: h2c", "Upgrade: h2c\r\n folded"), AnswerError::FieldLine),
        (but("Upgrade: h2c", "Upgrade : h2c"), AnswerError::FieldLine),
    ] {
        let (heard, left) = hear_at_every_cut(&[head.as_bytes(), b"\0\0\0\x04"].concat());
        let Heard::Error { error, seen } = heard else { panic!("{head}: {heard:?}") };
        assert_eq!(error, why, "{head}");
        assert_eq!(seen.len() + left, head.len() + 4);
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn what_is_no_response_is_told_at_the_byte_that_tells() {
    for (bytes, taken, name) in [
        // What nghttpd 1.52 says.
        (&b"\0\0\x06\x04\0\0\0\0\0"[..], 4, "http/2 without an upgrade"),
        (b"\0\0\x06\x01\0\0\0\0\0", 4, "not an http/1 response"),
        (b"HTTP/1.1 100 Continue\r\n\r\n\0\0\0\x04", 26, "not an http/1 response"),
        (b"\r\nHTTP/1.1 200 OK\r\n", 1, "not an http/1 response"),
        (b"HTTP/2.0 200 OK\r\n", 6, "not an http/1 response"),
        (b"HTTP/1.1 100 Continue\r\n\r\n\r\n", 26, "not an http/1 response"),
        (b"SSH-2.0-x\r\n", 1, "not an http/1 response"),
        (b"\x15\x03\x01\0\x02\x02\x46", 1, "tls on a cleartext port"),
        (b"\x16\x03\x03", 1, "tls on a cleartext port"),
        (b"HTTP/1.2 200 OK\r\nrest", 17, "malformed status line"),
        (b"HTTP/1.1 20 OK\r\nrest", 16, "malformed status line"),
        (b"HTTP/1.1 2000 OK\r\nrest", 18, "malformed status line"),
        (b"HTTP/1.1  200 OK\r\nrest", 18, "malformed status line"),
        (b"HTTP/1.1 099 OK\r\nrest", 17, "malformed status line"),
        (b"HTTP/1.1200 OK\r\nrest", 16, "malformed status line"),
        (b"HTTP/1.1 200 O\0K\r\nrest", 18, "malformed status line"),
    ] {
        let (heard, left) = hear_at_every_cut(bytes);
        let Heard::Error { error, .. } = heard else { panic!("{heard:?}") };
        let said = error.to_string();
        assert!(said.starts_with(name), "{}: {said}", bytes.escape_ascii());
        assert_eq!(bytes.len() - left, taken, "{}", bytes.escape_ascii());
    }
}

#[test]
fn limits_hold_at_the_limit_and_one_past_it() {
    let bytes = ["HTTP/1.1 100 Continue\r\n\r\n", SWITCHED, "rest"].concat().into_bytes();
    let mut config = Config::default();
    config.head_bytes_max = bytes.len() - 4;
    let (heard, left) = at_every_cut(&bytes, |chunks| hear(config, chunks));
    assert_eq!((heard, left), (Heard::Answer(Answer::Switched), 4));
    let limit = bytes.len() - 5;
    config.head_bytes_max = limit;
    let (heard, left) = at_every_cut(&bytes, |chunks| hear(config, chunks));
    assert!(
        matches!(heard, Heard::Error { error: AnswerError::HeadTooLong { limit: at }, .. } if at == limit)
    );
    assert_eq!(left, 5);
    config.head_bytes_max = 3;
    let (heard, left) = at_every_cut(&bytes, |chunks| hear(config, chunks));
    assert!(matches!(heard, Heard::Error { error: AnswerError::HeadTooLong { limit: 3 }, .. }));
    assert_eq!(left, bytes.len() - 3);

    let mut config = Config::default();
    config.fields_max = 2;
    assert_eq!(hear(config, &[&bytes]).0, Heard::Answer(Answer::Switched));
    config.fields_max = 1;
    let (heard, _) = at_every_cut(&bytes, |chunks| hear(config, chunks));
    assert!(matches!(heard, Heard::Error { error: AnswerError::TooManyFields { limit: 1 }, .. }));
}

#[test]
fn what_is_printed_holds_no_control_byte() {
    let mut upgrader = Upgrader::new(&Request::new("GET", "a", "/"), &[], Config::default()).unwrap();
    assert_eq!(upgrader.receive(&mut &b"HTTP/1.1 200 \x80"[..]), Ok(None));
    assert_eq!(format!("{upgrader:?}"), r#"Upgrader { seen: "HTTP/1.1 200 \x80", .. }"#);
    let answer = upgrader.receive(&mut &b"\r\n"[..]).unwrap().unwrap();
    assert_eq!(format!("{answer:?}"), r#"Http1 { status: 200, seen: "HTTP/1.1 200 \x80\r\n" }"#);
    assert_eq!(format!("{:?}", Answer::Switched), "Switched");
}

#[test]
fn the_end_of_input_is_told_at_every_byte() {
    let upgrader = || Upgrader::new(&Request::new("GET", "a", "/"), &[], Config::default()).unwrap();
    for bytes in 0..SWITCHED.len() {
        let mut upgrader = upgrader();
        assert_eq!(upgrader.receive(&mut &SWITCHED.as_bytes()[..bytes]), Ok(None));
        assert_eq!(upgrader.handle_eof(), Err(AnswerError::Eof { bytes }));
        assert_eq!(upgrader.handle_eof(), Err(AnswerError::Eof { bytes }));
        assert_eq!(upgrader.receive(&mut SWITCHED.as_bytes()), Err(AnswerError::Eof { bytes }));
        assert_eq!(upgrader.seen(), &SWITCHED.as_bytes()[..bytes]);
    }
    let mut upgrader = upgrader();
    assert_eq!(upgrader.receive(&mut SWITCHED.as_bytes()), Ok(Some(Answer::Switched)));
    assert_eq!(upgrader.handle_eof(), Ok(()));
}
