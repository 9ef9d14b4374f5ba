//! The command line of the measured programs.

use crate::peers;
use crate::run::{Mode, Plan};
use std::process::ExitCode;

/// Runs the program with the arguments of the process, and prints what it found out.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["peers"] {
        println!("{}", peers::NAMES.join("\n"));
        return ExitCode::SUCCESS;
    }
    match parse(&arguments).and_then(|(peer, plan, mode)| peers::run(&peer, &plan, mode)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<(String, Plan, Mode), String> {
    let [scene, peer, mode, options @ ..] = arguments else { return Err(USAGE.to_owned()) };
    let mode = match mode.as_str() {
        "count" => Mode::Count,
        "time" => Mode::Time,
        "allocations" => Mode::Allocations,
        "check" => Mode::Check,
        other => return Err(format!("no mode is called `{other}`")),
    };
    let scene: crate::workload::Scene = scene.parse()?;
    let units = if scene.is_endless() { 64 } else { 100 };
    let mut plan = Plan { scene, chunks: 20, made: 0, units, held: 0, connections: 1 };
    for pair in options.chunks(2) {
        let [name, value] = pair else { return Err(format!("`{}` has no value", pair[0])) };
        let value: usize = value.parse().map_err(|e| format!("{name} {value}: {e}"))?;
        match name.as_str() {
            "--chunks" => plan.chunks = value,
            "--made" => plan.made = value,
            "--units" => plan.units = value,
            "--held" => plan.held = value,
            "--connections" => plan.connections = value,
            other => return Err(format!("no option is called `{other}`")),
        }
    }
    Ok((peer.clone(), plan, mode))
}

const USAGE: &str = "usage: measure WORKLOAD PEER count|time|allocations|check
    [--chunks N] [--made N] [--units N] [--held N] [--connections N]
or: measure peers";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<(String, Plan, Mode), String> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_command_line_makes_a_plan() {
        let (peer, plan, mode) = parse_line("client-w3up h2 time --chunks 7 --held 3").unwrap();
        assert_eq!((peer.as_str(), mode), ("h2", Mode::Time));
        assert_eq!(
            (plan.scene.to_string().as_str(), plan.chunks, plan.units, plan.held),
            ("client-w3up", 7, 64, 3)
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (line, message) in [
            ("w1", "usage"),
            ("w9 h2 time", "w9"),
            ("w1 h2 guess", "guess"),
            ("w1 h2 time --chunks", "--chunks"),
            ("w1 h2 time --chunks many", "many"),
            ("w1 h2 time --speed 1", "--speed"),
        ] {
            assert!(parse_line(line).unwrap_err().contains(message), "{line}");
        }
    }
}
