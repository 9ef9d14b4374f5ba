//! `cargo xtask interop`: our servers and clients against programs that others wrote.
//!
//! A row is one check. It names what it needs; where that is absent it is skipped, with the reason.
//! Each group of rows has a file of its own with a function `rows`; a new group is a `mod` line and
//! a line in `all_rows`. With `--against nghttpd` the rows for servers run against nghttpd in place
//! of ours: a failure then is a fault of the row.

mod axum_app;
mod cancellation_bursts;
mod chromium;
mod clients;
mod curl;
mod fixtures;
mod graceful_close;
mod grpc;
mod live_view;
mod negotiation;
mod nghttp2;
mod own_clients;
mod pages;
mod programs;
mod proxy;
mod recordings;
mod relay;
mod scripted;
mod server;
mod tls;
mod tonic;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::metadata::Metadata;
use crate::tally::{RowResult, Tally};
use crate::{external_tools, process};
use fixtures::{Fixtures, Load};
use server::Subject;

const EXAMPLES: &str = "thalweg-examples";

#[derive(clap::Args)]
pub struct Args {
    /// Smaller files and fewer requests, and the examples built for debugging: what `xtask test`
    /// runs
    #[arg(long)]
    smoke: bool,
    /// Runs only the rows whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Checks the rows themselves, with another server in place of ours
    #[arg(long, value_parser = ["nghttpd"])]
    against: Option<String>,
}

/// One check of one pair of programs.
pub struct Row {
    name: String,
    needs: Vec<Need>,
    check: Check,
}

type Check = Box<dyn Fn(&Fixtures) -> anyhow::Result<()>>;

impl Row {
    pub fn new(
        name: impl Into<String>,
        needs: &[Need],
        check: impl Fn(&Fixtures) -> anyhow::Result<()> + 'static,
    ) -> Self {
        Self { name: name.into(), needs: needs.to_vec(), check: Box::new(check) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A program that prints its version.
    Program(&'static str),
    /// A module of Python.
    Python(&'static str),
    /// A package of Go.
    Go(&'static str),
    /// One of our examples.
    Example(&'static str),
}

fn all_rows(subjects: &[Subject]) -> Vec<Row> {
    let mut rows = Vec::new();
    for subject in subjects {
        rows.extend(curl::rows(*subject));
        rows.extend(nghttp2::rows(*subject));
        rows.extend(graceful_close::rows(*subject));
    }
    rows.extend(grpc::rows());
    rows.extend(tonic::rows());
    rows.extend(axum_app::rows());
    rows.extend(negotiation::rows());
    rows.extend(live_view::rows());
    rows.extend(cancellation_bursts::rows());
    rows.extend(clients::rows());
    rows.extend(pages::rows());
    rows.extend(own_clients::rows());
    rows.extend(scripted::rows());
    rows.extend(tls::rows());
    rows.extend(programs::rows());
    rows.extend(proxy::rows());
    rows.extend(recordings::rows());
    rows
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let subjects: &[Subject] = match args.against {
        None => server::OURS,
        Some(_) => &[Subject::Nghttpd],
    };
    let mut rows = all_rows(subjects);
    if let Some(part) = &args.only {
        rows.retain(|row| row.name.contains(part));
        ensure!(!rows.is_empty(), "no row is named {part}");
    }
    let load = if args.smoke { Load::SMOKE } else { Load::FULL };
    let fixtures = Fixtures::new(load, build_examples(args.smoke)?)?;

    let mut tally = Tally::default();
    if args.only.is_none() && args.against.is_none() {
        tally.report("every example has a row", &without_row(&fixtures, &rows));
    }
    let mut absences = BTreeMap::new();
    let mut why_absent =
        |need: &Need| absences.entry(*need).or_insert_with(|| absence(*need, &fixtures)).clone();
    for row in &rows {
        let outcome = match row.needs.iter().find_map(&mut why_absent) {
            Some(why) => RowResult::Skipped(why),
            None => match (row.check)(&fixtures) {
                Ok(()) => RowResult::Passed,
                Err(error) => RowResult::Failed(format!("{error:#}")),
            },
        };
        tally.report(&row.name, &outcome);
        for note in fixtures.take_notes() {
            println!("    {note}");
        }
    }
    println!("{tally}");
    // The tally is the last line of the output, so only the exit status reports the failure.
    if tally.failed > 0 {
        drop(fixtures);
        std::process::exit(1);
    }
    Ok(())
}

/// Fails for each example that no row runs, since nothing shows that it works.
fn without_row(fixtures: &Fixtures, rows: &[Row]) -> RowResult {
    let is_needed = |example: &str| {
        let mut needs = rows.iter().flat_map(|row| &row.needs);
        needs.any(|need| matches!(need, Need::Example(name) if *name == example))
    };
    let unused: Vec<&str> = fixtures.examples().filter(|example| !is_needed(example)).collect();
    if unused.is_empty() {
        RowResult::Passed
    } else {
        RowResult::Failed(format!("not run: {}", unused.join(", ")))
    }
}

/// Returns why a need is not met.
fn absence(need: Need, fixtures: &Fixtures) -> Option<String> {
    match need {
        Need::Example(name) => {
            fixtures.example(name).is_err().then(|| format!("the example {name} does not exist"))
        }
        Need::Python(module) => external_tools::python_lacks(module),
        Need::Go(package) => external_tools::go_lacks(package),
        Need::Program(name) => {
            let version = process::run(Command::new(name).arg("--version"), Duration::from_secs(20));
            match version {
                Ok(finished) if !finished.is_success() => Some(format!("{name} does not run")),
                Ok(finished)
                    if name == "curl" && !finished.stdout.windows(5).any(|part| part == b"HTTP2") =>
                {
                    Some("curl is built without HTTP/2".to_owned())
                }
                Ok(_) => None,
                Err(_) => Some(format!("{name} is absent")),
            }
        }
    }
}

/// Builds the examples: their files, by name.
fn build_examples(is_debug: bool) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let metadata = Metadata::of_workspace()?;
    let package = metadata.package(EXAMPLES).with_context(|| format!("there is no package {EXAMPLES}"))?;
    let is_program = |kind: &str| package.targets.iter().any(|target| target.is(kind));
    let kinds = [("example", "--examples"), ("bin", "--bins")];
    let selection: Vec<&str> =
        kinds.iter().filter(|(kind, _)| is_program(kind)).map(|(_, selection)| *selection).collect();
    if selection.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut command = process::cargo(&["build", "--package", EXAMPLES, "--all-features"]);
    command.args(selection).arg("--message-format=json-render-diagnostics");
    if !is_debug {
        command.arg("--release");
    }
    let messages = process::run(&mut command, Duration::from_secs(900))?.into_text("cargo build")?;
    Ok(messages.lines().filter_map(executable).collect())
}

/// Returns the program that a line of cargo's JSON announces.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let file = message.get("executable")?.as_str()?;
    let name = message.get("target")?.get("name")?.as_str()?;
    Some((name.to_owned(), PathBuf::from(file)))
}
