//! Every attack of `docs/security.md` ends as specified: with an error that names the limit,
//! bounded cost, and a final GOAWAY.

use thalweg_tests::abuse::attacks::ALL;
use thalweg_tests::abuse::run::run;
use thalweg_tests::abuse::{Attack, End};

/// The most heap that any attack may make one connection hold with the default configuration,
/// bytes. Most of it is output that is not fetched, whose memory is up to twice its length.
const HEAP_BYTES_MAX: usize = 600 << 10;

fn attack(name: &str) -> &'static Attack {
    ALL.iter().find(|attack| attack.name == name).expect("an attack of that name")
}

/// 9113-10.5-1: whatever the peer does, memory and work stay bounded, and the end names the limit.
#[test]
fn every_attack_ends_as_its_row_expects() {
    for attack in ALL {
        let result = run(attack);
        let name = attack.name;
        assert!(result.heap_peak < HEAP_BYTES_MAX, "{name}: {} bytes of heap", result.heap_peak);
        match attack.end {
            End::Cut(limit) => {
                let error = result.error.unwrap_or_else(|| panic!("{name} was not cut off: {result:?}"));
                assert!(error.to_string().contains(limit), "{name}: {error}");
                assert!(error.is_peer_fault(), "{name}: {error}");
                let [(code, debug)] = result.go_aways.as_slice() else {
                    panic!("{name}: not one GOAWAY but {:?}", result.go_aways);
                };
                assert_eq!(*code, error.code(), "{name}");
                assert_eq!(*debug, error.to_string(), "{name}: the debug data have the reason");
            }
            End::Allowed => {
                assert_eq!(result.error, None, "{name}");
                assert_eq!(result.steps, attack.steps, "{name}");
            }
            End::StreamsReset => {
                assert_eq!(result.error, None, "{name}");
                assert_eq!(result.stalled, result.requests, "{name}: {result:?}");
                assert!(result.requests > 0, "{name}");
            }
        }
    }
}

/// The bytes written for each byte that the attacker sends: no attack is amplified beyond a
/// SETTINGS acknowledgement and a reset.
#[test]
fn no_attack_is_amplified() {
    for attack in ALL.iter().filter(|attack| !matches!(attack.end, End::StreamsReset)) {
        let result = run(attack);
        let bound = 3 * result.bytes_in + 1024;
        assert!(
            result.bytes_out < bound,
            "{}: {} out for {} in",
            attack.name,
            result.bytes_out,
            result.bytes_in
        );
    }
}

/// A rapid reset attack ends with the burst of its rate limit, not after minutes.
#[test]
fn a_rapid_reset_reaches_the_application_a_thousand_times_at_most() {
    let result = run(attack("rapid reset"));
    assert!(result.requests <= 1001, "{} requests", result.requests);
}

/// A patient one opens 256 streams each 101 ms, as an honest client may whose calls are answered
/// after that time, and is cut off after 22 seconds.
#[test]
fn a_patient_reset_reaches_the_application_fifty_five_thousand_times_at_most() {
    let result = run(attack("patient reset"));
    assert_eq!((result.steps, result.requests), (216, 55_040));
}
