//! A counting allocator.
//!
//! The program `measure_allocations` installs [`Counting`]; `measure`, whose time and instructions
//! count, does not. nghttp2's own allocations are counted by the same counters, through its
//! `nghttp2_mem`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

/// Counts every allocation and passes it on to the system's allocator.
#[derive(Debug)]
pub struct Counting;

/// What has been allocated since the program started.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// Allocations and reallocations.
    pub calls: u64,
    /// Bytes asked for by them; a reallocation counts its growth.
    pub bytes: u64,
    /// Bytes that are allocated now.
    pub live: i64,
}

impl Counts {
    /// Reads the counts at this moment.
    pub fn now() -> Self {
        Self { calls: CALLS.load(Relaxed), bytes: BYTES.load(Relaxed), live: LIVE.load(Relaxed) }
    }
}

/// Whether this program's allocations are counted.
pub fn is_counting() -> bool {
    ACTIVE.load(Relaxed)
}

/// Notes an allocation made elsewhere than through [`Counting`].
pub fn note_alloc(bytes: usize) {
    CALLS.fetch_add(1, Relaxed);
    BYTES.fetch_add(bytes as u64, Relaxed);
    LIVE.fetch_add(bytes as i64, Relaxed);
}

/// Notes that an allocation made elsewhere was freed.
pub fn note_free(bytes: usize) {
    LIVE.fetch_sub(bytes as i64, Relaxed);
}

/// Notes that an allocation made elsewhere changed its size.
pub fn note_realloc(old: usize, new: usize) {
    CALLS.fetch_add(1, Relaxed);
    BYTES.fetch_add(new.saturating_sub(old) as u64, Relaxed);
    LIVE.fetch_add(new as i64 - old as i64, Relaxed);
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // The first allocation comes before `main`, so later readers see the right value.
        ACTIVE.store(true, Relaxed);
        note_alloc(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note_alloc(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note_free(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note_realloc(layout.size(), size);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

static ACTIVE: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);
