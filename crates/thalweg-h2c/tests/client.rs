//! The upgrader: the exact request, and what each kind of answer is taken for, at every cut of its
//! bytes.

mod common;

use common::*;
use thalweg_h2c::{
    Config, RequestError, SettingsError, UpgradeRequest, UpgradeResponse, UpgradeResponseError, Upgrader,
};

const SETTINGS: &[u8] = b"\0\x03\0\0\0\x64\0\x04\x02\0\0\0";

fn bytes_of(request: &UpgradeRequest) -> String {
    let upgrader = Upgrader::new(request, SETTINGS, Config::default()).expect("the request is valid");
    String::from_utf8(upgrader.bytes().into()).expect("the request is text")
}

#[test]
fn the_request_is_exact() {
    // 9110-5.6.1.1-1, 9110-5.6.3-1, 9110-5.6.3-2, 9110-5.6.3-4, 9110-6.2-1, 9110-6.2-2, 9110-7.2-1,
    // 9110-7.2-2, 9110-7.8-7, 9110-10.1.4-1, 9110-7.6.1-1, 9110-7.6.1-4
    let request = UpgradeRequest::new("GET", "example.com:8080", "/a?b").with_field("Accept", "*/*");
    assert_eq!(
        bytes_of(&request),
        "GET /a?b HTTP/1.1\r\nHost: example.com:8080\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQCAAAA\r\nAccept: */*\r\n\r\n"
    );
    let request = UpgradeRequest::new("POST", "[::1]", "/").with_field("te", "trailers").with_body("hello");
    assert_eq!(
        bytes_of(&request),
        "POST / HTTP/1.1\r\nHost: [::1]\r\nConnection: Upgrade, HTTP2-Settings, TE\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQCAAAA\r\nte: trailers\r\nContent-Length: 5\r\n\r\nhello"
    );
}

#[test]
fn a_body_is_announced_once_and_an_empty_one_where_it_is_expected() {
    // 9110-8.6-1, 9110-8.6-2
    for (method, body, field) in [
        ("GET", "", ""),
        ("OPTIONS", "", ""),
        ("GET", "x", "Content-Length: 1\r\n"),
        ("POST", "", "Content-Length: 0\r\n"),
        ("PUT", "", "Content-Length: 0\r\n"),
        ("PATCH", "", "Content-Length: 0\r\n"),
    ] {
        let bytes = bytes_of(&UpgradeRequest::new(method, "a", "/").with_body(body));
        assert!(
            bytes.ends_with(&format!("HTTP2-Settings: AAMAAABkAAQCAAAA\r\n{field}\r\n{body}")),
            "{bytes}"
        );
    }
    let bytes =
        bytes_of(&UpgradeRequest::new("POST", "a", "/").with_field("content-length", "3").with_body("abc"));
    assert!(bytes.ends_with("AAAA\r\ncontent-length: 3\r\n\r\nabc"), "{bytes}");
}

#[test]
fn settings_that_token68_cannot_express_become_a_default() {
    // RFC 9113 §6.5.2: SETTINGS_HEADER_TABLE_SIZE is 4,096 to begin with.
    let upgrader = Upgrader::new(&UpgradeRequest::new("GET", "a", "/"), &[], Config::default()).unwrap();
    let (sniffed, 0) = sniff_at_every_split(upgrader.bytes()) else { panic!() };
    let Sniffed::Upgrade { settings, .. } = sniffed else { panic!() };
    assert_eq!(settings, [0, 1, 0, 0, 0x10, 0]);
}

#[test]
fn an_invalid_request_is_rejected_with_its_reason() {
    // 9110-2.2-1, 9110-7.6.1-4, 9110-10.1.1-1, 9110-4.2.4-1
    let get = || UpgradeRequest::new("GET", "a", "/");
    let field = |name: &str, value: &str| get().with_field("x", "y").with_field(name, value);
    let cases = [
        (UpgradeRequest::new("", "a", "/"), RequestError::Method),
        (UpgradeRequest::new("GE T", "a", "/"), RequestError::Method),
        (UpgradeRequest::new("GET\r\n", "a", "/"), RequestError::Method),
        (UpgradeRequest::new("CONNECT", "a", "/"), RequestError::Method),
        (UpgradeRequest::new("GET", "", "/"), RequestError::Authority),
        (UpgradeRequest::new("GET", "u@a", "/"), RequestError::Authority),
        (UpgradeRequest::new("GET", "a\r\nX: y", "/"), RequestError::Authority),
        (UpgradeRequest::new("GET", "a", ""), RequestError::Path),
        (UpgradeRequest::new("GET", "a", "*"), RequestError::Path),
        (UpgradeRequest::new("GET", "a", "x"), RequestError::Path),
        (UpgradeRequest::new("GET", "a", "/ HTTP/1.1\r\n\r\n"), RequestError::Path),
        (UpgradeRequest::new("GET", "a", "/#x"), RequestError::Path),
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
    assert!(Upgrader::new(&UpgradeRequest::new("OPTIONS", "a", "*"), &[], Config::default()).is_ok());
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
        let (received, left) = receive_at_every_split(&[head.as_bytes(), frame].concat());
        assert_eq!(
            (received, left),
            (Received::UpgradeResponse(UpgradeResponse::Switched), frame.len()),
            "{head}"
        );
        for len in 0..head.len() {
            assert!(matches!(
                receive(Config::default(), &[&head.as_bytes()[..len]]).0,
                Received::More { .. }
            ));
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
        let (received, left) = receive_at_every_split(&[seen, rest].concat().into_bytes());
        let response = UpgradeResponse::Http1 { status, seen: seen.into() };
        assert_eq!((received, left), (Received::UpgradeResponse(response), rest.len()));
    }
}

#[test]
fn a_101_that_does_not_switch_to_h2c_is_an_error() {
    let but = |part: &str, by: &str| SWITCHED.replace(part, by);
    for (head, why) in [
        (but("HTTP/1.1", "HTTP/1.0"), UpgradeResponseError::Http10),
        (but("Upgrade: h2c", "Upgrade: websocket"), UpgradeResponseError::Protocol),
        (but("Upgrade: h2c", "Upgrade: h2"), UpgradeResponseError::Protocol),
        (but("Upgrade: h2c", "Upgrade: h2c, websocket"), UpgradeResponseError::Protocol),
        (but("Upgrade: h2c", "Upgrade: h2c\r\nUpgrade: h2c"), UpgradeResponseError::Protocol),
        (but("Upgrade: h2c", "Upgrade:"), UpgradeResponseError::Protocol),
        (but("Upgrade: h2c\r\n", ""), UpgradeResponseError::Protocol),
        (but("Connection: Upgrade", "Connection: close"), UpgradeResponseError::UpgradeNotListed),
        (but("Connection: Upgrade\r\n", ""), UpgradeResponseError::UpgradeNotListed),
        (but("Upgrade: h2c", "Upgrade: h2c\r\nContent-Length: 0"), UpgradeResponseError::Framed),
        (but("Upgrade: h2c", "Upgrade: h2c\r\nTransfer-Encoding: chunked"), UpgradeResponseError::Framed),
        (but("Upgrade: h2c\r\n", "Upgrade: h2c\n"), UpgradeResponseError::BareLineFeed),
        (but("h2c\r\n\r\n", "h2c\r\n\n"), UpgradeResponseError::BareLineFeed),
        (but("Upgrade: h2c", "Upgrade: h2c\r\n folded"), UpgradeResponseError::FieldLine),
        (but("Upgrade: h2c", "Upgrade : h2c"), UpgradeResponseError::FieldLine),
    ] {
        let (received, left) = receive_at_every_split(&[head.as_bytes(), b"\0\0\0\x04"].concat());
        let Received::Error { error, seen } = received else { panic!("{head}: {received:?}") };
        assert_eq!(error, why, "{head}");
        assert_eq!(seen.len() + left, head.len() + 4);
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn input_other_than_a_response_is_rejected_at_the_deciding_byte() {
    for (bytes, taken, name) in [
        // The message of nghttpd 1.52.
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
        let (received, left) = receive_at_every_split(bytes);
        let Received::Error { error, .. } = received else { panic!("{received:?}") };
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
    let (received, left) = at_every_split(&bytes, |chunks| receive(config, chunks));
    assert_eq!((received, left), (Received::UpgradeResponse(UpgradeResponse::Switched), 4));
    let limit = bytes.len() - 5;
    config.head_bytes_max = limit;
    let (received, left) = at_every_split(&bytes, |chunks| receive(config, chunks));
    assert!(
        matches!(received, Received::Error { error: UpgradeResponseError::HeadTooLong { limit: at }, .. } if at == limit)
    );
    assert_eq!(left, 5);
    config.head_bytes_max = 3;
    let (received, left) = at_every_split(&bytes, |chunks| receive(config, chunks));
    assert!(matches!(
        received,
        Received::Error { error: UpgradeResponseError::HeadTooLong { limit: 3 }, .. }
    ));
    assert_eq!(left, bytes.len() - 3);

    let mut config = Config::default();
    config.fields_max = 2;
    assert_eq!(receive(config, &[&bytes]).0, Received::UpgradeResponse(UpgradeResponse::Switched));
    config.fields_max = 1;
    let (received, _) = at_every_split(&bytes, |chunks| receive(config, chunks));
    assert!(matches!(
        received,
        Received::Error { error: UpgradeResponseError::TooManyFields { limit: 1 }, .. }
    ));
}

#[test]
fn messages_contain_no_control_byte() {
    let mut upgrader = Upgrader::new(&UpgradeRequest::new("GET", "a", "/"), &[], Config::default()).unwrap();
    assert_eq!(upgrader.receive(&mut &b"HTTP/1.1 200 \x80"[..]), Ok(None));
    assert_eq!(format!("{upgrader:?}"), r#"Upgrader { seen: "HTTP/1.1 200 \x80", .. }"#);
    let response = upgrader.receive(&mut &b"\r\n"[..]).unwrap().unwrap();
    assert_eq!(format!("{response:?}"), r#"Http1 { status: 200, seen: "HTTP/1.1 200 \x80\r\n" }"#);
    assert_eq!(format!("{:?}", UpgradeResponse::Switched), "Switched");
}

#[test]
fn end_of_input_is_reported_at_every_byte() {
    let upgrader = || Upgrader::new(&UpgradeRequest::new("GET", "a", "/"), &[], Config::default()).unwrap();
    for bytes in 0..SWITCHED.len() {
        let mut upgrader = upgrader();
        assert_eq!(upgrader.receive(&mut &SWITCHED.as_bytes()[..bytes]), Ok(None));
        assert_eq!(upgrader.handle_eof(), Err(UpgradeResponseError::Eof { bytes }));
        assert_eq!(upgrader.handle_eof(), Err(UpgradeResponseError::Eof { bytes }));
        assert_eq!(upgrader.receive(&mut SWITCHED.as_bytes()), Err(UpgradeResponseError::Eof { bytes }));
        assert_eq!(upgrader.seen(), &SWITCHED.as_bytes()[..bytes]);
    }
    let mut upgrader = upgrader();
    assert_eq!(upgrader.receive(&mut SWITCHED.as_bytes()), Ok(Some(UpgradeResponse::Switched)));
    assert_eq!(upgrader.handle_eof(), Ok(()));
}

#[test]
fn an_empty_input_decides_nothing_with_a_limit_of_0() {
    let mut config = Config::default();
    config.head_bytes_max = 0;
    let mut upgrader = Upgrader::new(&UpgradeRequest::new("GET", "a", "/"), &[], config).unwrap();
    assert_eq!(upgrader.receive(&mut &b""[..]), Ok(None));
    let error = UpgradeResponseError::HeadTooLong { limit: 0 };
    assert_eq!(upgrader.receive(&mut &b"H"[..]), Err(error));
    assert_eq!(upgrader.receive(&mut &b""[..]), Err(error), "an error stays");
}
