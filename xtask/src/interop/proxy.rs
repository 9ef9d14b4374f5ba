//! The proxy between external programs: what it forwards, what it buffers, and its response to an
//! origin that dies.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::curl::curl;
use super::fixtures::{self, BYTES_PATH, DOWNLOAD_PATH, Fixtures, PAGE, PAGE_PATH};
use super::server::{self, Server, Subject};
use super::{Need, Row};
use crate::external_tools;
use crate::process::{self, Group};

const PROXY: Need = Need::Example("proxy");
const CURL: Need = Need::Program("curl");
const LIMIT: Duration = Duration::from_secs(120);
/// More than both sides together could buffer, bytes.
const ENDLESS: &str = "/bytes/1000000000?seed=3";
/// The rate of a client that reads almost nothing, bytes per second.
const SLOW: &str = "20000";
/// How much more resident memory the proxy may have with slow clients, bytes: windows and buffers
/// of two connections for each.
const HELD_MAX: u64 = 8 << 20;
const SLOW_CLIENTS: usize = 3;

/// Origins of other people.
const ORIGINS: &[Subject] = &[Subject::Node, Subject::Go, Subject::Nghttpd];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for origin in [Subject::Example("serve")].iter().chain(ORIGINS) {
        let name = format!(
            "proxy: curl gets a page, a large file and bytes, and receives its echo, from {}",
            origin.name()
        );
        rows.push(Row::new(name, &[PROXY, CURL, origin.need()], |fixtures| {
            server::on(fixtures, *origin, |running| passes(fixtures, running))
        }));
    }
    let needs = [PROXY, CURL, Need::Example("serve")];
    rows.push(Row::new(
        "proxy: slow clients do not make it hold what they do not take",
        &needs,
        |fixtures| server::on(fixtures, Subject::Example("serve"), |origin| slow_clients(fixtures, origin)),
    ));
    let needs = [PROXY, CURL, Need::Python("h2")];
    for (behaviour, what) in [
        ("reset_midway", "an origin that resets midway is a reset, not a short body"),
        ("dies_midway", "an origin that dies midway is a reset, not a short body"),
    ] {
        rows.push(Row::new(format!("proxy: {what}"), &needs, move |fixtures| dies(fixtures, behaviour)));
    }
    let needs = [PROXY, Need::Program("nghttp"), Need::Python("h2")];
    rows.push(Row::new("proxy: an origin that refuses the stream is a reset with its code", &needs, refuses));
    rows.push(Row::new("proxy: an origin without a server is status 502", &[PROXY, CURL], origin_missing));
    rows
}

fn start(fixtures: &Fixtures, origin: &str) -> anyhow::Result<Server> {
    let mut command = Command::new(fixtures.example("proxy")?);
    Server::start_listening(command.args(["--h2c", "127.0.0.1:0", "--to", origin]))
}

fn passes(fixtures: &Fixtures, origin: &Server) -> anyhow::Result<()> {
    let proxy = start(fixtures, &origin.address.to_string())?;
    for (path, expected) in [
        (PAGE_PATH, PAGE.as_bytes().to_vec()),
        (DOWNLOAD_PATH, fs::read(fixtures.root().join("download.bin"))?),
        (BYTES_PATH, fixtures::contract_bytes(1_000_000, 7)),
    ] {
        let finished = process::run(curl(&["--fail"]).arg(proxy.url(path)), LIMIT)?;
        ensure!(finished.is_success(), "{path}: {}", String::from_utf8_lossy(&finished.stderr));
        fixtures::compare(&finished.stdout, &expected).context(path)?;
    }
    let upload = format!("@{}", fixtures.upload().display());
    let echo = process::run(curl(&["--fail", "--data-binary", &upload]).arg(proxy.url("/echo")), LIMIT)?;
    ensure!(echo.is_success(), "curl: {}", String::from_utf8_lossy(&echo.stderr));
    fixtures::compare(&echo.stdout, &fs::read(fixtures.upload())?)
}

/// An origin that could send a gigabyte in seconds, and clients that do not take it.
fn slow_clients(fixtures: &Fixtures, origin: &Server) -> anyhow::Result<()> {
    let proxy = start(fixtures, &origin.address.to_string())?;
    // Memory that the first transfer allocates for the process does not count.
    ensure!(process::run(curl(&["--fail"]).arg(proxy.url(BYTES_PATH)), LIMIT)?.is_success(), "no transfer");
    let before = proxy.resident_bytes()?;
    let mut clients = Vec::new();
    for _ in 0..SLOW_CLIENTS {
        let mut command = curl(&["--fail", "--limit-rate", SLOW, "--output", "/dev/null"]);
        command.arg(proxy.url(ENDLESS)).stdout(Stdio::null()).stderr(Stdio::null());
        clients.push(Group::spawn(&mut command)?);
    }
    thread::sleep(Duration::from_secs(3));
    let held = proxy.resident_bytes()?.saturating_sub(before);
    for client in &mut clients {
        ensure!(client.wait(Duration::ZERO)?.is_none(), "a client has come to an end");
    }
    ensure!(
        held < HELD_MAX,
        "the proxy holds {held} bytes more than before, at most {HELD_MAX} are expected"
    );
    fixtures.note(format!(
        "{} KiB more resident memory with {SLOW_CLIENTS} slow clients of a gigabyte each",
        held >> 10
    ));
    drop(clients);
    let page = process::run(curl(&["--fail"]).arg(proxy.url(PAGE_PATH)), LIMIT)?.into_text("curl")?;
    fixtures::compare(page.as_bytes(), PAGE.as_bytes()).context("afterwards")
}

/// The origin dies after status 200 and content: curl must report an error.
fn dies(fixtures: &Fixtures, behaviour: &str) -> anyhow::Result<()> {
    let origin = Server::start_listening(external_tools::python_script("h2_server.py")?.arg(behaviour))?;
    let proxy = start(fixtures, &origin.address.to_string())?;
    let finished = process::run(curl(&[]).arg(proxy.url("/")), LIMIT)?;
    let words = String::from_utf8_lossy(&finished.stderr);
    ensure!(!finished.is_success(), "curl takes {} bytes for all", finished.stdout.len());
    ensure!(words.contains("not closed cleanly: "), "no reset: {words}");
    ensure!(finished.stdout.len() <= 50_000, "{} bytes came", finished.stdout.len());
    Ok(())
}

fn refuses(fixtures: &Fixtures) -> anyhow::Result<()> {
    let origin = Server::start_listening(external_tools::python_script("h2_server.py")?.arg("refused"))?;
    let proxy = start(fixtures, &origin.address.to_string())?;
    // curl would try again by itself.
    let mut nghttp = Command::new("nghttp");
    let finished = process::run_merged(nghttp.args(["--verbose"]).arg(proxy.url("/")), LIMIT)?;
    let words = String::from_utf8_lossy(&finished.stdout);
    let reset = words.lines().skip_while(|line| !line.contains("recv RST_STREAM frame")).nth(1);
    ensure!(reset.is_some_and(|code| code.contains("REFUSED_STREAM")), "nghttp prints {words}");
    Ok(())
}

fn origin_missing(fixtures: &Fixtures) -> anyhow::Result<()> {
    // The port was free a moment ago.
    let gone = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let proxy = start(fixtures, &gone.to_string())?;
    let mut command = curl(&["--write-out", "%{response_code}", "--output", "/dev/null"]);
    let reported = process::run(command.arg(proxy.url("/")), LIMIT)?.into_text("curl")?;
    ensure!(reported == "502", "status {reported}");
    Ok(())
}
