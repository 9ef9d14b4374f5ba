//! The computed bytes of `GET /bytes/N?seed=S`: any number of them, none held in memory.

/// The maximum of bytes per request: 1 TiB.
pub const LEN_MAX: u64 = 1 << 40;

/// N bytes; byte i is (S*131 + i*7 + (i>>8)*13) mod 256.
#[derive(Clone, Debug)]
pub struct Pattern {
    seed: u64,
    at: u64,
    len: u64,
}

impl Pattern {
    /// Starts at byte 0 of `len`.
    pub const fn new(len: u64, seed: u64) -> Self {
        Self { seed, at: 0, len }
    }

    /// Parses a request target. `None`: it is a different target. Error: it starts with `/bytes/`
    /// and is malformed.
    pub fn from_target(target: &str) -> Option<Result<Self, &'static str>> {
        let asked = target.strip_prefix("/bytes/")?;
        let (len, query) = asked.split_once('?').unwrap_or((asked, ""));
        let Ok(len) = len.parse() else { return Some(Err("/bytes/N: N is no number of bytes\n")) };
        if len > LEN_MAX {
            return Some(Err("/bytes/N: N is above 1099511627776\n"));
        }
        let seed = query.split('&').find_map(|pair| pair.strip_prefix("seed="));
        match seed.unwrap_or("0").parse() {
            Ok(seed) => Some(Ok(Self::new(len, seed))),
            Err(_) => Some(Err("/bytes/N?seed=S: S is no number\n")),
        }
    }

    /// Returns how many bytes are left.
    pub const fn remaining(&self) -> u64 {
        self.len - self.at
    }

    /// Skips the next `len` bytes, or as many as are left.
    pub fn skip(&mut self, len: u64) {
        self.at += len.min(self.remaining());
    }

    /// Writes the next bytes into `buf`, as many as fit and are left, and returns how many.
    pub fn fill(&mut self, buf: &mut [u8]) -> usize {
        let len = buf.len().min(usize::try_from(self.remaining()).unwrap_or(usize::MAX));
        let mut rest = &mut buf[..len];
        while !rest.is_empty() {
            // Within 256 bytes only i*7 changes.
            let (block, within) = (self.at >> 8, (self.at & 0xff) as usize);
            let run = rest.len().min(256 - within);
            let base = (self.seed.wrapping_mul(131)).wrapping_add(block.wrapping_mul(13)) as u8;
            for (index, byte) in rest[..run].iter_mut().enumerate() {
                *byte = base.wrapping_add(((within + index) as u8).wrapping_mul(7));
            }
            self.at += run as u64;
            rest = &mut rest[run..];
        }
        len
    }
}

impl std::io::Read for Pattern {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        Ok(self.fill(buf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_follows_the_formula_whatever_the_chunking() {
        for (seed, piece) in [(0_u64, 1), (7, 3), (200, 255), (7, 256), (u64::MAX, 1000), (3, 70_000)] {
            let mut pattern = Pattern::new(70_001, seed);
            let (mut bytes, mut buf) = (Vec::new(), vec![0; piece]);
            while pattern.remaining() > 0 {
                let len = pattern.fill(&mut buf);
                bytes.extend_from_slice(&buf[..len]);
            }
            assert_eq!(pattern.fill(&mut buf), 0);
            assert_eq!(bytes.len(), 70_001);
            for (i, byte) in bytes.iter().enumerate() {
                let i = i as u128;
                let formula = u128::from(seed) * 131 + i * 7 + (i >> 8) * 13;
                assert_eq!(u128::from(*byte), formula % 256, "seed {seed}, byte {i}");
            }
        }
    }

    #[test]
    fn targets_are_distinguished() {
        let len = |target| Pattern::from_target(target).map(|pattern| pattern.map(|p| (p.len, p.seed)));
        assert_eq!(len("/bytes/1000?seed=7"), Some(Ok((1000, 7))));
        assert_eq!(len("/bytes/0"), Some(Ok((0, 0))));
        assert_eq!(len("/bytes/1099511627776?x=1&seed=2"), Some(Ok((LEN_MAX, 2))));
        assert_eq!(len("/index.html"), None);
        for malformed in ["/bytes/", "/bytes/-1", "/bytes/1099511627777", "/bytes/1?seed=x"] {
            assert!(matches!(len(malformed), Some(Err(_))), "{malformed}");
        }
    }
}
