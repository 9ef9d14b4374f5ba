//! Every law holds for our connection, and bites: a connection that is broken on purpose breaks it.

use thalweg::Config;
use thalweg_testkit::endpoint::Endpoint;
use thalweg_testkit::fault::Fault;
use thalweg_testkit::frames::{preface, raw, settings, wire};
use thalweg_testkit::laws::{self, Breach, Credit, Play, Reactions, Step, Upload};
use thalweg_testkit::sim::{self, Op, Script};

type Law = fn(&Play, &dyn Fn() -> Endpoint) -> Result<(), Breach>;

const CHUNKING: Law = |play, make| laws::chunking(play, make, 1);
const DETERMINISM: Law = |play, make| laws::determinism(play, make);
const SILENCE: Law = |play, make| laws::silence(play, make);
const BOUNDED_MEMORY: Law = |play, make| laws::bounded_memory(play, make, Endpoint::heap_bytes);

/// The law holds for random plays.
fn holds(law: Law) {
    for seed in 0..PLAYS {
        let play = Play::random(seed);
        if let Err(breach) = law(&play, &|| play.endpoint()) {
            panic!("play {seed}: {breach}\n{play:#?}");
        }
    }
}

/// Whether the law, by its name, complains of an end with this fault in some play.
fn bites(law: Law, name: &str, fault: Fault) -> bool {
    (0..PLAYS).any(|seed| {
        let play = Play::random(seed);
        law(&play, &|| play.endpoint().with_fault(fault)).is_err_and(|breach| breach.starts_with(name))
    })
}

#[test]
fn any_cut_of_the_input_gives_the_same() {
    holds(CHUNKING);
}

#[test]
fn the_same_script_gives_the_same_bytes() {
    holds(DETERMINISM);
}

#[test]
fn without_a_cause_nothing_is_said() {
    holds(SILENCE);
}

#[test]
fn the_heap_is_bounded() {
    holds(BOUNDED_MEMORY);
}

#[test]
fn no_pattern_of_credit_makes_data_short_for_long() {
    for seed in 0..UPLOADS {
        let upload = Upload::random(seed);
        assert_eq!(laws::long_frames(&upload), Ok(()), "upload {seed}");
    }
}

/// The pattern in which an upload once sent 4,851 of 13,000 frames with one byte, and ended at a limit.
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
        assert_eq!(laws::fair_turns(seed), Ok(()), "mix {seed}");
    }
}

#[test]
fn an_end_that_loses_single_bytes_breaks_chunking() {
    assert!(bites(CHUNKING, "chunking: input cut byte by byte ", Fault::LosesSingleBytes));
}

#[test]
fn an_end_that_depends_on_more_than_its_script_breaks_determinism() {
    assert!(bites(DETERMINISM, "determinism: played again, ", Fault::IsUnsteady));
}

#[test]
fn an_end_that_talks_without_a_cause_breaks_silence() {
    assert!(bites(SILENCE, "silence: 17 bytes ", Fault::Chatters));
}

#[test]
fn an_end_that_keeps_its_input_breaks_bounded_memory() {
    let config = Config::default();
    let start = Step::Input(wire([&preface(), &settings()]));
    let ignored = Step::Input(raw(0xbe, 0, 0, [0; 16_384]).bytes());
    let steps = [vec![start], vec![ignored; 900]].concat();
    let play = Play { is_client: false, config, reactions: Reactions::default(), steps };
    assert_eq!(BOUNDED_MEMORY(&play, &|| play.endpoint()), Ok(()));
    let breach = BOUNDED_MEMORY(&play, &|| play.endpoint().with_fault(Fault::Hoards));
    assert!(breach.is_err_and(|breach| breach.starts_with("bounded memory: ")));
}

/// What the simulator says of a pair whose end `broken` has this fault, in the first script in which it notices.
fn simulator_notices(broken: sim::End, fault: Fault) -> String {
    let complaint = (0..SCRIPTS).find_map(|seed| {
        let script = without_splices(sim::script(seed));
        let outcome = sim::run_with(&script, || broken_pair(&script, broken, fault));
        assert!(sim::run(&script).is_ok(), "seed {seed} fails without a fault");
        outcome.err().map(|failure| failure.complaint)
    });
    complaint.unwrap_or_else(|| panic!("{fault:?} goes unnoticed"))
}

/// A fault looks into the output, where spliced content is absent.
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

fn broken_pair(script: &Script, broken: sim::End, fault: Fault) -> [Endpoint; 2] {
    let [client, server] = sim::endpoints(script);
    match broken {
        sim::End::Client => [client.with_fault(fault), server],
        sim::End::Server => [client, server.with_fault(fault)],
    }
}

#[test]
fn an_end_that_loses_window_updates_breaks_liveness() {
    let complaint = simulator_notices(sim::End::Client, Fault::LosesWindowUpdates);
    assert!(complaint.contains("never completes"), "{complaint}");
}

#[test]
fn an_end_that_grants_other_windows_than_it_says_breaks_pair_agreement() {
    let complaint = simulator_notices(sim::End::Client, Fault::GrantsTooMuch);
    assert!(complaint.contains("says what it must not"), "{complaint}");
}

#[test]
fn an_end_that_accuses_its_peer_breaks_pair_agreement() {
    let complaint = simulator_notices(sim::End::Server, Fault::Accuses);
    assert!(complaint.contains("stream 1 was reset with PROTOCOL_ERROR"), "{complaint}");
}

#[test]
fn an_end_that_alters_content_breaks_exactly_once() {
    let complaint = simulator_notices(sim::End::Server, Fault::AltersData);
    assert!(complaint.contains("DATA"), "{complaint}");
}

#[test]
fn an_end_that_tells_an_end_twice_breaks_exactly_once() {
    let complaint = simulator_notices(sim::End::Client, Fault::TellsEndsTwice);
    assert!(complaint.contains("it was over or unknown"), "{complaint}");
}

#[test]
fn an_end_that_hides_a_reset_breaks_exactly_once() {
    let complaint = simulator_notices(sim::End::Server, Fault::HidesResets);
    assert!(complaint.contains("streams, its application"), "{complaint}");
}

/// Uploads with random windows and patterns of credit.
const UPLOADS: u64 = 100;
/// Random mixes of streams.
const MIXES: u64 = 150;
/// Plays for each law: about a second, with assertions.
const PLAYS: u64 = 400;
/// Scripts in which each fault must show.
const SCRIPTS: u64 = 300;
