//! Steady work allocates nothing, and the property detects the injected fault.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use thalweg::Config;
use thalweg_testkit::broken::Fault;
use thalweg_testkit::endpoint::Endpoint;
use thalweg_testkit::properties;

/// Counts the allocations of each thread.
struct Counting;

// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller upholds the contract of the forwarded call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of the forwarded call.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller upholds the contract of the forwarded call.
        unsafe { System.realloc(at, layout, size) }
    }
}

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn ends() -> [Endpoint; 2] {
    let config = Config::default();
    [
        Endpoint::client(config).expect("a valid configuration"),
        Endpoint::server(config).expect("a valid configuration"),
    ]
}

#[test]
fn steady_work_allocates_nothing() {
    assert_eq!(properties::no_allocations(ends(), || COUNT.get()), Ok(()));
}

#[test]
fn an_endpoint_that_allocates_at_every_call_is_detected() {
    let [client, server] = ends();
    let failure = properties::no_allocations([client, server.with_fault(Fault::Allocates)], || COUNT.get());
    assert!(failure.is_err_and(|failure| failure.starts_with("no allocations: ")));
}
