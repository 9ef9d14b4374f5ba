//! `cargo xtask bench`: what the core costs, beside its peers.
//!
//! Without a subcommand it runs workloads in memory and compares. The programs that are measured are
//! those of `crates/bench`; everything here only builds, runs and reports.

mod compare;
mod figures;
mod gate;
mod machine;
mod profile;
mod program;
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
    /// Fails if a workload costs more than 3 % above the figures in docs/bench/baseline.json
    Gate(gate::Args),
    /// Shows where the instructions of a workload go
    Profile(profile::Args),
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        None => compare::run(&args.compare),
        Some(Command::Gate(args)) => gate::run(args),
        Some(Command::Profile(args)) => profile::run(args),
    }
}
