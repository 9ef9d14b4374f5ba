//! The comparison in memory: every peer does the same work on the same bytes.

use anyhow::bail;

use super::figures::{Figure, Metric, Sheet, median, readable};
use super::machine::Machine;
use super::program::{self, Lineup, Plan};
use super::scenes::{self, Peer, Scene};

#[derive(clap::Args)]
pub struct Options {
    /// Workloads to run, as `w1` or `client-w1`; all if none is named
    #[arg(value_parser = scenes::parse, value_name = "WORKLOAD")]
    workloads: Vec<Scene>,
    /// Peers to compare with
    #[arg(long, value_delimiter = ',', default_value = "nghttp2,h2,hyper", value_name = "PEERS")]
    against: Vec<Peer>,
    /// Prints one JSON object a line and nothing else on standard output
    #[arg(long)]
    json: bool,
    /// Keeps the figures in docs/bench/cores.json, from which docs/benchmarks.md is made
    #[arg(long, conflicts_with = "workloads")]
    save: bool,
    /// Rounds of timing, in which the peers take turns
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let bench = Bench::prepare(options)?;
    let scenes = if options.workloads.is_empty() { &scenes::ALL[..] } else { &options.workloads };
    let mut all = Vec::new();
    for scene in scenes {
        let figures = bench.measure(scene)?;
        if options.json {
            for figure in &figures {
                println!("{}", serde_json::to_string(figure)?);
            }
        } else {
            print_table(scene, &bench.lineup.peers, &figures);
        }
        all.extend(figures);
    }
    if options.save {
        let machine = Machine::here(&["thalweg", "h2", "hyper"], &["libnghttp2-14", "valgrind", "libc6"]);
        Sheet { machine, figures: all }.save(SHEET)?;
    }
    Ok(())
}

/// What is compared, and with which means.
struct Bench {
    lineup: Lineup,
    has_valgrind: bool,
    rounds: usize,
}

impl Bench {
    fn prepare(options: &Options) -> anyhow::Result<Self> {
        let mut peers = vec![Peer::Thalweg];
        peers.extend(options.against.iter().filter(|peer| **peer != Peer::Thalweg));
        let has_valgrind = program::has_valgrind()?;
        if !has_valgrind {
            eprintln!("bench: skipped: instructions, as valgrind is absent");
        }
        Ok(Self { lineup: Lineup::build(&peers)?, has_valgrind, rounds: options.rounds.max(1) })
    }

    fn measure(&self, scene: &Scene) -> anyhow::Result<Vec<Figure>> {
        for &peer in &self.lineup.peers {
            self.lineup.programs(peer).check(&Plan::new(scene.name, peer.name(), CHECKED_CHUNKS))?;
        }
        let mut figures = Vec::new();
        let mut keep =
            |peer: Peer, metric, value| figures.push(Figure::new(scene.name, peer.name(), metric, value));
        if let Some(sizes) = scene.counted_chunks().filter(|_| self.has_valgrind) {
            let floor = self.floor(scene, |plan| self.lineup.core.instructions(plan, sizes))?;
            for &peer in &self.lineup.peers {
                let plan = Plan::new(scene.name, peer.name(), sizes.1);
                keep(
                    peer,
                    Metric::Instructions,
                    self.lineup.programs(peer).instructions(&plan, sizes)? - floor,
                );
            }
        }
        if let Some(chunks) = scene.timed_chunks() {
            for (&peer, ns) in self.lineup.peers.iter().zip(self.times(scene, chunks)?) {
                keep(peer, Metric::Ns, ns);
            }
        }
        for &peer in &self.lineup.peers {
            let plan = Plan::new(scene.name, peer.name(), ALLOCATING_CHUNKS);
            let (allocations, bytes) = self.lineup.programs(peer).allocations(&plan)?;
            keep(peer, Metric::Allocations, allocations);
            keep(peer, Metric::Bytes, bytes);
        }
        Ok(figures)
    }

    /// Medians of rounds in which the peers alternate, so that a drift of the machine affects all
    /// of them.
    fn times(&self, scene: &Scene, chunks: usize) -> anyhow::Result<Vec<f64>> {
        let mut taken = vec![Vec::new(); self.lineup.peers.len()];
        for _ in 0..self.rounds {
            let floor = self.floor(scene, |plan| self.lineup.core.ns(&Plan { chunks, ..*plan }))?;
            for (taken, &peer) in taken.iter_mut().zip(&self.lineup.peers) {
                let ns = self.lineup.programs(peer).ns(&Plan::new(scene.name, peer.name(), chunks))?;
                taken.push(ns - floor);
            }
        }
        if taken.iter().flatten().any(|ns| !ns.is_finite()) {
            bail!("{}: a run took no time", scene.name);
        }
        Ok(taken.into_iter().map(median).collect())
    }

    /// Returns the cost of the read itself if it is to be subtracted, and otherwise 0.
    fn floor(
        &self,
        scene: &Scene,
        measure: impl Fn(&Plan<'_>) -> anyhow::Result<f64>,
    ) -> anyhow::Result<f64> {
        if scene.is_above_the_read() { measure(&Plan::new(scene.name, "floor", 1)) } else { Ok(0.0) }
    }
}

fn print_table(scene: &Scene, peers: &[Peer], figures: &[Figure]) {
    println!("{}: {}; per {}", scene.name, scene.what, scene.unit);
    let columns = [Metric::Instructions, Metric::Ns, Metric::Allocations, Metric::Bytes];
    println!("  {:16}{:>14}{:>14}{:>14}{:>14}", "", "instructions", "ns", "allocations", "bytes");
    for peer in peers {
        print!("  {:16}", peer.name());
        for metric in columns {
            let found = figures.iter().find(|f| f.peer == peer.name() && f.metric == metric);
            print!("{:>14}", found.map_or_else(|| "-".to_owned(), |figure| readable(figure.value)));
        }
        println!();
    }
}

pub const SHEET: &str = "cores";
const CHECKED_CHUNKS: usize = 12;
const ALLOCATING_CHUNKS: usize = 100;
