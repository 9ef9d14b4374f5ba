//! Lets a codec work through a workload, and reports per field.

use super::workload::{Stories, Story};
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
    pub stories_max: usize,
}

impl Plan {
    /// Decodes.
    pub fn decode<D: Decode>(&self, stories: &Stories) -> String {
        let stories = self.stories(stories);
        let work = |decoder: &mut D, story: &Story| {
            let mut fields = 0;
            for block in &story.blocks {
                fields += decoder.block(block);
            }
            black_box(fields)
        };
        // Not counted: what is measured must also be right.
        for story in stories {
            assert_eq!(work(&mut D::new(), story), story.fields());
        }
        let octets = stories.iter().flat_map(|story| &story.blocks).map(Vec::len).sum();
        self.report(stories, Amount::of(stories, octets), D::new, work)
    }

    /// Encodes.
    pub fn encode<E: Encode>(&self, stories: &Stories) -> String {
        let stories = self.stories(stories);
        let lists: Vec<Vec<E::List<'_>>> =
            stories.iter().map(|story| story.lists.iter().map(|list| E::list(list)).collect()).collect();
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
        self.report(&lists, Amount::of(stories, octets), E::new, work)
    }

    fn stories<'a>(&self, stories: &'a Stories) -> &'a [Story] {
        &stories.0[..self.stories_max.min(stories.0.len())]
    }

    fn report<C, S>(
        &self,
        stories: &[S],
        Amount { fields, ratio }: Amount,
        connect: impl Fn() -> C,
        mut work: impl FnMut(&mut C, &S) -> usize,
    ) -> String {
        match self.mode {
            Mode::Ratio => format!("ratio {ratio}"),
            Mode::Count => {
                for _ in 0..self.passes {
                    for story in stories {
                        work(&mut connect(), story);
                    }
                }
                format!("fields {fields}")
            }
            Mode::Time => {
                let best = (0..self.passes).map(|_| {
                    let start = Instant::now();
                    for story in stories {
                        work(&mut connect(), story);
                    }
                    start.elapsed().as_nanos()
                });
                format!("ns {}", best.min().unwrap_or_default() as f64 / fields as f64)
            }
            Mode::Allocations => {
                assert!(allocator::is_counting(), "only the program `hpack_allocations` counts allocations");
                let mut allocations = 0;
                for story in stories {
                    let mut codec = connect();
                    for _ in 0..WARM_PASSES {
                        work(&mut codec, story);
                    }
                    let before = Counts::now().calls;
                    work(&mut codec, story);
                    allocations += Counts::now().calls - before;
                }
                format!("allocations {}", allocations as f64 / fields as f64)
            }
        }
    }
}

/// So often a connection sees its messages before its allocations are counted. By then the tables are
/// full.
const WARM_PASSES: usize = 4;

/// What the figures are divided by, or the figure itself.
struct Amount {
    fields: usize,
    ratio: f64,
}

impl Amount {
    fn of(stories: &[Story], octets_out: usize) -> Self {
        let octets: usize = stories.iter().map(Story::octets).sum();
        Self { fields: stories.iter().map(Story::fields).sum(), ratio: octets_out as f64 / octets as f64 }
    }
}
