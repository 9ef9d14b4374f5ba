//! gRPC: calls by curl, which does not support it, and the output of the example of tonic.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use super::curl::curl;
use super::fixtures::{self, Fixtures};
use super::server::{self, Server, Subject};
use super::{Need, Row};
use crate::process;

/// The servers of `/echo.Echo/Unary` and `/echo.Echo/Stream`.
pub const TESTBEDS: &[Subject] = &[Subject::Example("testbed"), Subject::Example("blocking_testbed")];

pub fn rows() -> Vec<Row> {
    let rows = TESTBEDS.iter().map(|subject| {
        let needs = [subject.need(), Need::Program("curl")];
        Row::new(format!("{}: curl makes a call and sees its trailers", subject.name()), &needs, |fixtures| {
            server::on(fixtures, *subject, |server| call(fixtures, server))
        })
    });
    let tonic = Row::new(
        "tonic_echo: curl makes a call and sees its trailers",
        &[Need::Example("tonic_echo"), Need::Program("curl")],
        |fixtures| call(fixtures, &tonic_echo(fixtures)?),
    );
    let calls =
        Row::new("tonic_echo: makes a call of each kind", &[Need::Example("tonic_echo")], |fixtures| {
            call_all(fixtures, &tonic_echo(fixtures)?)
        });
    rows.chain([tonic, calls]).collect()
}

/// tonic's service on our server.
pub fn tonic_echo(fixtures: &Fixtures) -> anyhow::Result<Server> {
    Server::start_listening(Command::new(fixtures.example("tonic_echo")?).args(["--h2c", "127.0.0.1:0"]))
}

/// Calls by tonic's client on our client.
fn call_all(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let mut caller = Command::new(fixtures.example("tonic_echo")?);
    let finished = process::run(caller.args(["--call", &server.url("")]), Duration::from_secs(60))?;
    let text = finished.into_text("tonic_echo")?;
    for expected in ["unary: hello", "collect: the line of fastest flow", "chat: flow"] {
        ensure!(text.lines().any(|line| line == expected), "not there: {expected}\n{text}");
    }
    Ok(())
}

fn call(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let message = b"\0\0\0\0\x06\0\0\0\x02ab";
    let expected = b"\0\0\0\0\x06\0\0\0\0ab\0\0\0\0\x06\0\0\0\x01ab";
    let file = fixtures.received();
    fs::write(&file, message)?;
    let mut command = curl(&["--fail", "--header", "content-type: application/grpc", "--dump-header"]);
    let fields = fixtures.root().with_file_name("fields");
    command.arg(&fields).arg("--data-binary").arg(format!("@{}", file.display()));
    let finished = process::run(command.arg(server.url("/echo.Echo/Stream")), Duration::from_secs(60))?;
    ensure!(finished.is_success(), "curl: {}", finished.outcome());
    fixtures::compare(&finished.stdout, expected)?;
    let fields = fs::read_to_string(fields)?;
    let (head, trailers) = fields.split_once("\r\n\r\n").unwrap_or((&fields, ""));
    ensure!(head.contains("content-type: application/grpc"), "the head is {head:?}");
    ensure!(trailers.trim() == "grpc-status: 0", "the trailers are {trailers:?}");
    Ok(())
}
