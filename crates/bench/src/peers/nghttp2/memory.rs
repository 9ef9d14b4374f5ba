//! nghttp2's allocations, counted with ours.

use super::ffi::Mem;
use crate::allocator::{is_counting, note_alloc, note_free, note_realloc};
use std::ffi::c_void;
use std::ptr;

/// Returns the allocator for nghttp2: its own, unless allocations are counted.
pub fn source() -> *const Mem {
    if is_counting() { &raw const COUNTED.0 } else { ptr::null() }
}

struct Shared(Mem);
// SAFETY: the table of functions is never written to, and its user pointer is null.
unsafe impl Sync for Shared {}

static COUNTED: Shared = Shared(Mem { user: ptr::null_mut(), malloc, free, calloc, realloc });

unsafe extern "C" {
    #[link_name = "malloc"]
    fn c_malloc(bytes: usize) -> *mut c_void;
    #[link_name = "free"]
    fn c_free(at: *mut c_void);
    #[link_name = "realloc"]
    fn c_realloc(at: *mut c_void, bytes: usize) -> *mut c_void;
}

/// Each block begins with its size, so that what lives can be counted. As long as the alignment of
/// `malloc`.
const HEAD: usize = 16;

extern "C" fn malloc(bytes: usize, _: *mut c_void) -> *mut c_void {
    note_alloc(bytes);
    // SAFETY: the block has room for its head, and is aligned for it.
    unsafe { label(c_malloc(bytes + HEAD), bytes) }
}

extern "C" fn calloc(count: usize, each: usize, user: *mut c_void) -> *mut c_void {
    let bytes = count * each;
    let at = malloc(bytes, user);
    // SAFETY: `malloc` gave that many bytes.
    unsafe { ptr::write_bytes(at.cast::<u8>(), 0, bytes) };
    at
}

extern "C" fn free(at: *mut c_void, _: *mut c_void) {
    if at.is_null() {
        return;
    }
    // SAFETY: the block came from `malloc` or `realloc` above.
    unsafe {
        let (head, bytes) = head(at);
        note_free(bytes);
        c_free(head);
    }
}

extern "C" fn realloc(at: *mut c_void, bytes: usize, user: *mut c_void) -> *mut c_void {
    if at.is_null() {
        return malloc(bytes, user);
    }
    // SAFETY: the block came from `malloc` or `realloc`, and grows or shrinks with its head.
    unsafe {
        let (head, old) = head(at);
        note_realloc(old, bytes);
        label(c_realloc(head, bytes + HEAD), bytes)
    }
}

/// Writes the head of a block and returns what the user gets.
///
/// # Safety
/// `block` is the start of an allocation of at least `HEAD` bytes.
unsafe fn label(block: *mut c_void, bytes: usize) -> *mut c_void {
    assert!(!block.is_null(), "out of memory");
    // SAFETY: promised by the caller.
    unsafe {
        block.cast::<usize>().write(bytes);
        block.byte_add(HEAD)
    }
}

/// Returns the start and the size of a block, from what its user has.
///
/// # Safety
/// `at` is what [`label`] returned, and has not been freed.
unsafe fn head(at: *mut c_void) -> (*mut c_void, usize) {
    // SAFETY: promised by the caller.
    unsafe {
        let block = at.byte_sub(HEAD);
        (block, block.cast::<usize>().read())
    }
}
