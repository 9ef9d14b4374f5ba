//! fluke-hpack behind a guard: the oracle of the differential tests and the fuzz targets.
//!
//! fluke-hpack 0.3.1 is an independent implementation of RFC 7541. It is not safe on untrusted
//! input: the octet `3f` makes it panic, and it accepts size updates at any place and of any size.
//! So the guard reads each block first:
//!
//! - The guard handles and removes size updates: only leading ones, none above the limit, none
//!   missing after the limit was lowered (RFC 7541 §4.2, RFC 9113 §4.3.1). The rest of the block
//!   cannot make it panic.
//! - Integers are re-encoded in the fewest octets, because it reads at most five of them.
//! - One instance per thread of its Huffman decoder decodes Huffman-coded strings, which are then
//!   passed as plain ones, because it would build its table again for each.
//! - The guard records the representation of each field, because fluke-hpack does not report it.
//!
//! The HPACK fuzz targets include this file, too.

use std::cell::RefCell;

use fluke_hpack::huffman::HuffmanDecoder;
use thalweg_hpack::Indexing;

/// A decoded field, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// `Default`, `NotIndexed` or `Never`, as `thalweg_hpack::Decoder` reports it.
    pub indexing: Indexing,
}

/// Which part refused a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The guard: a size update, an integer or a length is wrong.
    ByGuard,
    /// fluke-hpack itself: an index or a Huffman code is wrong.
    ByFluke,
}

/// The guarded decoder.
pub struct Decoder {
    fluke: fluke_hpack::Decoder<'static>,
    /// The largest size that an update may set, and the size that is set.
    bytes_max: u32,
    bytes: u32,
    /// The smallest limit since the last block, if a size update must obey it.
    due: Option<u32>,
}

impl Decoder {
    /// As `thalweg_hpack::Decoder::new`.
    pub fn new(table_bytes_max: u32) -> Self {
        let mut fluke = fluke_hpack::Decoder::new();
        fluke.set_max_table_size(table_bytes_max as usize);
        Self { fluke, bytes_max: table_bytes_max, bytes: table_bytes_max, due: None }
    }

    /// As `thalweg_hpack::Decoder::set_table_bytes_max`.
    pub fn set_table_bytes_max(&mut self, bytes: u32) {
        self.bytes_max = bytes;
        if bytes < self.bytes {
            self.due = Some(self.due.unwrap_or(bytes).min(bytes));
        }
    }

    /// Decodes one whole block.
    ///
    /// # Errors
    ///
    /// The block is malformed. The results of later calls are meaningless.
    pub fn decode(&mut self, block: &[u8]) -> Result<Vec<Field>, Refused> {
        let mut rest = block;
        while rest.first().is_some_and(|first| first & 0xe0 == 0x20) {
            let bytes = u32::try_from(integer(&mut rest, 5)?).map_err(|_| Refused::ByGuard)?;
            if bytes > self.bytes_max || self.due.take().is_some_and(|due| bytes > due) {
                return Err(Refused::ByGuard);
            }
            self.fluke.set_max_table_size(bytes as usize);
            self.bytes = bytes;
        }
        if self.due.is_some() {
            return Err(Refused::ByGuard);
        }
        let (canonical, indexings) = canonical(rest)?;
        let list = self.fluke.decode(&canonical).map_err(|_| Refused::ByFluke)?;
        assert_eq!(list.len(), indexings.len(), "fluke-hpack found other fields than the guard");
        let fields = list.into_iter().zip(indexings);
        Ok(fields.map(|((name, value), indexing)| Field { name, value, indexing }).collect())
    }
}

/// Returns the same fields with plain strings and every integer in its shortest form, and the
/// representation of each.
fn canonical(mut rest: &[u8]) -> Result<(Vec<u8>, Vec<Indexing>), Refused> {
    let (mut out, mut indexings) = (Vec::new(), Vec::new());
    while let Some(&first) = rest.first() {
        let (bits, indexing) = match first {
            0x80.. => (7, Indexing::Default),
            0x40.. => (6, Indexing::Default),
            0x20.. => return Err(Refused::ByGuard),
            0x10.. => (4, Indexing::Never),
            _ => (4, Indexing::NotIndexed),
        };
        let index = integer(&mut rest, bits)?;
        put_integer(&mut out, first, bits, index);
        let strings = match first {
            0x80.. => 0,
            _ if index == 0 => 2,
            _ => 1,
        };
        for _ in 0..strings {
            plain_string(&mut rest, &mut out)?;
        }
        indexings.push(indexing);
    }
    Ok((out, indexings))
}

fn plain_string(rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
    let is_huffman = rest.first().is_some_and(|first| *first >= 0x80);
    let len = usize::try_from(integer(rest, 7)?).map_err(|_| Refused::ByGuard)?;
    let (string, behind) = rest.split_at_checked(len).ok_or(Refused::ByGuard)?;
    *rest = behind;
    if is_huffman {
        let decoded =
            HUFFMAN.with_borrow_mut(|huffman| huffman.decode(string)).map_err(|_| Refused::ByFluke)?;
        put_integer(out, 0, 7, decoded.len() as u64);
        out.extend(decoded);
    } else {
        put_integer(out, 0, 7, len as u64);
        out.extend_from_slice(string);
    }
    Ok(())
}

thread_local! {
    static HUFFMAN: RefCell<HuffmanDecoder> = RefCell::new(HuffmanDecoder::new());
}

/// Reads an integer as RFC 7541 §5.1 writes it, with at most 5 octets after the prefix, and 32
/// bits.
fn integer(rest: &mut &[u8], bits: u32) -> Result<u64, Refused> {
    let mut octets = rest.iter();
    let mask = (1u64 << bits) - 1;
    let mut value = u64::from(*octets.next().ok_or(Refused::ByGuard)?) & mask;
    if value == mask {
        let mut weight = 1;
        loop {
            let octet = u64::from(*octets.next().ok_or(Refused::ByGuard)?);
            value += octet % 128 * weight;
            weight *= 128;
            if octet < 128 {
                break;
            }
            if weight == 128u64.pow(5) {
                return Err(Refused::ByGuard);
            }
        }
    }
    *rest = octets.as_slice();
    if value > u64::from(u32::MAX) { Err(Refused::ByGuard) } else { Ok(value) }
}

/// Writes an integer in its shortest form, below the flags that `first` has above the prefix.
fn put_integer(out: &mut Vec<u8>, first: u8, bits: u32, value: u64) {
    let mask = (1u64 << bits) - 1;
    let flags = first & !(mask as u8);
    if value < mask {
        out.push(flags | value as u8);
        return;
    }
    out.push(flags | mask as u8);
    let mut left = value - mask;
    while left >= 128 {
        out.push(left as u8 | 0x80);
        left /= 128;
    }
    out.push(left as u8);
}
