//! `cargo xtask abuse`: plays every scripted attack and prints what it came to.

use std::process::Command;

use anyhow::{Context as _, bail};

pub fn run() -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--package", "thalweg-tests", "--bin", "abuse"])
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("an attack did not end as it should");
    }
    Ok(())
}
