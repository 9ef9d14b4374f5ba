//! nghttp2's inflater and deflater, by its public C interface (`nghttp2/nghttp2.h`, 1.52).

use super::{Decode, Encode};
use crate::peers::nghttp2::memory;
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::marker::PhantomData;
use std::ptr;

/// The inflater. It checks no octets of names and values; nghttp2's session does that afterwards.
#[derive(Debug)]
pub struct Inflater(*mut c_void);

impl Inflater {
    /// Sets the table size of the inflater, as after the acknowledgement of our SETTINGS.
    pub fn set_table_bytes_max(&mut self, bytes: u32) {
        // SAFETY: the pointer came from `nghttp2_hd_inflate_new2` and lives as long as `self`.
        let code = unsafe { nghttp2_hd_inflate_change_table_size(self.0, bytes as usize) };
        assert_eq!(code, 0, "nghttp2 is between two blocks");
    }

    /// Decodes a whole block and gives each field and its never-indexed flag to `sink`. The error
    /// is nghttp2's code, below 0; the inflater is of no use after one.
    ///
    /// # Errors
    ///
    /// When the block is malformed in nghttp2's eyes.
    pub fn decode(&mut self, block: &[u8], mut sink: impl FnMut(&[u8], &[u8], bool)) -> Result<(), isize> {
        let mut rest = block;
        loop {
            let mut nv = Nv::EMPTY;
            let mut flags = 0;
            // SAFETY: the pointers are those of a live inflater, of a slice with its length, and of
            // two variables. nghttp2 does not write to the input and keeps no pointer to it.
            let used = unsafe {
                nghttp2_hd_inflate_hd2(self.0, &raw mut nv, &raw mut flags, rest.as_ptr(), rest.len(), 1)
            };
            let used = usize::try_from(used).map_err(|_| used)?;
            rest = &rest[used..];
            if flags & INFLATE_EMIT != 0 {
                // SAFETY: an emitted field's strings live until the next call of the inflater.
                let (name, value) = unsafe { (nv.name(), nv.value()) };
                sink(name, value, nv.flags & NV_NO_INDEX != 0);
            }
            if flags & INFLATE_FINAL != 0 {
                // SAFETY: the inflater is alive.
                unsafe { nghttp2_hd_inflate_end_headers(self.0) };
                return Ok(());
            }
            if flags & INFLATE_EMIT == 0 && rest.is_empty() {
                return Ok(());
            }
        }
    }
}

impl Decode for Inflater {
    fn new() -> Self {
        let mut inflater = ptr::null_mut();
        // SAFETY: the call writes a pointer to the variable; the allocator is static.
        let code = unsafe { nghttp2_hd_inflate_new2(&raw mut inflater, memory::source().cast()) };
        assert_eq!(code, 0, "nghttp2 has memory");
        Self(inflater)
    }

    fn block(&mut self, block: &[u8]) -> usize {
        let (mut fields, mut octets) = (0, 0);
        let decoded = self.decode(block, |name, value, _| {
            octets += name.len() + value.len();
            fields += 1;
        });
        black_box(octets);
        if decoded.is_ok() { fields } else { 0 }
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `nghttp2_hd_inflate_new2` and is not used again.
        unsafe { nghttp2_hd_inflate_del(self.0) };
    }
}

/// The deflater.
#[derive(Debug)]
pub struct Deflater(*mut c_void);

impl Encode for Deflater {
    type List<'a> = Fields<'a>;

    fn new() -> Self {
        let mut deflater = ptr::null_mut();
        // SAFETY: the call writes a pointer to the variable; the allocator is static.
        let code = unsafe { nghttp2_hd_deflate_new2(&raw mut deflater, 4096, memory::source().cast()) };
        assert_eq!(code, 0, "nghttp2 has memory");
        Self(deflater)
    }

    fn list<'a>(list: &'a [(Vec<u8>, Vec<u8>)]) -> Self::List<'a> {
        let fields = list.iter().map(|(name, value)| Nv {
            name: name.as_ptr().cast_mut(),
            value: value.as_ptr().cast_mut(),
            name_len: name.len(),
            value_len: value.len(),
            flags: 0,
        });
        Fields { fields: fields.collect(), strings: PhantomData }
    }

    fn block(&mut self, list: &Self::List<'_>, out: &mut Vec<u8>) {
        let nva = &list.fields;
        // SAFETY: the fields' strings outlive `list`, and nghttp2 writes to neither.
        let bound = unsafe { nghttp2_hd_deflate_bound(self.0, nva.as_ptr(), nva.len()) };
        out.reserve(bound);
        let start = out.len();
        // SAFETY: `bound` octets of spare room are reserved; what nghttp2 wrote is initialised.
        unsafe {
            let to = out.as_mut_ptr().add(start);
            let written = nghttp2_hd_deflate_hd(self.0, to, bound, nva.as_ptr(), nva.len());
            out.set_len(start + usize::try_from(written).expect("the bound holds"));
        }
    }
}

impl Drop for Deflater {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `nghttp2_hd_deflate_new2` and is not used again.
        unsafe { nghttp2_hd_deflate_del(self.0) };
    }
}

/// A list by pointers.
#[derive(Debug)]
pub struct Fields<'a> {
    fields: Vec<Nv>,
    strings: PhantomData<&'a [u8]>,
}

/// `nghttp2_nv`.
#[repr(C)]
#[derive(Debug)]
struct Nv {
    name: *mut u8,
    value: *mut u8,
    name_len: usize,
    value_len: usize,
    flags: u8,
}

impl Nv {
    const EMPTY: Self =
        Self { name: ptr::null_mut(), value: ptr::null_mut(), name_len: 0, value_len: 0, flags: 0 };

    /// # Safety
    ///
    /// The name must be alive.
    unsafe fn name(&self) -> &[u8] {
        // SAFETY: passed on.
        unsafe { octets(self.name, self.name_len) }
    }

    /// # Safety
    ///
    /// The value must be alive.
    unsafe fn value(&self) -> &[u8] {
        // SAFETY: passed on.
        unsafe { octets(self.value, self.value_len) }
    }
}

/// # Safety
///
/// `len` octets must be alive at `start`, if there are any.
unsafe fn octets<'a>(start: *const u8, len: usize) -> &'a [u8] {
    // SAFETY: passed on; an empty string may have no address.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(start, len) } }
}

const INFLATE_FINAL: c_int = 0x01;
const INFLATE_EMIT: c_int = 0x02;
const NV_NO_INDEX: u8 = 0x01;

#[link(name = "nghttp2")]
unsafe extern "C" {
    fn nghttp2_hd_inflate_new2(out: *mut *mut c_void, memory: *const c_void) -> c_int;
    fn nghttp2_hd_inflate_del(inflater: *mut c_void);
    fn nghttp2_hd_inflate_change_table_size(inflater: *mut c_void, bytes: usize) -> c_int;
    fn nghttp2_hd_inflate_hd2(
        inflater: *mut c_void,
        nv: *mut Nv,
        flags: *mut c_int,
        input: *const u8,
        len: usize,
        is_final: c_int,
    ) -> isize;
    fn nghttp2_hd_inflate_end_headers(inflater: *mut c_void) -> c_int;
    fn nghttp2_hd_deflate_new2(out: *mut *mut c_void, table_bytes_max: usize, memory: *const c_void)
    -> c_int;
    fn nghttp2_hd_deflate_del(deflater: *mut c_void);
    fn nghttp2_hd_deflate_bound(deflater: *mut c_void, nva: *const Nv, len: usize) -> usize;
    fn nghttp2_hd_deflate_hd(
        deflater: *mut c_void,
        out: *mut u8,
        out_len: usize,
        nva: *const Nv,
        len: usize,
    ) -> isize;
}
