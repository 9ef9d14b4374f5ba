//! `cargo xtask bench hpack`: what a header field costs, decoded and encoded, beside other codecs.
//!
//! The program that is measured is `hpack` of `crates/bench`; the workloads are documented there.
//! Instructions are the difference of two runs, so that reading the corpus does not count.

use super::figures::{Figure, Metric, median};
use super::program::{self, Build, Programs};
use crate::setup;

#[derive(clap::Args)]
pub struct Args {
    /// The codecs to measure beside ours
    #[arg(long, value_delimiter = ',', default_values_t = [Codec::Nghttp2, Codec::Fluke])]
    against: Vec<Codec>,
    /// Measures only workloads whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Prints one JSON object a line: workload, peer, metric, value
    #[arg(long)]
    json: bool,
    /// Rounds of timing, in which the codecs take turns
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Thalweg,
    Nghttp2,
    Fluke,
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Self::Thalweg => "thalweg",
            Self::Nghttp2 => "nghttp2",
            Self::Fluke => "fluke",
        }
    }

    /// Returns how many sessions of the corpus the peer runs. fluke-hpack takes a hundred times as
    /// long as the others.
    fn sessions(self, workload: &str) -> Option<usize> {
        (self == Self::Fluke && workload != "encode-keepalive" && workload != "decode-keepalive").then_some(2)
    }

    /// Only ours takes fields that were hashed in advance.
    fn can(self, workload: &str) -> bool {
        self == Self::Thalweg || workload != "encode-prehashed"
    }
}

const WORKLOADS: [(&str, &str); 6] = [
    ("decode-corpus", "nghttp2's blocks of the corpus"),
    ("decode-plain", "the same without Huffman codes"),
    ("decode-keepalive", "requests of one connection"),
    ("encode-corpus", "the lists of the corpus"),
    ("encode-keepalive", "requests of one connection"),
    ("encode-prehashed", "the same, their fields hashed in advance; the others offer no such thing"),
];

/// The codecs that could be built, each with its programs: ours alone, as no user links the others.
struct Bench {
    codecs: Vec<Codec>,
    ours: Programs,
    others: Option<Programs>,
    has_valgrind: bool,
    rounds: usize,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let bench = Bench::prepare(args)?;
    for (workload, what) in WORKLOADS {
        if args.only.as_ref().is_some_and(|part| !workload.contains(part)) {
            continue;
        }
        let figures = bench.measure(workload)?;
        if args.json {
            for figure in &figures {
                println!("{}", serde_json::to_string(figure)?);
            }
        } else {
            println!("{workload}: {what}; per field");
            print_table(&bench.codecs, &figures);
        }
    }
    if !args.json && args.only.is_none() {
        for &codec in &bench.codecs {
            println!("hostile blocks of 16 KiB, {codec}:");
            let passes = if codec == Codec::Fluke { 20 } else { 2000 };
            print!("{}", bench.programs(codec).hpack_hostile(codec.name(), passes)?);
        }
    }
    Ok(())
}

impl Bench {
    fn prepare(args: &Args) -> anyhow::Result<Self> {
        let mut codecs = vec![Codec::Thalweg];
        codecs.extend(args.against.iter().filter(|codec| **codec != Codec::Thalweg));
        if codecs.contains(&Codec::Nghttp2) && !setup::ensure(&["libnghttp2-dev"])? {
            eprintln!("bench: skipped: nghttp2, as its library is absent");
            codecs.retain(|codec| *codec != Codec::Nghttp2);
        }
        let has_valgrind = program::has_valgrind()?;
        if !has_valgrind {
            eprintln!("bench: skipped: instructions, as valgrind is absent");
        }
        let ours = Programs::build(Build::Hpack)?;
        let others = if codecs.len() > 1 { Some(Programs::build(Build::HpackPeers)?) } else { None };
        Ok(Self { codecs, ours, others, has_valgrind, rounds: args.rounds.max(1) })
    }

    fn programs(&self, codec: Codec) -> &Programs {
        match &self.others {
            Some(others) if codec != Codec::Thalweg => others,
            _ => &self.ours,
        }
    }

    fn measure(&self, workload: &str) -> anyhow::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        let codecs = || self.codecs.iter().copied().filter(|codec| codec.can(workload));
        let mut keep = |codec: Codec, metric, value| {
            figures.push(Figure::new(workload, codec.name(), metric, value));
        };
        for codec in codecs().filter(|_| self.has_valgrind) {
            let sessions = codec.sessions(workload);
            let programs = self.programs(codec);
            keep(codec, Metric::Instructions, programs.hpack_instructions(workload, codec.name(), sessions)?);
        }
        // The codecs alternate, so that a drift of the machine affects all of them.
        let mut taken = vec![Vec::new(); self.codecs.len()];
        for _ in 0..self.rounds {
            for (taken, codec) in taken.iter_mut().zip(codecs()) {
                taken.push(self.figure(workload, codec, "time")?);
            }
        }
        for (taken, codec) in taken.into_iter().zip(codecs()) {
            keep(codec, Metric::Ns, median(taken));
        }
        for codec in codecs() {
            keep(codec, Metric::Allocations, self.figure(workload, codec, "allocations")?);
            if workload.starts_with("encode") {
                keep(codec, Metric::Ratio, self.figure(workload, codec, "ratio")?);
            }
        }
        Ok(figures)
    }

    fn figure(&self, workload: &str, codec: Codec, mode: &str) -> anyhow::Result<f64> {
        let program = if mode == "allocations" { "hpack_allocations" } else { "hpack" };
        let passes = if codec == Codec::Fluke { 2 } else { 10 };
        // The size of what is encoded is compared on the same lists.
        let sessions = codec.sessions(workload).filter(|_| mode != "ratio");
        self.programs(codec).hpack_figure(program, [workload, codec.name(), mode], passes, sessions)
    }
}

fn print_table(codecs: &[Codec], figures: &[Figure]) {
    let columns = [Metric::Instructions, Metric::Ns, Metric::Allocations, Metric::Ratio];
    println!("  {:10}{:>14}{:>12}{:>14}{:>10}", "", "instructions", "ns", "allocations", "ratio");
    for codec in codecs {
        let figure = |metric| figures.iter().find(|f| f.peer == codec.name() && f.metric == metric);
        let [instructions, ns, allocations, ratio] =
            columns.map(|metric| figure(metric).map_or_else(|| "-".to_owned(), |f| f.value.to_string()));
        println!("  {:10}{instructions:>14}{ns:>12}{allocations:>14}{ratio:>10}", codec.name());
    }
}
