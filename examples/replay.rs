//! Replays a recording and prints the frames: `replay FILE`, for example one that `serve --record
//! DIR` has stored.
//!
//! Prints one line per frame, as in `frames`, with its time; then whether the replay produced the
//! same events and bytes, and the state of the connection. Exits with 1 if it did not.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use thalweg::Instant;
use thalweg::inspect::{Direction, Inspector};
use thalweg_record::{Call, RecordedRole, Recording, ReplayEvent, replay};

/// Replays a recording and prints the frames: exits with 1 if the replay differs
#[derive(Debug, Parser)]
struct Arguments {
    /// A file that `serve --record DIR` has stored, or another recording
    #[arg(value_name = "FILE")]
    path: PathBuf,
}

fn main() -> ExitCode {
    let Arguments { path } = Arguments::parse();
    match show(&path) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::from(2)
        }
    }
}

/// Prints a recording. Returns whether the replay reproduced it.
fn show(path: &Path) -> Result<bool, Box<dyn std::error::Error>> {
    let file = std::fs::read(path)?;
    let recording = Recording::parse(&file)?;
    let (theirs, ours) = match recording.role {
        RecordedRole::Client => (Direction::ToClient, Direction::ToServer),
        RecordedRole::Server => (Direction::ToServer, Direction::ToClient),
    };
    println!("a {:?}, recorded by {}: {} steps", recording.role, recording.made_by, recording.steps.len());
    let mut inspector = Inspector::new();
    let mut now = Instant::ZERO;
    let mut print = |direction, mut bytes: &[u8], now: Instant| {
        let time = Duration::from_nanos(now.as_nanos());
        while let Some(seen) = inspector.inspect(direction, &mut bytes) {
            println!("{time:>12.1?} {seen}");
        }
    };
    let replayed = replay(&recording, |event| match event {
        ReplayEvent::Call(step) => match step.call {
            // The time is zero in calls without input.
            Call::Receive { now: at, .. } | Call::HandleTimeout { now: at } => now = at.max(now),
            _ => {}
        },
        ReplayEvent::Input(bytes) => print(theirs, bytes, now),
        ReplayEvent::Output(bytes) => print(ours, bytes, now),
        _ => {}
    })?;
    if recording.is_truncated {
        println!("the recording ends here, at its bound");
    }
    println!("{}", replayed.report);
    match replayed.difference {
        None => println!(
            "reproduced: {} steps, {} bytes written, all the same",
            replayed.steps, replayed.output_bytes
        ),
        Some(difference) => println!("NOT reproduced: {difference}"),
    }
    Ok(replayed.is_same())
}
