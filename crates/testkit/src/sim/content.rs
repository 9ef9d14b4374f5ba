//! The content of messages, which both sides compute from the stream and the direction and do not
//! store.

use thalweg::{Field, Headers, Indexing};

use super::script::{Exchange, Message, Method, Side};

/// Returns the content byte of a message at an offset.
pub fn byte(stream: u32, from: Side, offset: u32) -> u8 {
    let mixed = stream.wrapping_mul(0x9e37_79b9) ^ (from as u32 + 1).wrapping_mul(0x85eb_ca6b) ^ offset;
    (mixed.wrapping_mul(0xc2b2_ae35) >> 24) as u8
}

/// Fills a buffer with the content from an offset on.
pub fn fill(buffer: &mut Vec<u8>, stream: u32, from: Side, offset: u32, len: u32) {
    buffer.clear();
    buffer.extend((offset..offset + len).map(|offset| byte(stream, from, offset)));
}

/// Whether bytes are the content from an offset on.
pub fn matches(bytes: &[u8], stream: u32, from: Side, offset: u32) -> bool {
    bytes.iter().zip(offset..).all(|(seen, offset)| *seen == byte(stream, from, offset))
}

/// Whether a response ends with its headers (RFC 9110 §6.4.1).
const fn ends_with_headers(exchange: &Exchange) -> bool {
    matches!(exchange.method, Method::Head) || matches!(exchange.status, 204 | 304)
}

/// Returns the number of bytes of content that a response has.
pub const fn response_body(exchange: &Exchange) -> u32 {
    if ends_with_headers(exchange) { 0 } else { exchange.response.body }
}

/// Returns the response of an exchange. It has no trailers where it ends with its headers; the
/// length that it announces stays.
pub const fn response(exchange: &Exchange) -> Message {
    let trailers = exchange.response.trailers && !ends_with_headers(exchange);
    Message { trailers, ..exchange.response }
}

/// The regular fields of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    index: String,
    length: Option<String>,
    fill: Vec<u8>,
}

impl Fields {
    /// Creates the fields of the message of an exchange.
    pub fn new(index: u32, message: &Message) -> Self {
        let letters = (0..u32::from(message.header_bytes)).map(|at| b'a' + ((at ^ index) % 23) as u8);
        Self {
            index: index.to_string(),
            length: message.announces.then(|| message.body.to_string()),
            fill: letters.collect(),
        }
    }

    /// Returns the fields for a call.
    pub fn list(&self) -> Vec<Field<'_>> {
        let mut list = vec![
            Field::new(b"user-agent", b"thalweg-sim"),
            Field::new(b"x-index", self.index.as_bytes()),
            Field::new(b"authorization", b"secret").with_indexing(Indexing::Never),
            Field::new(b"x-fill", &self.fill),
        ];
        if let Some(length) = &self.length {
            list.push(Field::new(b"content-length", length.as_bytes()));
        }
        list
    }

    /// Whether a block has exactly these fields.
    pub fn are_in(&self, headers: &Headers<'_>) -> bool {
        let list = self.list();
        let same = |(sent, seen): (&Field<'_>, Field<'_>)| {
            let kept = (sent.indexing == Indexing::Never) == (seen.indexing == Indexing::Never);
            kept && (sent.name(), sent.value) == (seen.name(), seen.value)
        };
        headers.fields().len() == list.len() && list.iter().zip(headers.fields()).all(same)
    }
}

/// The trailer of every message that has one.
pub const TRAILER: (&[u8], &[u8]) = (b"x-trailer", b"the end");
