//! No library at all: what the read itself costs, to be taken off where a body is received.

use crate::endpoint::{Endpoint, Seen};
use crate::wire::Wire;
use crate::workload::App;

/// Reads nothing of its input.
pub struct Floor;

impl Endpoint for Floor {
    const READS: bool = false;

    fn start(_: App, _: u32) -> Self {
        Self
    }

    fn ask(&mut self, _: usize) {}

    #[inline]
    fn turn(&mut self, input: &[u8], _: &mut Wire) {
        std::hint::black_box(input);
    }

    fn seen(&self) -> Seen {
        Seen::default()
    }
}
