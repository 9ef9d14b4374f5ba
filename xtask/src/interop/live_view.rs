//! The live view of `serve`, as Chromium and curl see it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context as _, ensure};
use serde_json::json;
use thalweg::{Client, Config, Connection, Request};

use super::chromium::{self, Browser};
use super::fixtures::{self, BYTES_PATH, Fixtures};
use super::server::{Server, Subject};
use super::{Need, Row};
use crate::process;

const SERVE: Subject = Subject::Example("serve");
/// Where the screenshots stay.
const SCREENSHOTS: &str = "target/xtask";
/// The window of the client that does not read, bytes.
const SMALL_WINDOW: u32 = 20_000;

pub fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "serve --inspect: Chromium sees what a stuck stream waits for, and how it ends",
            &[SERVE.need(), chromium::NEED],
            |fixtures| on_view(fixtures, &[], stuck_stream),
        ),
        Row::new(
            "serve --tls --inspect: Chromium gets the view over HTTP/2",
            &[SERVE.need(), Need::Example("get"), chromium::NEED],
            |fixtures| on_view(fixtures, &["--tls"], over_tls),
        ),
        Row::new(
            "serve --inspect: curl gets the view over both versions, and not by a strange name",
            &[SERVE.need(), Need::Program("curl")],
            |fixtures| on_view(fixtures, &[], |_, _, view| with_curl(view)),
        ),
    ]
}

/// Starts `serve` with a view, and passes its server and the URL of its view to a check.
fn on_view(
    fixtures: &Fixtures,
    arguments: &[&str],
    check: impl FnOnce(&Fixtures, &Server, &str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut command = SERVE.example_command(fixtures, "127.0.0.1:0")?;
    let server = Server::start_listening(command.args(["--inspect", "127.0.0.1:0"]).args(arguments))?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let output = server.output();
        if let Some(url) = output.iter().find_map(|line| line.strip_prefix("live view on ")) {
            return check(fixtures, &server, url);
        }
        ensure!(Instant::now() < deadline, "serve does not print the address of its view");
        thread::sleep(Duration::from_millis(20));
    }
}

fn stuck_stream(fixtures: &Fixtures, server: &Server, view: &str) -> anyhow::Result<()> {
    chromium::on_page(fixtures, |page| {
        page.open(view)?;
        page.until("document.body.dataset.ticks > 1 && !document.getElementById('empty').hidden")?;
        let stuck = stuck_client(server)?;
        page.until(r#"document.querySelectorAll("[data-connection]").length == 1"#)?;
        let waits = r#"document.querySelector("[data-waits='1'] .why")?.textContent"#;
        page.until(&format!("{waits}?.includes('opens no window on this stream: we may send 0 B')"))?;
        for picture in ["#timeline [data-stream='1'] .bar.blocked", "#send path", "#receive path"] {
            page.until(&format!("document.querySelector({})", json!(picture)))?;
        }
        page.until("document.querySelector('#live [data-stream]').innerText.includes('GET /bytes/1000000')")?;
        page.until("document.getElementById('frames').innerText.includes(':status: 200')")?;
        // It updates by itself.
        let time = r#"document.querySelector("[data-waits='1'] .time").textContent"#;
        let before = page.evaluate(time)?;
        page.until(&format!("{time} != {before}"))?;
        screenshot(page, "live-view.png")?;
        drop(stuck);
        page.until(r#"document.querySelectorAll("[data-connection]").length == 0"#)?;
        page.until("document.getElementById('ended').innerText.includes('1 streams, 0 completed')")
    })
}

/// Returns a client that requests a megabyte and reads little of it.
fn stuck_client(server: &Server) -> anyhow::Result<TcpStream> {
    let mut config = Config::default();
    config.stream_window_bytes = SMALL_WINDOW;
    let mut client = Connection::<Client>::new(config)?;
    let mut socket = TcpStream::connect(server.address)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let authority = server.address.to_string();
    client.send_request(&Request::get("http", &authority, BYTES_PATH), [], true)?;
    let (mut out, mut buf) = (Vec::new(), [0; 4096]);
    loop {
        while client.poll_transmit(&mut out) {
            socket.write_all(&out)?;
            out.clear();
        }
        let len = match socket.read(&mut buf) {
            Ok(len) => len,
            // Everything that the window allows was received.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(socket);
            }
            Err(error) => return Err(error.into()),
        };
        ensure!(len > 0, "serve ends the connection");
        let mut input = &buf[..len];
        while client.receive(&mut input, thalweg::Instant::ZERO)?.is_some() {}
    }
}

fn over_tls(fixtures: &Fixtures, server: &Server, view: &str) -> anyhow::Result<()> {
    chromium::on_page(fixtures, |page| {
        page.open(view)?;
        let version = page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")?;
        ensure!(version == "h2", "the page came over {version}");
        page.until("document.body.dataset.ticks > 1")?;
        let mut get = Command::new(fixtures.example("get")?);
        let url = format!("https://{}{BYTES_PATH}", server.address);
        let got = process::run(get.args(["-k", &url]), Duration::from_secs(60))?;
        fixtures::compare(&got.stdout, &fixtures::contract_bytes(1_000_000, 7))?;
        page.until("document.getElementById('ended').innerText.includes('1 streams, 1 completed')")
    })
}

fn with_curl(view: &str) -> anyhow::Result<()> {
    let reported = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--disable", "--silent", "--noproxy", "*", "--max-time", "30", "--output", "-"]);
        command.args(["--write-out", "\n%{http_version} %{response_code}"]).args(arguments).arg(view);
        let finished = process::run(&mut command, Duration::from_secs(60))?;
        anyhow::Ok(String::from_utf8_lossy(&finished.stdout).into_owned())
    };
    for (version, expected) in [("--http1.1", "1.1 200"), ("--http2-prior-knowledge", "2 200")] {
        let text = reported(&[version])?;
        ensure!(
            text.contains("<title>Thalweg: live</title>") && text.ends_with(expected),
            "{version}: {text}"
        );
        let text = reported(&[version, "--header", "Host: elsewhere.example"])?;
        ensure!(!text.contains("<title>") && text.ends_with("421"), "{version}, by a strange name: {text}");
    }
    Ok(())
}

/// For a manual check.
fn screenshot(page: &mut Browser, name: &str) -> anyhow::Result<()> {
    let metrics = json!({ "width": 1400, "height": 1300, "deviceScaleFactor": 1, "mobile": false });
    page.call("Emulation.setDeviceMetricsOverride", &metrics)?;
    // So that the pictures have their new width.
    let ticks = page.evaluate("Number(document.body.dataset.ticks)")?;
    page.until(&format!("document.body.dataset.ticks > {ticks} + 2"))?;
    let picture = page.call("Page.captureScreenshot", &json!({ "format": "png" }))?;
    let picture = picture["data"].as_str().context("there is no picture")?;
    let picture = base64(picture).context("the picture is not in base64")?;
    ensure!(picture.starts_with(b"\x89PNG"), "the picture is no PNG");
    fs::write(format!("{SCREENSHOTS}/{name}"), picture)?;
    Ok(())
}

/// RFC 4648 §4.
fn base64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut word, mut bits) = (Vec::new(), 0u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        word = word << 6 | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_all_lengths_is_read() {
        // RFC 4648 §10.
        for (text, bytes) in [("", &b""[..]), ("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9vYmFy", b"foobar")] {
            assert_eq!(base64(text).as_deref(), Some(bytes));
        }
        assert_eq!(base64("Zm9v!"), None);
    }
}
