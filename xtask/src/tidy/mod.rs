//! `cargo xtask tidy`: checks the packages and files of the project against the rules of
//! `rules.rs`.
//!
//! Prints the largest files, then each fault on a line. The checks are functions from what was read
//! to the faults that were found, so that each is seen to fail in its tests.

mod dependencies;
mod prose;
mod rules;
mod sources;

use std::time::Duration;
use std::{fs, io};

use anyhow::{Context as _, ensure};

use crate::metadata::{Metadata, Package};
use crate::process;
use rules::{CRATES, TREES, TreeRule};
use sources::Source;

const LARGEST_SHOWN: usize = 10;

pub fn run() -> anyhow::Result<()> {
    let metadata = Metadata::of_workspace()?;
    let sources = read_sources()?;

    println!("largest Rust files:");
    for (path, lines) in sources::largest(&sources, LARGEST_SHOWN) {
        println!("{lines:>6} {path}");
    }

    let mut faults = dependencies::faults(&metadata.packages, CRATES);
    for rule in TREES.iter().filter(|rule| metadata.package(rule.name).is_some()) {
        faults.extend(dependencies::tree_faults(rule, &tree(rule)?));
    }
    for package in metadata.published() {
        faults.extend(published_faults(package)?);
    }
    faults.extend(sources.iter().flat_map(sources::faults));
    faults.extend(sources.iter().flat_map(|source| prose::faults(source, prose::CHECKED)));
    faults.extend(prose::stale_exceptions(&sources));

    for fault in &faults {
        println!("{fault}");
    }
    ensure!(faults.is_empty(), "tidy found faults: {}", faults.len());
    println!("tidy: {} packages, {} files, no faults", metadata.packages.len(), sources.len());
    Ok(())
}

/// Returns the names of the packages that a crate is built from, itself included.
fn tree(rule: &TreeRule) -> anyhow::Result<Vec<String>> {
    let arguments =
        ["tree", "--edges", "normal,build", "--target", "all", "--prefix", "none", "--format", "{p}"];
    let mut command = process::cargo(&arguments);
    command.args(["--package", rule.name]).args(rule.features);
    let text = process::run(&mut command, Duration::from_secs(120))?.into_text("cargo tree")?;
    let first_words = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(first_words.map(str::to_owned).collect())
}

fn published_faults(package: &Package) -> anyhow::Result<Vec<String>> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("{path} cannot be read"));
    let manifest = read(&package.manifest_path)?;
    let root = read(package.library_root().context("a published package is a library")?)?;
    Ok(sources::published_faults(&package.name, &manifest, &root, CRATES))
}

/// Returns the text files that are committed, or would be with `git add .`.
fn read_sources() -> anyhow::Result<Vec<Source>> {
    let mut command = std::process::Command::new("git");
    command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = process::run(&mut command, Duration::from_secs(60))?.into_text("git ls-files")?;
    let mut sources = Vec::new();
    for path in list.split_terminator('\0') {
        match fs::read(path) {
            Ok(bytes) => {
                // Other than text: the inputs of the fuzzer, pictures.
                if let Ok(text) = String::from_utf8(bytes) {
                    sources.push(Source { path: path.to_owned(), text });
                }
            }
            // Deleted but not yet committed as such.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{path} cannot be read")),
        }
    }
    Ok(sources)
}
