//! The static table, RFC 7541 Appendix A.
//!
//! Owns the 61 fields that both ends know from the start. A static entry is one octet on the wire, needs
//! no validation, and lends its name to every [`Token`] up to 61.
//!
//! ```text
//! index 1..=61   here               0x82            ->  :method: GET
//! index 62..     the dynamic table  0x41 0x01 0x78  ->  :authority: x
//! ```

use crate::token::Token;

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
        let (name, value) = FIELDS[index - 1];
        table[index] = StaticEntry { name, value, token: Token::of(name) };
        index += 1;
    }
    table
};

/// How many entries share the name of each token; 0 for numbers that are no token of a static name.
pub static STATIC_RUN: [u8; FIELDS.len() + 1] = {
    let mut run = [0; FIELDS.len() + 1];
    let mut index = 1;
    while index < run.len() {
        run[STATIC_TABLE[index].token.id() as usize] += 1;
        index += 1;
    }
    run
};

#[rustfmt::skip]
const FIELDS: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];
