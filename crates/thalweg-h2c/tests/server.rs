//! The sniffer: what each kind of opening is taken for, at every cut of its bytes.

mod common;

use common::*;
use thalweg_h2c::{
    Config, EofPosition, PREFACE, Protocol, SniffError, Sniffer, UpgradeRequest, Version, responses,
};

#[test]
fn prior_knowledge_is_known_at_the_twelfth_byte() {
    let (sniffed, left) = sniff_at_every_split(&[PREFACE.as_slice(), &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat());
    assert_eq!(sniffed, Sniffed::Http2 { seen: b"PRI * HTTP/2".to_vec() });
    assert_eq!(left, 24 - 12 + 9);
    for len in 0..12 {
        assert_eq!(sniff_at_every_split(&PREFACE[..len]).0, Sniffed::More { seen: PREFACE[..len].to_vec() });
    }
}

#[test]
fn a_preface_that_is_wrong_after_the_version_is_left_to_the_http2_connection() {
    let (sniffed, left) = sniff_at_every_split(b"PRI * HTTP/2.0\r\n\r\nXX");
    assert_eq!((sniffed, left), (Sniffed::Http2 { seen: b"PRI * HTTP/2".to_vec() }, 8));
}

#[test]
fn input_that_begins_like_the_preface_may_be_http1() {
    for (line, method, target) in [
        ("PRI * HTTP/1.1", "PRI", "*"),
        ("PRI * HTTP/1.0", "PRI", "*"),
        ("PRI /x HTTP/1.1", "PRI", "/x"),
        ("PRINT / HTTP/1.1", "PRINT", "/"),
        ("PROPFIND / HTTP/1.1", "PROPFIND", "/"),
        ("P / HTTP/1.1", "P", "/"),
    ] {
        let bytes = format!("{line}\r\nHost: a\r\n\r\n");
        let (Sniffed::Http1 { parsed, rejection: None, seen, .. }, 0) =
            sniff_at_every_split(bytes.as_bytes())
        else {
            panic!("{line}");
        };
        assert_eq!((parsed.method.as_str(), parsed.target.as_str()), (method, target));
        assert_eq!(seen, bytes.as_bytes());
    }
}

#[test]
fn curl_upgrades() {
    let (sniffed, left) = sniff_at_every_split(&[CURL.as_bytes(), PREFACE].concat());
    let request = UpgradeRequest::new("GET", "127.0.0.1:8080", "/notes")
        .with_field("user-agent", "curl/7.88.1")
        .with_field("accept", "*/*");
    let settings = b"\0\x03\0\0\0\x64\0\x04\x02\0\0\0\0\x02\0\0\0\0".to_vec();
    assert_eq!(sniffed, Sniffed::Upgrade { request, settings, seen: CURL.into() });
    assert_eq!(left, PREFACE.len());
}

#[test]
fn nghttp_upgrades() {
    // What nghttp 1.52 sends for `nghttp -u`, and for `nghttp -u -d FILE`.
    for (line, path) in [("GET /notes HTTP/1.1", "/notes"), ("OPTIONS * HTTP/1.1", "*")] {
        let bytes = format!(
            "{line}\r\nhost: 127.0.0.1:8080\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n\
             http2-settings: AAMAAABkAAQAAP__\r\naccept: */*\r\nuser-agent: nghttp2/1.52.0\r\n\r\n"
        );
        let request = UpgradeRequest::new(line.split(' ').next().unwrap(), "127.0.0.1:8080", path)
            .with_field("accept", "*/*")
            .with_field("user-agent", "nghttp2/1.52.0");
        let settings = b"\0\x03\0\0\0\x64\0\x04\0\0\xff\xff".to_vec();
        let (sniffed, _) = sniff_at_every_split(bytes.as_bytes());
        assert_eq!(sniffed, Sniffed::Upgrade { request, settings, seen: bytes.into() });
    }
}

#[test]
fn the_101_is_exact() {
    // 9110-6.2-4, 9110-7.8-2, 9110-15.2.2-1
    let mut sniffer = Sniffer::new(Config::default());
    let Ok(Some(Protocol::Upgrade(upgrade))) = sniffer.receive(&mut CURL.as_bytes()) else { panic!() };
    let exact = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    assert_eq!(upgrade.response(), exact);
}

#[test]
fn an_upgrade_can_be_declined_without_losing_a_byte() {
    let bytes = curl_but("Accept: */*", "Content-Length: 3");
    let bytes = [&bytes[..], b"abcPRI"].concat();
    let mut input = &bytes[..];
    let mut sniffer = Sniffer::new(Config::default());
    let Ok(Some(Protocol::Upgrade(upgrade))) = sniffer.receive(&mut input) else { panic!() };
    assert_eq!(upgrade.request.body, b"abc");
    let http1 = upgrade.decline();
    assert!(http1.response().starts_with(b"HTTP/1.1 505 "));
    assert!(http1.seen().ends_with(b"\r\n\r\nabc"));
    assert_eq!([http1.seen(), input].concat(), bytes);
}

#[test]
fn a_body_with_a_length_is_awaited_to_its_last_byte() {
    let head = curl_but("Accept: */*", "Content-Length: 011");
    let bytes = [&head[..], b"hello world", PREFACE].concat();
    let (sniffed, left) = sniff_at_every_split(&bytes);
    assert_eq!(left, PREFACE.len());
    let request = sniffed.request();
    assert_eq!(request.body, b"hello world");
    assert!(request.fields.contains(&("content-length".into(), b"011".into())));
    let (sniffed, _) = sniff_at_every_split(&bytes[..head.len() + 10]);
    assert_eq!(sniffed, Sniffed::More { seen: bytes[..head.len() + 10].to_vec() });
}

#[test]
fn a_chunked_body_is_awaited_and_joined() {
    let head = curl_but("Accept: */*", "Transfer-Encoding: Chunked");
    let body = b"5\r\nhello\r\n1\r\n \r\n0a\r\nworld\r\n\r\n!\r\n000\r\n\r\n";
    let bytes = [&head[..], body, PREFACE].concat();
    let (sniffed, left) = sniff_at_every_split(&bytes);
    assert_eq!(left, PREFACE.len());
    let request = sniffed.request();
    assert_eq!(request.body, b"hello world\r\n\r\n!");
    assert!(request.fields.iter().all(|(name, _)| name == "user-agent"), "{request:?}");
    for len in head.len()..head.len() + body.len() {
        let (sniffed, _) = sniff(Config::default(), &[&bytes[..len]]);
        assert_eq!(sniffed, Sniffed::More { seen: bytes[..len].to_vec() });
    }
}

#[test]
fn fields_of_the_connection_alone_do_not_reach_the_request() {
    // 9110-5.6.1.2-1, 9110-5.6.1.2-2, 9110-7.6-1, 9110-7.6.1-2, 9110-7.6.1-3
    let bytes = curl_but(
        "Connection: Upgrade, HTTP2-Settings\r\n",
        "connection: upgrade ,\tkeep-alive\r\nConnection: ,HTTP2-SETTINGS,, te\r\nKeep-Alive: 5\r\n\
         Proxy-Connection: x\r\nTE: trailers, deflate\r\nTe: trailers\r\nX-Kept: \u{ff}\u{fe}\r\nCookie: a=b\r\n",
    );
    let request = sniff_at_every_split(&bytes).0.request();
    let expected = UpgradeRequest::new("GET", "127.0.0.1:8080", "/notes")
        .with_field("user-agent", "curl/7.88.1")
        .with_field("accept", "*/*")
        .with_field("te", "trailers")
        .with_field("x-kept", "\u{ff}\u{fe}")
        .with_field("cookie", "a=b");
    assert_eq!(request, expected);
    let bytes = curl_but("Accept: */*", "TE: deflate");
    assert!(sniff_at_every_split(&bytes).0.request().fields.iter().all(|(name, _)| name != "te"));
}

#[test]
fn h2c_is_found_among_the_protocols_in_any_case() {
    // 9110-7.8-1, 9110-7.8-4, 9110-5.6.1.2-1, 9110-5.6.1.2-2
    for upgrade in ["Upgrade: websocket, H2C", "Upgrade: h2\r\nUpgrade: h2c", "uPGRADE:,h2c ,"] {
        assert!(matches!(
            sniff_at_every_split(&curl_but("Upgrade: h2c", upgrade)).0,
            Sniffed::Upgrade { .. }
        ));
    }
    // RFC 7540 §3.2: h2 is for TLS. A version makes another protocol of it.
    for upgrade in ["Upgrade: h2", "Upgrade: h2c/1", "Upgrade: websocket", "Upgrade:", "X-Upgrade: h2c"] {
        assert_eq!(sniff_at_every_split(&curl_but("Upgrade: h2c", upgrade)).0.rejection(), None, "{upgrade}");
    }
}

#[test]
fn targets_become_authority_and_path() {
    let cases = [
        ("GET /a?b=%20;c HTTP/1.1", "127.0.0.1:8080", "/a?b=%20;c"),
        ("GET //a HTTP/1.1", "127.0.0.1:8080", "//a"),
        ("GET http://127.0.0.1:8080/x?y HTTP/1.1", "127.0.0.1:8080", "/x?y"),
        ("GET HTTP://127.0.0.1:8080 HTTP/1.1", "127.0.0.1:8080", "/"),
        ("GET http://127.0.0.1:8080?y=/z HTTP/1.1", "127.0.0.1:8080", "/?y=/z"),
        ("OPTIONS http://127.0.0.1:8080 HTTP/1.1", "127.0.0.1:8080", "*"),
        ("OPTIONS http://127.0.0.1:8080/ HTTP/1.1", "127.0.0.1:8080", "/"),
        ("OPTIONS * HTTP/1.1", "127.0.0.1:8080", "*"),
        ("HEAD / HTTP/1.1", "127.0.0.1:8080", "/"),
        ("M-SEARCH / HTTP/1.1", "127.0.0.1:8080", "/"),
    ];
    for (line, authority, path) in cases {
        let request = sniff_at_every_split(&curl_but("GET /notes HTTP/1.1", line)).0.request();
        assert_eq!(request.method, line.split(' ').next().unwrap());
        assert_eq!((request.authority.as_str(), request.path.as_str()), (authority, path), "{line}");
    }
    for host in ["a", "a.example:80", "[::1]", "[2001:db8::1]:65535", "%41!$&'()*+,;=~_-", "1.2.3.4"] {
        let request = sniff_at_every_split(&curl_but("127.0.0.1:8080", host)).0.request();
        assert_eq!(request.authority, host);
    }
}

#[test]
fn plain_http1_is_handed_back_untouched() {
    // 9110-5.5-1
    let bytes = b"\r\n\nPUT /a/b?c HTTP/1.1\r\nHOST: x\r\nEmpty:\r\nSpaces: \t a b \t\r\nHost: y\n\r\nbody";
    let (sniffed, left) = sniff_at_every_split(bytes);
    assert_eq!(left, 4);
    let Sniffed::Http1 { seen, rejection, parsed, response } = sniffed else { panic!() };
    assert_eq!((&seen[..], rejection), (&bytes[..bytes.len() - 4], None));
    let fields = [("HOST", "x"), ("Empty", ""), ("Spaces", "a b"), ("Host", "y")];
    let parsed_as = Parsed {
        method: "PUT".into(),
        target: "/a/b?c".into(),
        version: Version::Http11,
        fields: fields.map(|(name, value)| (name.into(), value.into())).into(),
        head_bytes: bytes.len() - 4,
    };
    assert_eq!((parsed, response), (parsed_as, responses::UPGRADE_REQUIRED));
}

#[test]
fn an_http2_only_server_answers_505() {
    // 9110-6.2-3
    let answer_to = |config, request: &[u8]| match sniff(config, &[request]).0 {
        Sniffed::Http1 { response, .. } => response,
        other => panic!("{other:?}"),
    };
    let config = Config::default();
    assert_eq!(answer_to(config, b"GET / HTTP/1.1\r\n\r\n"), responses::UPGRADE_REQUIRED);
    assert_eq!(answer_to(config, b"GET / HTTP/1.0\r\n\r\n"), responses::VERSION_NOT_SUPPORTED);
    let head = answer_to(config, b"HEAD / HTTP/1.1\r\n\r\n");
    assert!(head.starts_with(b"HTTP/1.1 426 ") && head.ends_with(b"\r\nContent-Length: 89\r\n\r\n"));
    let mut config = config;
    config.upgrade = false;
    assert_eq!(answer_to(config, b"GET / HTTP/1.1\r\n\r\n"), responses::VERSION_NOT_SUPPORTED);
    assert_eq!(answer_to(config, CURL.as_bytes()), responses::VERSION_NOT_SUPPORTED);
}

#[test]
fn responses_are_exact_and_well_formed() {
    // 9110-5.6.3-4, 9110-6.2-3, 9110-6.2-4, 9110-7.8-5, 9110-15.5.22-1, 9110-15.6-1, 9110-15.6.6-1
    let text = |bytes: &'static [u8]| std::str::from_utf8(bytes).unwrap();
    assert_eq!(
        text(responses::UPGRADE_REQUIRED),
        "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\nContent-Type: text/plain\r\n\
         Content-Length: 89\r\n\r\n\
         This port speaks HTTP/2 only: begin with its preface, or ask by HTTP/1.1 Upgrade to h2c.\n"
    );
    assert_eq!(
        text(responses::VERSION_NOT_SUPPORTED),
        "HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\nContent-Type: text/plain\r\n\
         Content-Length: 60\r\n\r\nThis port speaks HTTP/2 only: begin with its preface (h2c).\n"
    );
    let answers = [
        (426, responses::UPGRADE_REQUIRED),
        (505, responses::VERSION_NOT_SUPPORTED),
        (400, responses::BAD_REQUEST),
        (413, responses::CONTENT_TOO_LARGE),
        (417, responses::EXPECTATION_FAILED),
        (431, responses::FIELDS_TOO_LARGE),
        (501, responses::NOT_IMPLEMENTED),
    ];
    for (status, bytes) in answers {
        let mut fields = [httparse::EMPTY_HEADER; 8];
        let mut response = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(head) = response.parse(bytes).unwrap() else { panic!("{status}") };
        assert_eq!(response.code, Some(status));
        let length = response.headers.iter().find(|field| field.name == "Content-Length").unwrap();
        assert_eq!(length.value, (bytes.len() - head).to_string().as_bytes(), "{status}");
        assert_eq!(responses::without_content(bytes), &bytes[..head]);
        assert!(bytes.ends_with(b"\n") && text(bytes)[..head].lines().all(|line| !line.ends_with(' ')));
    }
}

#[test]
fn end_of_input_is_reported_at_every_byte() {
    let cut_at = |bytes: &[u8]| {
        let mut sniffer = Sniffer::new(Config::default());
        assert!(sniffer.receive(&mut &bytes[..]).unwrap().is_none());
        let end = sniffer.handle_eof();
        assert_eq!(sniffer.handle_eof(), end);
        if let Err(error) = end {
            assert_eq!(sniffer.receive(&mut &b"x"[..]).unwrap_err(), error);
            assert_eq!(sniffer.seen(), bytes);
        }
        end
    };
    assert_eq!(cut_at(b""), Ok(()));
    for bytes in 1..12 {
        assert_eq!(cut_at(&PREFACE[..bytes]), Err(SniffError::Eof { at: EofPosition::Start, bytes }));
    }
    for opening in ["\r", "\r\n", "\x16", "GET"] {
        let error = SniffError::Eof { at: EofPosition::Start, bytes: opening.len() };
        assert_eq!(cut_at(opening.as_bytes()), Err(error));
        assert_eq!(error.response(), None);
    }
    let head = curl_but("Accept: */*", "Content-Length: 4");
    let whole = [&head[..], b"body"].concat();
    let line_len = "GET /notes HTTP/1.1\r\n".len();
    for bytes in 1..whole.len() {
        let at = match bytes {
            _ if bytes < line_len => EofPosition::Start,
            _ if bytes < head.len() => EofPosition::Head,
            _ => EofPosition::Body,
        };
        let error = SniffError::Eof { at, bytes };
        assert_eq!(cut_at(&whole[..bytes]), Err(error));
        assert_eq!(error.response(), (at != EofPosition::Start).then_some(responses::BAD_REQUEST));
    }
    let mut sniffer = Sniffer::new(Config::default());
    assert!(sniffer.receive(&mut &whole[..]).unwrap().is_some());
    assert_eq!(sniffer.handle_eof(), Ok(()));
}
