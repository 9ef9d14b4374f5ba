//! External clients that our scripts control: Node's `http2`, httpx, Go's net/http, and
//! h2, which sends frames that few clients send.
//!
//! A script makes one check and fails with its reason.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::fixtures::Fixtures;
use super::grpc::TESTBEDS;
use super::server::{self, Server, Subject};
use super::{Need, Row};
use crate::external_tools;
use crate::process::{self, Group, collect};

const LIMIT: Duration = Duration::from_secs(120);

pub struct Client {
    pub name: &'static str,
    pub need: Need,
    command: fn() -> anyhow::Result<Command>,
    /// Checks that this client cannot make.
    cannot: &'static [&'static str],
}

pub const CLIENTS: &[Client] = &[
    Client {
        name: "Node",
        need: Need::Program("node"),
        command: || external_tools::node_script("client.mjs"),
        cannot: &[],
    },
    Client {
        name: "httpx",
        need: Need::Python("httpx"),
        command: || external_tools::python_script("client.py"),
        // It shows no trailers, stops reading a stream without RST_STREAM, and treats any GOAWAY as
        // the end.
        cannot: &["trailers", "cancel", GOAWAY],
    },
    Client {
        name: "Go",
        need: Need::Go("golang.org/x/net/http2"),
        command: || external_tools::go_program("client.go"),
        cannot: &[],
    },
];

/// The name of a check in the scripts, and its result.
const CHECKS: &[(&str, &str)] = &[
    ("page", "gets a page: status, fields, each byte"),
    ("head", "asks for the head alone: length, no content"),
    ("missing", "gets 404 for a missing path"),
    ("download", "gets a large file: each byte"),
    ("upload", "receives the echo of an upload: each byte"),
    ("parallel", "gets 100 things at once over one connection: each byte"),
    ("cancel", "cancels 50 transfers, and the connection continues"),
    ("trailers", "sees the trailers of a call"),
];

/// Made while the server ends, unlike the others.
const GOAWAY: &str = "goaway";

const H2_CHECKS: &[(&str, &str)] = &[
    ("bytes_one_by_one", "sends each byte by itself"),
    ("continuations", "cuts a header block into padded HEADERS and CONTINUATION"),
    ("padding", "pads an upload: the echo is without it"),
    ("small_window", "opens a window of one byte at a time"),
    ("window_shrinks", "reduces a window below zero"),
    ("settings_change", "disables the dynamic table and enables it again"),
    ("pings", "has each PING answered with its bytes"),
    ("reset", "resets 20 streams midway, and the connection continues"),
    ("request_trailers", "ends an upload with trailers"),
    ("graceful_close", "sends GOAWAY, and receives its response and a GOAWAY"),
    ("data_on_idle_stream", "sends DATA on an idle stream: GOAWAY(PROTOCOL_ERROR), last stream 1"),
    ("window_overflow", "overflows the window: GOAWAY(FLOW_CONTROL_ERROR), last stream 1"),
    ("bad_header_block", "sends a header block that is none: GOAWAY(COMPRESSION_ERROR), last stream 1"),
    ("interrupted_header_block", "interrupts a header block: GOAWAY(PROTOCOL_ERROR), last stream 1"),
    ("even_stream", "opens a stream of the server's: GOAWAY(PROTOCOL_ERROR), last stream 1"),
];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for subject in TESTBEDS {
        for client in CLIENTS {
            rows.extend(client.rows(*subject));
            if client.cannot.contains(&GOAWAY) {
                continue;
            }
            let name = format!("{}: {} completes its streams after GOAWAY", subject.name(), client.name);
            rows.push(Row::new(name, &[subject.need(), client.need], |fixtures| {
                server::to_the_end_of(fixtures, *subject, |server| client.goaway(fixtures, server))
            }));
        }
        for (check, what) in H2_CHECKS {
            let needs = [subject.need(), Need::Python("h2")];
            rows.push(Row::new(format!("{}: h2 {what}", subject.name()), &needs, move |fixtures| {
                server::on(fixtures, *subject, |server| {
                    let mut command = external_tools::python_script("h2_client.py")?;
                    make(command.arg(check).arg(server.address.to_string()))
                })
            }));
        }
    }
    for subject in server::OURS {
        rows.extend(CLIENTS.iter().flat_map(|client| client.rows_over_tls(*subject)));
    }
    rows
}

impl Client {
    fn checks(&self) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        CHECKS.iter().filter(|(check, _)| !self.cannot.contains(check))
    }

    fn rows(&'static self, subject: Subject) -> impl Iterator<Item = Row> {
        self.checks().map(move |(check, what)| {
            let name = format!("{}: {} {what}", subject.name(), self.name);
            Row::new(name, &[subject.need(), self.need], move |fixtures| {
                server::on(fixtures, subject, |server| {
                    make(&mut self.command(fixtures, check, &server.url(""))?)
                })
            })
        })
    }

    fn rows_over_tls(&'static self, subject: Subject) -> impl Iterator<Item = Row> {
        // These servers know no calls.
        self.checks().filter(|(check, _)| *check != "trailers").map(move |(check, what)| {
            let name = format!("{} --tls: {} {what}", subject.name(), self.name);
            Row::new(name, &[subject.need(), self.need], move |fixtures| {
                let mut command = subject.example_command(fixtures, "127.0.0.1:0")?;
                let server = Server::start_listening(command.arg("--tls"))?;
                make(&mut self.command(fixtures, check, &format!("https://{}", server.address))?)
            })
        })
    }

    /// Returns the command that runs a check against a server.
    pub fn command(&self, fixtures: &Fixtures, check: &str, base: &str) -> anyhow::Result<Command> {
        let mut command = (self.command)()?;
        command.args([check, base]).env("ROOT", fixtures.root()).env("UPLOAD", fixtures.upload());
        Ok(command)
    }

    /// Interrupts the server while it sends: the response is completed, then both sides end.
    fn goaway(&self, fixtures: &Fixtures, server: &mut Server) -> anyhow::Result<()> {
        let mut command = self.command(fixtures, GOAWAY, &server.url(""))?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = Group::spawn_with_input(&mut command, Stdio::piped())?;
        let (stdin, stdout, stderr) = group.pipes();
        let mut stdin = stdin.context("a pipe was asked for")?;
        let words = collect(stdout.context("a pipe was asked for")?);
        let errors = collect(stderr.context("a pipe was asked for")?);
        let first = words.recv_timeout(LIMIT).unwrap_or_default();
        if first != b"started\n" {
            bail!("its first line is {:?}; {}", String::from_utf8_lossy(&first), last_lines(group, &errors));
        }
        server.interrupt()?;
        // The client holds the transfer back, so the server has to wait for it.
        let early = server.wait(Duration::from_millis(300))?;
        ensure!(early.is_none(), "the server ended within a transfer");
        stdin.write_all(b"go on\n")?;
        match group.wait(LIMIT)? {
            Some(status) if status.success() => {}
            Some(_) => bail!("{}", last_lines(group, &errors)),
            None => bail!("it does not end"),
        }
        let end = server.wait(Duration::from_secs(20))?.context("the server does not end")?;
        ensure!(end.success(), "the server: {end}");
        Ok(())
    }
}

/// Runs the check of a script.
pub fn make(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    process::run_merged(command, LIMIT)?.into_text(&program).map(drop)
}

/// Waits for the end of a program and returns what it wrote.
fn last_lines(group: Group, errors: &Receiver<Vec<u8>>) -> String {
    drop(group);
    String::from_utf8_lossy(&errors.iter().flatten().collect::<Vec<u8>>()).into_owned()
}
