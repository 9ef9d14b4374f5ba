//! The only automation of the project: `cargo xtask COMMAND`.
//!
//! Each command owns a module with `run` and, if it takes arguments, `Args`. To add one: a `mod`
//! line, a variant of `Command` whose doc comment is the help text, and an arm in `Command::run`.
//! Every command starts with the project's root as its current directory.

mod abuse;
mod bench;
mod cover;
mod external_tools;
mod fuzz;
mod interop;
mod metadata;
mod mutants;
mod nostd;
mod process;
mod setup;
mod sim;
mod spec;
mod tally;
mod test;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The automation of Thalweg", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every scripted attack against the core and both servers, and prints the results
    Abuse(abuse::Args),
    /// Measures the core beside its peers: instructions, time, memory
    Bench(bench::Args),
    /// Measures which lines the tests reach, and writes docs/coverage.md
    Cover(cover::Args),
    /// Fuzzes each target for a while, and fails on a finding
    Fuzz(fuzz::Args),
    /// Runs our servers and clients against those of others
    Interop(interop::Args),
    /// Changes the code and expects a test to notice, and writes docs/mutants.md
    Mutants(mutants::Args),
    /// Proves that the protocol crates link into a program without std
    Nostd,
    /// Installs the programs that the tests use, if permitted (root on Debian)
    Setup,
    /// Runs random conversations between two endpoints, and compares them with the model
    Sim(sim::Args),
    /// Compares the ledger of requirements with the tests, and writes docs/conformance.md
    Spec(spec::Args),
    /// Runs every check and test of the project
    Test(test::Args),
    /// Checks the rules on dependencies, files and prose
    Tidy,
}

impl Command {
    fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Abuse(args) => abuse::run(&args),
            Self::Bench(args) => bench::run(&args),
            Self::Cover(args) => cover::run(&args),
            Self::Fuzz(args) => fuzz::run(&args),
            Self::Interop(args) => interop::run(&args),
            Self::Mutants(args) => mutants::run(&args),
            Self::Nostd => nostd::run(),
            Self::Setup => setup::run(),
            Self::Sim(args) => sim::run(&args),
            Self::Spec(args) => spec::run(&args),
            Self::Test(args) => test::run(&args),
            Self::Tidy => tidy::run(),
        }
    }
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    match prepare().and_then(|()| command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Changes to the directory of the workspace's `Cargo.toml`, and ends the children with this
/// process.
fn prepare() -> anyhow::Result<()> {
    process::end_children_with_us()?;
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace's root")?;
    std::env::set_current_dir(root).with_context(|| format!("{} cannot be entered", root.display()))
}
