//! `cargo xtask setup`: Debian packages of the programs that the tests talk to, and Python's own packages
//! in an environment below `target`. Also installs, for other commands, what only they need.
//!
//! Installs only what is absent, only as root, and only where `apt-get` exists. Where it may not, it
//! says what is missing and succeeds: the tests that need it then print their own skip.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::{process, strangers};

/// What the tests use, by Debian package.
const PACKAGES: &[&str] = &["chromium", "curl", "g++", "nghttp2-client", "nghttp2-server", "libnghttp2-dev"];

pub fn run() -> anyhow::Result<()> {
    let packages = [PACKAGES, strangers::PACKAGES].concat();
    // Python's own packages need no Debian package where there is another Python.
    let are_there = ensure(&packages)?;
    if strangers::ensure_python()? && are_there {
        eprintln!("setup: all there");
    }
    Ok(())
}

/// Whether the packages are there, after an attempt to install those that are not.
pub fn ensure(packages: &[&str]) -> anyhow::Result<bool> {
    let absent: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if absent.is_empty() {
        return Ok(true);
    }
    let list = absent.join(" ");
    if let Some(reason) = why_not_install() {
        eprintln!("setup: skipped: {reason}; not found: {list}");
        return Ok(false);
    }
    // The package lists of a fresh container are empty, so a first failure is followed by an update.
    if apt_get(&install_arguments(&absent)).is_err() {
        apt_get(&["update"])?;
        apt_get(&install_arguments(&absent))?;
    }
    eprintln!("setup: installed {list}");
    Ok(true)
}

/// Sees to it that a subcommand of cargo is installed, from crates.io. Takes minutes when it is not.
pub fn cargo_tool(subcommand: &str, version: &str) -> anyhow::Result<()> {
    let name = format!("cargo-{subcommand}");
    let probe = process::run(&mut process::cargo(&[subcommand, "--version"]), Duration::from_secs(60));
    if probe.is_ok_and(|finished| finished.is_success()) {
        return Ok(());
    }
    eprintln!("installing {name} {version}, which takes some minutes");
    let mut install = process::cargo(&["install", "--locked", "--version", version, &name]);
    process::run_merged(&mut install, Duration::from_secs(1800))?
        .into_text(&format!("cargo install {name}"))?;
    Ok(())
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

fn why_not_install() -> Option<&'static str> {
    let user = Command::new("id").arg("-u").output();
    if !user.is_ok_and(|output| output.stdout.trim_ascii() == b"0") {
        return Some("packages are installed by root only");
    }
    let apt = Command::new("apt-get").arg("--version").stdout(Stdio::null()).status();
    if !apt.is_ok_and(|status| status.success()) {
        return Some("apt-get is absent");
    }
    None
}

fn install_arguments<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    arguments
}

fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("apt-get")
        .args(["--quiet", "--quiet", "-o", "DPkg::Lock::Timeout=120"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("apt-get does not start")?;
    if !output.status.success() {
        bail!("apt-get {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
