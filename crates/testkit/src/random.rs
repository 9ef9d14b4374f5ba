//! Sources of choices: a seed, or the input of a fuzzer.

/// A source of choices. The same source always gives the same choices.
pub trait Choices {
    /// Returns a number below `bound`, which is not 0.
    fn below(&mut self, bound: u32) -> u32;

    /// Whether all further choices will be the same, so that a script ends here.
    fn is_exhausted(&self) -> bool {
        false
    }

    /// Returns `true` with a probability of `part` in `whole`.
    fn chance(&mut self, part: u32, whole: u32) -> bool {
        self.below(whole) < part
    }

    /// Returns one of `options`, which are not empty.
    fn pick<T: Copy>(&mut self, options: &[T]) -> T {
        let len = u32::try_from(options.len()).expect("a list of options is short");
        options[self.below(len) as usize]
    }

    /// Returns a size up to `max`. Chooses its number of bits first, so that small sizes are as
    /// likely as large ones.
    fn size(&mut self, max: u32) -> u32 {
        let bits = self.below(u32::BITS - max.leading_zeros() + 1);
        self.below(1_u32.checked_shl(bits).unwrap_or(u32::MAX)).min(max)
    }
}

/// Pseudo-random numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Creates the generator of a seed; neighbouring seeds give unrelated numbers.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }
}

impl Choices for Random {
    fn below(&mut self, bound: u32) -> u32 {
        let word = u128::from(self.next_u64()) * u128::from(bound);
        (word >> 64) as u32
    }
}

/// Choices from the input of a fuzzer: a byte for a small bound, more for larger ones, 0 past the
/// end.
#[derive(Clone, Debug)]
pub struct FromBytes<'a> {
    bytes: &'a [u8],
}

impl<'a> FromBytes<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Returns the unread input.
    pub const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    fn byte(&mut self) -> u32 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        u32::from(*first)
    }
}

impl Choices for FromBytes<'_> {
    fn is_exhausted(&self) -> bool {
        self.bytes.is_empty()
    }

    fn below(&mut self, bound: u32) -> u32 {
        let word = (0..bytes_for(bound)).fold(0, |word, _| word << 8 | self.byte());
        word % bound
    }
}

/// Records the choices of another source, so that [`FromBytes`] can repeat them.
#[derive(Clone, Debug)]
pub struct Written<C> {
    choices: C,
    bytes: Vec<u8>,
}

impl<C> Written<C> {
    /// Creates a recorder of the choices of `choices`.
    pub const fn new(choices: C) -> Self {
        Self { choices, bytes: Vec::new() }
    }

    /// Returns the recorded bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl<C: Choices> Choices for Written<C> {
    fn is_exhausted(&self) -> bool {
        self.choices.is_exhausted()
    }

    fn below(&mut self, bound: u32) -> u32 {
        let choice = self.choices.below(bound);
        let word = choice.to_be_bytes();
        self.bytes.extend_from_slice(&word[4 - bytes_for(bound)..]);
        choice
    }
}

/// Returns the bytes that a choice below `bound` takes.
const fn bytes_for(bound: u32) -> usize {
    match bound {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        0x1_0001..=0x100_0000 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_that_are_written_down_are_made_again() {
        let bounds = [1, 2, 255, 256, 257, 65_536, 65_537, 1 << 24, (1 << 24) + 1, u32::MAX];
        let mut written = Written::new(Random::new(9));
        let chosen: Vec<u32> = bounds.iter().cycle().take(500).map(|bound| written.below(*bound)).collect();
        let bytes = written.into_bytes();
        let mut again = FromBytes::new(&bytes);
        assert!(bounds.iter().cycle().zip(&chosen).all(|(bound, choice)| again.below(*bound) == *choice));
        assert!(again.is_exhausted());
    }

    #[test]
    fn choices_stay_below_their_bound_and_reach_it() {
        let mut random = Random::new(1);
        let mut seen = [false; 7];
        for _ in 0..200 {
            seen[random.below(7) as usize] = true;
        }
        assert_eq!(seen, [true; 7]);
        let sizes: Vec<u32> = (0..2000).map(|_| random.size(1000)).collect();
        assert!(sizes.iter().all(|size| *size <= 1000));
        assert!(sizes.contains(&0) && sizes.contains(&1000));
    }

    #[test]
    fn bytes_are_read_as_far_as_the_bound_asks() {
        let mut bytes = FromBytes::new(&[7, 1, 2, 9, 9, 9]);
        assert_eq!(bytes.below(256), 7);
        assert_eq!(bytes.below(65_536), 0x0102);
        assert_eq!(bytes.below(2), 1);
        assert_eq!(bytes.rest(), [9, 9]);
        assert_eq!(bytes.below(1 << 24), 0x09_0900);
        assert_eq!(bytes.below(5), 0);
    }
}
