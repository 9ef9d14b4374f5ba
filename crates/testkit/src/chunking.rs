//! Where input is cut.

use crate::random::{Choices, Random};

/// Where input is cut.
#[derive(Clone, Debug)]
pub enum Chunking {
    /// Nowhere.
    Whole,
    /// Everywhere.
    Bytewise,
    /// At random places.
    Random(Random),
}

impl Chunking {
    /// Bytes of the next piece of an input of `len`, which is not 0.
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

    /// The next piece of an input that is not empty, which it leaves.
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
