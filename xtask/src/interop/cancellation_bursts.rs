//! Cancellation bursts: gRPC clients that cancel about half of their calls, over one connection,
//! while a relay reads the frames between them and the server.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::fixtures::Fixtures;
use super::grpc::{self, TESTBEDS};
use super::relay::{Observed, Relay};
use super::server::{self, Server};
use super::{Need, Row};
use crate::{external_tools, process};

const LIMIT: Duration = Duration::from_secs(300);
/// Of the connections, once the client has ended.
const END_LIMIT: Duration = Duration::from_secs(20);
/// The same calls in the same order each time, as far as the client's own threads allow.
const SEED: &str = "1";

/// A client's report of its calls.
#[derive(Debug, Deserialize)]
struct ClientReport {
    calls: u32,
    completed: u32,
    cancelled: u32,
    late: u32,
    wrong: u32,
    failed: u32,
    first_failure: String,
}

struct Burst {
    client: &'static str,
    needs: &'static [Need],
    command: fn() -> anyhow::Result<Command>,
    calls: fn(&Fixtures) -> u32,
}

const BURSTS: &[Burst] = &[
    Burst {
        client: "grpc-go",
        needs: &[Need::Go("google.golang.org/grpc")],
        command: || external_tools::go_program("grpc_bursts.go"),
        calls: |fixtures| fixtures.load.go_calls,
    },
    Burst {
        client: "grpcio",
        needs: &[Need::Python("grpc")],
        command: || external_tools::python_script("grpc_bursts.py"),
        calls: |fixtures| fixtures.load.python_calls,
    },
];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for burst in BURSTS {
        let name = |server: &str| format!("{server}: {} cancels half of its calls in a burst", burst.client);
        let needs = [burst.needs, &[Need::Example("tonic_echo")]].concat();
        rows.push(Row::new(name("tonic_echo"), &needs, |fixtures| {
            burst.run(fixtures, &grpc::tonic_echo(fixtures)?)
        }));
        for subject in TESTBEDS {
            let needs = [burst.needs, &[subject.need()]].concat();
            rows.push(Row::new(name(subject.name()), &needs, |fixtures| {
                server::on(fixtures, *subject, |server| burst.run(fixtures, server))
            }));
        }
    }
    rows
}

impl Burst {
    fn run(&self, fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
        let calls = (self.calls)(fixtures);
        let relay = Relay::start(server.address)?;
        let mut command = (self.command)()?;
        command.args([relay.address.to_string(), calls.to_string(), SEED.to_owned()]);
        let text = process::run(&mut command, LIMIT)?.into_text(self.client)?;
        let reported: ClientReport =
            serde_json::from_str(&text).with_context(|| format!("it prints {text:?}"))?;
        let observed = relay.finish(END_LIMIT)?;
        let judged = check(calls, &reported, &observed);
        judged.with_context(|| format!("{reported:?}\n{observed:?}"))?;
        fixtures.note(format!(
            "{} calls: {} completed, {} cancelled, {} past their deadline, {} resets on the wire; \
             0 wrong messages, 0 ends without GOAWAY, 0 ENHANCE_YOUR_CALM",
            reported.calls, reported.completed, reported.cancelled, reported.late, observed.resets_by_client
        ));
        Ok(())
    }
}

fn check(calls: u32, reported: &ClientReport, observed: &Observed) -> anyhow::Result<()> {
    ensure!(reported.wrong == 0, "{} wrong messages; the first: {}", reported.wrong, reported.first_failure);
    ensure!(reported.failed == 0, "{} calls failed; the first: {}", reported.failed, reported.first_failure);
    ensure!(reported.calls == calls, "{} calls were made, {calls} asked for", reported.calls);
    let stopped = reported.cancelled + reported.late;
    ensure!(reported.completed + stopped == calls, "not every call has come to an end");
    ensure!(stopped > calls / 4 && reported.late > 0, "only {stopped} calls were stopped: this is no burst");
    ensure!(observed.resets_by_client > calls / 20, "hardly a cancellation reached the server");
    ensure!(observed.connections == 1, "{} connections in place of one", observed.connections);
    ensure!(observed.without_goaway == 0, "{} ends without a GOAWAY", observed.without_goaway);
    ensure!(observed.within_frame == 0, "{} ends within a frame", observed.within_frame);
    ensure!(observed.enhance_your_calm == 0, "{} times ENHANCE_YOUR_CALM", observed.enhance_your_calm);
    ensure!(observed.other_errors == 0, "{} GOAWAYs with an error", observed.other_errors);
    ensure!(observed.broken == 0, "{} frames break a rule", observed.broken);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported() -> ClientReport {
        let first_failure = "none".to_owned();
        ClientReport {
            calls: 100,
            completed: 50,
            cancelled: 40,
            late: 10,
            wrong: 0,
            failed: 0,
            first_failure,
        }
    }

    fn observed() -> Observed {
        Observed { connections: 1, ended: 1, requests: 90, resets_by_client: 30, ..Observed::default() }
    }

    #[test]
    fn only_a_clean_burst_passes() {
        check(100, &reported(), &observed()).unwrap();
        type Flaw = fn(&mut ClientReport, &mut Observed);
        let blemishes: [(&str, Flaw); 10] = [
            ("wrong", |reported, _| reported.wrong = 1),
            ("failed", |reported, _| reported.failed = 1),
            ("asked for", |reported, _| reported.calls = 99),
            ("an end", |reported, _| reported.completed = 49),
            ("no burst", |reported, _| (reported.completed, reported.cancelled, reported.late) = (80, 20, 0)),
            ("hardly", |_, observed| observed.resets_by_client = 5),
            ("in place of one", |_, observed| observed.connections = 2),
            ("without a GOAWAY", |_, observed| observed.without_goaway = 1),
            ("within a frame", |_, observed| observed.within_frame = 1),
            ("ENHANCE_YOUR_CALM", |_, observed| observed.enhance_your_calm = 1),
        ];
        for (expected, flaw) in blemishes {
            let (mut reported, mut observed) = (reported(), observed());
            flaw(&mut reported, &mut observed);
            let error = check(100, &reported, &observed).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
