//! `cargo xtask sim`: runs random conversations between two ends, seed by seed, and prints what
//! they touched.

use std::process::Command;

use anyhow::{Context as _, ensure};

#[derive(clap::Args)]
pub struct Args {
    /// How many conversations
    #[arg(long)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "thalweg-testkit", "--bin", "sim", "--"])
        .args(["--seeds", &args.seeds.to_string(), "--from", &args.from.to_string()])
        .status()
        .context("cargo could not be started")?;
    ensure!(status.success(), "a seed fails");
    Ok(())
}
