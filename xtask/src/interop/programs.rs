//! The examples that are neither a server nor a client of files.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::chromium;
use super::curl::curl;
use super::fixtures::{self, Fixtures, PAGE, PAGE_PATH};
use super::server::{self, Server, Subject};
use super::{Need, Row};
use crate::process;

/// Examples that run by themselves and end, and a line that they print when all went well.
const ALONE: &[(&str, &str)] = &[
    ("in_memory", "answer: the line of fastest flow... 520000 bytes"),
    ("no_std_loop", "the light is on"),
    ("websocket_tunnel", "both sides have ended the tunnel"),
];

/// Examples that serve `/bytes/N` on a loop of their own.
const LOOPS: &[&str] = &["blocking_loop", "epoll_loop", "driver_loop", "uring_loop"];

pub fn rows() -> Vec<Row> {
    let alone = ALONE.iter().map(|(name, expected)| {
        Row::new(format!("{name}: runs"), &[Need::Example(name)], move |fixtures| {
            runs(fixtures, name, expected)
        })
    });
    let frames = Row::new(
        "frames: shows what curl and nghttpd send",
        &[Need::Example("frames"), Need::Program("nghttpd"), Need::Program("curl")],
        |fixtures| server::on(fixtures, Subject::Nghttpd, |nghttpd| frames(fixtures, nghttpd)),
    );
    let loops = LOOPS.iter().map(|name| {
        let needs = [Need::Example(name), Need::Program("curl")];
        Row::new(format!("{name}: serves bytes"), &needs, move |fixtures| serves_bytes(fixtures, name))
    });
    let websocket = Row::new(
        "websocket_tunnel: Chromium's WebSocket over HTTP/2 receives its echo, text and 1 MB, and closes cleanly",
        &[Need::Example("websocket_tunnel"), chromium::NEED],
        chats,
    );
    alone.chain([frames, websocket]).chain(loops).collect()
}

/// A page of the example uses a WebSocket; the server speaks HTTP/2 only.
fn chats(fixtures: &Fixtures) -> anyhow::Result<()> {
    let mut command = Command::new(fixtures.example("websocket_tunnel")?);
    let server = Server::start_listening(command.args(["--serve", "127.0.0.1:0", "--tls"]))?;
    let received = chromium::on_page(fixtures, |page| {
        page.open(&format!("https://{}/", server.address))?;
        page.until("'done' in document.body.dataset")?;
        page.evaluate("Array.from(document.querySelectorAll('#received li'), (line) => line.textContent)")
    })?;
    let expected =
        json!(["the line", "of fastest flow", "1000000 bytes, each the same", "closed with 1000, cleanly"]);
    ensure!(received == expected, "the page receives {received:#}\nexpected {expected:#}");
    // The other end of the same chat.
    for _ in 0..100 {
        if server.output().iter().any(|line| line == "a chat has come to its end") {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("the server does not see the end: {:?}", server.output());
}

/// Servers on the core alone: their content is checked byte for byte.
fn serves_bytes(fixtures: &Fixtures, name: &str) -> anyhow::Result<()> {
    let server =
        Server::start_listening(Command::new(fixtures.example(name)?).args(["--h2c", "127.0.0.1:0"]))?;
    let url = server.url("/bytes/1000000?seed=7");
    let content = process::run(curl(&["--fail"]).arg(url), Duration::from_secs(60))?;
    ensure!(content.is_success(), "curl ended with {:?}", content.status);
    let expected: Vec<u8> = (0..1_000_000u64).map(|i| (7 * 131 + i * 7 + (i >> 8) * 13) as u8).collect();
    fixtures::compare(&content.stdout, &expected)
}

fn runs(fixtures: &Fixtures, name: &str, expected: &str) -> anyhow::Result<()> {
    let finished = process::run(&mut Command::new(fixtures.example(name)?), Duration::from_secs(60))?;
    let text = finished.into_text(name)?;
    ensure!(text.lines().any(|line| line == expected), "not there: {expected}\n{text}");
    Ok(())
}

fn frames(fixtures: &Fixtures, nghttpd: &Server) -> anyhow::Result<()> {
    let mut command = Command::new(fixtures.example("frames")?);
    let relay = Server::start_listening(command.arg("127.0.0.1:0").arg(nghttpd.address.to_string()))?;
    let page = process::run(curl(&["--fail"]).arg(relay.url(PAGE_PATH)), Duration::from_secs(60))?;
    fixtures::compare(page.into_text("curl")?.as_bytes(), PAGE.as_bytes()).context("through frames")?;
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
