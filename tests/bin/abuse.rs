//! Prints what every attack came to: `cargo xtask abuse` runs it.
//!
//! Heap is counted by the allocator of this program, over the server and what it holds; CPU time is that of the whole play, the
//! attacker's share included, and is shown, not judged.

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use thalweg_tests::abuse::attacks::ALL;
use thalweg_tests::abuse::run::{Outcome, run};
use thalweg_tests::abuse::{Attack, End};

fn main() -> ExitCode {
    println!(
        "{:<28} {:>8} {:>12} {:>12} {:>9} {:>11} {:>10}  end",
        "attack", "steps", "bytes in", "bytes out", "requests", "peak heap", "ns / byte"
    );
    let mut failed = 0;
    for attack in ALL {
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let start = Instant::now();
        let outcome = run(attack);
        let nanos = start.elapsed().as_nanos() as f64 / outcome.bytes_in.max(1) as f64;
        let heap = PEAK.load(Ordering::Relaxed).saturating_sub(before);
        let judged = judge(attack, &outcome);
        failed += u32::from(judged.is_err());
        let end = match judged {
            Ok(end) => end,
            Err(wrong) => format!("WRONG: {wrong}"),
        };
        println!(
            "{:<28} {:>8} {:>12} {:>12} {:>9} {:>11} {nanos:>10.1}  {end}",
            attack.name, outcome.steps, outcome.bytes_in, outcome.bytes_out, outcome.requests, heap
        );
    }
    println!("\n{} passed, {failed} failed", ALL.len() as u32 - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn judge(attack: &Attack, outcome: &Outcome) -> Result<String, String> {
    match (attack.end, outcome.error) {
        (End::Cut(limit), Some(error))
            if error.to_string().contains(limit) && outcome.go_aways.len() == 1 =>
        {
            Ok(format!("GOAWAY {}: {error}", outcome.go_aways[0].0))
        }
        (End::Cut(limit), error) => Err(format!("{error:?} and {:?} instead of {limit}", outcome.go_aways)),
        (_, Some(error)) => Err(error.to_string()),
        (End::StreamsReset, None) if outcome.stalled == outcome.requests => Ok("streams reset".to_owned()),
        (End::StreamsReset, None) => {
            Err(format!("{} of {} streams reset", outcome.stalled, outcome.requests))
        }
        (End::Borne, None) => Ok("borne".to_owned()),
    }
}

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed on to the system allocator as it is; the counters are no part of what it guarantees.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;
