//! How our servers end: on a connection that is not HTTP/2, on Ctrl-C, and on an invalid command
//! line.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::curl::curl;
use super::fixtures::{self, DOWNLOAD_PATH, Fixtures, PAGE, PAGE_PATH};
use super::server::{self, Server, Subject};
use super::{Need, Row};
use crate::process::{self, Group, collect};

/// The core's own timeouts (preface, SETTINGS acknowledgement) are ten seconds.
const END_LIMIT: Duration = Duration::from_secs(20);
/// Of a transfer that curl holds back for three seconds.
const TRANSFER_LIMIT: Duration = Duration::from_secs(130);

/// First bytes that are not HTTP/2, and whether the client then continues to read or closes.
const NONSENSE: &[(&str, &[u8], Shutdown)] = &[
    (
        "an HTTP/1.1 request",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        Shutdown::Read,
    ),
    ("a TLS hello", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", Shutdown::Read),
    ("a preface cut short", b"PRI * HTTP/2.0\r\n\r\nSM", Shutdown::Write),
    ("half a frame", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x06\x04", Shutdown::Write),
    (
        "DATA on stream 0",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\
                           \x00\x00\x00\x00\x00\x00\x00\x00\x00",
        Shutdown::Read,
    ),
    ("nothing at all", b"", Shutdown::Write),
];

pub fn rows(subject: Subject) -> Vec<Row> {
    let needs = [subject.need(), Need::Program("curl")];
    let name = |what: &str| format!("{}: {what}", subject.name());
    let nonsense = NONSENSE.iter().map(|(what, bytes, end)| {
        Row::new(name(&format!("ends the connection after {what}")), &needs, move |fixtures| {
            server::on(fixtures, subject, |server| ends_after(server, bytes, *end))
        })
    });
    let mut rows: Vec<Row> = nonsense.collect();
    if subject == Subject::Nghttpd {
        return rows;
    }
    rows.push(Row::new(name("logs requests and ends"), &needs, move |fixtures| {
        server::on(fixtures, subject, |server| log(server))
    }));
    rows.push(Row::new(name("ends at Ctrl-C"), &needs, move |fixtures| {
        server::to_the_end_of(fixtures, subject, interrupted_idle)
    }));
    rows.push(Row::new(name("ends at Ctrl-C after the transfer under way"), &needs, move |fixtures| {
        server::to_the_end_of(fixtures, subject, |server| interrupted_busy(fixtures, server))
    }));
    rows.push(Row::new(name("reports that the port is in use"), &needs[..1], move |fixtures| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        refuses(&mut subject.example_command(fixtures, &address)?)
    }));
    rows.push(Row::new(name("reports that the root is missing"), &needs[..1], move |fixtures| {
        let mut command = Command::new(fixtures.example(subject.name())?);
        refuses(command.args(["--h2c", "127.0.0.1:0", "--root"]).arg(fixtures.root().join("no-such-folder")))
    }));
    rows.push(Row::new(name("reports that an argument is wrong"), &needs[..1], move |fixtures| {
        refuses_argument(&mut subject.example_command(fixtures, "nonsense")?)
    }));
    rows
}

fn ends_after(server: &Server, bytes: &[u8], end: Shutdown) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(server.address)?;
    stream.set_read_timeout(Some(END_LIMIT))?;
    stream.write_all(bytes)?;
    if end == Shutdown::Write {
        stream.shutdown(Shutdown::Write)?;
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // The server may have closed before it read everything: then TCP resets the connection.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error).context("the connection does not end"),
    }
    get_page(server).context("afterwards")
}

fn get_page(server: &Server) -> anyhow::Result<()> {
    let page = process::run(curl(&["--fail"]).arg(server.url(PAGE_PATH)), Duration::from_secs(60))?;
    fixtures::compare(page.into_text("curl")?.as_bytes(), PAGE.as_bytes())
}

fn log(server: &Server) -> anyhow::Result<()> {
    let before = server.output().len();
    get_page(server)?;
    // The server detects the end of the connection after curl has exited.
    for _ in 0..100 {
        let output = server.output();
        let new = &output[before.min(output.len())..];
        if new.len() >= 2 && new.iter().any(|line| line.contains(PAGE_PATH)) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("no line for the request and none for the end of the connection");
}

fn interrupted_idle(server: &mut Server) -> anyhow::Result<()> {
    get_page(server)?;
    server.interrupt()?;
    ends_well(server)
}

fn interrupted_busy(fixtures: &Fixtures, server: &mut Server) -> anyhow::Result<()> {
    let rate = (fixtures.load.download_bytes / 3).to_string();
    let mut command = curl(&["--fail", "--limit-rate", &rate]);
    command.args(["--no-buffer"]).arg(server.url(DOWNLOAD_PATH));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut transfer = Group::spawn_with_input(&mut command, Stdio::null())?;
    let (_, stdout, stderr) = transfer.pipes();
    let content = collect(stdout.context("a pipe was asked for")?);
    let errors = collect(stderr.context("a pipe was asked for")?);
    let mut received = content.recv_timeout(TRANSFER_LIMIT).context("the transfer does not begin")?;
    let expected = std::fs::read(fixtures.root().join("download.bin"))?;
    ensure!(received.len() < expected.len(), "the transfer ended too early to be interrupted");
    server.interrupt()?;
    // It ends with curl, which is ended with its group.
    while let Ok(piece) = content.recv_timeout(TRANSFER_LIMIT) {
        received.extend(piece);
    }
    let status = transfer.wait(TRANSFER_LIMIT)?.context("curl does not end")?;
    let errors: Vec<u8> = errors.iter().flatten().collect();
    ensure!(status.success(), "curl: {status}: {}", String::from_utf8_lossy(&errors));
    fixtures::compare(&received, &expected)?;
    ends_well(server)
}

fn ends_well(server: &mut Server) -> anyhow::Result<()> {
    let status = server.wait(END_LIMIT)?.context("it still runs")?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// Expects one line of output, and an exit status other than 0.
fn refuses(command: &mut Command) -> anyhow::Result<()> {
    let (code, words) = failure(command)?;
    ensure!(code != 0, "exit code 0: {words}");
    ensure!(words.lines().count() == 1, "not one line: {words:?}");
    Ok(())
}

/// Checks the output of the argument parser: the mistake in the first line, and the status of a
/// wrong usage.
fn refuses_argument(command: &mut Command) -> anyhow::Result<()> {
    let (code, words) = failure(command)?;
    ensure!(code == 2, "exit code {code}: {words}");
    let first = words.lines().next().unwrap_or_default();
    ensure!(first.starts_with("error: ") && first.contains("'nonsense'"), "not named: {words:?}");
    Ok(())
}

/// The exit code of a program that fails at once, and what it prints.
fn failure(command: &mut Command) -> anyhow::Result<(i32, String)> {
    let finished = process::run(command, END_LIMIT)?;
    let words = String::from_utf8_lossy(&finished.stderr).into_owned();
    let code = finished.status.and_then(|status| status.code());
    let code = code.with_context(|| format!("{}: {words}", finished.outcome()))?;
    ensure!(!words.contains("panicked"), "it panics: {words}");
    Ok((code, words))
}
