//! Redacts the peer's bytes: parses frames and header blocks, and replaces strings in place.
//!
//! Invariants: no byte is added or removed; frame headers, lengths, padding lengths, names and the
//! structure of header blocks stay. Bytes that cannot be parsed are overwritten.

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use thalweg::frame::{Flags, FrameHeader, FrameType, HEADER_LEN, PREFACE};
use thalweg_hpack::KnownName;

use super::huffman;
use super::pseudonyms::Pseudonyms;

/// Overwrites the secrets in all bytes of a peer. `is_client`: whether the peer is a client.
pub(super) fn redact(stream: &mut [u8], is_client: bool, pseudonyms: &mut Pseudonyms) {
    let mut at = 0;
    if is_client {
        let matching = stream.iter().zip(PREFACE).take_while(|(seen, due)| seen == due).count();
        if matching < PREFACE.len() {
            // Another protocol: overwrites everything from the first wrong byte on.
            stream[matching..].fill(FILL);
            return;
        }
        at = PREFACE.len();
    }
    let mut table = Table { entries: VecDeque::new(), bytes: 0, bytes_max: TABLE_BYTES };
    let mut fragments = Vec::new();
    while let Some(header) = stream[at..].first_chunk().map(FrameHeader::parse) {
        let start = at + HEADER_LEN;
        let end = stream.len().min(start + header.len as usize);
        at = end;
        let is_fragment =
            matches!(header.kind, FrameType::HEADERS | FrameType::PUSH_PROMISE | FrameType::CONTINUATION);
        if !is_fragment {
            payload(header, &mut stream[start..end]);
            continue;
        }
        fragments.push(fragment(header, &mut stream[start..end], start));
        if header.flags.contains(Flags::END_HEADERS) || end == stream.len() {
            let mut coded: Vec<u8> = fragments
                .iter()
                .flat_map(|range: &Range<usize>| stream[range.clone()].iter().copied())
                .collect();
            block(&mut coded, &mut table, pseudonyms);
            let mut rest = &coded[..];
            for range in fragments.drain(..) {
                let (piece, behind) = rest.split_at(range.len());
                stream[range].copy_from_slice(piece);
                rest = behind;
            }
        }
    }
    // An incomplete frame header is kept: it contains only a length and a type.
}

/// Overwrites the text in a frame without a header block.
fn payload(header: FrameHeader, payload: &mut [u8]) {
    let kept = match header.kind {
        FrameType::PRIORITY
        | FrameType::RST_STREAM
        | FrameType::SETTINGS
        | FrameType::PING
        | FrameType::WINDOW_UPDATE
        | FrameType::PRIORITY_UPDATE => payload.len(),
        FrameType::DATA if header.flags.contains(Flags::PADDED) => 1,
        FrameType::GOAWAY => 8,
        FrameType::ALTSVC => 2,
        FrameType::ORIGIN => return origins(payload),
        _ => 0,
    };
    payload.iter_mut().skip(kept).for_each(|byte| *byte = FILL);
}

/// RFC 8336 §2.1: a length of two bytes before each.
fn origins(payload: &mut [u8]) {
    let mut rest = payload;
    while let Some((len, behind)) = rest.split_first_chunk_mut::<2>() {
        let len = behind.len().min(u16::from_be_bytes(*len).into());
        let (origin, next) = behind.split_at_mut(len);
        origin.fill(FILL);
        rest = next;
    }
}

/// Returns the range of the header block fragment; overwrites the padding.
fn fragment(header: FrameHeader, payload: &mut [u8], start: usize) -> Range<usize> {
    let is_first = header.kind != FrameType::CONTINUATION;
    let is_padded = is_first && header.flags.contains(Flags::PADDED);
    let pad_len = if is_padded { payload.first().map_or(0, |len| usize::from(*len)) } else { 0 };
    let before = usize::from(is_padded)
        + match header.kind {
            FrameType::HEADERS if header.flags.contains(Flags::PRIORITY) => 5,
            FrameType::PUSH_PROMISE => 4,
            _ => 0,
        };
    let from = before.min(payload.len());
    // In an incomplete frame the padding is in the missing part.
    let end = (header.len as usize).saturating_sub(pad_len).clamp(from, payload.len().max(from));
    payload[end..].fill(0);
    start + from..start + end
}

/// The names and sizes of a dynamic table (RFC 7541 §2.3.2): which decide which values stay.
struct Table {
    entries: VecDeque<(Vec<u8>, usize)>,
    bytes: usize,
    bytes_max: usize,
}

impl Table {
    fn name(&self, index: usize) -> Option<Vec<u8>> {
        match index {
            0 => None,
            1..=61 => Some(KnownName::of_static_index(index as u8).name().to_owned()),
            _ => self.entries.get(index - 62).map(|(name, _)| name.clone()),
        }
    }

    fn insert(&mut self, name: Vec<u8>, size: usize) {
        self.entries.push_front((name, size));
        self.bytes += size;
        self.evict();
    }

    fn evict(&mut self) {
        while self.bytes > self.bytes_max
            && let Some((_, size)) = self.entries.pop_back()
        {
            self.bytes -= size;
        }
    }
}

/// Replaces the values of a header block. From a representation that cannot be parsed on, it is
/// overwritten with an invalid one.
fn block(coded: &mut [u8], table: &mut Table, pseudonyms: &mut Pseudonyms) {
    let mut at = 0;
    while at < coded.len() {
        let start = at;
        if representation(coded, &mut at, table, pseudonyms).is_none() {
            coded[start..].fill(UNREADABLE);
            return;
        }
    }
}

/// Redacts one representation (RFC 7541 §6); `None` if it is truncated or malformed.
fn representation(
    coded: &mut [u8],
    at: &mut usize,
    table: &mut Table,
    pseudonyms: &mut Pseudonyms,
) -> Option<()> {
    let lead = *coded.get(*at)?;
    if lead & 0x80 != 0 {
        return integer(coded, at, 7).map(|_| ());
    }
    if lead & 0xe0 == 0x20 {
        table.bytes_max = integer(coded, at, 5)?;
        table.evict();
        return Some(());
    }
    let is_indexed = lead & 0x40 != 0;
    let index = integer(coded, at, if is_indexed { 6 } else { 4 })?;
    let name = if index == 0 {
        let (range, is_coded) = string(coded, at)?;
        if is_coded { huffman::decode(&coded[range])? } else { coded[range].to_vec() }
    } else {
        table.name(index)?
    };
    let (range, is_coded) = string(coded, at)?;
    let value = &mut coded[range];
    let value_len = if is_coded {
        let text = huffman::decode(value)?;
        huffman::overwrite(value, &pseudonyms.value(&name, &text));
        text.len()
    } else {
        let word = pseudonyms.value(&name, value);
        value.copy_from_slice(&word);
        word.len()
    };
    if is_indexed {
        let size = name.len() + value_len + ENTRY_OVERHEAD;
        table.insert(name, size);
    }
    Some(())
}

/// Reads an integer with a prefix of `bits` (RFC 7541 §5.1).
fn integer(coded: &[u8], at: &mut usize, bits: u32) -> Option<usize> {
    let mask = (1usize << bits) - 1;
    let mut number = usize::from(*coded.get(*at)?) & mask;
    *at += 1;
    if number < mask {
        return Some(number);
    }
    for shift in (0..28).step_by(7) {
        let byte = usize::from(*coded.get(*at)?);
        *at += 1;
        number += (byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Returns the range of a string, and whether it is Huffman-coded (RFC 7541 §5.2).
fn string(coded: &[u8], at: &mut usize) -> Option<(Range<usize>, bool)> {
    let is_coded = coded.get(*at)? & 0x80 != 0;
    let len = integer(coded, at, 7)?;
    let range = *at..at.checked_add(len)?;
    *at = range.end;
    (range.end <= coded.len()).then_some((range, is_coded))
}

/// The byte that replaces content.
pub(super) const FILL: u8 = b'x';
/// Index 0, which is invalid (RFC 7541 §6.1).
const UNREADABLE: u8 = 0x80;
/// The initial size of a dynamic table (RFC 9113 §6.5.2).
const TABLE_BYTES: usize = 4096;
/// RFC 7541 §4.1
const ENTRY_OVERHEAD: usize = 32;
