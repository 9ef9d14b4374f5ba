//! The blocks and lists that are worked through.

use super::corpus::{self, List};
use std::str::FromStr;
use thalweg_hpack::{Decoder, Encoder, Field, ListLimits, SinkAction};

/// What is worked through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// The blocks that nghttp2 made of the corpus.
    DecodeCorpus,
    /// The same blocks with every Huffman-coded string in plain octets.
    DecodePlain,
    /// Requests of one connection; all fields but the path repeat.
    DecodeKeepalive,
    /// The lists of the corpus.
    EncodeCorpus,
    /// The requests of `DecodeKeepalive`.
    EncodeKeepalive,
    /// The same, where the fields that repeat were hashed in advance.
    EncodePrehashed,
    /// The responses to these requests.
    EncodeResponses,
}

impl Workload {
    /// All workloads and their names.
    pub const ALL: [(&'static str, Self); 7] = [
        ("decode-corpus", Self::DecodeCorpus),
        ("decode-plain", Self::DecodePlain),
        ("decode-keepalive", Self::DecodeKeepalive),
        ("encode-corpus", Self::EncodeCorpus),
        ("encode-keepalive", Self::EncodeKeepalive),
        ("encode-prehashed", Self::EncodePrehashed),
        ("encode-responses", Self::EncodeResponses),
    ];

    /// Whether blocks are decoded, not lists encoded.
    pub fn is_decoding(self) -> bool {
        matches!(self, Self::DecodeCorpus | Self::DecodePlain | Self::DecodeKeepalive)
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(each, _)| *each == name);
        found.map(|(_, workload)| *workload).ok_or_else(|| format!("no workload is called `{name}`"))
    }
}

/// Blocks that share a compression context, and their lists.
#[derive(Debug)]
pub struct Session {
    /// To decode; empty when there is nothing to decode.
    pub blocks: Vec<Vec<u8>>,
    /// To encode.
    pub lists: Vec<List>,
}

/// All of a workload.
#[derive(Debug)]
pub struct Sessions(pub Vec<Session>);

impl Sessions {
    /// Reads or makes the workload.
    ///
    /// # Errors
    ///
    /// When the corpus is absent.
    pub fn new(workload: Workload) -> Result<Self, String> {
        let corpus = |encoder, transcode: fn(Vec<u8>) -> Vec<u8>| -> Result<Self, String> {
            let sessions = corpus::sessions(encoder)?.into_iter().map(|cases| {
                let (blocks, lists) = cases.into_iter().map(|case| (transcode(case.wire), case.list)).unzip();
                Session { blocks, lists }
            });
            Ok(Self(sessions.collect()))
        };
        match workload {
            Workload::DecodeCorpus => corpus("nghttp2", |block| block),
            Workload::DecodePlain => corpus("nghttp2", |block| without_huffman(&block)),
            Workload::EncodeCorpus => corpus("raw-data", |_| Vec::new()),
            Workload::EncodeResponses => Ok(Self(vec![connection(response)])),
            _ => Ok(Self(vec![connection(request)])),
        }
    }
}

impl Session {
    /// Returns the number of fields in all lists.
    pub fn fields(&self) -> usize {
        self.lists.iter().map(Vec::len).sum()
    }

    /// Returns the octets of all names and values.
    pub fn octets(&self) -> usize {
        self.lists.iter().flatten().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// One connection with messages of one kind.
fn connection(message: fn(usize) -> List) -> Session {
    let lists: Vec<List> = (0..MESSAGES).map(message).collect();
    let mut encoder = Encoder::new(4096, 0);
    let blocks = lists.iter().map(|list| {
        let mut block = Vec::new();
        encoder.start_block(&mut block);
        for (name, value) in list {
            encoder.encode(Field::new(name, value), &mut block);
        }
        block
    });
    let blocks = blocks.collect();
    Session { blocks, lists }
}

/// Returns what a browser asks for when it reads page after page.
fn request(number: usize) -> List {
    list(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "shop.example.com"),
        (":path", &format!("/articles/{}?page={}", 10_000 + number * 7, number % 10)),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        ),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
        ("cookie", "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark"),
        ("sec-fetch-mode", "navigate"),
        ("x-client-version", "2026.11.3"),
    ])
}

/// Returns the response to such a request.
fn response(number: usize) -> List {
    list(&[
        (":status", "200"),
        ("server", "thalweg"),
        ("date", &format!("Sun, 22 Nov 2026 15:04:{:02} GMT", number / 20 % 60)),
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", &(2000 + number * 37).to_string()),
        ("cache-control", "private, max-age=0"),
        ("vary", "accept-encoding"),
        ("x-content-type-options", "nosniff"),
        ("x-shard", "eu-west-1c"),
    ])
}

fn list(fields: &[(&str, &str)]) -> List {
    fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// How many messages a connection of our own has.
const MESSAGES: usize = 200;

/// Returns the same block with every string in plain octets.
fn without_huffman(block: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = block;
    while let Some(&first) = rest.first() {
        let (mask, is_literal) = match first {
            0x80.. => (0x7f, false),
            0x40.. => (0x3f, true),
            0x20.. => (0x1f, false),
            _ => (0x0f, true),
        };
        let (index, used) = integer(rest, mask);
        out.extend_from_slice(&rest[..used]);
        rest = &rest[used..];
        let strings = usize::from(is_literal) + usize::from(is_literal && index == 0);
        for _ in 0..strings {
            rest = plain_string(rest, &mut out);
        }
    }
    out
}

/// Appends the string at the front of `rest` in plain octets, and returns what follows it.
fn plain_string<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let (len, used) = integer(rest, 0x7f);
    let (string, after) = rest.split_at(used + len);
    // A literal with an empty name and this value.
    let field = [&[0x00, 0x00], string].concat();
    let mut value = Vec::new();
    let decoded = Decoder::new(0).decode(&field, ListLimits::NONE, |decoded| {
        value = decoded.field().value.to_vec();
        SinkAction::Unchecked
    });
    decoded.expect("nghttp2's blocks are well-formed");
    match u8::try_from(value.len()) {
        Ok(short @ 0..0x7f) => out.push(short),
        _ => {
            out.push(0x7f);
            let mut more = value.len() - 0x7f;
            while more >= 0x80 {
                out.push(more as u8 | 0x80);
                more >>= 7;
            }
            out.push(more as u8);
        }
    }
    out.extend_from_slice(&value);
    after
}

/// Returns the integer at the front of a well-formed block, and the octets it takes.
fn integer(block: &[u8], mask: u8) -> (usize, usize) {
    let prefix = usize::from(block[0] & mask);
    if prefix < usize::from(mask) {
        return (prefix, 1);
    }
    let (mut value, mut used) = (prefix, 1);
    loop {
        let octet = block[used];
        value += usize::from(octet & 0x7f) << (7 * (used - 1));
        used += 1;
        if octet < 0x80 {
            return (value, used);
        }
    }
}
