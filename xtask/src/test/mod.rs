//! `cargo xtask test`: everything that must hold before a change lands.
//!
//! Runs every step, also after a failure, each in a child process with a time limit,
//! and the whole within a limit too. Needs only Rust with crates.io; what else a test uses is
//! installed by `setup` where that is allowed, or else skipped with its reason. Closes with `N
//! passed, N failed`, and with the number of skipped ones if there are any.

mod output;
mod steps;

use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, ensure};

use crate::metadata::Metadata;
use crate::process::{self, Finished};
use crate::tally::Tally;
use steps::Step;

/// The folder of the complete outputs; the console shows only the end of a failed one.
const LOGS: &str = "target/xtask/test";
/// How much of a failed step's output is shown.
const LINES_SHOWN: usize = 200;

#[derive(clap::Args)]
pub struct Args {
    /// Ends what still runs after this many minutes
    #[arg(long, default_value_t = 29)]
    minutes: u64,
    /// Runs only the steps whose name contains this
    #[arg(long)]
    only: Option<String>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(args.minutes * 60);
    let logs = Path::new(LOGS);
    fs::create_dir_all(logs).with_context(|| format!("{LOGS} cannot be made"))?;
    // Read now: one of the builds may replace this file.
    let xtask = env::current_exe().context("this program's file is unknown")?;
    let mut steps = steps::all(&Metadata::of_workspace()?, &xtask);
    if let Some(part) = &args.only {
        steps.retain(|step| step.name.contains(part));
        ensure!(!steps.is_empty(), "no step is named {part}");
    }

    let mut total = Tally::default();
    for step in &mut steps {
        total.add(perform(step, deadline, logs)?);
    }
    if !total.skipped.is_empty() {
        println!("skipped:");
        for reason in &total.skipped {
            println!("  {reason}");
        }
    }
    println!("{total}");
    // The tally is the last line of the output, so only the exit status reports the failure.
    if total.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

fn perform(step: &mut Step, deadline: Instant, logs: &Path) -> anyhow::Result<Tally> {
    let time_left = deadline.saturating_duration_since(Instant::now());
    let finished = process::run_merged(&mut step.command, step.limit.min(time_left))?;
    let log = steps::log_file(logs, step);
    fs::write(&log, &finished.stdout).with_context(|| format!("{} cannot be written", log.display()))?;
    let tally = step.format.tally(&step.name, &finished);
    let seconds = finished.elapsed.as_secs_f64();
    if tally.failed == 0 {
        println!("{}: ok ({seconds:.1} s){}", step.name, details(step, &tally));
    } else {
        println!("{}: FAILED ({seconds:.1} s), {}{}", step.name, finished.outcome(), details(step, &tally));
        print_end(&finished);
        println!("{}: all of its output is in {}", step.name, log.display());
    }
    Ok(tally)
}

fn details(step: &Step, tally: &Tally) -> String {
    match step.format {
        output::OutputFormat::Whole => String::new(),
        _ => format!(", {tally}"),
    }
}

fn print_end(finished: &Finished) {
    let output = String::from_utf8_lossy(&finished.stdout);
    let lines: Vec<&str> = output.lines().collect();
    for line in &lines[lines.len().saturating_sub(LINES_SHOWN)..] {
        println!("    {line}");
    }
}
