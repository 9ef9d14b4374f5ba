//! Feeds both sides in every chunking that matters, and compares what comes out.
#![allow(dead_code)] // each test binary uses its part

use std::fmt::Debug;

use thalweg_h2c::{
    Config, Protocol, SniffError, Sniffer, UpgradeRejection, UpgradeRequest, UpgradeResponse,
    UpgradeResponseError, Upgrader, Version,
};

/// What a sniffer came to, in a form that can be compared.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum Sniffed {
    Http2 { seen: Vec<u8> },
    Upgrade { request: UpgradeRequest, settings: Vec<u8>, seen: Vec<u8> },
    Http1 { seen: Vec<u8>, rejection: Option<UpgradeRejection>, parsed: Parsed, response: &'static [u8] },
    Error { error: SniffError, seen: Vec<u8> },
    More { seen: Vec<u8> },
}

#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Parsed {
    pub method: String,
    pub target: String,
    pub version: Version,
    pub fields: Vec<(String, Vec<u8>)>,
    pub head_bytes: usize,
}

impl Sniffed {
    pub fn seen(&self) -> &[u8] {
        match self {
            Self::Http2 { seen }
            | Self::Upgrade { seen, .. }
            | Self::Http1 { seen, .. }
            | Self::Error { seen, .. }
            | Self::More { seen } => seen,
        }
    }

    #[track_caller]
    pub fn error(self) -> SniffError {
        match self {
            Self::Error { error, .. } => error,
            other => panic!("no error but {other:?}"),
        }
    }

    #[track_caller]
    pub fn rejection(self) -> Option<UpgradeRejection> {
        match self {
            Self::Http1 { rejection, .. } => rejection,
            other => panic!("not HTTP/1 but {other:?}"),
        }
    }

    #[track_caller]
    pub fn request(self) -> UpgradeRequest {
        match self {
            Self::Upgrade { request, .. } => request,
            other => panic!("no upgrade but {other:?}"),
        }
    }
}

/// Sniffs chunks in turn. Gives what was found, and how many bytes were left.
///
/// Checks on the way that nothing is lost or invented: what was seen and what is left are the
/// input.
pub fn sniff(config: Config, chunks: &[&[u8]]) -> (Sniffed, usize) {
    let mut sniffer = Sniffer::new(config);
    let all = chunks.concat();
    let mut left = all.len();
    for chunk in chunks {
        let mut input = *chunk;
        let outcome = sniffer.receive(&mut input);
        left -= chunk.len() - input.len();
        let sniffed = match outcome {
            Ok(None) => {
                assert!(input.is_empty(), "undecided, and yet {} bytes are not taken", input.len());
                continue;
            }
            Ok(Some(opening)) => {
                assert_eq!(sniffer.receive(&mut &b"x"[..]).err(), Some(SniffError::Decided));
                assert!(sniffer.seen().is_empty());
                sniffed(opening)
            }
            Err(error) => {
                assert_eq!(sniffer.receive(&mut &b"x"[..]).err(), Some(error));
                Sniffed::Error { error, seen: sniffer.seen().to_vec() }
            }
        };
        assert_conserved(sniffed.seen(), left, &all);
        return (sniffed, left);
    }
    assert_conserved(sniffer.seen(), left, &all);
    (Sniffed::More { seen: sniffer.seen().to_vec() }, left)
}

fn sniffed(opening: Protocol) -> Sniffed {
    match opening {
        Protocol::Http2 { seen } => Sniffed::Http2 { seen: seen.to_vec() },
        Protocol::Upgrade(upgrade) => Sniffed::Upgrade {
            request: upgrade.request.clone(),
            settings: upgrade.settings.clone(),
            seen: upgrade.decline().into_seen(),
        },
        Protocol::Http1(http1) => Sniffed::Http1 {
            rejection: http1.rejection(),
            parsed: Parsed {
                method: http1.method().into(),
                target: http1.target().into(),
                version: http1.version(),
                fields: http1.fields().map(|(name, value)| (name.into(), value.into())).collect(),
                head_bytes: http1.head_bytes(),
            },
            response: http1.response(),
            seen: http1.into_seen(),
        },
        other => panic!("an opening that the tests do not know: {other:?}"),
    }
}

/// What an upgrader came to.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum Received {
    UpgradeResponse(UpgradeResponse),
    Error { error: UpgradeResponseError, seen: Vec<u8> },
    More { seen: Vec<u8> },
}

/// Gives an upgrader chunks of an answer in turn. Gives what came of it, and how many bytes were
/// left.
pub fn receive(config: Config, chunks: &[&[u8]]) -> (Received, usize) {
    let upgrader = Upgrader::new(&UpgradeRequest::new("GET", "example.com", "/"), &[], config);
    let mut upgrader = upgrader.expect("the request is valid");
    let all = chunks.concat();
    let mut left = all.len();
    for chunk in chunks {
        let mut input = *chunk;
        let outcome = upgrader.receive(&mut input);
        left -= chunk.len() - input.len();
        match outcome {
            Ok(None) => assert!(input.is_empty(), "undecided, and yet {} bytes are not taken", input.len()),
            Ok(Some(response)) => {
                assert_eq!(upgrader.receive(&mut &b"x"[..]), Err(UpgradeResponseError::Decided));
                if let UpgradeResponse::Http1 { seen, .. } = &response {
                    assert_conserved(seen, left, &all);
                }
                return (Received::UpgradeResponse(response), left);
            }
            Err(error) => {
                assert_eq!(upgrader.receive(&mut &b"x"[..]), Err(error));
                assert_conserved(upgrader.seen(), left, &all);
                return (Received::Error { error, seen: upgrader.seen().to_vec() }, left);
            }
        }
    }
    (Received::More { seen: upgrader.seen().to_vec() }, left)
}

#[track_caller]
fn assert_conserved(seen: &[u8], left: usize, all: &[u8]) {
    assert_eq!(seen.escape_ascii().to_string(), all[..all.len() - left].escape_ascii().to_string());
}

/// Runs at every cut, and gives the one outcome: whole, byte by byte, and in every two parts.
///
/// Of long inputs only some two-part cuts are tried.
#[track_caller]
pub fn at_every_split<T: PartialEq + Debug>(bytes: &[u8], run: impl Fn(&[&[u8]]) -> T) -> T {
    let whole = run(&[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(&single), whole, "byte by byte");
    for at in (0..bytes.len()).step_by(1 + bytes.len() / 500) {
        let (a, b) = bytes.split_at(at);
        assert_eq!(run(&[a, b]), whole, "cut at {at}");
    }
    whole
}

/// Sniffs at every cut, with the default configuration.
#[track_caller]
pub fn sniff_at_every_split(bytes: &[u8]) -> (Sniffed, usize) {
    at_every_split(bytes, |chunks| sniff(Config::default(), chunks))
}

/// Receives a response split at each place, with the default configuration.
#[track_caller]
pub fn receive_at_every_split(bytes: &[u8]) -> (Received, usize) {
    at_every_split(bytes, |chunks| receive(Config::default(), chunks))
}

/// What curl 7.88 sends for `curl --http2 http://127.0.0.1:8080/notes`.
pub const CURL: &str = "GET /notes HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\
    Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n";

/// The curl request with one part replaced by another.
#[track_caller]
pub fn curl_but(part: &str, by: &str) -> Vec<u8> {
    assert_eq!(CURL.matches(part).count(), 1, "{part:?} is there once");
    CURL.replace(part, by).into_bytes()
}
