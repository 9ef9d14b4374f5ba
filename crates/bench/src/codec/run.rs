//! Lets a codec work through a workload, and reports per field.

use super::workload::{Session, Sessions};
use super::{Decode, Encode};
use crate::allocator::{self, Counts};
use std::hint::black_box;
use std::time::Instant;

/// Which figure to report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// The fields of one pass, for a program that counts this one's instructions.
    Count,
    /// Nanoseconds per field: the best pass.
    Time,
    /// Allocations per field of a connection that has seen its messages a few times.
    Allocations,
    /// Octets of the blocks per octet of the lists.
    Ratio,
}

/// How to work.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The figure.
    pub mode: Mode,
    /// How often to work through everything, each story on a new connection.
    pub passes: usize,
    /// How many stories to take.
    pub sessions_max: usize,
}

impl Plan {
    /// Decodes.
    pub fn decode<D: Decode>(&self, sessions: &Sessions) -> String {
        let sessions = self.sessions(sessions);
        let work = |decoder: &mut D, session: &Session| {
            let mut fields = 0;
            for block in &session.blocks {
                fields += decoder.block(block);
            }
            black_box(fields)
        };
        // Not counted: what is measured must also be right.
        for session in sessions {
            assert_eq!(work(&mut D::new(), session), session.fields());
        }
        let octets = sessions.iter().flat_map(|session| &session.blocks).map(Vec::len).sum();
        self.report(sessions, Amount::of(sessions, octets), D::new, work)
    }

    /// Encodes.
    pub fn encode<E: Encode>(&self, sessions: &Sessions) -> String {
        let sessions = self.sessions(sessions);
        let lists: Vec<Vec<E::List<'_>>> =
            sessions.iter().map(|session| session.lists.iter().map(|list| E::list(list)).collect()).collect();
        let mut octets = 0;
        let mut out = Vec::new();
        for lists in &lists {
            let mut encoder = E::new();
            for list in lists {
                out.clear();
                encoder.block(list, &mut out);
                octets += out.len();
            }
        }
        let work = |encoder: &mut E, lists: &Vec<E::List<'_>>| {
            for list in lists {
                out.clear();
                encoder.block(list, &mut out);
                black_box(&out);
            }
            out.len()
        };
        self.report(&lists, Amount::of(sessions, octets), E::new, work)
    }

    fn sessions<'a>(&self, sessions: &'a Sessions) -> &'a [Session] {
        &sessions.0[..self.sessions_max.min(sessions.0.len())]
    }

    fn report<C, S>(
        &self,
        sessions: &[S],
        Amount { fields, ratio }: Amount,
        connect: impl Fn() -> C,
        mut work: impl FnMut(&mut C, &S) -> usize,
    ) -> String {
        match self.mode {
            Mode::Ratio => format!("ratio {ratio}"),
            Mode::Count => {
                for _ in 0..self.passes {
                    for session in sessions {
                        work(&mut connect(), session);
                    }
                }
                format!("fields {fields}")
            }
            Mode::Time => {
                let best = (0..self.passes).map(|_| {
                    let start = Instant::now();
                    for session in sessions {
                        work(&mut connect(), session);
                    }
                    start.elapsed().as_nanos()
                });
                format!("ns {}", best.min().unwrap_or_default() as f64 / fields as f64)
            }
            Mode::Allocations => {
                assert!(allocator::is_counting(), "only the program `hpack_allocations` counts allocations");
                let mut allocations = 0;
                for session in sessions {
                    let mut codec = connect();
                    for _ in 0..WARM_PASSES {
                        work(&mut codec, session);
                    }
                    let before = Counts::now().calls;
                    work(&mut codec, session);
                    allocations += Counts::now().calls - before;
                }
                format!("allocations {}", allocations as f64 / fields as f64)
            }
        }
    }
}

/// So often a connection sees its messages before its allocations are counted. By then the tables
/// are full.
const WARM_PASSES: usize = 4;

/// What the figures are divided by, or the figure itself.
struct Amount {
    fields: usize,
    ratio: f64,
}

impl Amount {
    fn of(sessions: &[Session], octets_out: usize) -> Self {
        let octets: usize = sessions.iter().map(Session::octets).sum();
        Self { fields: sessions.iter().map(Session::fields).sum(), ratio: octets_out as f64 / octets as f64 }
    }
}
