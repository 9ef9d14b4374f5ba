//! What holds for every input: the chunking does not matter, nothing is lost, and both sides agree.

mod common;

use common::*;
use proptest::collection::vec;
use proptest::prelude::*;
use thalweg_h2c::{Config, PREFACE, Protocol, Sniffer, UpgradeRequest, UpgradeResponse, Upgrader};

/// Pieces of openings, good and bad. Joined at random they get deep into the sniffer more often
/// than noise does.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 28] = [
        b"GET / HTTP/1.1\r\n",
        b"PRI * HTTP/",
        b"POST http://a/x HTTP/1.1\r\n",
        b"HEAD / HTTP/1.0\r\n",
        b"Host: a\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\n",
        b"Upgrade: h2c\r\n",
        b"HTTP2-Settings: AAMAAABk\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"X: y\n",
        b" folded\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"5\r\nhello\r\n",
        b"0\r\n",
        b"hello",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"HTTP/1.1 103 Early Hints\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"Connection: Upgrade\r\n",
        b"2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01",
        b"\0",
        b" ",
        b":",
        b"HTTP/1.",
    ];
    prop_oneof![
        8 => prop::sample::select(&PIECES[..]).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..4),
    ]
}

/// A request that upgrades, or one byte away from that.
fn nearly_good() -> impl Strategy<Value = Vec<u8>> {
    const BODIES: [&[u8]; 4] = [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"\r\n",
        b"TE: trailers\r\n\r\n",
    ];
    (prop::sample::select(&BODIES[..]), any::<prop::sample::Index>(), any::<Option<u8>>()).prop_map(
        |(body, at, byte)| {
            let mut bytes = [&CURL.as_bytes()[..CURL.len() - 2], body, PREFACE].concat();
            if let Some(byte) = byte {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    )
}

fn opening() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(piece(), 0..16).prop_map(|pieces| pieces.concat()), nearly_good()]
}

/// Cuts bytes at these places.
fn split<'a>(bytes: &'a [u8], splits: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut ranges: Vec<_> = splits.iter().map(|split| split.index(bytes.len() + 1)).collect();
    ranges.extend([0, bytes.len()]);
    ranges.sort_unstable();
    ranges.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// Limits that small inputs reach.
fn config() -> impl Strategy<Value = Config> {
    (any::<bool>(), 0..200_usize, 0..20_usize, 0..7_usize).prop_map(|(narrow, head, body, fields)| {
        let mut config = Config::default();
        if narrow {
            (config.head_bytes_max, config.body_bytes_max, config.fields_max) = (head, body, fields);
        }
        config
    })
}

fn name() -> impl Strategy<Value = String> {
    // `x-` keeps clear of the names that the crate writes itself.
    prop_oneof!["x-[a-z0-9!#$%&'*+.^_`|~-]{0,8}", Just("accept".to_owned()), Just("cookie".to_owned())]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        any::<u8>().prop_filter("no control bytes", |&byte| byte == b'\t' || byte >= b' ' && byte != 0x7f);
    vec(byte, 0..12).prop_map(|bytes| bytes.trim_ascii().to_vec())
}

fn request() -> impl Strategy<Value = UpgradeRequest> {
    (
        "[A-Z][A-Z-]{0,6}",
        "([a-z0-9._~-]{1,12}|\\[::[0-9a-f]{1,4}\\]|1\\.2\\.3\\.4)(:[0-9]{1,4})?",
        "/[!-\"$-~]{0,20}",
        vec((name(), value()), 0..6),
        any::<bool>(),
        vec(any::<u8>(), 0..40),
    )
        .prop_filter("CONNECT does not upgrade", |parts| parts.0 != "CONNECT")
        .prop_map(|(method, authority, path, fields, te, body)| {
            let mut request = UpgradeRequest::new(method, authority, path).with_body(body);
            request.fields = fields;
            if te { request.with_field("te", "trailers") } else { request }
        })
}

proptest! {
    #[test]
    fn any_chunking_sniffs_the_same(
        bytes in opening(),
        splits in vec(any::<prop::sample::Index>(), 0..8),
        config in config(),
    ) {
        let whole = sniff(config, &[&bytes]);
        prop_assert_eq!(&sniff(config, &split(&bytes, &splits)), &whole);
        prop_assert_eq!(sniff(config, &bytes.chunks(1).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn any_chunking_receives_the_same_response(
        bytes in opening(),
        splits in vec(any::<prop::sample::Index>(), 0..8),
        config in config(),
    ) {
        let bytes = [&b"HTTP/1."[..], &bytes].concat();
        for bytes in [&bytes[..], &bytes[7..]] {
            let whole = receive(config, &[bytes]);
            prop_assert_eq!(&receive(config, &split(bytes, &splits)), &whole);
            prop_assert_eq!(receive(config, &bytes.chunks(1).collect::<Vec<_>>()), whole);
        }
    }

    #[test]
    fn a_decision_needs_no_further_byte_and_is_final(bytes in opening(), more in opening()) {
        let (sniffed, left) = sniff(Config::default(), &[&bytes]);
        let (same, rest) = sniff(Config::default(), &[&bytes, &more]);
        match sniffed {
            Sniffed::More { .. } => prop_assert!(rest <= more.len()),
            _ => prop_assert_eq!((same, rest), (sniffed.clone(), left + more.len())),
        }
        if left > 0 {
            let (same, rest) = sniff(Config::default(), &[&bytes[..bytes.len() - left]]);
            prop_assert_eq!((same, rest), (sniffed, 0));
        }
    }

    #[test]
    fn buffered_bytes_stay_within_the_limits(bytes in vec(piece(), 0..64), config in config()) {
        let mut sniffer = Sniffer::new(config);
        let limit = config.head_bytes_max.max(12) + config.body_bytes_max;
        for piece in &bytes {
            let outcome = sniffer.receive(&mut &piece[..]);
            prop_assert!(sniffer.seen().len() <= limit);
            if let Ok(Some(Protocol::Http1(http1))) = outcome {
                prop_assert!(http1.seen().len() <= limit);
                break;
            }
        }
    }

    #[test]
    fn the_sniffer_accepts_what_the_upgrader_sends(
        request in request(),
        settings in vec((0x10_u16.., any::<u32>()), 1..32),
        splits in vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        let mut client = Upgrader::new(&request, &payload, Config::default()).unwrap();
        let mut sent = request.clone();
        if !sent.body.is_empty() || ["POST", "PUT", "PATCH"].contains(&&sent.method[..]) {
            sent = sent.with_field("content-length", request.body.len().to_string());
        }
        let bytes = [client.bytes(), PREFACE].concat();
        let (sniffed, left) = sniff(Config::default(), &split(&bytes, &splits));
        let seen = client.bytes().to_vec();
        prop_assert_eq!((sniffed, left), (Sniffed::Upgrade { request: sent, settings: payload, seen }, PREFACE.len()));
        let mut response = thalweg_h2c::responses::SWITCHING_PROTOCOLS;
        prop_assert_eq!(client.receive(&mut response), Ok(Some(UpgradeResponse::Switched)));
        prop_assert!(response.is_empty());
    }
}
