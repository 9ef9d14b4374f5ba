//! Breaks connections of both adapters at random points: `relay ROUNDS [SEED]`; `cargo xtask abuse
//! --relay ROUNDS` runs it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use thalweg_tests::relay::{Adapter, run};

fn main() -> ExitCode {
    let numbers: Result<Vec<u64>, _> = std::env::args().skip(1).map(|word| word.parse()).collect();
    let (rounds, seed) = match numbers.as_deref() {
        Ok([rounds]) => (*rounds, 1),
        Ok([rounds, seed]) => (*rounds, *seed),
        _ => {
            eprintln!("usage: relay ROUNDS [SEED]");
            return ExitCode::from(2);
        }
    };
    let mut all_good = true;
    for adapter in [Adapter::Threads, Adapter::Tokio] {
        let outcome = run(adapter, rounds, seed, || LIVE.load(Ordering::Relaxed));
        let verdict = outcome.check();
        println!("{adapter:?}, seed {seed}: {outcome}");
        if let Err(fault) = verdict {
            println!("WRONG: {fault}");
            all_good = false;
        }
    }
    if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is forwarded unchanged to the system allocator; the counter does not affect
// its guarantees.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
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
