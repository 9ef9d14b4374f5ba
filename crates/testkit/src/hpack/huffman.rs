//! The Huffman code of RFC 7541 §5.2, derived from the lengths of its codes alone.

use std::sync::OnceLock;

use super::Malformed;

/// The end-of-string symbol.
const EOS: usize = 256;

/// Encodes a string; the caller writes its length with the Huffman bit before it.
pub fn encode(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u64, 0);
    for byte in text.as_ref() {
        let (code, len) = tree().codes[usize::from(*byte)];
        bits = bits << len | u64::from(code);
        count += len;
        while count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    if count > 0 {
        // RFC 7541 §5.2: the last byte is padded with ones, the prefix of EOS.
        out.push((bits << (8 - count)) as u8 | 0xff >> count);
    }
    out
}

/// Decodes a whole string, bit by bit.
pub fn decode(coded: &[u8]) -> Result<Vec<u8>, Malformed> {
    let tree = tree();
    let mut text = Vec::new();
    let (mut node, mut since, mut all_ones) = (0, 0, true);
    for byte in coded {
        for shift in (0..8).rev() {
            let bit = byte >> shift & 1;
            since += 1;
            all_ones &= bit == 1;
            match tree.nodes[node][usize::from(bit)] {
                Branch::Node(next) => node = next,
                Branch::Symbol(EOS) => return Err(Malformed("the end-of-string symbol in a string")),
                Branch::Symbol(symbol) => {
                    text.push(symbol as u8);
                    (node, since, all_ones) = (0, 0, true);
                }
                Branch::Empty => unreachable!("the code is complete"),
            }
        }
    }
    if since > 7 || !all_ones {
        return Err(Malformed("a string does not end in up to 7 ones"));
    }
    Ok(text)
}

#[derive(Clone, Copy)]
enum Branch {
    Empty,
    Node(usize),
    Symbol(usize),
}

struct Tree {
    nodes: Vec<[Branch; 2]>,
    /// Code and length of each symbol.
    codes: Vec<(u32, u32)>,
}

fn tree() -> &'static Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(Tree::new)
}

impl Tree {
    /// The code is canonical: codes rise with their length, then with their symbol.
    fn new() -> Self {
        let mut tree = Self { nodes: vec![[Branch::Empty; 2]], codes: vec![(0, 0); LENGTHS.len()] };
        let mut symbols: Vec<usize> = (0..LENGTHS.len()).collect();
        symbols.sort_by_key(|symbol| (LENGTHS[*symbol], *symbol));
        let (mut code, mut len) = (0_u32, 0);
        for symbol in symbols {
            let symbol_len = u32::from(LENGTHS[symbol]);
            code <<= symbol_len - len;
            len = symbol_len;
            tree.codes[symbol] = (code, len);
            tree.plant(symbol, code, len);
            code = code.wrapping_add(1);
        }
        tree
    }

    fn plant(&mut self, symbol: usize, code: u32, len: u32) {
        let mut node = 0;
        for shift in (1..len).rev() {
            let bit = (code >> shift & 1) as usize;
            node = match self.nodes[node][bit] {
                Branch::Node(next) => next,
                _ => {
                    self.nodes.push([Branch::Empty; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][bit] = Branch::Node(next);
                    next
                }
            };
        }
        self.nodes[node][(code & 1) as usize] = Branch::Symbol(symbol);
    }
}

/// Bits of the code of each symbol (RFC 7541 Appendix B).
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];
