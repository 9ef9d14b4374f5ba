//! Random scripts: the input of one endpoint of a simulated connection, with calls in between.

use super::run::{InputScript, Reactions, Step};
use crate::random::{Choices, Random};
use crate::sim::{self, Op};

impl InputScript {
    /// Returns the script of a seed: the wire of a conversation of [`sim::script`], sometimes
    /// altered, with time and calls between the pieces. The application reacts independently of
    /// that conversation.
    pub fn random(seed: u64) -> Self {
        let script = sim::script(seed);
        let mut random = Random::new(!seed);
        let is_client = random.chance(1, 2);
        let (setup, received_input) = {
            let [client, server] = sim::received_input(&script);
            if is_client { (script.client, client) } else { (script.server, server) }
        };
        let opens = script.ops.iter().filter(|op| matches!(op, Op::Open(_))).count();
        let mut steps = if is_client { vec![Step::Open; opens] } else { Vec::new() };
        let tampers = random.chance(1, 4);
        for mut bytes in received_input {
            if tampers && random.chance(1, 4) && !bytes.is_empty() {
                let at = random.size(bytes.len() as u32 - 1) as usize;
                bytes[at] ^= 1 << random.below(8);
            }
            steps.push(Step::Input(bytes));
            if random.chance(1, 4) {
                steps.push(Step::random(&mut random));
            }
        }
        if random.chance(1, 2) {
            steps.push(Step::Eof);
        }
        Self { is_client, config: setup.config(), reactions: Reactions::random(&mut random), steps }
    }
}

impl Step {
    /// Returns a step between two pieces of input.
    pub fn random(choices: &mut impl Choices) -> Self {
        match choices.below(12) {
            0..=4 => Self::Wait(choices.size(1000)),
            5 => Self::Wait(choices.size(100_000)),
            6..=8 => Self::Open,
            9 | 10 => Self::Reset,
            _ => Self::Shutdown,
        }
    }
}

impl Reactions {
    /// Returns the reactions of an application.
    pub fn random(choices: &mut impl Choices) -> Self {
        let bits = choices.below(256);
        Self {
            response_bytes: (bits & 1 != 0).then(|| choices.below(65_536) as u16),
            releases: bits & 2 != 0,
            resets_every: (bits & 4 != 0).then(|| choices.below(256) as u8),
            sends_informational: bits & 8 != 0,
            trailers: bits & 0x10 != 0,
        }
    }
}
