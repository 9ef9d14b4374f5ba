//! External programs that our scripts control: Go, Python with its packages,
//! Node.
//!
//! Go's packages are Debian's, without a module proxy. Python's lie in an environment below
//! `target`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::process;

/// The folder of the scripts, from the project's root.
const SCRIPTS: &str = "xtask/clients";
/// What is installed or built for them.
const TARGET: &str = "target/xtask";
const PYTHON_PACKAGES: &[&str] = &["grpcio==1.85.1", "h2==4.4.1", "httpx[http2]==0.28.1"];
const PYTHON_MODULES: &[&str] = &["grpc", "h2", "httpx"];
const GO_PATH: &str = "/usr/share/gocode";

/// Debian packages of all of them.
pub const PACKAGES: &[&str] =
    &["golang-go", "golang-golang-x-net-dev", "golang-google-grpc-dev", "nodejs", "python3", "python3-venv"];

/// Returns the environment with Python's packages, made at need. `false`: it cannot be made here.
pub fn ensure_python() -> anyhow::Result<bool> {
    if PYTHON_MODULES.iter().all(|module| python_lacks(module).is_none()) {
        return Ok(true);
    }
    let folder = Path::new(TARGET).join("python");
    let mut venv = Command::new("python3");
    let made =
        process::run_merged(venv.args(["-m", "venv", "--clear"]).arg(&folder), Duration::from_secs(120));
    let made = made.and_then(|finished| finished.into_text("python3 -m venv"));
    let installed = made.and_then(|_| {
        let mut pip = Command::new(python()?);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PYTHON_PACKAGES);
        process::run_merged(&mut pip, Duration::from_secs(240))?.into_text("pip install")
    });
    if let Err(error) = installed {
        eprintln!("setup: skipped: Python's packages are not installed: {error:#}");
        return Ok(false);
    }
    eprintln!("setup: installed {} in {}", PYTHON_PACKAGES.join(" "), folder.display());
    Ok(true)
}

fn python() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_dir()?.join(TARGET).join("python/bin/python"))
}

/// Returns why a module of Python cannot be used.
pub fn python_lacks(module: &str) -> Option<String> {
    let import = format!("import {module}");
    let run =
        |python: PathBuf| process::run(Command::new(python).arg("-c").arg(&import), Duration::from_secs(30));
    let is_there = python().and_then(run).is_ok_and(|finished| finished.is_success());
    (!is_there).then(|| format!("Python's {module} is absent; `cargo xtask setup` installs it"))
}

/// Returns why a package of Go cannot be used.
pub fn go_lacks(package: &str) -> Option<String> {
    let version = process::run(Command::new("go").arg("version"), Duration::from_secs(30));
    if !version.is_ok_and(|finished| finished.is_success()) {
        return Some("go is absent".to_owned());
    }
    let is_there = Path::new(GO_PATH).join("src").join(package).is_dir();
    (!is_there).then(|| format!("Go's {package} is absent"))
}

/// Returns a Python script of ours.
pub fn python_script(name: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(python()?);
    command.arg(script(name)?);
    Ok(command)
}

/// Returns a Node script of ours.
pub fn node_script(name: &str) -> anyhow::Result<Command> {
    let mut command = Command::new("node");
    command.arg(script(name)?);
    Ok(command)
}

/// Returns a Go program of ours, built at its first use and after each change.
pub fn go_program(name: &'static str) -> anyhow::Result<Command> {
    static BUILT: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let folder = std::env::current_dir()?.join(TARGET).join("go");
    let program = folder.join(name.trim_end_matches(".go"));
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.contains(name) {
        return Ok(Command::new(program));
    }
    fs::create_dir_all(&folder)?;
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(script(name)?);
    build.envs([("GO111MODULE", "off"), ("GOPATH", GO_PATH), ("GOFLAGS", ""), ("GOPROXY", "off")]);
    build.env("GOCACHE", folder.join("cache"));
    process::run_merged(&mut build, Duration::from_secs(300))?.into_text("go build")?;
    built.insert(name);
    Ok(Command::new(program))
}

/// Returns the text of a script that a page runs.
pub fn page_script(name: &str) -> anyhow::Result<String> {
    Ok(fs::read_to_string(script(name)?)?)
}

fn script(name: &str) -> anyhow::Result<PathBuf> {
    let file = std::env::current_dir().context("there is no current directory")?.join(SCRIPTS).join(name);
    ensure!(file.is_file(), "{} is absent", file.display());
    Ok(file)
}
