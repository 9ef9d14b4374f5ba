//! Prints the result of every attack; `cargo xtask abuse` runs it. With an address, the attacks go
//! to the server that listens there.
//!
//! Heap is counted by the allocator of this program, over the server and what it holds; CPU time is
//! that of the whole run, the attacker's share included, and has no limit.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use thalweg_tests::abuse::attacks::ALL;
use thalweg_tests::abuse::run::{AttackResult, run};
use thalweg_tests::abuse::wire::{WireAttackResult, run_on_wire};
use thalweg_tests::abuse::{Attack, End};

fn main() -> ExitCode {
    match std::env::args().nth(1).map(|address| address.parse()) {
        None => in_memory(),
        Some(Ok(address)) => on_the_wire(address),
        Some(Err(error)) => {
            eprintln!("usage: abuse [ADDRESS:PORT]: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs every attack that needs no virtual time, five times, against a server on this machine.
fn on_the_wire(server: SocketAddr) -> ExitCode {
    println!("{:<28} {:>12} {:>12} {:>16}  end", "attack", "bytes in", "bytes out", "bystander waited");
    let (mut passed, mut failed) = (0, 0);
    for attack in ALL {
        if !attack.pause.is_zero() {
            println!("{:<28} skipped: it takes {} s of waiting; the core runs it", attack.name, attack.steps);
            continue;
        }
        let runs: Result<Vec<WireAttackResult>, _> = (0..5).map(|_| run_on_wire(attack, server)).collect();
        let mut runs = match runs {
            Ok(runs) => runs,
            Err(error) => {
                println!("{:<28} WRONG: {error}", attack.name);
                failed += 1;
                continue;
            }
        };
        runs.sort_by_key(|run| run.bystander_worst);
        let silent = runs.iter().filter(|run| run.silent_end).count();
        let median = &runs[runs.len() / 2];
        let end = match (&median.go_away, silent) {
            (_, 1..) => format!("WRONG: {silent} of 5 ended without GOAWAY"),
            (Some(debug), 0) if debug.is_empty() => "allowed, orderly end".to_owned(),
            (Some(debug), 0) => format!("GOAWAY: {debug}"),
            (None, 0) => "allowed".to_owned(),
        };
        failed += u32::from(silent > 0);
        passed += u32::from(silent == 0);
        println!(
            "{:<28} {:>12} {:>12} {:>13.1} ms  {end}",
            attack.name,
            median.bytes_in,
            median.bytes_out,
            median.bystander_worst.as_secs_f64() * 1e3
        );
    }
    println!("\n{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn in_memory() -> ExitCode {
    println!(
        "{:<28} {:>8} {:>12} {:>12} {:>9} {:>11} {:>10}  end",
        "attack", "steps", "bytes in", "bytes out", "requests", "peak heap", "ns / byte"
    );
    let mut failed = 0;
    for attack in ALL {
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let start = Instant::now();
        let result = run(attack);
        let nanos = start.elapsed().as_nanos() as f64 / result.bytes_in.max(1) as f64;
        let heap = PEAK.load(Ordering::Relaxed).saturating_sub(before);
        let judged = judge(attack, &result);
        failed += u32::from(judged.is_err());
        let end = match judged {
            Ok(end) => end,
            Err(wrong) => format!("WRONG: {wrong}"),
        };
        println!(
            "{:<28} {:>8} {:>12} {:>12} {:>9} {:>11} {nanos:>10.1}  {end}",
            attack.name, result.steps, result.bytes_in, result.bytes_out, result.requests, heap
        );
    }
    println!("\n{} passed, {failed} failed", ALL.len() as u32 - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn judge(attack: &Attack, result: &AttackResult) -> Result<String, String> {
    match (attack.end, result.error) {
        (End::Cut(limit), Some(error)) if error.to_string().contains(limit) && result.go_aways.len() == 1 => {
            Ok(format!("GOAWAY {}: {error}", result.go_aways[0].0))
        }
        (End::Cut(limit), error) => Err(format!("{error:?} and {:?} instead of {limit}", result.go_aways)),
        (_, Some(error)) => Err(error.to_string()),
        (End::StreamsReset, None) if result.stalled == result.requests => Ok("streams reset".to_owned()),
        (End::StreamsReset, None) => Err(format!("{} of {} streams reset", result.stalled, result.requests)),
        (End::Allowed, None) => Ok("allowed".to_owned()),
    }
}

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is forwarded unchanged to the system allocator; the counters do not affect its
// guarantees.
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
