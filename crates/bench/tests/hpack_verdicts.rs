//! Which blocks are malformed: `thalweg-hpack` beside nghttp2's inflater, and every difference
//! explained.
//!
//! Both are given the same octets in the same state, and must refuse both or decode both to the
//! same fields. [`DIFFERENCES`] lists where the two interpret RFC 7541 differently on purpose, and
//! a test proves that the table is neither too long nor out of date.

/// Without the C library there is nothing to compare with.
#[cfg(not(has_nghttp2))]
#[test]
fn nghttp2_agrees() {
    println!(
        "skipped: libnghttp2 is absent, or the feature `nghttp2` is off; `cargo xtask setup` installs it"
    );
}

#[cfg(has_nghttp2)]
mod beside_nghttp2 {
    use thalweg_bench::codec::Decode as _;
    use thalweg_bench::codec::corpus::{self, Case};
    use thalweg_bench::codec::nghttp2::Inflater;
    use thalweg_hpack::{DecodeError, Decoder, Indexing, ListLimits, SinkAction};

    /// Names, values, and whether each is never to be indexed.
    type Fields = Vec<(Vec<u8>, Vec<u8>, bool)>;

    /// Our decoder and nghttp2's, in the same state.
    struct Pair {
        ours: Decoder,
        theirs: Inflater,
    }

    impl Pair {
        /// Both with the same table: `before` was decoded, and `limits` were set and acknowledged
        /// since.
        fn new(before: &[u8], limits: &[u32]) -> Self {
            let mut pair = Self { ours: Decoder::new(4096), theirs: Inflater::new() };
            pair.decode(before).0.expect("what comes before is well-formed");
            for &limit in limits {
                pair.ours.set_table_bytes_max(limit);
                pair.theirs.set_table_bytes_max(limit);
            }
            pair
        }

        fn decode(&mut self, block: &[u8]) -> (Result<Fields, DecodeError>, Result<Fields, isize>) {
            (ours(&mut self.ours, block), theirs(&mut self.theirs, block))
        }
    }

    fn ours(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, DecodeError> {
        let mut fields = Fields::new();
        decoder.decode(block, ListLimits::NONE, |decoded| {
            let field = decoded.field();
            fields.push((field.name().to_vec(), field.value.to_vec(), field.indexing == Indexing::Never));
            SinkAction::Unchecked
        })?;
        Ok(fields)
    }

    fn theirs(inflater: &mut Inflater, block: &[u8]) -> Result<Fields, isize> {
        let mut fields = Fields::new();
        inflater
            .decode(block, |name, value, is_never| fields.push((name.to_vec(), value.to_vec(), is_never)))?;
        Ok(fields)
    }

    /// States in which every short block is tried: what was decoded before, and the limits that
    /// were set and acknowledged since.
    const STATES: [(&[u8], &[u32]); 6] = [
        (b"", &[]),
        // Three entries, one of them with a known name.
        (b"\x40\x01a\x01b\x40\x01c\x00\x41\x01z", &[]),
        (b"\x40\x01a\x01b\x40\x01c\x00\x41\x01z", &[40]),
        (b"", &[100]),
        (b"", &[0, 4096]),
        (b"", &[70_000]),
    ];

    #[test]
    fn on_every_block_of_one_octet_and_of_two() {
        // 7541-2.3.3-2, 7541-6.1-2, 7541-6.3-3, 7541-4.2-3
        let (mut accepted, mut refused) = (0, 0);
        for (before, limits) in STATES {
            for number in 0..256 + 65_536_u32 {
                let block = match u8::try_from(number) {
                    Ok(octet) => vec![octet],
                    Err(_) => ((number - 256) as u16).to_be_bytes().to_vec(),
                };
                let (ours, theirs) = Pair::new(before, limits).decode(&block);
                assert_eq!(
                    ours.as_ref().ok(),
                    theirs.as_ref().ok(),
                    "{block:x?} after {before:x?}, {limits:?}"
                );
                if ours.is_ok() { accepted += 1 } else { refused += 1 }
            }
        }
        // Both verdicts are well represented.
        assert!(accepted > 20_000 && refused > 100_000, "{accepted} accepted, {refused} refused");
    }

    /// Where we refuse and nghttp2 does not, or the reverse.
    struct Difference {
        section: &'static str,
        why: &'static str,
        block: fn() -> Vec<u8>,
        we_accept: bool,
    }

    const DIFFERENCES: [Difference; 2] = [
        Difference {
            section: "RFC 7541 §5.2",
            why: "a value of more than 64 KiB: the RFC bounds no string. Our core bounds the block before it is \
                  decoded, and the list",
            block: || [&[0x01][..], &string(b'v', 65_537)].concat(),
            we_accept: true,
        },
        Difference {
            section: "RFC 7541 §5.2",
            why: "a name of more than 64 KiB: likewise",
            block: || [&[0x00][..], &string(b'n', 65_537), &string(b'v', 1)].concat(),
            we_accept: true,
        },
    ];

    #[test]
    fn but_for_the_intended_differences() {
        for Difference { section, why, block, we_accept } in DIFFERENCES {
            let (ours, theirs) = Pair::new(b"", &[]).decode(&block());
            assert_eq!((ours.is_ok(), theirs.is_ok()), (we_accept, !we_accept), "{section}: {why}");
        }
    }

    #[test]
    fn on_integers_and_strings_at_their_limits() {
        // 7541-5.1-2, 7541-7.4-1
        // The octets that go before an integer, and those that follow.
        let places: [(&[u8], Vec<u8>); 4] = [
            (b"\x0f", string(b'v', 1)),
            (b"\xff", Vec::new()),
            (b"\x3f", Vec::new()),
            (b"\x01\x7f", vec![b'v'; 200]),
        ];
        for (front, behind) in &places {
            for zeros in 0..12 {
                for last in [0x00, 0x01, 0x0f, 0x10, 0x7f] {
                    let integer = [vec![0x80; zeros], vec![last]].concat();
                    agree(&[], &[*front, &integer, behind].concat());
                }
            }
        }
        for len in [127, 128, 16_383, 16_384, 65_535, 65_536] {
            agree(&[], &[&[0x01][..], &string(b'v', len)].concat());
            agree(&[], &[&[0x40][..], &string(b'n', len), &string(b'v', 1), &[0xbe]].concat());
        }
    }

    #[test]
    fn on_every_order_of_limits_and_size_updates() {
        // 7541-4.2-3, 9113-4.3.1-4
        let updates: [&[u8]; 6] = [b"", b"\x20", b"\x3f\x25", b"\x3f\x45", b"\x3f\xe1\x1f", b"\x3f\xe2\x1f"];
        let limits = [0, 68, 100, 4096, 8000];
        for first in limits {
            for limits in [vec![first], vec![first, 68], vec![first, 4096], vec![first, 8000, 100]] {
                for pair in updates.iter().flat_map(|one| updates.iter().map(move |two| [*one, *two])) {
                    agree(&limits, &[&pair.concat(), &[0x82][..]].concat());
                    agree(&limits, &pair.concat());
                    agree(&limits, &[pair[0], &[0x82], pair[1]].concat());
                }
            }
        }
    }

    fn agree(limits: &[u32], block: &[u8]) {
        let (ours, theirs) = Pair::new(b"", limits).decode(block);
        let front = &block[..block.len().min(20)];
        assert_eq!(
            ours.as_ref().ok(),
            theirs.as_ref().ok(),
            "{front:x?} after {limits:?}: {:?}",
            ours.as_ref().err()
        );
    }

    /// All prefixes of the blocks of the corpus: of every two-hundredth block, or of all with the
    /// variable `THALWEG_PREFIXES` set to `all`, which takes minutes.
    #[test]
    fn on_every_prefix_of_the_corpus() {
        let step =
            if std::env::var_os("THALWEG_PREFIXES").is_some_and(|value| value == "all") { 1 } else { 200 };
        if let Err(absent) = corpus::directory() {
            return println!("skipped: {absent}");
        }
        let (mut prefixes, mut accepted, mut blocks) = (0, 0, 0);
        for encoder in corpus::ENCODERS {
            for session in corpus::sessions(encoder).expect("the corpus can be read") {
                let mut state = State { decoder: Decoder::new(4096), limit: 4096, size: 4096 };
                for case in &session {
                    blocks += 1;
                    if blocks % step == 0 {
                        accepted += state.compare_prefixes(case);
                        prefixes += case.wire.len() + 1;
                    }
                    state.advance(case);
                }
            }
        }
        println!("{prefixes} prefixes, {accepted} of them well-formed");
        assert!(accepted * 40 > prefixes && accepted * 2 < prefixes);
    }

    /// Where a story has come to.
    struct State {
        decoder: Decoder,
        limit: u32,
        /// What the last size update asked for.
        size: u32,
    }

    impl State {
        /// Compares all prefixes of a block, and returns how many are well-formed.
        fn compare_prefixes(&self, case: &Case) -> usize {
            // An inflater cannot be cloned: each is given the same table by one block of
            // insertions.
            let priming = priming(&self.decoder, self.size);
            let mut accepted = 0;
            for len in 0..=case.wire.len() {
                let mut pair = Pair { ours: self.decoder.clone(), theirs: Inflater::new() };
                pair.theirs.set_table_bytes_max(self.limit);
                theirs(&mut pair.theirs, &priming).expect("insertions are well-formed");
                if let Some(bytes) = case.table_bytes {
                    pair.ours.set_table_bytes_max(bytes);
                    pair.theirs.set_table_bytes_max(bytes);
                }
                let prefix = &case.wire[..len];
                let (ours, theirs) = pair.decode(prefix);
                assert_eq!(ours.as_ref().ok(), theirs.as_ref().ok(), "{prefix:x?}");
                accepted += usize::from(ours.is_ok());
            }
            accepted
        }

        /// Decodes the whole block.
        fn advance(&mut self, case: &Case) {
            if let Some(bytes) = case.table_bytes {
                self.decoder.set_table_bytes_max(bytes);
                self.limit = bytes;
            }
            ours(&mut self.decoder, &case.wire).expect("the corpus is well-formed");
            let mut rest = &case.wire[..];
            while let Some(&first) = rest.first().filter(|first| *first & 0xe0 == 0x20) {
                let (mut size, mut used) = (u32::from(first & 0x1f), 1);
                while size >= 0x1f && (used == 1 || rest[used - 1] >= 0x80) {
                    size += u32::from(rest[used] & 0x7f) << (7 * (used - 1));
                    used += 1;
                }
                self.size = size;
                rest = &rest[used..];
            }
        }
    }

    /// Returns a block that gives a new decoder the table of `decoder`, whose size limit is
    /// `size_max`.
    fn priming(decoder: &Decoder, size_max: u32) -> Vec<u8> {
        let mut entries = Fields::new();
        for index in 62.. {
            let mut block = Vec::new();
            integer(&mut block, 0x80, 0x7f, index);
            match ours(&mut decoder.clone(), &block) {
                Ok(field) => entries.extend(field),
                Err(_) => break,
            }
        }
        let mut block = Vec::new();
        integer(&mut block, 0x20, 0x1f, size_max as usize);
        for (name, value, _) in entries.iter().rev() {
            block.push(0x40);
            for string in [name, value] {
                integer(&mut block, 0x00, 0x7f, string.len());
                block.extend_from_slice(string);
            }
        }
        block
    }

    /// RFC 7541 §5.2: the same octet so many times.
    fn string(octet: u8, len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        integer(&mut out, 0x00, 0x7f, len);
        out.resize(out.len() + len, octet);
        out
    }

    /// RFC 7541 §5.1.
    fn integer(out: &mut Vec<u8>, flags: u8, mask: u8, value: usize) {
        let Some(mut rest) = value.checked_sub(usize::from(mask)) else {
            out.push(flags | value as u8);
            return;
        };
        out.push(flags | mask);
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
}
