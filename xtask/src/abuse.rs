//! `cargo xtask abuse`: runs every scripted attack against the core, and over sockets against both
//! servers.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};

#[derive(clap::Args)]
pub struct Args {
    /// In place of the attacks: a relay that breaks so many connections of each adapter at random
    /// points
    #[arg(long, value_name = "ROUNDS")]
    relay: Option<u64>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    match args.relay {
        Some(rounds) => relay(rounds),
        None => attacks(),
    }
}

fn relay(rounds: u64) -> anyhow::Result<()> {
    cargo(&["build", "--quiet", "--release", "--package", "thalweg-tests", "--bin", "relay"])?;
    let status = Command::new("target/release/relay").arg(rounds.to_string()).status();
    if !status.context("relay did not start")?.success() {
        bail!("the relay has found a fault");
    }
    Ok(())
}

fn attacks() -> anyhow::Result<()> {
    cargo(&["build", "--quiet", "--release", "--package", "thalweg-tests", "--bin", "abuse"])?;
    cargo(&["build", "--quiet", "--release", "--example", "serve", "--example", "blocking_serve"])?;
    println!("against the core:");
    let mut all_good = run_attacks(&[])?;
    for server in ["serve", "blocking_serve"] {
        let (mut child, address) = start(server)?;
        println!("\nagainst {server} on {address}:");
        let ran = run_attacks(&[&address]);
        child.kill().with_context(|| format!("{server} could not be ended"))?;
        child.wait()?;
        all_good &= ran?;
    }
    if !all_good {
        bail!("an attack did not end as it should");
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    let status =
        Command::new(env!("CARGO")).args(arguments).status().context("cargo could not be started")?;
    if !status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}

fn run_attacks(arguments: &[&str]) -> anyhow::Result<bool> {
    let status =
        Command::new("target/release/abuse").args(arguments).status().context("abuse did not start")?;
    Ok(status.success())
}

/// Starts an example server on a free port; its first line names it.
fn start(name: &str) -> anyhow::Result<(Child, String)> {
    let program = format!("target/release/examples/{name}");
    let mut child = Command::new(&program)
        .args(["--h2c", "127.0.0.1:0", "--root", "docs"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{program} did not start"))?;
    let mut lines = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
    let first = lines.next().context("it ended at once")??;
    // Its log is read and discarded, so that it never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    match first.strip_prefix("listening on ") {
        Some(address) => Ok((child, address.to_owned())),
        None => bail!("{program} printed `{first}`"),
    }
}
