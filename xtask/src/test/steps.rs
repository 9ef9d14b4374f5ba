//! What `cargo xtask test` does, in its order.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::output::OutputFormat;
use crate::metadata::{Metadata, Package};
use crate::process::cargo;

/// A child process and how to read it.
pub struct Step {
    pub name: String,
    pub command: Command,
    pub limit: Duration,
    pub format: OutputFormat,
}

/// Packages with a lock file of their own: the workspace's commands do not reach them.
const SATELLITES: &[&str] = &["fuzz", "xtask/nostd-proof"];

/// Features that only pass a choice on to a dependency: they enable no code of ours. All
/// together are built with the others, and that each brings what it should is the test
/// `plain_rustls`.
const FORWARDED: &[&str] = &["aws-lc-rs", "ring"];

const DENY_WARNINGS: &[&str] = &["--", "--deny", "warnings"];

pub fn all(metadata: &Metadata, xtask: &Path) -> Vec<Step> {
    let mut steps = vec![own("setup", xtask, &["setup"], 600)];
    steps.extend(formats());
    steps.push(clippy("clippy", &["--workspace", "--all-targets"], 900));
    steps.push(clippy("clippy with all features", &["--workspace", "--all-targets", "--all-features"], 900));
    steps.extend(satellites().map(clippy_of_satellite));
    steps.extend(metadata.published().flat_map(feature_sets));
    steps.extend(programs());
    steps.extend(tests());
    steps.push(documentation(metadata));
    steps.push(own("tidy", xtask, &["tidy"], 300));
    steps.push(own("nostd", xtask, &["nostd"], 300));
    steps.push(own("bench gate", xtask, &["bench", "gate"], 600));
    steps.push(own("spec", xtask, &["spec", "--check"], 120));
    let smoke = own("interop", xtask, &["interop", "--smoke"], 900);
    steps.push(Step { format: OutputFormat::Rows, ..smoke });
    steps
}

fn step(name: &str, command: Command, limit_s: u64, format: OutputFormat) -> Step {
    Step { name: name.to_owned(), command, limit: Duration::from_secs(limit_s), format }
}

/// Another command of this program, in a process of its own, so that its time is bounded too.
fn own(name: &str, xtask: &Path, arguments: &[&str], limit_s: u64) -> Step {
    let mut command = Command::new(xtask);
    command.args(arguments);
    step(name, command, limit_s, OutputFormat::Whole)
}

fn formats() -> Vec<Step> {
    let fmt = |name: &str, what: &[&str]| {
        let mut command = cargo(&["fmt", "--check"]);
        command.args(what).args(["--", "--color", "never"]);
        step(name, command, 60, OutputFormat::Whole)
    };
    let mut steps = vec![fmt("fmt", &["--all"])];
    let fmt_of_satellite =
        |satellite| fmt(&format!("fmt {satellite}"), &["--manifest-path", &manifest(satellite)]);
    steps.extend(satellites().map(fmt_of_satellite));
    steps
}

fn satellites() -> impl Iterator<Item = &'static str> {
    SATELLITES.iter().copied().filter(|satellite| Path::new(&manifest(satellite)).exists())
}

fn manifest(satellite: &str) -> String {
    format!("{satellite}/Cargo.toml")
}

fn clippy_of_satellite(satellite: &str) -> Step {
    let name = format!("clippy {satellite}");
    // The fuzzer's own library is C++.
    if satellite == "fuzz" && !runs(Command::new("c++").arg("--version")) {
        let mut skip = Command::new("echo");
        skip.arg("skipped: there is no C++ compiler");
        return step(&name, skip, 10, OutputFormat::Whole);
    }
    // Beside the other builds, in a folder that git ignores.
    let target_dir = format!("target/{satellite}");
    clippy(&name, &["--manifest-path", &manifest(satellite), "--target-dir", &target_dir], 600)
}

fn runs(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn clippy(name: &str, what: &[&str], limit_s: u64) -> Step {
    let mut command = cargo(&["clippy"]);
    command.args(what).args(DENY_WARNINGS);
    step(name, command, limit_s, OutputFormat::Whole)
}

/// Returns the steps for a published crate by itself, without features, with each alone, and with
/// all: features only add, so that a conflict of two of them fails in one of these. In
/// the workspace a crate also gets the features that the others enable.
fn feature_sets(package: &Package) -> Vec<Step> {
    let name = package.name.as_str();
    let bare = ["--package", name, "--no-default-features"];
    let mut steps = vec![clippy(&format!("{name} bare"), &bare, 300)];
    let features = || package.features.keys().map(String::as_str).filter(|feature| *feature != "default");
    for feature in features().filter(|feature| !FORWARDED.contains(feature)) {
        let alone = [bare.as_slice(), &["--features", feature]].concat();
        steps.push(clippy(&format!("{name} with {feature}"), &alone, 300));
    }
    if features().next().is_some() {
        let all = ["--package", name, "--all-features"];
        steps.push(clippy(&format!("{name} with all features"), &all, 300));
    }
    steps
}

/// Returns the steps that build the programs which tests start: a test would build them within its
/// time limit.
fn programs() -> Vec<Step> {
    let build = |name: &str, what: &[&str]| {
        let mut command = cargo(&["build", "--package", name]);
        command.args(what);
        step(&format!("build {name}"), command, 900, OutputFormat::Whole)
    };
    let examples = ["--all-features", "--examples", "--release"];
    vec![build("thalweg-examples", &examples), build("thalweg-plain-rustls", &[])]
}

/// Returns the steps that run all tests with all features: nextest's, where it is installed, and
/// those in the documentation, which nextest does not know.
fn tests() -> Vec<Step> {
    let what = ["--workspace", "--all-features", "--no-fail-fast"];
    let mut tests = if runs(&mut cargo(&["nextest", "--version"])) {
        let output = ["--success-output", "immediate", "--failure-output", "final"];
        let mut command = cargo(&["nextest", "run"]);
        command.args(output);
        step("tests", command, 1200, OutputFormat::Nextest)
    } else {
        step(
            "tests",
            cargo(&["test", "--lib", "--bins", "--tests", "--examples"]),
            1200,
            OutputFormat::Libtest,
        )
    };
    tests.command.args(what);
    let mut in_docs = step("doc tests", cargo(&["test", "--doc"]), 900, OutputFormat::Libtest);
    in_docs.command.args(what);
    for libtest in [&mut tests, &mut in_docs] {
        if libtest.format == OutputFormat::Libtest {
            libtest.command.args(["--", "--show-output"]);
        }
    }
    vec![tests, in_docs]
}

fn documentation(metadata: &Metadata) -> Step {
    let mut command = cargo(&["doc", "--no-deps", "--all-features"]);
    for package in metadata.published() {
        command.args(["--package", &package.name]);
    }
    command.env("RUSTDOCFLAGS", "--deny warnings");
    step("doc", command, 600, OutputFormat::Whole)
}

/// Returns the file that keeps the output of a step.
pub fn log_file(folder: &Path, step: &Step) -> PathBuf {
    let name: String =
        step.name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect();
    folder.join(format!("{name}.log"))
}
