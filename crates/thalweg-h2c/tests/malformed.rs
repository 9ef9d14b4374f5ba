//! The malformed, the doubtful and the oversized, each at every cut.

mod common;

use common::*;
use std::error::Error as _;

use thalweg_h2c::{
    Config, EofPosition, Excerpt, PREFACE, SettingsError, SniffError, Sniffer, UpgradeRejection,
    UpgradeRequest, Version, responses,
};

/// Requests that ask for h2c and may not have it: what replaces a part of curl's, why not, and the
/// answer.
fn rejections() -> Vec<(&'static str, &'static str, UpgradeRejection, &'static [u8])> {
    const BAD: &[u8] = responses::BAD_REQUEST;
    let settings = |error| UpgradeRejection::Settings(error);
    let value = |id, value| settings(SettingsError::Value { id, value });
    const CONNECTION: &str = "Connection: Upgrade, HTTP2-Settings";
    const SETTINGS: &str = "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA";
    const LINE: &str = "GET /notes HTTP/1.1";
    const HOST: &str = "Host: 127.0.0.1:8080";
    const ACCEPT: &str = "Accept: */*";
    vec![
        (LINE, "GET /notes HTTP/1.0", UpgradeRejection::Http10, responses::VERSION_NOT_SUPPORTED),
        ("curl/7.88.1\r\n", "curl\n", UpgradeRejection::BareLineFeed, BAD),
        (LINE, "\nGET / HTTP/1.1", UpgradeRejection::BareLineFeed, BAD),
        // Connection options.
        (CONNECTION, "Connection: Upgrade", UpgradeRejection::SettingsNotListed, BAD),
        (CONNECTION, "Connection: HTTP2-Settings", UpgradeRejection::UpgradeNotListed, BAD),
        (CONNECTION, "Connection: UpgradeHTTP2-Settings", UpgradeRejection::UpgradeNotListed, BAD),
        (CONNECTION, "X: Upgrade, HTTP2-Settings", UpgradeRejection::UpgradeNotListed, BAD),
        (CONNECTION, "Connection: Upgrade, HTTP2-Settings, close", UpgradeRejection::ConnectionOption, BAD),
        (CONNECTION, "Connection: Upgrade, HTTP2-Settings, Cookie", UpgradeRejection::ConnectionOption, BAD),
        (CONNECTION, "Connection: Upgrade, HTTP2-Settings, Host", UpgradeRejection::ConnectionOption, BAD),
        // HTTP2-Settings.
        (SETTINGS, "X: y", UpgradeRejection::SettingsMissing, BAD),
        (
            SETTINGS,
            "HTTP2-Settings: AAMAAABk\r\nHTTP2-Settings: AAMAAABk",
            UpgradeRejection::SettingsRepeated,
            BAD,
        ),
        (SETTINGS, "HTTP2-Settings: AAMAAABk, AAMAAABk", UpgradeRejection::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings:", UpgradeRejection::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings: AAMAAABk====", UpgradeRejection::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings: AAMA+/Bk", UpgradeRejection::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings: AAMAA", UpgradeRejection::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings: AAMAA ABk", UpgradeRejection::SettingsEncoding, BAD),
        // The last digit has bits that no byte holds.
        (SETTINGS, "HTTP2-Settings: AAMAAABkAB", UpgradeRejection::SettingsEncoding, BAD),
        (SETTINGS, "HTTP2-Settings: AAMAAAA", settings(SettingsError::Length { bytes: 5 }), BAD),
        (SETTINGS, "HTTP2-Settings: AAMAAABkAA", settings(SettingsError::Length { bytes: 7 }), BAD),
        (SETTINGS, "HTTP2-Settings: AAIAAAAC", value(2, 2), BAD),
        (SETTINGS, "HTTP2-Settings: AASAAAAA", value(4, 0x8000_0000), BAD),
        (SETTINGS, "HTTP2-Settings: AAUAAD__", value(5, 0x3fff), BAD),
        (SETTINGS, "HTTP2-Settings: AAUBAAAA", value(5, 0x0100_0000), BAD),
        (SETTINGS, "HTTP2-Settings: AAgAAAAC", value(8, 2), BAD),
        (SETTINGS, "HTTP2-Settings: AAkAAAAC", value(9, 2), BAD),
        // Host and target.
        (HOST, "X: y", UpgradeRejection::HostMissing, BAD),
        (HOST, "Host: a\r\nHost: a", UpgradeRejection::HostRepeated, BAD),
        (HOST, "Host:", UpgradeRejection::Host, BAD),
        (HOST, "Host: a b", UpgradeRejection::Host, BAD),
        (HOST, "Host: a, b", UpgradeRejection::Host, BAD),
        (HOST, "Host: u@a", UpgradeRejection::Host, BAD),
        (HOST, "Host: a/b", UpgradeRejection::Host, BAD),
        (HOST, "Host: a?b", UpgradeRejection::Host, BAD),
        (HOST, "Host: a:65536", UpgradeRejection::Host, BAD),
        (HOST, "Host: a:+1", UpgradeRejection::Host, BAD),
        (HOST, "Host: a:1:2", UpgradeRejection::Host, BAD),
        (HOST, "Host: :80", UpgradeRejection::Host, BAD),
        (HOST, "Host: ::1", UpgradeRejection::Host, BAD),
        (HOST, "Host: [::1", UpgradeRejection::Host, BAD),
        (HOST, "Host: [::1]x", UpgradeRejection::Host, BAD),
        (HOST, "Host: [a]", UpgradeRejection::Host, BAD),
        (HOST, "Host: [fe80::1%25eth0]", UpgradeRejection::Host, BAD),
        (HOST, "Host: a%4", UpgradeRejection::Host, BAD),
        (HOST, "Host: \u{e9}", UpgradeRejection::Host, BAD),
        (LINE, "GET http://evil/ HTTP/1.1", UpgradeRejection::HostDiffers, BAD),
        (LINE, "GET http://127.0.0.1/ HTTP/1.1", UpgradeRejection::HostDiffers, BAD),
        (LINE, "GET http://u@127.0.0.1:8080/ HTTP/1.1", UpgradeRejection::HostDiffers, BAD),
        (LINE, "GET http:///x HTTP/1.1", UpgradeRejection::HostDiffers, BAD),
        (LINE, "GET https://127.0.0.1:8080/ HTTP/1.1", UpgradeRejection::Scheme, BAD),
        (LINE, "GET ws://127.0.0.1:8080/ HTTP/1.1", UpgradeRejection::Scheme, BAD),
        (LINE, "GET * HTTP/1.1", UpgradeRejection::Target, BAD),
        (LINE, "OPTIONS ** HTTP/1.1", UpgradeRejection::Target, BAD),
        (LINE, "options * HTTP/1.1", UpgradeRejection::Target, BAD),
        (LINE, "GET notes HTTP/1.1", UpgradeRejection::Target, BAD),
        (LINE, "GET 127.0.0.1:8080 HTTP/1.1", UpgradeRejection::Target, BAD),
        (LINE, "GET /a#b HTTP/1.1", UpgradeRejection::Target, BAD),
        (LINE, "GET /\u{e9} HTTP/1.1", UpgradeRejection::Target, BAD),
        (LINE, "CONNECT 127.0.0.1:8080 HTTP/1.1", UpgradeRejection::Connect, responses::NOT_IMPLEMENTED),
        // Framing.
        (ACCEPT, "Content-Length: 0\r\nContent-Length: 0", UpgradeRejection::ContentLengthRepeated, BAD),
        (ACCEPT, "Content-Length: 0, 0", UpgradeRejection::ContentLength, BAD),
        (ACCEPT, "Content-Length: +1", UpgradeRejection::ContentLength, BAD),
        (ACCEPT, "Content-Length: -1", UpgradeRejection::ContentLength, BAD),
        (ACCEPT, "Content-Length: 0x1", UpgradeRejection::ContentLength, BAD),
        (ACCEPT, "Content-Length: 1 1", UpgradeRejection::ContentLength, BAD),
        (ACCEPT, "Content-Length:", UpgradeRejection::ContentLength, BAD),
        (ACCEPT, "Content-Length: 18446744073709551616", UpgradeRejection::ContentLength, BAD),
        (ACCEPT, "Content-Length: 184467440737095516150", UpgradeRejection::ContentLength, BAD),
        (
            ACCEPT,
            "Content-Length: 65537",
            UpgradeRejection::BodyTooLong { limit: 65_536 },
            responses::CONTENT_TOO_LARGE,
        ),
        (
            ACCEPT,
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            UpgradeRejection::ContentLengthAndCoding,
            BAD,
        ),
        (
            ACCEPT,
            "Transfer-Encoding: gzip, chunked",
            UpgradeRejection::TransferCoding,
            responses::NOT_IMPLEMENTED,
        ),
        (
            ACCEPT,
            "Transfer-Encoding: chunked, chunked",
            UpgradeRejection::TransferCoding,
            responses::NOT_IMPLEMENTED,
        ),
        (
            ACCEPT,
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            UpgradeRejection::TransferCoding,
            responses::NOT_IMPLEMENTED,
        ),
        (ACCEPT, "Transfer-Encoding: identity", UpgradeRejection::TransferCoding, responses::NOT_IMPLEMENTED),
        (ACCEPT, "Transfer-Encoding: xchunked", UpgradeRejection::TransferCoding, responses::NOT_IMPLEMENTED),
        (ACCEPT, "Transfer-Encoding:", UpgradeRejection::TransferCoding, responses::NOT_IMPLEMENTED),
        (ACCEPT, "Expect: 100-continue", UpgradeRejection::Expectation, responses::EXPECTATION_FAILED),
    ]
}

#[test]
fn a_request_that_may_not_upgrade_stays_http1_with_a_reason() {
    // 9110-7.1-1, 9110-7.8-6, 9110-7.8-8, 9110-7.8-9, 9110-8.6-8, 9110-4.2.1-2, 9110-4.2.4-2
    for (part, by, why, say) in rejections() {
        let bytes = [&curl_but(part, by)[..], b"next"].concat();
        let (sniffed, left) = sniff_at_every_split(&bytes);
        assert_eq!(left, 4, "{by}");
        let Sniffed::Http1 { rejection, response, seen, .. } = sniffed else { panic!("{by}: {sniffed:?}") };
        assert_eq!((rejection, response), (Some(why), say), "{by}");
        assert_eq!(seen, bytes[..bytes.len() - 4]);
        assert!(!why.to_string().is_empty() && why.to_string() != UpgradeRejection::Disabled.to_string());
    }
}

#[test]
fn a_disabled_upgrade_is_rejected_before_all_else() {
    let mut config = Config::default();
    config.upgrade = false;
    let (sniffed, _) = sniff(config, &[CURL.as_bytes()]);
    assert_eq!(sniffed.rejection(), Some(UpgradeRejection::Disabled));
    // Prior knowledge needs no Upgrade.
    assert!(matches!(sniff(config, &[PREFACE]).0, Sniffed::Http2 { .. }));
}

#[test]
fn an_ambiguous_chunked_body_is_rejected_at_the_deciding_byte() {
    let head = curl_but("Accept: */*", "Transfer-Encoding: chunked");
    // The body, how much of it is taken, and why it will not do.
    let cases: [(&[u8], usize, UpgradeRejection); 14] = [
        (b"5;x=y\r\nhello\r\n0\r\n\r\n", 2, UpgradeRejection::Chunk),
        (b"5 \r\nhello\r\n0\r\n\r\n", 2, UpgradeRejection::Chunk),
        (b" 5\r\nhello\r\n0\r\n\r\n", 1, UpgradeRejection::Chunk),
        (b"\r\n0\r\n\r\n", 1, UpgradeRejection::Chunk),
        (b"0x5\r\nhello\r\n0\r\n\r\n", 2, UpgradeRejection::Chunk),
        (b"-1\r\n\r\n", 1, UpgradeRejection::Chunk),
        (b"5\nhello\r\n0\r\n\r\n", 2, UpgradeRejection::Chunk),
        (b"5\r\r\nhello\r\n0\r\n\r\n", 3, UpgradeRejection::Chunk),
        (b"5\r\nhello0\r\n\r\n", 9, UpgradeRejection::Chunk),
        (b"5\r\nhello\n0\r\n\r\n", 9, UpgradeRejection::Chunk),
        (b"5\r\nhello\rX0\r\n\r\n", 10, UpgradeRejection::Chunk),
        (b"0\r\n\rX", 5, UpgradeRejection::Chunk),
        (b"0\r\nA: b\r\n\r\n", 4, UpgradeRejection::Trailers),
        (b"0\r\n\n", 4, UpgradeRejection::Trailers),
    ];
    for (body, taken, why) in cases {
        let bytes = [&head[..], body].concat();
        let (sniffed, left) = sniff_at_every_split(&bytes);
        assert_eq!(body.len() - left, taken, "{}", body.escape_ascii());
        assert_eq!(sniffed.seen(), &bytes[..bytes.len() - left]);
        assert_eq!(sniffed.rejection(), Some(why), "{}", body.escape_ascii());
    }
}

#[test]
fn body_limits_hold_at_the_limit_and_one_past_it() {
    let mut config = Config::default();
    config.body_bytes_max = 16;
    let too_long = Some(UpgradeRejection::BodyTooLong { limit: 16 });
    let run = |field: &str, body: &[u8]| {
        let bytes = [&curl_but("Accept: */*", field)[..], body].concat();
        at_every_split(&bytes, |chunks| sniff(config, chunks))
    };
    let (sniffed, 0) = run("Content-Length: 16", &[b'x'; 16]) else { panic!() };
    assert_eq!(sniffed.request().body.len(), 16);
    // Nothing of a body that is known to be too long is taken.
    let (sniffed, left) = run("Content-Length: 17", &[b'x'; 17]);
    assert_eq!((sniffed.rejection(), left), (too_long, 17));

    let (sniffed, 0) = run("Transfer-Encoding: chunked", b"6\r\nabcdef\r\n0\r\n\r\n") else { panic!() };
    assert_eq!(sniffed.request().body, b"abcdef");
    // A chunk that cannot fit is not waited for, nor is one whose size no machine can count.
    for body in [b"06\r\nabcdef\r\n0\r\n\r\n", b"0e\r\nabcdef\r\n0\r\n\r\n"] {
        let (sniffed, left) = run("Transfer-Encoding: chunked", body);
        assert_eq!((sniffed.rejection(), left), (too_long, 13));
    }
    let (sniffed, left) = run("Transfer-Encoding: chunked", b"6\r\nabcdef\r\n00\r\n\r\n");
    assert_eq!((sniffed.rejection(), left), (too_long, 1));
    let (sniffed, left) = run("Transfer-Encoding: chunked", b"fffffffffffff\r\nabc");
    assert_eq!((sniffed.rejection(), left), (too_long, 3));

    config.body_bytes_max = 0;
    let bytes = curl_but("Accept: */*", "Transfer-Encoding: chunked");
    assert_eq!(sniff(config, &[&bytes]).0.rejection(), Some(UpgradeRejection::BodyTooLong { limit: 0 }));
    assert_eq!(sniff(config, &[CURL.as_bytes()]).0.request().body, b"");
}

#[test]
fn a_chunk_size_beyond_every_number_does_not_wrap() {
    let mut config = Config::default();
    config.body_bytes_max = usize::MAX - 1;
    let bytes =
        [&curl_but("Accept: */*", "Transfer-Encoding: chunked")[..], b"1ffffffffffffffff0\r\n"].concat();
    let (sniffed, 0) = at_every_split(&bytes, |chunks| sniff(config, chunks)) else { panic!() };
    assert_eq!(sniffed.rejection(), Some(UpgradeRejection::BodyTooLong { limit: usize::MAX - 1 }));
}

#[test]
fn settings_are_limited_in_number() {
    let mut config = Config::default();
    config.settings_max = 3;
    assert!(matches!(sniff(config, &[CURL.as_bytes()]).0, Sniffed::Upgrade { .. }));
    config.settings_max = 2;
    let why = UpgradeRejection::Settings(SettingsError::TooMany { settings: 3, limit: 2 });
    assert_eq!(sniff(config, &[CURL.as_bytes()]).0.rejection(), Some(why));
}

#[test]
fn input_other_than_http_is_rejected_at_the_deciding_byte() {
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
        let (sniffed, left) = sniff_at_every_split(bytes);
        assert_eq!(bytes.len() - left, taken, "{}", bytes.escape_ascii());
        let SniffError::NotHttp { seen } = sniffed.error() else { panic!("{}", bytes.escape_ascii()) };
        assert_eq!(seen.as_bytes(), &bytes[..taken]);
    }
}

#[test]
fn tls_on_a_cleartext_port_is_reported_as_tls() {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let (sniffed, left) = sniff_at_every_split(hello);
    assert_eq!(left, hello.len() - 2);
    let error = sniffed.error();
    assert!(matches!(error, SniffError::Tls { seen } if seen.as_bytes() == b"\x16\x03"));
    assert_eq!(error.response(), None);
    assert_eq!(error.to_string(), r#"tls on a cleartext port, use http:// instead of https://: "\x16\x03""#);
}

#[test]
fn a_bad_request_line_is_rejected_at_its_end() {
    // 9110-6.2-5
    const NO_VERSION: Option<&[u8]> = Some(responses::VERSION_NOT_SUPPORTED);
    const BAD: Option<&[u8]> = Some(responses::BAD_REQUEST);
    let cases: [(&[u8], Option<&[u8]>); 18] = [
        // Versions that are understood, and not spoken.
        (b"GET / HTTP/2.0\r\n", NO_VERSION),
        (b"GET / HTTP/1.2\r\n", NO_VERSION),
        (b"GET / HTTP/0.9\r\n", NO_VERSION),
        (b"PRI / HTTP/2.0\r\n", NO_VERSION),
        (b"\r\nPRI * HTTP/2.0\r\n", NO_VERSION),
        // Lines that are not understood, of a client that speaks HTTP/1.
        (b"GET / HTTP/1.1 \r\n", BAD),
        (b"GET  / HTTP/1.1\r\n", BAD),
        (b"GET / x HTTP/1.1\r\n", BAD),
        (b"GET /\x01 HTTP/1.1\r\n", BAD),
        // RFC 9113 §3.4: lines without a version of HTTP get no text of HTTP/1.1.
        (b"GET /\r\n", None),
        (b"GET / http/1.1\r\n", None),
        (b"GET / HTTQ/1.1\r\n", None),
        (b"GET / HTTP/x\r\n", None),
        (b"GET / HTTP/1.10\r\n", None),
        (b"GET / HTTP/1.1\rX\r\n", None),
        (b"PRI * HTTP\r\n", None),
        (b"EHLO example.com\r\n", None),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", None),
    ];
    for (line, response) in cases {
        let (sniffed, left) = sniff_at_every_split(&[line, b"Host: a\r\n\r\n"].concat());
        assert_eq!(left, b"Host: a\r\n\r\n".len(), "{}", line.escape_ascii());
        let error = sniffed.error();
        let (SniffError::Version { seen } | SniffError::RequestLine { seen } | SniffError::NotHttp { seen }) =
            error
        else {
            panic!("{}: {error}", line.escape_ascii());
        };
        assert_eq!(error.response(), response, "{}", line.escape_ascii());
        assert_eq!(seen.as_bytes(), &line[..line.len().min(Excerpt::BYTES_MAX)]);
    }
}

#[test]
fn a_first_word_as_long_as_the_preface_is_not_http() {
    let longest = b"abcdefghijklmnopqrstuvw / HTTP/1.1\r\n\r\n";
    assert!(matches!(sniff_at_every_split(longest), (Sniffed::Http1 { .. }, 0)));
    for bytes in
        [&b"abcdefghijklmnopqrstuvwx"[..], b"\r\nPRIabcdefghijklmnopqrstu", b"PRIabcdefghijklmnopqrstu"]
    {
        let (sniffed, left) = sniff_at_every_split(&[bytes, b" / HTTP/1.1\r\n\r\n"].concat());
        assert_eq!(left, b" / HTTP/1.1\r\n\r\n".len());
        let error = sniffed.error();
        assert!(matches!(error, SniffError::NotHttp { seen } if seen.as_bytes() == bytes), "{error}");
        assert_eq!(error.response(), None);
    }
}

#[test]
fn a_bad_field_line_is_rejected_at_the_end_of_the_head() {
    for line in [
        &b"Host a"[..],
        b"Host : a",
        b": a",
        b" Host: a",
        b"Folded: a\r\n b",
        b"Folded: a\r\n\tb",
        b"Null: a\0b",
        b"Return: a\rb",
        b"Control: \x07",
        b"Delete: \x7f",
        b"N\xc3\xa4me: a",
        b"\rX: y",
    ] {
        let bytes = [b"GET / HTTP/1.1\r\n", line, b"\r\n\r\nnext"].concat();
        let (sniffed, left) = sniff_at_every_split(&bytes);
        assert_eq!(left, 4, "{}", line.escape_ascii());
        let error = sniffed.error();
        assert_eq!((error, error.response()), (SniffError::FieldLine, Some(responses::BAD_REQUEST)));
    }
}

#[test]
fn head_limits_hold_at_the_limit_and_one_past_it() {
    // 9110-2.3-1, 9110-5.4-1
    let bytes = [CURL.as_bytes(), b"next"].concat();
    let mut config = Config::default();
    config.head_bytes_max = CURL.len();
    let (sniffed, left) = at_every_split(&bytes, |chunks| sniff(config, chunks));
    assert!(matches!((sniffed, left), (Sniffed::Upgrade { .. }, 4)));
    config.head_bytes_max = CURL.len() - 1;
    let (sniffed, left) = at_every_split(&bytes, |chunks| sniff(config, chunks));
    let error = sniffed.error();
    assert_eq!((error, left), (SniffError::HeadTooLong { limit: CURL.len() - 1 }, 5));
    assert_eq!(error.response(), Some(responses::FIELDS_TOO_LARGE));

    // An endless target, and run of empty lines.
    config.head_bytes_max = 64;
    for endless in [format!("GET /{}", "a".repeat(100)), "\r\n".repeat(50)] {
        let (sniffed, left) = at_every_split(endless.as_bytes(), |chunks| sniff(config, chunks));
        assert_eq!((sniffed.error(), endless.len() - left), (SniffError::HeadTooLong { limit: 64 }, 64));
    }

    // Fewer than 12 bytes cannot identify HTTP/2.
    config.head_bytes_max = 0;
    assert!(matches!(sniff(config, &[PREFACE]).0, Sniffed::Http2 { .. }));
    for bytes in ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/1.1\r\n\r\n"] {
        let (sniffed, left) = at_every_split(bytes.as_bytes(), |chunks| sniff(config, chunks));
        assert_eq!((sniffed.error(), bytes.len() - left), (SniffError::HeadTooLong { limit: 12 }, 12));
    }
}

#[test]
fn fields_are_limited_in_number() {
    let mut config = Config::default();
    config.fields_max = 6;
    assert!(matches!(sniff(config, &[CURL.as_bytes()]).0, Sniffed::Upgrade { .. }));
    config.fields_max = 5;
    let error = at_every_split(CURL.as_bytes(), |chunks| sniff(config, chunks)).0.error();
    assert_eq!(error, SniffError::TooManyFields { limit: 5 });
    assert_eq!(error.response(), Some(responses::FIELDS_TOO_LARGE));
}

#[test]
fn messages_contain_no_control_byte() {
    let mut sniffer = Sniffer::new(Config::default());
    assert!(sniffer.receive(&mut &b"GET / HTTP/1.1\r\n"[..]).unwrap().is_none());
    assert_eq!(format!("{sniffer:?}"), r#"Sniffer { seen: "GET / HTTP/1.1\r\n", .. }"#);
    let opening = sniffer.receive(&mut &b"A: \xff\r\n\r\n"[..]).unwrap().unwrap();
    let printed = r#"Http1(Http1 { seen: "GET / HTTP/1.1\r\nA: \xff\r\n\r\n", refusal: None, .. })"#;
    assert_eq!(format!("{opening:?}"), printed);
    let error = sniff(Config::default(), &[b"\x1b[31m"]).0.error();
    assert_eq!(format!("{error:?}"), r#"NotHttp { seen: "\x1b" }"#);
    let request = UpgradeRequest::new("GET", "a", "/").with_field("b", "c\x1b").with_body("\0");
    assert_eq!(format!("{request:?}"), "GET http://a/\nb: c\\x1b\n\n\\x00");
    assert_eq!(format!("{} {}", Version::Http10, Version::Http11), "HTTP/1.0 HTTP/1.1");
}

#[test]
fn errors_report_the_value_and_the_limit() {
    let message = |bytes: &[u8]| sniff(Config::default(), &[bytes]).0.error().to_string();
    assert_eq!(message(b"SSH-2.0-x\r\n"), r#"neither http/2 nor http/1: "SSH-2.0-x\r""#);
    let line = "GET  / HTTP/1.1\r\n";
    assert_eq!(message(line.as_bytes()), r#"malformed request line: "GET  / HTTP/1.1\r\n""#);
    assert_eq!(message(b"GET / HTTP/3\r\n"), r#"http version is not 1.0, 1.1 or 2: "GET / HTTP/3\r\n""#);
    assert_eq!(
        message(format!("GET /{}", "a".repeat(20_000)).as_bytes()),
        "head is longer than 16384 bytes (head_bytes_max)"
    );
    let eof = SniffError::Eof { at: EofPosition::Body, bytes: 7 };
    assert_eq!(eof.to_string(), "end of input in the body of an upgrade request, after 7 bytes");
    let rejection = UpgradeRejection::Settings(SettingsError::Value { id: 2, value: 7 });
    assert_eq!(rejection.to_string(), "http2-settings is invalid");
    let cause = rejection.source().expect("it has a cause").to_string();
    assert_eq!(cause, "setting 0x2 has the invalid value 7");
}
