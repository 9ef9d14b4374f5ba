//! `cargo xtask mutants`: changes the code in one place after another, and expects a test to fail each
//! time.
//!
//! Prints what no test noticed. A run of whole packages also writes `docs/mutants.md`; a run of single
//! files only prints. Needs cargo-mutants, which it installs. Takes from minutes to hours.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::process::{self, cargo};
use crate::setup;

const PAGE: &str = "docs/mutants.md";
const FOLDER: &str = "target/xtask/mutants";
const TOOL_VERSION: &str = "^27";
const PROTOCOL_CRATES: &[&str] = &["thalweg-hpack", "thalweg", "thalweg-h2c"];
/// Its tests judge the protocol crates too.
const TESTS: &str = "thalweg-tests";
/// Of the whole run.
const LIMIT: Duration = Duration::from_secs(12 * 3600);
/// Where the vectors lie; the tool works on a copy of the project, beside which there are none.
const SHARED: &str = "THALWEG_SHARED";

#[derive(clap::Args)]
pub struct Args {
    /// The package to change; the protocol crates if none is given
    #[arg(long)]
    package: Vec<String>,
    /// Changes only files that match, by a pattern as in `src/frame/*.rs`
    #[arg(long)]
    file: Vec<String>,
}

/// `outcomes.json` of cargo-mutants, as far as we need it.
#[derive(Deserialize)]
struct Outcomes {
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    scenario: Scenario,
    summary: String,
}

#[derive(Deserialize)]
enum Scenario {
    /// The code as it is.
    Baseline,
    Mutant {
        name: String,
        package: String,
    },
}

#[derive(Default)]
struct Count {
    caught: usize,
    /// A test hung: noticed too.
    timed_out: usize,
    /// Did not compile: says nothing.
    unviable: usize,
    missed: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    setup::cargo_tool("mutants", TOOL_VERSION)?;
    let packages: Vec<&str> = match args.package.as_slice() {
        [] => PROTOCOL_CRATES.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    let mut command =
        cargo(&["mutants", "--all-features", "--no-shuffle", "--colors", "never", "--output", FOLDER]);
    for package in &packages {
        command.args(["--package", package]);
    }
    command.args(["--test-package", &[packages.as_slice(), &[TESTS]].concat().join(",")]);
    for file in &args.file {
        command.args(["--file", file]);
    }
    command.env(SHARED, shared_folder()?);
    fs::create_dir_all(FOLDER)?;
    let finished = process::run_merged(&mut command, LIMIT)?;
    // 2: mutants were missed, 3: some timed out. Anything else is no result.
    if !finished.status.is_some_and(|status| matches!(status.code(), Some(0 | 2 | 3))) {
        finished.into_text("cargo mutants")?;
        bail!("cargo mutants ended otherwise than we know");
    }

    let counts = counts(&read_outcomes()?)?;
    for (package, count) in &counts {
        println!("{}", line(package, count));
        for mutant in &count.missed {
            println!("  missed: {mutant}");
        }
    }
    if args.file.is_empty() {
        fs::write(PAGE, page(&counts))?;
        println!("mutants: wrote {PAGE}");
    }
    Ok(())
}

fn shared_folder() -> anyhow::Result<PathBuf> {
    Ok(match env::var_os(SHARED) {
        Some(folder) => PathBuf::from(folder),
        None => env::current_dir()?.join("../shared"),
    })
}

fn read_outcomes() -> anyhow::Result<Outcomes> {
    let path = Path::new(FOLDER).join("mutants.out/outcomes.json");
    let text = fs::read_to_string(&path).with_context(|| format!("{} was not written", path.display()))?;
    serde_json::from_str(&text).context("cargo mutants writes another format than we know")
}

fn counts(outcomes: &Outcomes) -> anyhow::Result<BTreeMap<String, Count>> {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for outcome in &outcomes.outcomes {
        let Scenario::Mutant { name, package } = &outcome.scenario else { continue };
        let count = counts.entry(package.clone()).or_default();
        match outcome.summary.as_str() {
            "CaughtMutant" => count.caught += 1,
            "Timeout" => count.timed_out += 1,
            "Unviable" => count.unviable += 1,
            "MissedMutant" => count.missed.push(name.clone()),
            other => bail!("a mutant ended as {other}, which we do not know"),
        }
    }
    Ok(counts)
}

fn line(package: &str, count: &Count) -> String {
    format!(
        "{package}: {} caught, {} timed out, {} missed, {} do not compile",
        count.caught,
        count.timed_out,
        count.missed.len(),
        count.unviable
    )
}

fn page(counts: &BTreeMap<String, Count>) -> String {
    let mut page = String::from(
        "<!-- Written by `cargo xtask mutants`. Changes here are lost. -->\n# Mutants\n\n\
         Changes to the code, one at a time, and whether a test noticed.\n\n\
         | Crate | Caught | Timed out | Missed | Do not compile |\n|---|--:|--:|--:|--:|\n",
    );
    for (package, count) in counts {
        let Count { caught, timed_out, unviable, missed } = count;
        let _ = writeln!(page, "| `{package}` | {caught} | {timed_out} | {} | {unviable} |", missed.len());
    }
    for (package, count) in counts.iter().filter(|(_, count)| !count.missed.is_empty()) {
        let _ = writeln!(page, "\n## Missed in `{package}`\n");
        for mutant in &count.missed {
            let _ = writeln!(page, "- `{mutant}`");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOMES: &str = r#"{"outcomes":[
        {"scenario":"Baseline","summary":"Success"},
        {"scenario":{"Mutant":{"name":"src/a.rs:1:2: replace f with ()","package":"p","function":null}},"summary":"MissedMutant"},
        {"scenario":{"Mutant":{"name":"x","package":"p"}},"summary":"CaughtMutant"},
        {"scenario":{"Mutant":{"name":"x","package":"p"}},"summary":"CaughtMutant"},
        {"scenario":{"Mutant":{"name":"x","package":"p"}},"summary":"Timeout"},
        {"scenario":{"Mutant":{"name":"x","package":"q"}},"summary":"Unviable"}]}"#;

    #[test]
    fn mutants_are_counted_by_package_and_the_missed_named() {
        let counts = counts(&serde_json::from_str(OUTCOMES).unwrap()).unwrap();
        assert_eq!(line("p", &counts["p"]), "p: 2 caught, 1 timed out, 1 missed, 0 do not compile");
        assert_eq!(line("q", &counts["q"]), "q: 0 caught, 0 timed out, 0 missed, 1 do not compile");
        let page = page(&counts);
        assert!(page.contains("| `p` | 2 | 1 | 1 | 0 |\n| `q` | 0 | 0 | 0 | 1 |\n"), "{page}");
        assert!(page.ends_with("## Missed in `p`\n\n- `src/a.rs:1:2: replace f with ()`\n"), "{page}");
    }

    #[test]
    fn an_unknown_end_is_an_error() {
        let unknown = OUTCOMES.replace("Unviable", "Failure");
        assert!(counts(&serde_json::from_str(&unknown).unwrap()).is_err());
    }
}
