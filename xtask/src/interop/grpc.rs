//! gRPC, the protocol, without its libraries: a call by curl.

use std::fs;
use std::time::Duration;

use anyhow::ensure;

use super::curl::curl;
use super::lab::{self, Lab};
use super::server::{self, Server, Subject};
use super::{Need, Row};
use crate::process;

/// The servers of `/echo.Echo/Unary` and `/echo.Echo/Stream`.
pub const TESTBEDS: &[Subject] = &[Subject::Example("testbed"), Subject::Example("blocking_testbed")];

pub fn rows() -> Vec<Row> {
    let rows = TESTBEDS.iter().map(|subject| {
        let needs = [subject.need(), Need::Program("curl")];
        Row::new(format!("{}: curl makes a call and sees its trailers", subject.name()), &needs, |lab| {
            server::on(lab, *subject, |server| call(lab, server))
        })
    });
    rows.collect()
}

fn call(lab: &Lab, server: &Server) -> anyhow::Result<()> {
    let message = b"\0\0\0\0\x06\0\0\0\x02ab";
    let expected = b"\0\0\0\0\x06\0\0\0\0ab\0\0\0\0\x06\0\0\0\x01ab";
    let file = lab.received();
    fs::write(&file, message)?;
    let mut command = curl(&["--fail", "--header", "content-type: application/grpc", "--dump-header"]);
    let fields = lab.root().with_file_name("fields");
    command.arg(&fields).arg("--data-binary").arg(format!("@{}", file.display()));
    let finished = process::run(command.arg(server.url("/echo.Echo/Stream")), Duration::from_secs(60))?;
    ensure!(finished.is_success(), "curl: {}", finished.outcome());
    lab::compare(&finished.stdout, expected)?;
    let fields = fs::read_to_string(fields)?;
    let (head, trailers) = fields.split_once("\r\n\r\n").unwrap_or((&fields, ""));
    ensure!(head.contains("content-type: application/grpc"), "the head is {head:?}");
    ensure!(trailers.trim() == "grpc-status: 0", "the trailers are {trailers:?}");
    Ok(())
}
