//! A program without std that calls the protocol crates: it proves by building that they need none.
//!
//! std has a panic handler of its own. If any crate in the tree pulls it in, there are two, and the
//! compiler reports E0152. `cargo xtask nostd` builds this twice: as it is, which must succeed, and
//! with the feature `std`, which must fail with that error.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[path = "../../../examples/no_std_loop/device.rs"]
mod device;

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use device::{Device, Line};
use thalweg::Instant;
use thalweg_h2c::{Config, Protocol, Sniffer};
use thalweg_hpack::{Decoder, Encoder, Field, ListLimits, SinkAction};
use thalweg_http::content::{Body, Digits, Plan};
use thalweg_http::date::DateCache;
use thalweg_record as _;

/// Provides no memory: the program is linked and never run.
struct NoMemory;

// SAFETY: `alloc` returns null when there is no memory. It never returns a block, so a correct
// program never calls `dealloc`.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Encodes a header block and decodes it again: the size of the list, in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn hpack_round_trip() -> u64 {
    let mut block = Vec::new();
    let mut encoder = Encoder::new(4096, 7);
    encoder.start_block(&mut block);
    encoder.encode(Field::new(b"x-depth", b"4"), &mut block);
    let totals = Decoder::new(4096).decode(&block, ListLimits::NONE, |_| SinkAction::Valid);
    totals.map_or(0, |totals| totals.list_bytes)
}

/// Classifies the first bytes of a connection: 1 for an HTTP/1.1 request that upgrades to HTTP/2.
#[unsafe(no_mangle)]
pub extern "C" fn h2c_upgrade() -> u64 {
    let mut request =
        &b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABk\r\n\r\n"[..];
    let opening = Sniffer::new(Config::default()).receive(&mut request);
    u64::from(matches!(opening, Ok(Some(Protocol::Upgrade(_)))))
}

/// Counts the fields of a response of 5 bytes: `content-length`, and a date.
#[unsafe(no_mangle)]
pub extern "C" fn response_fields() -> u64 {
    let method = thalweg_http::Method::Get;
    let Ok(plan) = Plan::response(method, thalweg::Status::OK, Body::of_len(5), None) else { return 0 };
    let date = DateCache::default().get(784_111_777);
    plan.fields([], &mut Digits::default()).count() as u64 + u64::from(date.is_some())
}

/// A line on which no byte is ever received.
struct Dead;

impl Line for Dead {
    fn receive(&mut self, _buf: &mut [u8]) -> usize {
        0
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn now(&self) -> Instant {
        Instant::ZERO
    }
}

/// Runs the loop of the example `no_std_loop` until it would sleep, and returns the bytes that it
/// holds.
#[unsafe(no_mangle)]
pub extern "C" fn device_loop() -> u64 {
    let mut device = Device::new();
    while device.turn(&mut Dead) {}
    let sleeps = u64::from(device.deadline().is_some()) + u64::from(device.is_light_on());
    sleeps + device.heap_bytes() as u64
}
