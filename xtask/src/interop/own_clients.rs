//! Our clients against nghttpd, Node, Go and our servers: `PROGRAM URL` writes the body to its
//! standard output.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use super::fixtures::{self, BYTES_PATH, DOWNLOAD_PATH, Fixtures, PAGE, PAGE_PATH};
use super::server::{self, OURS, Server, Subject};
use super::{Need, Row};
use crate::process;

const CLIENTS: &[&str] = &["get", "blocking_get"];
const EXTERNAL: &[Subject] = &[Subject::Nghttpd, Subject::Node, Subject::Go];
const LIMIT: Duration = Duration::from_secs(120);

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for client in CLIENTS {
        for subject in [EXTERNAL, OURS].concat() {
            rows.extend(rows_of(client, subject));
        }
        let refused = format!("{client}: reports that no server listens");
        rows.push(Row::new(refused, &[Need::Example(client)], move |fixtures| no_listener(fixtures, client)));
    }
    rows
}

fn rows_of(client: &'static str, subject: Subject) -> [Row; 3] {
    let row = |what: &str, check: fn(&Fixtures, &str, &Server) -> anyhow::Result<()>| {
        let needs = [Need::Example(client), subject.need()];
        Row::new(format!("{client}: gets {what} from {}", subject.name()), &needs, move |fixtures| {
            server::on(fixtures, subject, |server| check(fixtures, client, server))
        })
    };
    [
        row("a page", |fixtures, client, server| {
            fetch(fixtures, client, &server.url(PAGE_PATH), PAGE.as_bytes())
        }),
        row("a large file", |fixtures, client, server| {
            fetch(
                fixtures,
                client,
                &server.url(DOWNLOAD_PATH),
                &fs::read(fixtures.root().join("download.bin"))?,
            )
        }),
        row("bytes by contract", |fixtures, client, server| {
            fetch(fixtures, client, &server.url(BYTES_PATH), &fixtures::contract_bytes(1_000_000, 7))
        }),
    ]
}

fn fetch(fixtures: &Fixtures, client: &str, url: &str, expected: &[u8]) -> anyhow::Result<()> {
    let finished = process::run(Command::new(fixtures.example(client)?).arg(url), LIMIT)?;
    ensure!(
        finished.is_success(),
        "{client}: {}: {}",
        finished.outcome(),
        String::from_utf8_lossy(&finished.stderr)
    );
    fixtures::compare(&finished.stdout, expected)
}

fn no_listener(fixtures: &Fixtures, client: &str) -> anyhow::Result<()> {
    // The port was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let finished =
        process::run(Command::new(fixtures.example(client)?).arg(format!("http://{address}/")), LIMIT)?;
    let words = String::from_utf8_lossy(&finished.stderr);
    let code = finished.status.and_then(|status| status.code());
    ensure!(code.is_some_and(|code| code != 0), "{}: {words}", finished.outcome());
    ensure!(words.lines().count() == 1 && !words.contains("panicked"), "not one clear line: {words:?}");
    Ok(())
}
