//! `cargo xtask bench`: what the core costs, beside its peers.
//!
//! Without a subcommand it runs workloads in memory and compares. The programs that are measured
//! are those of `crates/bench`; everything here only builds, runs and reports.

mod compare;
mod e2e;
mod figures;
mod gate;
mod hpack;
mod machine;
mod plots;
mod profile;
mod program;
mod scale;
mod scenes;

use clap::Subcommand;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_precedence_over_arg = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    compare: compare::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Loads whole servers on the loopback: processor time and system calls a request
    E2e(e2e::Args),
    /// Fails if a workload costs more than 3 % above the figures in docs/bench/baseline.json
    Gate(gate::Args),
    /// Measures what a header field costs to decode and to encode, beside nghttp2 and fluke-hpack
    Hpack(hpack::Args),
    /// Writes the tables of docs/benchmarks.md and its pictures from the figures in docs/bench
    Plots(plots::Args),
    /// Measures a request beside up to 10,000 open streams, and among up to 10,000 connections
    Scale(scale::Args),
    /// Shows where the instructions of a workload go
    Profile(profile::Args),
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        None => compare::run(&args.compare),
        Some(Command::E2e(args)) => e2e::run(args),
        Some(Command::Gate(args)) => gate::run(args),
        Some(Command::Hpack(args)) => hpack::run(args),
        Some(Command::Plots(args)) => plots::run(args),
        Some(Command::Profile(args)) => profile::run(args),
        Some(Command::Scale(args)) => scale::run(args),
    }
}
