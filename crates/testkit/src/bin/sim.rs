//! Runs the simulator over a range of seeds: `sim --seeds N [--from S]`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use thalweg_testkit::frames::kind_name;
use thalweg_testkit::monitor::StreamState;
use thalweg_testkit::sim::{self, Coverage, Failure, Script};

fn main() -> ExitCode {
    let (mut seeds, mut from) = (1000, 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (name.as_str(), value) {
            ("--seeds", Some(value)) => seeds = value,
            ("--from", Some(value)) => from = value,
            _ => {
                eprintln!("usage: sim --seeds N [--from S]");
                return ExitCode::FAILURE;
            }
        }
    }
    // A panic of the core is a finding like any other, and is reported with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let start = Instant::now();
    let mut coverage = Coverage::default();
    for seed in from..from + seeds {
        match sim::run(&sim::script(seed)) {
            Ok(touched) => coverage.add(&touched),
            Err(failure) => {
                show_failure(seed, &failure);
                return ExitCode::FAILURE;
            }
        }
    }
    show_coverage(&coverage);
    let elapsed = start.elapsed();
    println!(
        "{seeds} seeds from {from} in {:.1} s: {:.0} a second",
        elapsed.as_secs_f64(),
        rate(seeds, elapsed)
    );
    ExitCode::SUCCESS
}

fn rate(seeds: u64, elapsed: Duration) -> f64 {
    seeds as f64 / elapsed.as_secs_f64()
}

/// Seed, shortest script that fails, and what happens in it.
fn show_failure(seed: u64, failure: &Failure) {
    println!("seed {seed} fails: {}", failure.mismatch);
    let fails = |script: &Script| sim::run(script).is_err();
    let short = sim::shrink(&sim::script(seed), fails);
    println!("\n{short}\n");
    if let Err(failure) = sim::run(&short) {
        println!("{failure}");
    }
    println!("\nto see it again: cargo xtask sim --seeds 1 --from {seed}");
}

/// A row for each frame type, a column for each state of a stream; then events.
fn show_coverage(coverage: &Coverage) {
    let states = [
        StreamState::Connection,
        StreamState::Idle,
        StreamState::ReservedLocal,
        StreamState::ReservedRemote,
        StreamState::Open,
        StreamState::HalfClosedLocal,
        StreamState::HalfClosedRemote,
        StreamState::Closed,
    ];
    print!("{:>16}", "frames sent");
    states.iter().for_each(|state| print!(" {:>16}", format!("{state:?}")));
    println!();
    let mut kinds: Vec<u8> = coverage.frames.keys().map(|(kind, _)| *kind).collect();
    kinds.dedup();
    for kind in kinds {
        print!("{:>16}", kind_name(kind).unwrap_or("extension"));
        for state in states {
            print!(" {:>16}", coverage.frames.get(&(kind, state)).copied().unwrap_or(0));
        }
        println!();
    }
    for (event, count) in &coverage.events {
        println!("{count:>16} {event}");
    }
}
