//! Honest storms: gRPC clients that cancel about half of their calls, over one connection, while a relay
//! reads the frames between them and the server.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::grpc::{self, TESTBEDS};
use super::lab::Lab;
use super::relay::{Observed, Relay};
use super::server::{self, Server};
use super::{Need, Row};
use crate::{process, strangers};

const LIMIT: Duration = Duration::from_secs(300);
/// Of the connections, once the client has ended.
const END_LIMIT: Duration = Duration::from_secs(20);
/// The same calls in the same order each time, as far as the client's own threads allow.
const SEED: &str = "1";

/// What a client says of its calls.
#[derive(Debug, Deserialize)]
struct Told {
    calls: u32,
    completed: u32,
    cancelled: u32,
    late: u32,
    wrong: u32,
    failed: u32,
    first_failure: String,
}

struct Storm {
    client: &'static str,
    needs: &'static [Need],
    command: fn() -> anyhow::Result<Command>,
    calls: fn(&Lab) -> u32,
}

const STORMS: &[Storm] = &[
    Storm {
        client: "grpc-go",
        needs: &[Need::Go("google.golang.org/grpc")],
        command: || strangers::go_program("grpc_storm.go"),
        calls: |lab| lab.load.go_calls,
    },
    Storm {
        client: "grpcio",
        needs: &[Need::Python("grpc")],
        command: || strangers::python_script("grpc_storm.py"),
        calls: |lab| lab.load.python_calls,
    },
];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for storm in STORMS {
        let name = |server: &str| format!("{server}: {} cancels half of its calls in a storm", storm.client);
        let needs = [storm.needs, &[Need::Example("tonic_echo")]].concat();
        rows.push(Row::new(name("tonic_echo"), &needs, |lab| storm.rage(lab, &grpc::tonic_echo(lab)?)));
        for subject in TESTBEDS {
            let needs = [storm.needs, &[subject.need()]].concat();
            rows.push(Row::new(name(subject.name()), &needs, |lab| {
                server::on(lab, *subject, |server| storm.rage(lab, server))
            }));
        }
    }
    rows
}

impl Storm {
    fn rage(&self, lab: &Lab, server: &Server) -> anyhow::Result<()> {
        let calls = (self.calls)(lab);
        let relay = Relay::start(server.address)?;
        let mut command = (self.command)()?;
        command.args([relay.address.to_string(), calls.to_string(), SEED.to_owned()]);
        let text = process::run(&mut command, LIMIT)?.into_text(self.client)?;
        let told: Told = serde_json::from_str(&text).with_context(|| format!("it says {text:?}"))?;
        let observed = relay.finish(END_LIMIT)?;
        let judged = judge(calls, &told, &observed);
        judged.with_context(|| format!("{told:?}\n{observed:?}"))?;
        lab.note(format!(
            "{} calls: {} completed, {} cancelled, {} past their deadline, {} resets on the wire; \
             0 wrong messages, 0 ends without GOAWAY, 0 ENHANCE_YOUR_CALM",
            told.calls, told.completed, told.cancelled, told.late, observed.resets_by_client
        ));
        Ok(())
    }
}

fn judge(calls: u32, told: &Told, observed: &Observed) -> anyhow::Result<()> {
    ensure!(told.wrong == 0, "{} wrong messages; the first: {}", told.wrong, told.first_failure);
    ensure!(told.failed == 0, "{} calls failed; the first: {}", told.failed, told.first_failure);
    ensure!(told.calls == calls, "{} calls were made, {calls} asked for", told.calls);
    let stopped = told.cancelled + told.late;
    ensure!(told.completed + stopped == calls, "not every call has come to an end");
    ensure!(stopped > calls / 4 && told.late > 0, "only {stopped} calls were stopped: this is no storm");
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

    fn told() -> Told {
        let first_failure = "none".to_owned();
        Told { calls: 100, completed: 50, cancelled: 40, late: 10, wrong: 0, failed: 0, first_failure }
    }

    fn observed() -> Observed {
        Observed { connections: 1, ended: 1, requests: 90, resets_by_client: 30, ..Observed::default() }
    }

    #[test]
    fn a_clean_storm_is_the_only_one_that_passes() {
        judge(100, &told(), &observed()).unwrap();
        type Blemish = fn(&mut Told, &mut Observed);
        let blemishes: [(&str, Blemish); 10] = [
            ("wrong", |told, _| told.wrong = 1),
            ("failed", |told, _| told.failed = 1),
            ("asked for", |told, _| told.calls = 99),
            ("an end", |told, _| told.completed = 49),
            ("no storm", |told, _| (told.completed, told.cancelled, told.late) = (80, 20, 0)),
            ("hardly", |_, observed| observed.resets_by_client = 5),
            ("in place of one", |_, observed| observed.connections = 2),
            ("without a GOAWAY", |_, observed| observed.without_goaway = 1),
            ("within a frame", |_, observed| observed.within_frame = 1),
            ("ENHANCE_YOUR_CALM", |_, observed| observed.enhance_your_calm = 1),
        ];
        for (expected, blemish) in blemishes {
            let (mut told, mut observed) = (told(), observed());
            blemish(&mut told, &mut observed);
            let error = judge(100, &told, &observed).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
