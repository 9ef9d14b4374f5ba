//! Every attack of `docs/security.md` ends as it should: named, bounded, and with a last word.

use thalweg_tests::abuse::attacks::ALL;
use thalweg_tests::abuse::run::run;
use thalweg_tests::abuse::{Attack, End};

/// The most heap that any attack may make one connection hold with the default configuration, bytes. An output that is not taken
/// away is the most of it, and its memory is up to twice its length.
const HEAP_BYTES_MAX: usize = 600 << 10;

fn attack(name: &str) -> &'static Attack {
    ALL.iter().find(|attack| attack.name == name).expect("an attack of that name")
}

/// 9113-10.5-1: whatever the peer does, memory and work stay bounded, and the end names the limit.
#[test]
fn every_attack_ends_as_its_row_says() {
    for attack in ALL {
        let outcome = run(attack);
        let name = attack.name;
        assert!(outcome.heap_peak < HEAP_BYTES_MAX, "{name}: {} bytes of heap", outcome.heap_peak);
        match attack.end {
            End::Cut(limit) => {
                let error = outcome.error.unwrap_or_else(|| panic!("{name} was not cut off: {outcome:?}"));
                assert!(error.to_string().contains(limit), "{name}: {error}");
                assert!(error.is_peer_fault(), "{name}: {error}");
                let [(code, debug)] = outcome.go_aways.as_slice() else {
                    panic!("{name}: not one GOAWAY but {:?}", outcome.go_aways);
                };
                assert_eq!(*code, error.code(), "{name}");
                assert_eq!(*debug, error.to_string(), "{name}: the debug data say why");
            }
            End::Borne => {
                assert_eq!(outcome.error, None, "{name}");
                assert_eq!(outcome.steps, attack.steps, "{name}");
            }
            End::StreamsReset => {
                assert_eq!(outcome.error, None, "{name}");
                assert_eq!(outcome.stalled, outcome.requests, "{name}: {outcome:?}");
                assert!(outcome.requests > 0, "{name}");
            }
        }
    }
}

/// What is written for each byte that the attacker sends: no attack is amplified beyond a SETTINGS acknowledgement and a reset.
#[test]
fn no_attack_is_amplified() {
    for attack in ALL.iter().filter(|attack| !matches!(attack.end, End::StreamsReset)) {
        let outcome = run(attack);
        let bound = 3 * outcome.bytes_in + 1024;
        assert!(
            outcome.bytes_out < bound,
            "{}: {} out for {} in",
            attack.name,
            outcome.bytes_out,
            outcome.bytes_in
        );
    }
}

/// A rapid reset is cut off after its burst, not after minutes.
#[test]
fn a_rapid_reset_reaches_the_application_a_thousand_times_at_most() {
    let outcome = run(attack("rapid reset"));
    assert!(outcome.requests <= 1001, "{} requests", outcome.requests);
}
