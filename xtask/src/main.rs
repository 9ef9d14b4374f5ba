//! The only automation of the project: `cargo xtask COMMAND`.
//!
//! Each command owns a module with `run` and, if it takes arguments, `Args`. To add one: a `mod` line,
//! a variant of `Command` whose doc comment is the help text, and an arm in `Command::run`. Every
//! command starts with the project's root as its current directory.

mod setup;
mod spec;

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
    /// Installs the programs that the tests talk to, where that is allowed (root on Debian)
    Setup,
    /// Holds the ledger of requirements against the tests, and writes docs/conformance.md
    Spec(spec::Args),
}

impl Command {
    fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Setup => setup::run(),
            Self::Spec(args) => spec::run(&args),
        }
    }
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    match enter_project_root().and_then(|()| command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Moves to the directory of the workspace's `Cargo.toml`.
fn enter_project_root() -> anyhow::Result<()> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace's root")?;
    std::env::set_current_dir(root).with_context(|| format!("{} cannot be entered", root.display()))
}
