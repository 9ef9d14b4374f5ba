//! Scale: what a request costs beside many open streams, and among many connections.

use serde::{Deserialize, Serialize};

use super::figures::{Metric, Sheet, median, readable};
use super::machine::Machine;
use super::program::{self, Lineup, Plan};
use super::scenes::Peer;

#[derive(clap::Args)]
pub struct Args {
    /// Peers to measure
    #[arg(long, value_delimiter = ',', default_value = "thalweg,nghttp2,h2,hyper", value_name = "PEERS")]
    peers: Vec<Peer>,
    /// Rounds of timing, in which the peers take turns
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Prints one JSON object a line and nothing else on standard output
    #[arg(long)]
    json: bool,
    /// Keeps the figures in docs/bench/scale.json, from which docs/benchmarks.md is made
    #[arg(long)]
    save: bool,
}

/// A point of a curve: the cost of a `w1` request.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Point {
    pub curve: Curve,
    /// How many there are.
    pub at: usize,
    pub peer: String,
    pub metric: Metric,
    pub value: f64,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// Streams that are open on the connection and on which nothing happens.
    Streams,
    /// Connections of the process, each with one request a read, in turn.
    Connections,
}

pub const SHEET: &str = "scale";

pub fn run(args: &Args) -> anyhow::Result<()> {
    let has_valgrind = program::has_valgrind()?;
    if !has_valgrind {
        eprintln!("bench scale: skipped: instructions, as valgrind is absent");
    }
    let lineup = Lineup::build(&args.peers)?;
    let mut points = if has_valgrind { instructions(&lineup)? } else { Vec::new() };
    points.extend(times(&lineup, args.rounds)?);
    let peers = &lineup.peers;
    if args.json {
        for point in &points {
            println!("{}", serde_json::to_string(point)?);
        }
    } else {
        for curve in [Curve::Streams, Curve::Connections] {
            for metric in [Metric::Instructions, Metric::Ns] {
                print_table(curve, metric, peers, &points);
            }
        }
    }
    if args.save {
        let machine = Machine::here(&["thalweg", "h2", "hyper"], &["libnghttp2-14", "valgrind", "libc6"]);
        Sheet { machine, figures: points }.save(SHEET)?;
    }
    Ok(())
}

fn instructions(lineup: &Lineup) -> anyhow::Result<Vec<Point>> {
    let mut points = Vec::new();
    for (curve, at) in places() {
        eprintln!("bench scale: instructions, {at} {}", curve.noun());
        for &peer in &lineup.peers {
            let (plan, sizes) = curve.counted(at, peer.name());
            let programs = lineup.programs(peer);
            programs.check(&Plan { chunks: sizes.0, ..plan })?;
            let value = programs.instructions(&plan, sizes)?;
            points.push(Point::new(curve, at, peer, Metric::Instructions, value));
        }
    }
    Ok(points)
}

/// Medians of rounds that each go through everything, so that a drift of the machine bends no
/// curve.
fn times(lineup: &Lineup, rounds: usize) -> anyhow::Result<Vec<Point>> {
    let peers = &lineup.peers;
    let runs: Vec<_> =
        places().flat_map(|(curve, at)| peers.iter().map(move |&peer| (curve, at, peer))).collect();
    let mut taken = vec![Vec::new(); runs.len()];
    for round in 0..rounds.max(1) {
        eprintln!("bench scale: times, round {} of {rounds}", round + 1);
        for (taken, &(curve, at, peer)) in taken.iter_mut().zip(&runs) {
            taken.push(lineup.programs(peer).ns(&curve.timed(at, peer.name()))?);
        }
    }
    let point = |((curve, at, peer), taken)| Point::new(curve, at, peer, Metric::Ns, median(taken));
    Ok(runs.into_iter().zip(taken).map(point).collect())
}

fn places() -> impl Iterator<Item = (Curve, usize)> {
    [Curve::Streams, Curve::Connections].into_iter().flat_map(|curve| COUNTS.map(|at| (curve, at)))
}

impl Point {
    fn new(curve: Curve, at: usize, peer: Peer, metric: Metric, value: f64) -> Self {
        Self { curve, at, peer: peer.name().to_owned(), metric, value: (value * 10.0).round() / 10.0 }
    }
}

impl Curve {
    pub fn noun(self) -> &'static str {
        match self {
            Self::Streams => "open streams",
            Self::Connections => "connections",
        }
    }

    /// Returns the larger of the two runs whose counts are subtracted, and the chunks of both.
    fn counted(self, at: usize, peer: &str) -> (Plan<'_>, (usize, usize)) {
        match self {
            Self::Streams => (Plan { held: at, ..Plan::new("w1", peer, 60) }, (10, 60)),
            Self::Connections => {
                let sizes = ((500 / at).max(1), (2500 / at).max(3));
                (Plan { connections: at, units: Some(1), ..Plan::new("w1", peer, sizes.1) }, sizes)
            }
        }
    }

    /// Returns a run of some tens of milliseconds or more.
    fn timed(self, at: usize, peer: &str) -> Plan<'_> {
        match self {
            Self::Streams => Plan { held: at, ..Plan::new("w1", peer, 500) },
            Self::Connections => {
                Plan { connections: at, units: Some(1), ..Plan::new("w1", peer, (50_000 / at).max(10)) }
            }
        }
    }
}

/// Returns how much a peer's cost grows from 10 to 10,000, as a fraction.
pub fn growth(points: &[Point], curve: Curve, metric: Metric, peer: &str) -> Option<f64> {
    let value = |at| value_at(points, curve, metric, peer, at);
    Some(value(10_000)? / value(10)? - 1.0)
}

pub fn value_at(points: &[Point], curve: Curve, metric: Metric, peer: &str, at: usize) -> Option<f64> {
    let is_it = |p: &&Point| p.curve == curve && p.at == at && p.metric == metric && p.peer == peer;
    points.iter().find(is_it).map(|point| point.value)
}

fn print_table(curve: Curve, metric: Metric, peers: &[Peer], points: &[Point]) {
    let name = if metric == Metric::Ns { "ns" } else { "instructions" };
    print!("{name} a request beside");
    COUNTS.iter().for_each(|count| print!("{:>11}", readable(*count as f64)));
    println!("  {}, and growth from 10 to 10,000", curve.noun());
    for peer in peers {
        print!("  {:24}", peer.name());
        for at in COUNTS {
            let value = value_at(points, curve, metric, peer.name(), at);
            print!("{:>11}", value.map_or_else(|| "-".to_owned(), |value| readable(value.round())));
        }
        let growth = growth(points, curve, metric, peer.name());
        println!("{:>+9.1} %", growth.unwrap_or(f64::NAN) * 100.0);
    }
}

pub const COUNTS: [usize; 5] = [1, 10, 100, 1000, 10_000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_from_ten_to_ten_thousand() {
        let point =
            |at, value| Point { curve: Curve::Streams, at, peer: "h2".to_owned(), metric: Metric::Ns, value };
        let points = [point(1, 50.0), point(10, 100.0), point(10_000, 110.0)];
        let found = growth(&points, Curve::Streams, Metric::Ns, "h2").unwrap();
        assert!((found - 0.1).abs() < 1e-9, "{found}");
        assert_eq!(growth(&points, Curve::Connections, Metric::Ns, "h2"), None);
    }

    #[test]
    fn runs_differ_at_every_scale() {
        for at in COUNTS {
            for curve in [Curve::Streams, Curve::Connections] {
                let (plan, (few, many)) = curve.counted(at, "h2");
                assert!(few < many && plan.made == many, "{at}");
            }
        }
    }
}
