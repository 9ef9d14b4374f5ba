//! The static table, RFC 7541 Appendix A.
//!
//! Owns the 61 fields that both ends know from the start. A static entry is one octet on the wire,
//! needs no validation, and provides the name of every [`KnownName`] up to 61.
//!
//! ```text
//! index 1..=61   here               0x82            ->  :method: GET
//! index 62..     the dynamic table  0x41 0x01 0x78  ->  :authority: x
//! ```

use crate::dynamic_table::{EMPTY, Entry, Storage};
use crate::field::OVERHEAD;
use crate::known_name::KnownName;
use crate::validate::Checked;

/// One entry: its name, its value, and its known name.
#[derive(Clone, Copy)]
pub(crate) struct StaticEntry {
    pub name: &'static [u8],
    pub value: &'static [u8],
    pub known_name: KnownName,
}

/// The number of entries; dynamic indices begin above it (RFC 7541 §2.3.3).
pub(crate) const STATIC_LEN: u32 = FIELDS.len() as u32;

/// The table by index. Entry 0 does not exist on the wire and is empty here.
pub(crate) static STATIC_TABLE: [StaticEntry; FIELDS.len() + 1] = {
    let mut table = [StaticEntry { name: b"", value: b"", known_name: KnownName::NONE }; FIELDS.len() + 1];
    let mut index = 1;
    while index < table.len() {
        let (known_name, value) = FIELDS[index - 1];
        table[index] = StaticEntry { name: known_name.name(), value, known_name };
        index += 1;
    }
    table
};

/// The same entries in the form in which fields are delivered.
pub(crate) static STATIC_ENTRIES: [Entry; FIELDS.len() + 1] = {
    let mut entries = [Entry { storage: Storage::Static, ..EMPTY }; FIELDS.len() + 1];
    let mut index = 1;
    while index < entries.len() {
        let StaticEntry { name, value, known_name } = STATIC_TABLE[index];
        let entry = &mut entries[index];
        entry.value_start = index as u32;
        entry.value_len = value.len() as u32;
        entry.size = (name.len() + value.len() + OVERHEAD) as u32;
        entry.known_name = known_name;
        // An entry without a value provides only its name.
        entry.checked = if value.is_empty() { Checked::Both } else { Checked::Validated };
        index += 1;
    }
    entries
};

/// For each known name, the number of entries with that name and a value; 0 for names whose only
/// entry has an empty value.
pub(crate) static STATIC_VALUES: [u8; 128] = {
    let mut values = [0; 128];
    let mut index = 1;
    while index < STATIC_TABLE.len() {
        if !STATIC_TABLE[index].value.is_empty() {
            values[STATIC_TABLE[index].known_name.id() as usize] += 1;
        }
        index += 1;
    }
    values
};

#[rustfmt::skip]
const FIELDS: [(KnownName, &[u8]); 61] = [
    (KnownName::AUTHORITY, b""),
    (KnownName::METHOD, b"GET"),
    (KnownName::METHOD, b"POST"),
    (KnownName::PATH, b"/"),
    (KnownName::PATH, b"/index.html"),
    (KnownName::SCHEME, b"http"),
    (KnownName::SCHEME, b"https"),
    (KnownName::STATUS, b"200"),
    (KnownName::STATUS, b"204"),
    (KnownName::STATUS, b"206"),
    (KnownName::STATUS, b"304"),
    (KnownName::STATUS, b"400"),
    (KnownName::STATUS, b"404"),
    (KnownName::STATUS, b"500"),
    (KnownName::ACCEPT_CHARSET, b""),
    (KnownName::ACCEPT_ENCODING, b"gzip, deflate"),
    (KnownName::ACCEPT_LANGUAGE, b""),
    (KnownName::ACCEPT_RANGES, b""),
    (KnownName::ACCEPT, b""),
    (KnownName::ACCESS_CONTROL_ALLOW_ORIGIN, b""),
    (KnownName::AGE, b""),
    (KnownName::ALLOW, b""),
    (KnownName::AUTHORIZATION, b""),
    (KnownName::CACHE_CONTROL, b""),
    (KnownName::CONTENT_DISPOSITION, b""),
    (KnownName::CONTENT_ENCODING, b""),
    (KnownName::CONTENT_LANGUAGE, b""),
    (KnownName::CONTENT_LENGTH, b""),
    (KnownName::CONTENT_LOCATION, b""),
    (KnownName::CONTENT_RANGE, b""),
    (KnownName::CONTENT_TYPE, b""),
    (KnownName::COOKIE, b""),
    (KnownName::DATE, b""),
    (KnownName::ETAG, b""),
    (KnownName::EXPECT, b""),
    (KnownName::EXPIRES, b""),
    (KnownName::FROM, b""),
    (KnownName::HOST, b""),
    (KnownName::IF_MATCH, b""),
    (KnownName::IF_MODIFIED_SINCE, b""),
    (KnownName::IF_NONE_MATCH, b""),
    (KnownName::IF_RANGE, b""),
    (KnownName::IF_UNMODIFIED_SINCE, b""),
    (KnownName::LAST_MODIFIED, b""),
    (KnownName::LINK, b""),
    (KnownName::LOCATION, b""),
    (KnownName::MAX_FORWARDS, b""),
    (KnownName::PROXY_AUTHENTICATE, b""),
    (KnownName::PROXY_AUTHORIZATION, b""),
    (KnownName::RANGE, b""),
    (KnownName::REFERER, b""),
    (KnownName::REFRESH, b""),
    (KnownName::RETRY_AFTER, b""),
    (KnownName::SERVER, b""),
    (KnownName::SET_COOKIE, b""),
    (KnownName::STRICT_TRANSPORT_SECURITY, b""),
    (KnownName::TRANSFER_ENCODING, b""),
    (KnownName::USER_AGENT, b""),
    (KnownName::VARY, b""),
    (KnownName::VIA, b""),
    (KnownName::WWW_AUTHENTICATE, b""),
];
