//! The examples that are neither a server nor a client of files.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::curl::curl;
use super::lab::{self, Lab, PAGE, PAGE_PATH};
use super::server::{self, Server, Subject};
use super::{Need, Row};
use crate::process;

/// Examples that run by themselves and end, and a line that they print when all went well.
const ALONE: &[(&str, &str)] = &[("in_memory", "answer: the line of fastest flow")];

pub fn rows() -> Vec<Row> {
    let alone = ALONE.iter().map(|(name, expected)| {
        Row::new(format!("{name}: runs"), &[Need::Example(name)], move |lab| runs(lab, name, expected))
    });
    let frames = Row::new(
        "frames: shows what curl and nghttpd say",
        &[Need::Example("frames"), Need::Program("nghttpd"), Need::Program("curl")],
        |lab| server::on(lab, Subject::Nghttpd, |nghttpd| frames(lab, nghttpd)),
    );
    alone.chain([frames]).collect()
}

fn runs(lab: &Lab, name: &str, expected: &str) -> anyhow::Result<()> {
    let finished = process::run(&mut Command::new(lab.example(name)?), Duration::from_secs(60))?;
    let text = finished.into_text(name)?;
    ensure!(text.lines().any(|line| line == expected), "not there: {expected}\n{text}");
    Ok(())
}

fn frames(lab: &Lab, nghttpd: &Server) -> anyhow::Result<()> {
    let mut command = Command::new(lab.example("frames")?);
    let relay = Server::start_listening(command.arg("127.0.0.1:0").arg(nghttpd.address.to_string()))?;
    let page = process::run(curl(&["--fail"]).arg(relay.url(PAGE_PATH)), Duration::from_secs(60))?;
    lab::compare(page.into_text("curl")?.as_bytes(), PAGE.as_bytes()).context("through frames")?;
    // A frame is shown before it is passed on, but the last ones are still on their way to us.
    let expected = ["SETTINGS", "HEADERS", ":path: /page.html", ":status: 200", "DATA"];
    let mut output = String::new();
    for _ in 0..100 {
        output = relay.output().join("\n");
        if expected.iter().all(|part| output.contains(part)) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("not all of {expected:?} is in what frames shows:\n{output}")
}
