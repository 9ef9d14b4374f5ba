//! How input is split.

use crate::random::{Choices, Random};

/// How input is split.
#[derive(Clone, Debug)]
pub enum Chunking {
    /// Not at all.
    Whole,
    /// After every byte.
    Bytewise,
    /// At random positions.
    Random(Random),
}

impl Chunking {
    /// Returns the length of the next piece of an input of `len` bytes, which is not 0.
    pub fn next(&mut self, len: usize) -> usize {
        match self {
            Self::Whole => len,
            Self::Bytewise => 1,
            Self::Random(random) => {
                let most = u32::try_from(len - 1).unwrap_or(u32::MAX);
                1 + random.size(most) as usize
            }
        }
    }

    /// Splits off the next piece of an input that is not empty.
    pub fn take<'b>(&mut self, input: &mut &'b [u8]) -> &'b [u8] {
        let (piece, rest) = input.split_at(self.next(input.len()));
        *input = rest;
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_input() {
        let input: Vec<u8> = (0..200).collect();
        for (mut cuts, pieces) in [
            (Chunking::Whole, 1..2),
            (Chunking::Bytewise, 200..201),
            (Chunking::Random(Random::new(5)), 3..100),
        ] {
            let mut rest = input.as_slice();
            let mut taken = Vec::new();
            while !rest.is_empty() {
                taken.push(cuts.take(&mut rest));
            }
            assert_eq!(taken.concat(), input);
            assert!(pieces.contains(&taken.len()), "{cuts:?}: {} pieces", taken.len());
        }
    }
}
