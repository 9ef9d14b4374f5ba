//! The malformed, the doubtful and the oversized, each at every cut.

mod common;

use common::*;
use thalweg_h2c::{
    Config, Cut, Excerpt, PREFACE, Refusal, Request, SettingsError, SniffError, Sniffer, Version, answer,
};

/// Requests that ask for h2c and may not have it: what replaces a part of curl's, why not, and the answer.
fn refusals() -> Vec<(&'static str, &'static str, Refusal, &'static [u8])> {
    const BAD: &[u8] = answer::BAD_REQUEST;
    let settings = |error| Refusal::Settings(error);
    let value = |id, value| settings(SettingsError::Value { id, value });
    const CONNECTION: &str = "Connection: Upgrade, HTTP2-Settings";
    const SETTINGS: &str = "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA";
    const LINE: &str = "GET /notes HTTP/1.1";
    const HOST: &str = "Host: 127.0.0.1:8080";
    const ACCEPT: &str = "Accept: */*";
    vec![
        (LINE, "GET /notes HTTP/1.0", Refusal::Http10, answer::VERSION_NOT_SUPPORTED),
        ("curl/7.88.1\r\n", "curl\n", Refusal::BareLineFeed, BAD),
        (LINE, "\nGET / HTTP/1.1", Refusal::BareLineFeed, BAD),
        // Connection options.
        (CONNECTION, "Connection: Upgrade", Refusal::SettingsNotListed, BAD),
        (CONNECTION, "Connection: HTTP2-Settings", Refusal::UpgradeNotListed, BAD),
        (CONNECTION, "Connection: UpgradeHTTP2-Settings", Refusal::UpgradeNotListed, BAD),
        (CONNECTION, "X: Upgrade, HTTP2-Settings", Refusal::UpgradeNotListed, BAD),
        (CONNECTION, "Connection: Upgrade, HTTP2-Settings, close", Refusal::ConnectionOption, BAD),
        (CONNECTION, "Connection: Upgrade, HTTP2-Settings, Cookie", Refusal::ConnectionOption, BAD),
        (CONNECTION, "Connection: Upgrade, HTTP2-Settings, Host", Refusal::ConnectionOption, BAD),
        // HTTP2-Settings.
        (SETTINGS, "X: y", Refusal::SettingsMissing, BAD),
        (SETTINGS, "HTTP2-Settings: AAMAAABk\r\nHTTP2-Settings: AAMAAABk", Refusal::SettingsRepeated, BAD),
        (SETTINGS, "HTTP2-Settings: AAMAAABk, AAMAAABk", Refusal::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings:", Refusal::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings: AAMAAABk====", Refusal::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings: AAMA+/Bk", Refusal::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings: AAMAA", Refusal::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings: AAMAA ABk", Refusal::SettingsEncoding, BAD),
        // The last digit has bits that no byte holds.
        (SETTINGS, "HTTP2-Settings: AAMAAABkAB", Refusal::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings: AAMAAAA", settings(SettingsError::Length { bytes: 5 }), BAD),
        (SETTINGS, "HTTP2-Settings: AAMAAABkAA", settings(SettingsError::Length { bytes: 7 }), BAD),
        (SETTINGS, "HTTP2-Settings: AAIAAAAC", value(2, 2), BAD),
        (SETTINGS, "HTTP2-Settings: AASAAAAA", value(4, 0x8000_0000), BAD),
        (SETTINGS, "HTTP2-Settings: AAUAAD__", value(5, 0x3fff), BAD),
        (SETTINGS, "HTTP2-Settings: AAUBAAAA", value(5, 0x0100_0000), BAD),
        (SETTINGS, "HTTP2-Settings: AAgAAAAC", value(8, 2), BAD),
        (SETTINGS, "HTTP2-Settings: AAkAAAAC", value(9, 2), BAD),
        // Host and target.
        (HOST, "X: y", Refusal::HostMissing, BAD),
        (HOST, "Host: a\r\nHost: a", Refusal::HostRepeated, BAD),
        (HOST, "Host:", Refusal::Host, BAD),
        (HOST, "Host: a b", Refusal::Host, BAD),
        (HOST, "Host: a, b", Refusal::Host, BAD),
        (HOST, "Host: u@a", Refusal::Host, BAD),
        (HOST, "Host: a/b", Refusal::Host, BAD),
        (HOST, "Host: a?b", Refusal::Host, BAD),
        (HOST, "Host: a:", Refusal::Host, BAD),
        (HOST, "Host: a:65536", Refusal::Host, BAD),
        (HOST, "Host: a:+1", Refusal::Host, BAD),
        (HOST, "Host: a:1:2", Refusal::Host, BAD),
        (HOST, "Host: :80", Refusal::Host, BAD),
        (HOST, "Host: ::1", Refusal::Host, BAD),
        (HOST, "Host: [::1", Refusal::Host, BAD),
        (HOST, "Host: [::1]x", Refusal::Host, BAD),
        (HOST, "Host: [a]", Refusal::Host, BAD),
        (HOST, "Host: [fe80::1%25eth0]", Refusal::Host, BAD),
        (HOST, "Host: a%4", Refusal::Host, BAD),
        (HOST, "Host: \u{e9}", Refusal::Host, BAD),
        (LINE, "GET http://evil/ HTTP/1.1", Refusal::HostDiffers, BAD),
        (LINE, "GET http://127.0.0.1/ HTTP/1.1", Refusal::HostDiffers, BAD),
        (LINE, "GET http://u@127.0.0.1:8080/ HTTP/1.1", Refusal::HostDiffers, BAD),
        (LINE, "GET http:///x HTTP/1.1", Refusal::HostDiffers, BAD),
        (LINE, "GET https://127.0.0.1:8080/ HTTP/1.1", Refusal::Scheme, BAD),
        (LINE, "GET ws://127.0.0.1:8080/ HTTP/1.1", Refusal::Scheme, BAD),
        (LINE, "GET * HTTP/1.1", Refusal::Target, BAD),
        (LINE, "OPTIONS ** HTTP/1.1", Refusal::Target, BAD),
        (LINE, "options * HTTP/1.1", Refusal::Target, BAD),
        (LINE, "GET notes HTTP/1.1", Refusal::Target, BAD),
        (LINE, "GET 127.0.0.1:8080 HTTP/1.1", Refusal::Target, BAD),
        (LINE, "GET /a#b HTTP/1.1", Refusal::Target, BAD),
        (LINE, "GET /\u{e9} HTTP/1.1", Refusal::Target, BAD),
        (LINE, "CONNECT 127.0.0.1:8080 HTTP/1.1", Refusal::Connect, answer::NOT_IMPLEMENTED),
        // Framing.
        (ACCEPT, "Content-Length: 0\r\nContent-Length: 0", Refusal::ContentLengthRepeated, BAD),
        (ACCEPT, "Content-Length: 0, 0", Refusal::ContentLength, BAD),
        (ACCEPT, "Content-Length: +1", Refusal::ContentLength, BAD),
        (ACCEPT, "Content-Length: -1", Refusal::ContentLength, BAD),
        (ACCEPT, "Content-Length: 0x1", Refusal::ContentLength, BAD),
        (ACCEPT, "Content-Length: 1 1", Refusal::ContentLength, BAD),
        (ACCEPT, "Content-Length:", Refusal::ContentLength, BAD),
        (ACCEPT, "Content-Length: 18446744073709551616", Refusal::ContentLength, BAD),
        (ACCEPT, "Content-Length: 184467440737095516150", Refusal::ContentLength, BAD),
        (ACCEPT, "Content-Length: 65537", Refusal::BodyTooLong { limit: 65_536 }, answer::CONTENT_TOO_LARGE),
        (ACCEPT, "Content-Length: 5\r\nTransfer-Encoding: chunked", Refusal::ContentLengthAndCoding, BAD),
        (ACCEPT, "Transfer-Encoding: gzip, chunked", Refusal::TransferCoding, answer::NOT_IMPLEMENTED),
        (ACCEPT, "Transfer-Encoding: chunked, chunked", Refusal::TransferCoding, answer::NOT_IMPLEMENTED),
        (
            ACCEPT,
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            Refusal::TransferCoding,
            answer::NOT_IMPLEMENTED,
        ),
        (ACCEPT, "Transfer-Encoding: identity", Refusal::TransferCoding, answer::NOT_IMPLEMENTED),
        (ACCEPT, "Transfer-Encoding: xchunked", Refusal::TransferCoding, answer::NOT_IMPLEMENTED),
        (ACCEPT, "Transfer-Encoding:", Refusal::TransferCoding, answer::NOT_IMPLEMENTED),
        (ACCEPT, "Expect: 100-continue", Refusal::Expectation, answer::EXPECTATION_FAILED),
    ]
}

#[test]
fn what_may_not_upgrade_stays_http1_and_says_why() {
    for (part, by, why, say) in refusals() {
        let bytes = [&curl_but(part, by)[..], b"next"].concat();
        let (found, left) = sniff_at_every_cut(&bytes);
        assert_eq!(left, 4, "{by}");
        let Found::Http1 { refusal, answer, seen, .. } = found else { panic!("{by}: {found:?}") };
        assert_eq!((refusal, answer), (Some(why), say), "{by}");
        assert_eq!(seen, bytes[..bytes.len() - 4]);
        assert!(!why.to_string().is_empty() && why.to_string() != Refusal::Disabled.to_string());
    }
}

#[test]
fn a_switched_off_upgrade_is_refused_before_all_else() {
    let mut config = Config::default();
    config.upgrade = false;
    let (found, _) = sniff(config, &[CURL.as_bytes()]);
    assert_eq!(found.refusal(), Some(Refusal::Disabled));
    // Prior knowledge needs no Upgrade.
    assert!(matches!(sniff(config, &[PREFACE]).0, Found::Http2 { .. }));
}

#[test]
fn a_chunked_body_in_doubt_is_refused_at_the_byte_that_tells() {
    let head = curl_but("Accept: */*", "Transfer-Encoding: chunked");
    // The body, how much of it is taken, and why it will not do.
    let cases: [(&[u8], usize, Refusal); 14] = [
        (b"5;x=y\r\nhello\r\n0\r\n\r\n", 2, Refusal::Chunk),
        (b"5 \r\nhello\r\n0\r\n\r\n", 2, Refusal::Chunk),
        (b" 5\r\nhello\r\n0\r\n\r\n", 1, Refusal::Chunk),
        (b"\r\n0\r\n\r\n", 1, Refusal::Chunk),
        (b"0x5\r\nhello\r\n0\r\n\r\n", 2, Refusal::Chunk),
        (b"-1\r\n\r\n", 1, Refusal::Chunk),
        (b"5\nhello\r\n0\r\n\r\n", 2, Refusal::Chunk),
        (b"5\r\r\nhello\r\n0\r\n\r\n", 3, Refusal::Chunk),
        (b"5\r\nhello0\r\n\r\n", 9, Refusal::Chunk),
        (b"5\r\nhello\n0\r\n\r\n", 9, Refusal::Chunk),
        (b"5\r\nhello\rX0\r\n\r\n", 10, Refusal::Chunk),
        (b"0\r\n\rX", 5, Refusal::Chunk),
        (b"0\r\nA: b\r\n\r\n", 4, Refusal::Trailers),
        (b"0\r\n\n", 4, Refusal::Trailers),
    ];
    for (body, taken, why) in cases {
        let bytes = [&head[..], body].concat();
        let (found, left) = sniff_at_every_cut(&bytes);
        assert_eq!(body.len() - left, taken, "{}", body.escape_ascii());
        assert_eq!(found.seen(), &bytes[..bytes.len() - left]);
        assert_eq!(found.refusal(), Some(why), "{}", body.escape_ascii());
    }
}

#[test]
fn body_limits_hold_at_the_limit_and_one_past_it() {
    let mut config = Config::default();
    config.body_bytes_max = 16;
    let too_long = Some(Refusal::BodyTooLong { limit: 16 });
    let run = |field: &str, body: &[u8]| {
        let bytes = [&curl_but("Accept: */*", field)[..], body].concat();
        at_every_cut(&bytes, |chunks| sniff(config, chunks))
    };
    let (found, 0) = run("Content-Length: 16", &[b'x'; 16]) else { panic!() };
    assert_eq!(found.request().body.len(), 16);
    // Nothing of a body that is known to be too long is taken.
    let (found, left) = run("Content-Length: 17", &[b'x'; 17]);
    assert_eq!((found.refusal(), left), (too_long, 17));

    let (found, 0) = run("Transfer-Encoding: chunked", b"6\r\nabcdef\r\n0\r\n\r\n") else { panic!() };
    assert_eq!(found.request().body, b"abcdef");
    // A chunk that cannot fit is not waited for, nor is one whose size no machine can count.
    for body in [b"06\r\nabcdef\r\n0\r\n\r\n", b"0e\r\nabcdef\r\n0\r\n\r\n"] {
        let (found, left) = run("Transfer-Encoding: chunked", body);
        assert_eq!((found.refusal(), left), (too_long, 13));
    }
    let (found, left) = run("Transfer-Encoding: chunked", b"6\r\nabcdef\r\n00\r\n\r\n");
    assert_eq!((found.refusal(), left), (too_long, 1));
    let (found, left) = run("Transfer-Encoding: chunked", b"fffffffffffff\r\nabc");
    assert_eq!((found.refusal(), left), (too_long, 3));

    config.body_bytes_max = 0;
    let bytes = curl_but("Accept: */*", "Transfer-Encoding: chunked");
    assert_eq!(sniff(config, &[&bytes]).0.refusal(), Some(Refusal::BodyTooLong { limit: 0 }));
    assert_eq!(sniff(config, &[CURL.as_bytes()]).0.request().body, b"");
}

#[test]
fn a_chunk_size_beyond_every_number_does_not_wrap() {
    let mut config = Config::default();
    config.body_bytes_max = usize::MAX - 1;
    let bytes =
        [&curl_but("Accept: */*", "Transfer-Encoding: chunked")[..], b"1ffffffffffffffff0\r\n"].concat();
    let (found, 0) = at_every_cut(&bytes, |chunks| sniff(config, chunks)) else { panic!() };
    assert_eq!(found.refusal(), Some(Refusal::BodyTooLong { limit: usize::MAX - 1 }));
}

#[test]
fn settings_are_limited_in_number() {
    let mut config = Config::default();
    config.settings_max = 3;
    assert!(matches!(sniff(config, &[CURL.as_bytes()]).0, Found::Upgrade { .. }));
    config.settings_max = 2;
    let why = Refusal::Settings(SettingsError::TooMany { settings: 3, limit: 2 });
    assert_eq!(sniff(config, &[CURL.as_bytes()]).0.refusal(), Some(why));
}

#[test]
fn what_is_no_http_is_told_at_the_byte_that_tells() {
    // The bytes, and how many of them are taken.
    let cases: [(&[u8], usize); 14] = [
        (b"\0", 1),
        (b"\x80\x2e\x01\x03\x01", 1),
        (b"\x16\x02", 2),
        (b"\r\n\x16\x03\x01", 3),
        (b"\rGET / HTTP/1.1\r\n\r\n", 2),
        (b"\r\r\n", 2),
        (b" GET / HTTP/1.1\r\n\r\n", 1),
        (b"GET\t/ HTTP/1.1\r\n\r\n", 4),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", 22),
        (b"QUIT\n", 5),
        (b"{\"jsonrpc\":\"2.0\"}\n", 1),
        (b"*1\r\n$4\r\nPING\r\n", 3),
        (b"\r\n\r\n\0\r\nQUIT\n", 5),
        (b"PRI\r\n", 4),
    ];
    for (bytes, taken) in cases {
        let (found, left) = sniff_at_every_cut(bytes);
        assert_eq!(bytes.len() - left, taken, "{}", bytes.escape_ascii());
        let SniffError::NotHttp { seen } = found.error() else { panic!("{}", bytes.escape_ascii()) };
        assert_eq!(seen.as_bytes(), &bytes[..taken]);
    }
}

#[test]
fn tls_on_a_cleartext_port_has_a_name() {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let (found, left) = sniff_at_every_cut(hello);
    assert_eq!(left, hello.len() - 2);
    let error = found.error();
    assert!(matches!(error, SniffError::Tls { seen } if seen.as_bytes() == b"\x16\x03"));
    assert_eq!(error.answer(), None);
    assert_eq!(error.to_string(), r#"tls on a cleartext port: "\x16\x03""#);
}

#[test]
fn a_bad_request_line_is_told_at_its_end() {
    let cases: [(&[u8], bool); 14] = [
        // Versions that are understood, and not spoken.
        (b"GET / HTTP/2.0\r\n", true),
        (b"GET / HTTP/1.2\r\n", true),
        (b"GET / HTTP/0.9\r\n", true),
        (b"PRI / HTTP/2.0\r\n", true),
        (b"\r\nPRI * HTTP/2.0\r\n", true),
        // Lines that are not understood.
        (b"GET /\r\n", false),
        (b"GET / http/1.1\r\n", false),
        (b"GET / HTTP/1.1 \r\n", false),
        (b"GET  / HTTP/1.1\r\n", false),
        (b"GET / x HTTP/1.1\r\n", false),
        (b"GET /\x01 HTTP/1.1\r\n", false),
        (b"GET / HTTP/1.1\rX\r\n", false),
        (b"EHLO example.com\r\n", false),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", false),
    ];
    for (line, is_version) in cases {
        let (found, left) = sniff_at_every_cut(&[line, b"Host: a\r\n\r\n"].concat());
        assert_eq!(left, b"Host: a\r\n\r\n".len(), "{}", line.escape_ascii());
        let error = found.error();
        let (seen, say) = match error {
            SniffError::Version { seen } if is_version => (seen, answer::VERSION_NOT_SUPPORTED),
            SniffError::RequestLine { seen } if !is_version => (seen, answer::BAD_REQUEST),
            _ => panic!("{}: {error}", line.escape_ascii()),
        };
        assert_eq!(seen.as_bytes(), &line[..line.len().min(Excerpt::BYTES_MAX)]);
        assert_eq!(error.answer(), Some(say));
    }
}

#[test]
fn a_bad_field_line_is_told_at_the_end_of_the_head() {
    for line in [
        &b"Host a"[..],
        b"Host : a",
        b": a",
        b" Host: a",
        b"Folded: a\r\n b",
        b"Folded: a\r\n\tb",
        b"Null: a\0b",
        b"Return: a\rb",
        b"Bell: \x07",
        b"Delete: \x7f",
        b"N\xc3\xa4me: a",
        b"\rX: y",
    ] {
        let bytes = [b"GET / HTTP/1.1\r\n", line, b"\r\n\r\nnext"].concat();
        let (found, left) = sniff_at_every_cut(&bytes);
        assert_eq!(left, 4, "{}", line.escape_ascii());
        let error = found.error();
        assert_eq!((error, error.answer()), (SniffError::FieldLine, Some(answer::BAD_REQUEST)));
    }
}

#[test]
fn head_limits_hold_at_the_limit_and_one_past_it() {
    let bytes = [CURL.as_bytes(), b"next"].concat();
    let mut config = Config::default();
    config.head_bytes_max = CURL.len();
    let (found, left) = at_every_cut(&bytes, |chunks| sniff(config, chunks));
    assert!(matches!((found, left), (Found::Upgrade { .. }, 4)));
    config.head_bytes_max = CURL.len() - 1;
    let (found, left) = at_every_cut(&bytes, |chunks| sniff(config, chunks));
    let error = found.error();
    assert_eq!((error, left), (SniffError::HeadTooLong { limit: CURL.len() - 1 }, 5));
    assert_eq!(error.answer(), Some(answer::FIELDS_TOO_LARGE));

    // An endless method, target, and run of empty lines.
    config.head_bytes_max = 64;
    for endless in ["A".repeat(100), format!("GET /{}", "a".repeat(100)), "\r\n".repeat(50)] {
        let (found, left) = at_every_cut(endless.as_bytes(), |chunks| sniff(config, chunks));
        assert_eq!((found.error(), endless.len() - left), (SniffError::HeadTooLong { limit: 64 }, 64));
    }

    // Less than 12 would not do to tell HTTP/2.
    config.head_bytes_max = 0;
    assert!(matches!(sniff(config, &[PREFACE]).0, Found::Http2 { .. }));
    for bytes in ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/1.1\r\n\r\n"] {
        let (found, left) = at_every_cut(bytes.as_bytes(), |chunks| sniff(config, chunks));
        assert_eq!((found.error(), bytes.len() - left), (SniffError::HeadTooLong { limit: 12 }, 12));
    }
}

#[test]
fn fields_are_limited_in_number() {
    let mut config = Config::default();
    config.fields_max = 6;
    assert!(matches!(sniff(config, &[CURL.as_bytes()]).0, Found::Upgrade { .. }));
    config.fields_max = 5;
    let error = at_every_cut(CURL.as_bytes(), |chunks| sniff(config, chunks)).0.error();
    assert_eq!(error, SniffError::TooManyFields { limit: 5 });
    assert_eq!(error.answer(), Some(answer::FIELDS_TOO_LARGE));
}

#[test]
fn what_is_printed_holds_no_control_byte() {
    let mut sniffer = Sniffer::new(Config::default());
    assert!(sniffer.receive(&mut &b"GET / HTTP/1.1\r\n"[..]).unwrap().is_none());
    assert_eq!(format!("{sniffer:?}"), r#"Sniffer { seen: "GET / HTTP/1.1\r\n", .. }"#);
    let opening = sniffer.receive(&mut &b"A: \xff\r\n\r\n"[..]).unwrap().unwrap();
    let printed = r#"Http1(Http1 { seen: "GET / HTTP/1.1\r\nA: \xff\r\n\r\n", refusal: None, .. })"#;
    assert_eq!(format!("{opening:?}"), printed);
    let error = sniff(Config::default(), &[b"\x1b[31m"]).0.error();
    assert_eq!(format!("{error:?}"), r#"NotHttp { seen: "\x1b" }"#);
    let request = Request::new("GET", "a", "/").with_field("b", "c\x1b").with_body("\0");
    assert_eq!(format!("{request:?}"), "GET http://a/\nb: c\\x1b\n\n\\x00");
    assert_eq!(format!("{} {}", Version::Http10, Version::Http11), "HTTP/1.0 HTTP/1.1");
}

#[test]
fn errors_say_what_was_seen_and_which_limit_tripped() {
    let say = |bytes: &[u8]| sniff(Config::default(), &[bytes]).0.error().to_string();
    assert_eq!(say(b"SSH-2.0-x\r\n"), r#"neither http/2 nor http/1: "SSH-2.0-x\r""#);
    assert_eq!(say(b"GET /\r\n"), r#"malformed request line: "GET /\r\n""#);
    assert_eq!(say(b"GET / HTTP/3\r\n"), r#"http version is not 1.0, 1.1 or 2: "GET / HTTP/3\r\n""#);
    assert_eq!(say(&[b'A'; 20_000]), "head is longer than 16384 bytes (head_bytes_max)");
    let eof = SniffError::Eof { at: Cut::Body, bytes: 7 };
    assert_eq!(eof.to_string(), "end of input in the body of a request that upgrades, after 7 bytes");
    assert_eq!(
        Refusal::Settings(SettingsError::Value { id: 2, value: 7 }).to_string(),
        "http2-settings: setting 0x2 has the invalid value 7"
    );
}
