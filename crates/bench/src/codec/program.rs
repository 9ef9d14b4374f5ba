//! The command line of the programs `hpack` and `hpack_allocations`.

use super::run::{Mode, Plan};
use super::workload::Workload;
use std::process::ExitCode;

/// Runs the program with the arguments of the process, and prints a name and a figure.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let report = match &arguments[..] {
        [workload, peer, rest @ ..] if workload == "hostile" => {
            let name = rest.get(1).map_or("", String::as_str);
            count(rest, 0, 1).and_then(|passes| super::run_hostile(peer, passes, name))
        }
        _ => parse(&arguments).and_then(|(workload, peer, plan)| super::run(workload, &peer, &plan)),
    };
    match report {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<(Workload, String, Plan), String> {
    let [workload, peer, mode, counts @ ..] = arguments else { return Err("too few arguments".to_owned()) };
    let mode = match mode.as_str() {
        "count" => Mode::Count,
        "time" => Mode::Time,
        "allocations" => Mode::Allocations,
        "ratio" => Mode::Ratio,
        other => return Err(format!("no mode is called `{other}`")),
    };
    let (passes, sessions_max) = (count(counts, 0, 1)?, count(counts, 1, usize::MAX)?);
    let plan = Plan { mode, passes, sessions_max };
    Ok((workload.parse()?, peer.clone(), plan))
}

/// Returns the number at one place of the arguments, if it is there.
fn count(arguments: &[String], at: usize, default: usize) -> Result<usize, String> {
    let parse = |text: &String| text.parse().map_err(|e| format!("{text}: {e}"));
    arguments.get(at).map_or(Ok(default), parse)
}

const USAGE: &str = "usage: hpack WORKLOAD PEER count|time|allocations|ratio [PASSES [STORIES]]
       hpack hostile PEER [PASSES [NAME]]";
