//! The static table, RFC 7541 Appendix A.
//!
//! Owns the 61 fields that both ends know from the start. A static entry is one octet on the wire, needs
//! no validation, and lends its name to every [`Token`] up to 61.
//!
//! ```text
//! index 1..=61   here               0x82            ->  :method: GET
//! index 62..     the dynamic table  0x41 0x01 0x78  ->  :authority: x
//! ```

use crate::dynamic_table::{Entry, Place, VACANT};
use crate::field::OVERHEAD;
use crate::token::Token;
use crate::valid::Checked;

/// One entry: its name, its value, and the token of its name.
#[derive(Clone, Copy)]
pub struct StaticEntry {
    pub name: &'static [u8],
    pub value: &'static [u8],
    pub token: Token,
}

/// The number of entries; dynamic indices begin above it (RFC 7541 §2.3.3).
pub const STATIC_LEN: u32 = FIELDS.len() as u32;

/// The table by index. Entry 0 does not exist on the wire and is empty here.
pub static STATIC_TABLE: [StaticEntry; FIELDS.len() + 1] = {
    let mut table = [StaticEntry { name: b"", value: b"", token: Token::UNKNOWN }; FIELDS.len() + 1];
    let mut index = 1;
    while index < table.len() {
        let (token, value) = FIELDS[index - 1];
        table[index] = StaticEntry { name: token.name(), value, token };
        index += 1;
    }
    table
};

/// The same entries in the form in which fields are delivered.
pub static STATIC_ENTRIES: [Entry; FIELDS.len() + 1] = {
    let mut entries = [Entry { place: Place::Static, ..VACANT }; FIELDS.len() + 1];
    let mut index = 1;
    while index < entries.len() {
        let StaticEntry { name, value, token } = STATIC_TABLE[index];
        let entry = &mut entries[index];
        entry.value_start = index as u32;
        entry.value_len = value.len() as u32;
        entry.size = (name.len() + value.len() + OVERHEAD) as u32;
        entry.token = token;
        // Where there is no value, the entry is for its name.
        entry.checked = if value.is_empty() { Checked::Both } else { Checked::Approved };
        index += 1;
    }
    entries
};

/// By token, how many entries have that name and some value; 0 for names whose only entry is empty.
pub static STATIC_VALUES: [u8; 128] = {
    let mut values = [0; 128];
    let mut index = 1;
    while index < STATIC_TABLE.len() {
        if !STATIC_TABLE[index].value.is_empty() {
            values[STATIC_TABLE[index].token.id() as usize] += 1;
        }
        index += 1;
    }
    values
};

#[rustfmt::skip]
const FIELDS: [(Token, &[u8]); 61] = [
    (Token::AUTHORITY, b""),
    (Token::METHOD, b"GET"),
    (Token::METHOD, b"POST"),
    (Token::PATH, b"/"),
    (Token::PATH, b"/index.html"),
    (Token::SCHEME, b"http"),
    (Token::SCHEME, b"https"),
    (Token::STATUS, b"200"),
    (Token::STATUS, b"204"),
    (Token::STATUS, b"206"),
    (Token::STATUS, b"304"),
    (Token::STATUS, b"400"),
    (Token::STATUS, b"404"),
    (Token::STATUS, b"500"),
    (Token::ACCEPT_CHARSET, b""),
    (Token::ACCEPT_ENCODING, b"gzip, deflate"),
    (Token::ACCEPT_LANGUAGE, b""),
    (Token::ACCEPT_RANGES, b""),
    (Token::ACCEPT, b""),
    (Token::ACCESS_CONTROL_ALLOW_ORIGIN, b""),
    (Token::AGE, b""),
    (Token::ALLOW, b""),
    (Token::AUTHORIZATION, b""),
    (Token::CACHE_CONTROL, b""),
    (Token::CONTENT_DISPOSITION, b""),
    (Token::CONTENT_ENCODING, b""),
    (Token::CONTENT_LANGUAGE, b""),
    (Token::CONTENT_LENGTH, b""),
    (Token::CONTENT_LOCATION, b""),
    (Token::CONTENT_RANGE, b""),
    (Token::CONTENT_TYPE, b""),
    (Token::COOKIE, b""),
    (Token::DATE, b""),
    (Token::ETAG, b""),
    (Token::EXPECT, b""),
    (Token::EXPIRES, b""),
    (Token::FROM, b""),
    (Token::HOST, b""),
    (Token::IF_MATCH, b""),
    (Token::IF_MODIFIED_SINCE, b""),
    (Token::IF_NONE_MATCH, b""),
    (Token::IF_RANGE, b""),
    (Token::IF_UNMODIFIED_SINCE, b""),
    (Token::LAST_MODIFIED, b""),
    (Token::LINK, b""),
    (Token::LOCATION, b""),
    (Token::MAX_FORWARDS, b""),
    (Token::PROXY_AUTHENTICATE, b""),
    (Token::PROXY_AUTHORIZATION, b""),
    (Token::RANGE, b""),
    (Token::REFERER, b""),
    (Token::REFRESH, b""),
    (Token::RETRY_AFTER, b""),
    (Token::SERVER, b""),
    (Token::SET_COOKIE, b""),
    (Token::STRICT_TRANSPORT_SECURITY, b""),
    (Token::TRANSFER_ENCODING, b""),
    (Token::USER_AGENT, b""),
    (Token::VARY, b""),
    (Token::VIA, b""),
    (Token::WWW_AUTHENTICATE, b""),
];
