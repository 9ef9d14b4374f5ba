//! Arbitrary bytes before HTTP/2 starts: the server's sniffer and the client's upgrader.

use thalweg::{Connection, Server};
use thalweg_h2c::{Config, Protocol, Sniffer, UpgradeRequest, UpgradeResponse, Upgrader};

use crate::chunking::Chunking;
use crate::random::{Choices, FromBytes, Random};

/// Runs a server's sniffer on arbitrary bytes, and a client's upgrader on the same bytes as a
/// response. The split makes no difference, no byte is lost or altered, the kept bytes are bounded,
/// an upgrade is unambiguous, and HTTP/2 starts with it.
///
/// The first four bytes choose the limits and a seed for splits; the rest is the wire.
///
/// # Panics
/// On a finding.
pub fn upgrade(input: &[u8]) {
    let (head, wire) = input.split_at(input.len().min(HEAD_LEN));
    let mut choices = FromBytes::new(head);
    let config = config(&mut choices);
    let seed = u64::from(choices.below(256));
    let sniffed = sniff(config, wire, Chunking::Whole);
    let upgraded = run_upgrader(config, wire, Chunking::Whole);
    for chunking in [Chunking::Bytewise, Chunking::Random(Random::new(seed))] {
        assert_eq!(sniff(config, wire, chunking.clone()), sniffed, "the sniffer depends on the cuts");
        assert_eq!(run_upgrader(config, wire, chunking), upgraded, "the upgrader depends on the cuts");
    }
}

/// The result of one side, and the input that it left.
#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    found: String,
    /// The consumed bytes that it returned.
    seen: Vec<u8>,
    unread: usize,
}

fn sniff(config: Config, wire: &[u8], mut chunking: Chunking) -> Parsed {
    let mut sniffer = Sniffer::new(config);
    let mut rest = wire;
    while !rest.is_empty() {
        let mut input = chunking.take(&mut rest);
        let decided = match sniffer.receive(&mut input) {
            Ok(None) => {
                assert!(input.is_empty(), "undecided, and {} bytes are not taken", input.len());
                None
            }
            Ok(Some(opening)) => Some(describe(config, opening)),
            Err(error) => {
                assert_eq!(sniffer.receive(&mut &b"x"[..]).err(), Some(error), "the error changed");
                Some((error.to_string(), sniffer.seen().to_vec()))
            }
        };
        if let Some((found, seen)) = decided {
            return parsed(config, wire, found, seen, input.len() + rest.len());
        }
        check_limits(config, sniffer.seen());
    }
    let seen = sniffer.seen().to_vec();
    let found = format!("the end of input: {:?}", sniffer.handle_eof());
    parsed(config, wire, found, seen, 0)
}

/// Describes the decision of a sniffer, and returns the bytes that the decision holds.
fn describe(config: Config, opening: Protocol) -> (String, Vec<u8>) {
    match opening {
        Protocol::Http2 { seen } => ("HTTP/2".to_owned(), seen.to_vec()),
        Protocol::Http1(http1) => {
            assert!(
                http1.response().starts_with(b"HTTP/1.1 4") || http1.response().starts_with(b"HTTP/1.1 5")
            );
            let fields: Vec<_> = http1.fields().map(|(name, value)| (name, value.escape_ascii())).collect();
            (format!("{http1:?} {} {} {fields:?}", http1.method(), http1.target()), http1.into_seen())
        }
        Protocol::Upgrade(upgrade) => {
            check_upgrade(config, &upgrade.request, &upgrade.settings);
            (format!("{:?} {:?}", upgrade.request, upgrade.settings), upgrade.decline().into_seen())
        }
        other => panic!("an opening that the test kit does not know: {other:?}"),
    }
}

/// Checks that an offered Upgrade can be accepted: its settings are valid, and a client can send
/// its request again.
fn check_upgrade(config: Config, request: &UpgradeRequest, settings: &[u8]) {
    assert!(config.upgrade, "an Upgrade is offered that was switched off");
    assert!(request.body.len() <= config.body_bytes_max);
    let begun =
        Connection::<Server>::from_upgrade(thalweg::Config::default(), settings, request.method.as_bytes());
    assert!(begun.is_ok(), "the upgrade cannot be made: {:?}", begun.err());
}

fn run_upgrader(config: Config, wire: &[u8], mut chunking: Chunking) -> Parsed {
    let request = UpgradeRequest::new("GET", "example.org", "/");
    let mut upgrader = Upgrader::new(&request, &[0, 3, 0, 0, 0, 100], config).expect("a valid request");
    let mut rest = wire;
    while !rest.is_empty() {
        let mut input = chunking.take(&mut rest);
        let decided = match upgrader.receive(&mut input) {
            Ok(None) => {
                assert!(input.is_empty(), "undecided, and {} bytes are not taken", input.len());
                None
            }
            // Only the bytes of the upgrade count as consumed.
            Ok(Some(UpgradeResponse::Switched)) => {
                let taken = wire.len() - input.len() - rest.len();
                Some(("switched".to_owned(), wire[..taken].to_vec()))
            }
            Ok(Some(UpgradeResponse::Http1 { status, seen })) => Some((format!("status {status}"), seen)),
            Ok(Some(other)) => panic!("an answer that the test kit does not know: {other:?}"),
            Err(error) => {
                assert_eq!(upgrader.receive(&mut &b"x"[..]), Err(error), "the error changed");
                Some((error.to_string(), upgrader.seen().to_vec()))
            }
        };
        if let Some((found, seen)) = decided {
            return parsed(config, wire, found, seen, input.len() + rest.len());
        }
        check_limits(config, upgrader.seen());
    }
    let seen = upgrader.seen().to_vec();
    let found = format!("the end of input: {:?}", upgrader.handle_eof());
    parsed(config, wire, found, seen, 0)
}

/// Checks that the consumed and the remaining bytes together are the wire.
fn parsed(config: Config, wire: &[u8], found: String, seen: Vec<u8>, unread: usize) -> Parsed {
    check_limits(config, &seen);
    assert_eq!(wire[..wire.len() - unread], seen, "bytes are lost or altered: {found}");
    Parsed { found, seen, unread }
}

fn check_limits(config: Config, seen: &[u8]) {
    // HTTP/2 is recognized by 12 bytes.
    let bound = config.head_bytes_max.max(12) + config.body_bytes_max;
    assert!(seen.len() <= bound, "{} bytes are kept, bound {bound}", seen.len());
}

fn config(choices: &mut impl Choices) -> Config {
    let mut config = Config::default();
    let bits = choices.below(256);
    config.upgrade = bits & 1 == 0;
    if bits & 2 != 0 {
        config.head_bytes_max = choices.below(256) as usize;
        config.fields_max = 6;
    }
    if bits & 4 != 0 {
        config.body_bytes_max = choices.below(16) as usize;
        config.settings_max = 2;
    }
    config
}

const HEAD_LEN: usize = 4;
