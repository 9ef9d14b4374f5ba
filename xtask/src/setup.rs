//! `cargo xtask setup`: Debian packages of the programs that the tests use, and Python's own
//! packages in an environment below `target`. Also installs, for other commands, what only they
//! need.
//!
//! Installs only what is absent, only as root, and only where `apt-get` exists. Where it may not,
//! it prints what is missing and succeeds: the tests that need it then print a skip. A
//! package that cannot be installed keeps none of the others away; it is named at the end, and the
//! command fails.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::{external_tools, process};

/// What the tests use, by Debian package.
const PACKAGES: &[&str] = &["chromium", "curl", "g++", "nghttp2-client", "nghttp2-server", "libnghttp2-dev"];

pub fn run() -> anyhow::Result<()> {
    let packages = [PACKAGES, external_tools::PACKAGES].concat();
    let packages = ensure(&packages);
    // Python's own packages need no Debian package where there is another Python.
    let has_python = external_tools::ensure_python()?;
    if packages? && has_python {
        eprintln!("setup: all there");
    }
    Ok(())
}

/// Whether the packages are there, after an attempt to install those that are not.
///
/// # Errors
/// Some cannot be installed; the others are.
pub fn ensure(packages: &[&str]) -> anyhow::Result<bool> {
    let absent: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if absent.is_empty() {
        return Ok(true);
    }
    if let Some(reason) = why_not_install() {
        eprintln!("setup: skipped: {reason}; not found: {}", absent.join(" "));
        return Ok(false);
    }
    let failures = install(&absent, apt_get);
    let is_installed = |package: &&&str| failures.iter().all(|(failed, _)| failed != *package);
    let installed: Vec<&str> = absent.iter().filter(is_installed).copied().collect();
    if !installed.is_empty() {
        eprintln!("setup: installed {}", installed.join(" "));
    }
    for (_, error) in &failures {
        eprintln!("setup: {error:#}");
    }
    let missing: Vec<&str> = failures.iter().map(|(package, _)| *package).collect();
    ensure!(missing.is_empty(), "cannot be installed: {}", missing.join(" "));
    Ok(true)
}

/// Installs packages: all together if possible, which is quicker. Returns those that cannot be
/// installed, each with the reason.
fn install<'a>(
    packages: &[&'a str],
    apt_get: impl Fn(&[&str]) -> anyhow::Result<()>,
) -> Vec<(&'a str, anyhow::Error)> {
    let install = |packages: &[&str]| apt_get(&install_arguments(packages));
    if install(packages).is_ok() {
        return Vec::new();
    }
    // The package lists of a fresh container are empty, so update them after a failure.
    if let Err(error) = apt_get(&["update"]) {
        eprintln!("setup: {error:#}");
    }
    if install(packages).is_ok() {
        return Vec::new();
    }
    // One that does not exist keeps apt-get from installing any.
    packages.iter().filter_map(|package| Some((*package, install(&[package]).err()?))).collect()
}

/// Installs a subcommand of cargo from crates.io unless it is installed, which takes minutes.
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Returns what is installed by an apt-get that knows these packages, and what cannot be.
    fn run<'a>(known: &[&str], packages: &[&'a str]) -> (Vec<String>, Vec<&'a str>) {
        let installed = RefCell::new(Vec::new());
        let failures = install(packages, |arguments| {
            let names = arguments.iter().filter(|argument| !argument.starts_with("--")).skip(1);
            let names: Vec<String> = names.map(|name| (*name).to_owned()).collect();
            if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
                bail!("unable to locate package {name}");
            }
            installed.borrow_mut().extend(names);
            Ok(())
        });
        (installed.into_inner(), failures.into_iter().map(|(package, _)| package).collect())
    }

    #[test]
    fn a_package_that_does_not_exist_keeps_none_of_the_others_away() {
        let known = ["curl", "nodejs"];
        assert_eq!(run(&known, &known), (known.map(str::to_owned).to_vec(), Vec::new()));
        let (installed, missing) = run(&known, &["curl", "chromium", "nodejs", "no-such-package"]);
        assert_eq!(installed, known);
        assert_eq!(missing, ["chromium", "no-such-package"]);
    }
}
