//! Recordings of a server under load, and their replay.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::ensure;

use super::fixtures::Fixtures;
use super::server::Server;
use super::{Need, Row};
use crate::process;

/// Connections of the load that is recorded.
const RECORDED: &str = "4";

pub fn rows() -> Vec<Row> {
    vec![Row::new(
        "replay: reproduces the recordings of serve under h2load, and reports damage",
        &[Need::Example("replay"), Need::Example("serve"), Need::Program("h2load")],
        recording,
    )]
}

/// Records every connection of a load; each recording must replay to the same bytes.
fn recording(fixtures: &Fixtures) -> anyhow::Result<()> {
    let folder = fixtures.root().with_file_name("recordings");
    let mut command = Command::new(fixtures.example("serve")?);
    command.args(["--h2c", "127.0.0.1:0", "--quiet", "--record"]).arg(&folder);
    let server = Server::start_listening(&mut command)?;
    let mut load = Command::new("h2load");
    load.args(["--requests", "400", "--clients", RECORDED, "--max-concurrent-streams", "20"]);
    let text =
        process::run(load.arg(server.url("/bytes/2000")), Duration::from_secs(60))?.into_text("h2load")?;
    ensure!(text.contains("400 succeeded"), "h2load prints:\n{text}");
    let files = recordings(&folder)?;
    for file in &files {
        let text = replay(fixtures, file)?.into_text("replay")?;
        let (last, report) = (text.lines().last().unwrap_or_default(), text.lines().rev().nth(1));
        ensure!(last.starts_with("reproduced: "), "replay prints: {last}");
        ensure!(
            report.is_some_and(|report| report.contains("100 streams, 100 completed")),
            "replay prints: {report:?}"
        );
        ensure!(text.contains("HEADERS") && text.contains(":path: /bytes/2000"), "no frames:\n{text}");
    }
    let mut damaged = fs::read(&files[0])?;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let file = folder.join("damaged");
    fs::write(&file, damaged)?;
    let refused = replay(fixtures, &file)?;
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(
        !refused.is_success() && error.contains("the recording is damaged: the block at byte "),
        "{error}"
    );
    Ok(())
}

fn replay(fixtures: &Fixtures, file: &Path) -> anyhow::Result<process::Finished> {
    process::run(Command::new(fixtures.example("replay")?).arg(file), Duration::from_secs(60))
}

/// Returns the recordings of all connections, which are written after the connections end.
fn recordings(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    for _ in 0..100 {
        let files = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
        let mut files = files.collect::<Result<Vec<_>, _>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "thalweg"));
        if files.len().to_string() == RECORDED {
            return Ok(files);
        }
        thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("there are not {RECORDED} recordings")
}
