//! End to end: whole servers on the loopback under h2load.
//!
//! The server stays on one core, the client on the other, and the servers alternate. The reliable
//! figure is the server's processor time; requests per second also depend on the client.

mod load;
mod servers;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::figures::{Sheet, median, readable};
use super::machine::Machine;
use super::program::{Build, Programs};
use crate::{process, setup};
use load::{LARGE, Load, SMALL};
use servers::{Place, Running, Server};

#[derive(clap::Args)]
pub struct Args {
    /// Servers to run; all if none is named
    servers: Vec<Server>,
    /// Rounds in which the servers take turns
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Prints one JSON object a line and nothing else on standard output
    #[arg(long)]
    json: bool,
    /// Keeps the figures in docs/bench/e2e.json, from which docs/benchmarks.md is made
    #[arg(long, conflicts_with = "servers")]
    save: bool,
}

/// The median of one figure of one server, with the smallest and the largest value.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Figure {
    pub server: String,
    pub metric: Metric,
    pub value: f64,
    pub min: f64,
    pub max: f64,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Processor seconds of the server for 100,000 requests of 128 bytes.
    CpuSecondsPer100k,
    /// Processor seconds of the server for 10^9 bytes in bodies of 1 MiB.
    CpuSecondsPerGb,
    /// The client's figures with bodies of 128 bytes.
    RequestsPerSecond,
    /// System calls of the server for a request of 128 bytes, counted in a run of its own.
    SyscallsPerRequest,
}

pub const SHEET: &str = "e2e";

pub fn run(args: &Args) -> anyhow::Result<()> {
    let servers = if args.servers.is_empty() { Server::ALL.to_vec() } else { args.servers.clone() };
    if !setup::ensure(&["nghttp2-client"])? {
        bail!("h2load is absent");
    }
    let has_strace = setup::ensure(&["strace"])?;
    if !has_strace {
        eprintln!("bench e2e: skipped: system calls, as strace is absent");
    }
    let place = Place::prepare(Programs::build(Build::Servers)?)?;
    let servers = installed(&place, servers)?;
    let mut samples: Vec<_> = servers.iter().map(|&server| Samples::of(server)).collect();
    for round in 0..args.rounds.max(1) {
        for samples in &mut samples {
            eprintln!("bench e2e: round {} of {}: {}", round + 1, args.rounds, samples.server);
            samples.take(&place).with_context(|| format!("{} under load", samples.server))?;
        }
    }
    let mut figures = Vec::new();
    for samples in &samples {
        figures.extend(samples.figures());
        if has_strace {
            let value = syscalls_per_request(&place, samples.server)?;
            let server = samples.server.to_string();
            figures.push(Figure {
                server,
                metric: Metric::SyscallsPerRequest,
                value,
                min: value,
                max: value,
            });
        }
    }
    if args.json {
        for figure in &figures {
            println!("{}", serde_json::to_string(figure)?);
        }
    } else {
        print_table(&servers, &figures);
    }
    if args.save {
        let machine = Machine::here(&["thalweg", "hyper", "tokio"], &servers::PACKAGES);
        Sheet { machine, figures }.save(SHEET)?;
    }
    Ok(())
}

/// Returns the servers that can run here; the others are announced.
fn installed(place: &Place, mut servers: Vec<Server>) -> anyhow::Result<Vec<Server>> {
    let mut absent = Vec::new();
    for &server in &servers {
        if !server.is_installed(place)? {
            eprintln!("bench e2e: skipped: {server} is absent");
            absent.push(server);
        }
    }
    servers.retain(|server| !absent.contains(server));
    if servers.is_empty() {
        bail!("there is no server to measure");
    }
    Ok(servers)
}

/// What was measured of one server, round by round.
struct Samples {
    server: Server,
    cpu_per_100k: Vec<f64>,
    cpu_per_gb: Vec<f64>,
    requests_per_s: Vec<f64>,
}

impl Samples {
    fn of(server: Server) -> Self {
        Self { server, cpu_per_100k: Vec::new(), cpu_per_gb: Vec::new(), requests_per_s: Vec::new() }
    }

    fn take(&mut self, place: &Place) -> anyhow::Result<()> {
        let running = Running::start(place, self.server, None)?;
        let cpu_of = |load: Load| {
            load.with_requests(load.requests / 10).run(running.port)?;
            let before = running.cpu_seconds()?;
            let seconds = load.run(running.port)?;
            anyhow::Ok((running.cpu_seconds()? - before, seconds))
        };
        let (cpu, seconds) = cpu_of(SMALL)?;
        self.cpu_per_100k.push(cpu / SMALL.requests as f64 * 1e5);
        self.requests_per_s.push(SMALL.requests as f64 / seconds);
        let (cpu, _) = cpu_of(LARGE)?;
        self.cpu_per_gb.push(cpu / (LARGE.requests * LARGE.body_bytes) as f64 * 1e9);
        Ok(())
    }

    fn figures(&self) -> impl Iterator<Item = Figure> {
        let of = |metric, values: &[f64]| Figure {
            server: self.server.to_string(),
            metric,
            value: round(median(values.to_vec())),
            min: round(values.iter().copied().fold(f64::INFINITY, f64::min)),
            max: round(values.iter().copied().fold(0.0, f64::max)),
        };
        [
            of(Metric::CpuSecondsPer100k, &self.cpu_per_100k),
            of(Metric::CpuSecondsPerGb, &self.cpu_per_gb),
            of(Metric::RequestsPerSecond, &self.requests_per_s),
        ]
        .into_iter()
    }
}

/// Returns the difference of two runs of different size, so that the server's start counts nothing.
fn syscalls_per_request(place: &Place, server: Server) -> anyhow::Result<f64> {
    let count = |requests| {
        let summary = place.file("strace.txt");
        let mut running = Running::start(place, server, Some(&summary))?;
        SMALL.with_requests(requests).run(running.port)?;
        running.end();
        let text = std::fs::read_to_string(&summary).context("strace wrote nothing")?;
        strace_total(&text).context("strace prints another format than we know")
    };
    let (few, many) = (4000, 44_000);
    let calls = count(many)? - count(few)?;
    Ok(round(calls / (many - few) as f64))
}

/// Returns the number of calls in the last line of `strace -c`.
fn strace_total(summary: &str) -> Option<f64> {
    let line = summary.lines().rev().find(|line| line.trim_end().ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// Formats a figure with its significant digits.
fn round(value: f64) -> f64 {
    let scale = if value.abs() < 100.0 { 1e3 } else { 1.0 };
    (value * scale).round() / scale
}

fn print_table(servers: &[Server], figures: &[Figure]) {
    println!(
        "{:24}{:>16}{:>16}{:>16}{:>16}",
        "", "CPU s per 100k", "CPU s per GB", "requests/s", "syscalls/req"
    );
    for server in servers {
        print!("{:24}", server.to_string());
        for metric in [
            Metric::CpuSecondsPer100k,
            Metric::CpuSecondsPerGb,
            Metric::RequestsPerSecond,
            Metric::SyscallsPerRequest,
        ] {
            let found = figures.iter().find(|f| f.server == server.to_string() && f.metric == metric);
            print!("{:>16}", found.map_or_else(|| "-".to_owned(), |figure| readable(figure.value)));
        }
        println!();
    }
}

/// Runs a program that is known to end soon.
fn output_of(command: &mut std::process::Command, name: &str) -> anyhow::Result<String> {
    process::run(command, Duration::from_secs(300))?.into_text(name)
}

/// Returns a file's path as an argument.
fn text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strace_sums_its_calls_in_the_last_line() {
        let summary = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n \
            60.00    0.003000           3      1000           write\n \
            40.00    0.002000           2      1000       500 read\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.005000           2      2000       500 total\n";
        assert_eq!(strace_total(summary), Some(2000.0));
        assert_eq!(strace_total(""), None);
    }

    #[test]
    fn figures_are_rounded_by_their_size() {
        assert_eq!(round(0.123_456), 0.123);
        assert_eq!(round(294_677.4), 294_677.0);
    }
}
