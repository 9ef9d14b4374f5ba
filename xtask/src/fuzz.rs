//! `cargo xtask fuzz`: feeds each target of `fuzz/` with bytes for a while.
//!
//! What the fuzzer finds worth keeping goes into `fuzz/corpus-local`, which is not committed; it
//! starts from there and from the committed `fuzz/corpus`. Prints a line for each target and fails
//! on a finding. Needs cargo-fuzz, which it installs, and a C++ compiler.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::process::{self, Finished, cargo};
use crate::setup;

const MANIFEST: &str = "fuzz/Cargo.toml";
const TOOL_VERSION: &str = "^0.13";
/// For the build, and for the last input of a run.
const SLACK: Duration = Duration::from_secs(1200);
/// How much of the fuzzer's output is shown with a finding.
const LINES_SHOWN: usize = 60;

#[derive(clap::Args)]
pub struct Args {
    /// How long each target runs
    #[arg(long)]
    seconds: u64,
    /// All targets if none is given
    target: Option<String>,
    /// With another than `none` a nightly toolchain is needed. Safe code needs none, and runs
    /// faster so
    #[arg(long, default_value = "none", value_parser = ["none", "address"])]
    sanitizer: String,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    bin: Vec<Bin>,
}

#[derive(Deserialize)]
struct Bin {
    name: String,
}

/// The summary that libFuzzer prints.
#[derive(Debug, Default, PartialEq, Eq)]
struct Statistics {
    executions: u64,
    executions_per_second: u64,
    /// Edges of the program that some input reached.
    edges: u64,
    /// The inputs that broke the target.
    findings: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let manifest = fs::read_to_string(MANIFEST).with_context(|| format!("{MANIFEST} cannot be read"))?;
    let mut targets = targets(&manifest)?;
    if let Some(name) = &args.target {
        let all = targets.join(", ");
        targets.retain(|target| target == name);
        ensure!(!targets.is_empty(), "no target is named {name}; there are {all}");
    }
    setup::cargo_tool("fuzz", TOOL_VERSION)?;

    let mut broken = Vec::new();
    for target in targets {
        let finished = fuzz(args, &target)?;
        let output = String::from_utf8_lossy(&finished.stdout);
        let statistics = statistics(&output);
        println!("{}", line(&target, &statistics));
        if is_broken(finished.is_success(), &statistics) {
            let lines: Vec<&str> = output.lines().collect();
            println!("{target}: {}", finished.outcome());
            for line in &lines[lines.len().saturating_sub(LINES_SHOWN)..] {
                println!("    {line}");
            }
            broken.push(target);
        }
    }
    ensure!(broken.is_empty(), "targets with findings, or that did not run: {}", broken.join(", "));
    Ok(())
}

fn targets(manifest: &str) -> anyhow::Result<Vec<String>> {
    let manifest: Manifest =
        toml::from_str(manifest).context("fuzz/Cargo.toml is not as cargo-fuzz makes it")?;
    ensure!(!manifest.bin.is_empty(), "fuzz/Cargo.toml names no target");
    Ok(manifest.bin.into_iter().map(|bin| bin.name).collect())
}

fn fuzz(args: &Args, target: &str) -> anyhow::Result<Finished> {
    // libFuzzer writes to the first folder and only reads the others. cargo-fuzz runs it elsewhere.
    let root = env::current_dir()?;
    let own = root.join("fuzz/corpus-local").join(target);
    fs::create_dir_all(&own)?;
    let committed = root.join("fuzz/corpus").join(target);
    let corpora: Vec<PathBuf> = [own, committed].into_iter().filter(|folder| Path::is_dir(folder)).collect();

    let toolchain: &[&str] = if args.sanitizer == "none" { &[] } else { &["+nightly"] };
    let mut command = cargo(&[toolchain, &["fuzz", "run", "--sanitizer", &args.sanitizer, target]].concat());
    // An absent toolchain is to be an error, not a download.
    command.env("RUSTUP_AUTO_INSTALL", "0");
    command
        .args(corpora)
        .arg("--")
        .arg(format!("-max_total_time={}", args.seconds))
        .arg("-print_final_stats=1");
    if let Some(dictionary) = dictionary(target) {
        command.arg(format!("-dict={}", root.join(dictionary).display()));
    }
    process::run_merged(&mut command, Duration::from_secs(args.seconds) + SLACK)
}

/// Returns the words that a target's input is made of. Scripts and lists of fields are made of
/// choices, and have none.
fn dictionary(target: &str) -> Option<&'static str> {
    match target {
        "hpack_decode" => Some("fuzz/dictionaries/hpack.dict"),
        "frame_roundtrip" | "server_bytes" | "client_bytes" => Some("fuzz/dictionaries/frames.dict"),
        "upgrade" => Some("fuzz/dictionaries/http1.dict"),
        _ => None,
    }
}

/// A fuzzer that fails without a finding has not run, and neither has one that tried nothing.
fn is_broken(is_success: bool, statistics: &Statistics) -> bool {
    !is_success || !statistics.findings.is_empty() || statistics.executions == 0
}

fn statistics(output: &str) -> Statistics {
    let mut statistics = Statistics::default();
    for line in output.lines() {
        let number = |text: &str| text.trim().parse().unwrap_or_default();
        if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            statistics.executions = number(count);
        } else if let Some(rate) = line.strip_prefix("stat::average_exec_per_sec:") {
            statistics.executions_per_second = number(rate);
        } else if let Some((_, file)) = line.split_once("Test unit written to ") {
            statistics.findings.push(file.trim().rsplit('/').next().unwrap_or_default().to_owned());
        } else if line.starts_with('#')
            && let Some((_, rest)) = line.split_once(" cov: ")
        {
            let edges = rest.split(' ').next().unwrap_or_default();
            statistics.edges = statistics.edges.max(number(edges));
        }
    }
    statistics
}

fn line(target: &str, statistics: &Statistics) -> String {
    let Statistics { executions, executions_per_second, edges, findings } = statistics;
    let findings = match findings.as_slice() {
        [] => "no findings".to_owned(),
        some => format!("findings: {}", some.join(", ")),
    };
    format!("{target}: {executions} executions, {executions_per_second} a second, {edges} edges, {findings}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
INFO: Seed: 1
#2	INITED cov: 5 ft: 5 corp: 1/1b exec/s: 0 rss: 30Mb
#65536	pulse  cov: 17 ft: 30 corp: 9/20b lim: 63 exec/s: 32768 rss: 40Mb
#98304	DONE   cov: 19 ft: 33 corp: 10/24b lim: 80 exec/s: 32768 rss: 41Mb
stat::number_of_executed_units: 98304
stat::average_exec_per_sec:     32768
";

    #[test]
    fn the_end_of_a_run_is_read() {
        let read = statistics(OUTPUT);
        assert_eq!(line("t", &read), "t: 98304 executions, 32768 a second, 19 edges, no findings");
    }

    #[test]
    fn a_finding_is_named() {
        let output = format!(
            "{OUTPUT}artifact_prefix='./fuzz/artifacts/t/'; Test unit written to ./fuzz/artifacts/t/crash-1f\n"
        );
        assert!(line("t", &statistics(&output)).ends_with("findings: crash-1f"));
    }

    #[test]
    fn only_a_run_without_findings_is_well() {
        let well = statistics(OUTPUT);
        assert!(!is_broken(true, &well));
        assert!(is_broken(false, &well));
        assert!(is_broken(true, &Statistics { executions: 0, ..statistics(OUTPUT) }));
        assert!(is_broken(true, &Statistics { findings: vec!["crash-1f".to_owned()], ..well }));
    }

    #[test]
    fn every_dictionary_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let manifest = fs::read_to_string(root.join(MANIFEST)).unwrap();
        let named: Vec<_> = targets(&manifest).unwrap().iter().filter_map(|name| dictionary(name)).collect();
        assert_eq!(named.len(), 5);
        assert!(named.iter().all(|file| root.join(file).is_file()), "{named:?}");
    }

    #[test]
    fn targets_are_the_programs_of_the_manifest() {
        let manifest =
            "[package]\nname = \"fuzz\"\n[[bin]]\nname = \"a\"\npath = \"a.rs\"\n[[bin]]\nname = \"b\"\n";
        assert_eq!(targets(manifest).unwrap(), ["a", "b"]);
        assert!(targets("[package]\nname = \"fuzz\"\n").is_err());
    }
}
