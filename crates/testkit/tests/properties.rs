//! Every property holds for our connection, and detects the faults that are injected into it.

use thalweg::{Config, Limit};
use thalweg_testkit::broken::{Fault, with_low_limit};
use thalweg_testkit::endpoint::Endpoint;
use thalweg_testkit::frames::{preface, raw, settings, wire};
use thalweg_testkit::properties::{self, Credit, InputScript, PropertyFailure, Reactions, Step, Upload};
use thalweg_testkit::sim::{self, Coverage, Failure, Op, Script, TimeoutsMs};

type Property = fn(&InputScript, &dyn Fn() -> Endpoint) -> Result<(), PropertyFailure>;

const CHUNKING: Property = |script, make| properties::chunking(script, make, 1);
const DETERMINISM: Property = |script, make| properties::determinism(script, make);
const SILENCE: Property = |script, make| properties::silence(script, make);
const BOUNDED_MEMORY: Property =
    |script, make| properties::bounded_memory(script, make, Endpoint::heap_bytes);

const TIMEOUTS: Property = |script, make| properties::timeouts(script, make);

/// Checks that the property holds for random scripts.
fn holds(property: Property) {
    for seed in 0..INPUT_SCRIPTS {
        let script = InputScript::random(seed);
        if let Err(failure) = property(&script, &|| script.endpoint()) {
            panic!("play {seed}: {failure}\n{script:#?}");
        }
    }
}

/// Whether the property of this name detects the fault in one of the scripts.
fn detects(property: Property, name: &str, fault: Fault) -> bool {
    (0..INPUT_SCRIPTS).any(|seed| {
        let script = InputScript::random(seed);
        property(&script, &|| script.endpoint().with_fault(fault))
            .is_err_and(|failure| failure.starts_with(name))
    })
}

#[test]
fn any_chunking_of_the_input_gives_the_same_events_and_output() {
    holds(CHUNKING);
}

#[test]
fn the_same_script_gives_the_same_bytes() {
    holds(DETERMINISM);
}

#[test]
fn without_a_cause_nothing_is_sent() {
    holds(SILENCE);
}

#[test]
fn the_heap_is_bounded() {
    holds(BOUNDED_MEMORY);
}

#[test]
fn no_timeout_fires_early() {
    holds(TIMEOUTS);
}

#[test]
fn no_pattern_of_credit_makes_data_short_for_long() {
    for seed in 0..UPLOADS {
        let upload = Upload::random(seed);
        assert_eq!(properties::long_frames(&upload), Ok(()), "upload {seed}");
    }
}

/// The pattern in which an upload once sent 4,851 of 13,000 frames with one byte, and ended at a
/// limit.
#[test]
fn credit_frame_by_frame_does_not_cut_the_window_into_crumbs() {
    for piece_bytes in [64 << 10, 1 << 20] {
        let upload = Upload {
            window_bytes: 65_535,
            connection_bytes_more: 1,
            frame_bytes: 16_384,
            piece_bytes,
            total_bytes: 20_000_000,
            credit: Credit::EachFrame,
        };
        let uploaded = upload.run().expect("no limit is reached");
        let short = uploaded.lens.iter().filter(|len| **len < 1000).count();
        let frames = uploaded.lens.len();
        assert!(frames < 1300 && short < 10, "{piece_bytes}: {frames} frames, {short} short");
    }
}

#[test]
fn streams_without_a_signal_take_turns_in_any_mix() {
    for seed in 0..MIXES {
        assert_eq!(properties::fair_turns(seed), Ok(()), "mix {seed}");
    }
}

#[test]
fn an_endpoint_that_loses_single_bytes_breaks_chunking() {
    assert!(detects(CHUNKING, "chunking: input cut byte by byte ", Fault::LosesSingleBytes));
}

#[test]
fn an_endpoint_that_depends_on_more_than_its_script_breaks_determinism() {
    assert!(detects(DETERMINISM, "determinism: played again, ", Fault::IsNondeterministic));
}

#[test]
fn an_endpoint_that_sends_without_a_cause_breaks_silence() {
    assert!(detects(SILENCE, "silence: 17 bytes ", Fault::SendsUnprompted));
}

#[test]
fn an_endpoint_that_keeps_its_input_breaks_bounded_memory() {
    let config = Config::default();
    let start = Step::Input(wire([&preface(), &settings()]));
    let ignored = Step::Input(raw(0xbe, 0, 0, [0; 16_384]).bytes());
    let steps = [vec![start], vec![ignored; 900]].concat();
    let script = InputScript { is_client: false, config, reactions: Reactions::default(), steps };
    assert_eq!(BOUNDED_MEMORY(&script, &|| script.endpoint()), Ok(()));
    let failure = BOUNDED_MEMORY(&script, &|| script.endpoint().with_fault(Fault::RetainsInput));
    assert!(failure.is_err_and(|failure| failure.starts_with("bounded memory: ")));
}

/// Returns the failure that the simulator reports for a pair whose endpoint `broken` has this
/// fault, in the first script that fails.
fn simulator_detects(broken: sim::Side, fault: Fault) -> String {
    simulator_detects_in(SCRIPTS, broken, fault)
}

fn simulator_detects_in(scripts: u64, broken: sim::Side, fault: Fault) -> String {
    let mismatch = (0..scripts).find_map(|seed| {
        let script = without_splices(sim::script(seed));
        let outcome = sim::run_with(&script, || broken_pair(&script, broken, fault));
        assert!(sim::run(&script).is_ok(), "seed {seed} fails without a fault");
        outcome.err().map(|failure| failure.mismatch)
    });
    mismatch.unwrap_or_else(|| panic!("{fault:?} goes unnoticed"))
}

/// A fault reads the output, which does not contain spliced content.
fn without_splices(mut script: Script) -> Script {
    for op in &mut script.ops {
        if let Op::Open(exchange) = op {
            for message in [&mut exchange.request, &mut exchange.response, &mut exchange.pushed] {
                message.spliced = false;
            }
        }
    }
    script
}

fn broken_pair(script: &Script, broken: sim::Side, fault: Fault) -> [Endpoint; 2] {
    let [client, server] = sim::endpoints(script);
    match broken {
        sim::Side::Client => [client.with_fault(fault), server],
        sim::Side::Server => [client, server.with_fault(fault)],
    }
}

#[test]
fn an_endpoint_whose_timeouts_fire_early_breaks_timeouts() {
    assert!(detects(TIMEOUTS, "timeouts: ", Fault::FiresTimeoutsEarly));
}

/// The simulator detects each timeout that expires early, in scripts in which the others are off.
#[test]
fn an_endpoint_with_any_early_timeout_breaks_timeouts() {
    type Choose = fn(&mut TimeoutsMs, TimeoutsMs);
    let timeouts: [(&str, Choose); 10] = [
        ("Preface", |only, all| only.preface = all.preface),
        ("SettingsAck", |only, all| only.settings_ack = all.settings_ack),
        ("HeaderBlock", |only, all| only.header_block = all.header_block),
        ("KeepAlive", |only, all| only.keep_alive = all.keep_alive),
        ("Ping", |only, all| only.ping = all.ping),
        ("Idle", |only, all| only.idle = all.idle),
        ("Shutdown", |only, all| only.shutdown = all.shutdown),
        ("Stall", |only, all| only.stall = all.stall),
        ("Transmit", |only, all| only.transmit = all.transmit),
        ("Content", |only, all| only.content = all.content),
    ];
    for (name, choose) in timeouts {
        let expected = format!("timeouts: {name} fires");
        let is_detected = (0..SLOW_SCRIPTS).any(|seed| {
            let mut script = without_splices(sim::script(seed));
            for setup in [&mut script.client, &mut script.server] {
                let all = std::mem::replace(&mut setup.timeouts, TimeoutsMs::OFF);
                choose(&mut setup.timeouts, all);
            }
            [sim::Side::Client, sim::Side::Server].into_iter().any(|broken| {
                sim::run_with(&script, || broken_pair(&script, broken, Fault::FiresTimeoutsEarly))
                    .is_err_and(|failure| failure.mismatch.contains(&expected))
            })
        });
        assert!(is_detected, "{name} fires early, and that goes unnoticed");
    }
}

#[test]
fn an_endpoint_that_loses_window_updates_breaks_liveness() {
    let mismatch = simulator_detects(sim::Side::Client, Fault::LosesWindowUpdates);
    assert!(mismatch.contains("never completes"), "{mismatch}");
}

#[test]
fn an_endpoint_that_grants_other_windows_than_it_announces_breaks_pair_agreement() {
    let mismatch = simulator_detects(sim::Side::Client, Fault::GrantsTooMuch);
    assert!(mismatch.contains("sends what it must not"), "{mismatch}");
}

#[test]
fn an_endpoint_that_blames_its_peer_breaks_pair_agreement() {
    let mismatch = simulator_detects(sim::Side::Server, Fault::BlamesPeer);
    assert!(mismatch.contains("stream 1 was reset with PROTOCOL_ERROR"), "{mismatch}");
}

#[test]
fn an_endpoint_that_alters_content_breaks_exactly_once() {
    let mismatch = simulator_detects(sim::Side::Server, Fault::AltersData);
    assert!(mismatch.contains("DATA"), "{mismatch}");
}

#[test]
fn an_endpoint_that_reports_a_reset_twice_breaks_exactly_once() {
    let mismatch = simulator_detects(sim::Side::Client, Fault::ReportsResetsTwice);
    assert!(mismatch.contains("which is closed or unknown"), "{mismatch}");
}

#[test]
fn an_endpoint_that_hides_a_reset_breaks_exactly_once() {
    let mismatch = simulator_detects(sim::Side::Server, Fault::HidesResets);
    assert!(mismatch.contains("streams, its application"), "{mismatch}");
}

#[test]
fn an_endpoint_that_sends_crumbs_breaks_the_mean_length_of_data() {
    let mismatch = simulator_detects(sim::Side::Server, Fault::SendsCrumbs);
    assert!(mismatch.starts_with("Server: data: "), "{mismatch}");
}

#[test]
fn an_endpoint_that_prefers_one_stream_breaks_turns() {
    for broken in [sim::Side::Server, sim::Side::Client] {
        let mismatch = simulator_detects_in(SLOW_SCRIPTS, broken, Fault::PrefersOneStream);
        assert!(mismatch.starts_with(&format!("{broken:?}: turns: ")), "{mismatch}");
    }
}

/// Busy scripts use the rate limits: each is noticed if it is lower than what honest peers do.
#[test]
fn an_endpoint_with_a_limit_that_honest_peers_reach_breaks_limits() {
    let bursts = [
        (Limit::Resets, 0),
        (Limit::Pings, 100),
        (Limit::Settings, 20),
        (Limit::EmptyFrames, 0),
        (Limit::Priorities, 100),
        (Limit::Extensions, 10),
        (Limit::SmallData, 10),
    ];
    let busy = busy_scripts();
    for (limit, burst) in bursts {
        let failure = busy.iter().find_map(|script| with_low_limit_of_server(script, limit, burst).err());
        let mismatch = failure.unwrap_or_else(|| panic!("{limit:?} of {burst} goes unnoticed")).mismatch;
        let expected = "limits: Server ends the connection of an honest peer: ";
        assert!(mismatch.starts_with(expected) && mismatch.contains(limit.config_field()), "{mismatch}");
    }
}

/// Whatever an honest peer credits costs nothing at all.
#[test]
fn window_updates_of_honest_peers_cost_nothing() {
    for script in busy_scripts() {
        let outcome = with_low_limit_of_server(&script, Limit::WindowUpdates, 0);
        assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}

fn busy_scripts() -> Vec<Script> {
    (0..BUSY_SEEDS).map(sim::script).filter(Script::is_busy).collect()
}

fn with_low_limit_of_server(script: &Script, limit: Limit, burst: u32) -> Result<Coverage, Failure> {
    let config = with_low_limit(script.server.config(), limit, burst);
    sim::run_with(script, || {
        let [client, _] = sim::endpoints(script);
        [client, Endpoint::server(config).expect("a valid configuration")]
    })
}

/// Seeds among which there are enough busy scripts.
const BUSY_SEEDS: u64 = 12_000;
/// Uploads with random windows and patterns of credit.
const UPLOADS: u64 = 100;
/// Random mixes of streams.
const MIXES: u64 = 150;
/// Scripts for each property: about a second, with assertions.
const INPUT_SCRIPTS: u64 = 400;
/// Scripts in which each early timeout must be detected.
const SLOW_SCRIPTS: u64 = 4000;
/// Scripts in which each fault must be detected.
const SCRIPTS: u64 = 300;
