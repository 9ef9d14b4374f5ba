//! How connections to our servers start: by Upgrade, over TLS, and in ways that are refused with a
//! clear message.

use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use super::fixtures::{self, BYTES_PATH, Fixtures, PAGE, PAGE_PATH};
use super::server::{self, Server, Subject};
use super::{Need, Row};
use crate::process;

const LIMIT: Duration = Duration::from_secs(60);

pub fn rows() -> Vec<Row> {
    server::OURS
        .iter()
        .zip(["get", "blocking_get"])
        .flat_map(|(subject, client)| rows_of(*subject, client))
        .chain(upgrades_of_ours())
        .collect()
}

/// Returns the rows of the example that starts with HTTP/1.1, since nghttpd accepts no Upgrade.
fn upgrades_of_ours() -> Vec<Row> {
    let row = |subject: Subject, what: &str, check: fn(&Fixtures, &Server) -> anyhow::Result<()>| {
        let needs = [Need::Example("h2c_upgrade"), subject.need()];
        Row::new(format!("h2c_upgrade: {what} {}", subject.name()), &needs, move |fixtures| {
            server::on(fixtures, subject, |server| check(fixtures, server))
        })
    };
    let mut rows: Vec<Row> =
        server::OURS.iter().map(|subject| row(*subject, "switches, and gets bytes from", switches)).collect();
    rows.push(row(Subject::Nghttpd, "is not upgraded, and reports it, by", is_not_switched));
    rows
}

fn switches(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let mut program = Command::new(fixtures.example("h2c_upgrade")?);
    let finished = process::run(program.arg(server.url(BYTES_PATH)), LIMIT)?;
    let reported = String::from_utf8_lossy(&finished.stderr);
    ensure!(
        finished.is_success() && reported == "the server switches to HTTP/2\n200\n",
        "it prints {reported:?}"
    );
    fixtures::compare(&finished.stdout, &fixtures::contract_bytes(1_000_000, 7))
}

fn is_not_switched(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let mut program = Command::new(fixtures.example("h2c_upgrade")?);
    let finished = process::run(program.arg(server.url(PAGE_PATH)), LIMIT)?;
    let reported = String::from_utf8_lossy(&finished.stderr);
    ensure!(!finished.is_success() && finished.stdout.is_empty(), "it succeeds");
    ensure!(
        reported.starts_with("h2c_upgrade: ") && reported.contains("http/2 without an upgrade"),
        "it prints {reported:?}"
    );
    Ok(())
}

fn rows_of(subject: Subject, client: &'static str) -> Vec<Row> {
    let name = subject.name();
    let cleartext = |what: &str, check: fn(&Fixtures, &Server) -> anyhow::Result<()>| {
        Row::new(format!("{name}: {what}"), &[subject.need(), Need::Program("curl")], move |fixtures| {
            server::on(fixtures, subject, |server| check(fixtures, server))
        })
    };
    let tls = |what: &str, need: Need, check: fn(&Fixtures, &Server, &str) -> anyhow::Result<()>| {
        Row::new(format!("{name} --tls: {what}"), &[subject.need(), need], move |fixtures| {
            let mut command = subject.example_command(fixtures, "127.0.0.1:0")?;
            check(fixtures, &Server::start_listening(command.arg("--tls"))?, client)
        })
    };
    let (curl, own) = (Need::Program("curl"), Need::Example(client));
    vec![
        cleartext("curl upgrades from HTTP/1.1", upgrade),
        cleartext("curl with HTTP/1.1 gets the response to upgrade", http_1),
        tls("curl gets a page by ALPN", curl, alpn),
        tls("curl without h2 is refused", curl, no_h2),
        tls(&format!("{client} gets bytes by contract"), own, own_client),
        tls(&format!("{client} does not trust a strange certificate"), own, distrust),
    ]
}

/// Returns what curl gets, and over which version with which status.
fn fetch(url: &str, arguments: &[&str]) -> anyhow::Result<(String, Vec<u8>)> {
    let mut command = Command::new("curl");
    command.args(["--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "30"]);
    command.args(["--write-out", "%{stderr}%{http_version} %{response_code}"]).args(arguments).arg(url);
    let finished = process::run(&mut command, LIMIT)?;
    Ok((String::from_utf8_lossy(&finished.stderr).into_owned(), finished.stdout))
}

fn expect(reported: &str, expected: &str) -> anyhow::Result<()> {
    ensure!(reported == expected, "curl prints {reported:?}, expected {expected:?}");
    Ok(())
}

fn upgrade(_: &Fixtures, server: &Server) -> anyhow::Result<()> {
    // The second request uses the connection that the first one upgraded.
    let page = server.url(PAGE_PATH);
    let (reported, body) = fetch(&page, &["--http2", &page])?;
    expect(&reported, "2 2002 200")?;
    fixtures::compare(&body, PAGE.repeat(2).as_bytes())
}

fn http_1(_: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let (reported, body) = fetch(&server.url(PAGE_PATH), &["--http1.1"])?;
    expect(&reported, "1.1 426")?;
    let body = String::from_utf8_lossy(&body);
    ensure!(body.contains("HTTP/2"), "the response does not name the protocol: {body:?}");
    Ok(())
}

fn secure(server: &Server, path: &str) -> String {
    format!("https://{}{path}", server.address)
}

fn alpn(_: &Fixtures, server: &Server, _: &str) -> anyhow::Result<()> {
    let (reported, body) = fetch(&secure(server, PAGE_PATH), &["--insecure"])?;
    expect(&reported, "2 200")?;
    fixtures::compare(&body, PAGE.as_bytes())
}

fn no_h2(_: &Fixtures, server: &Server, _: &str) -> anyhow::Result<()> {
    let url = secure(server, PAGE_PATH);
    let (reported, _) = fetch(&url, &["--insecure", "--no-alpn"])?;
    expect(&reported, "1.1 505")?;
    let (reported, _) = fetch(&url, &["--insecure", "--http1.1"])?;
    ensure!(reported.ends_with("0 000"), "the handshake should fail: {reported}");
    Ok(())
}

fn own_client(fixtures: &Fixtures, server: &Server, client: &str) -> anyhow::Result<()> {
    let mut get = Command::new(fixtures.example(client)?);
    let finished = process::run(get.args(["-k", &secure(server, BYTES_PATH)]), LIMIT)?;
    ensure!(finished.is_success(), "{client}: {}", String::from_utf8_lossy(&finished.stderr));
    fixtures::compare(&finished.stdout, &fixtures::contract_bytes(1_000_000, 7))
}

fn distrust(fixtures: &Fixtures, server: &Server, client: &str) -> anyhow::Result<()> {
    let mut get = Command::new(fixtures.example(client)?);
    let finished = process::run(get.arg(secure(server, PAGE_PATH)), LIMIT)?;
    let words = String::from_utf8_lossy(&finished.stderr);
    ensure!(!finished.is_success() && finished.stdout.is_empty(), "{client} trusts it");
    ensure!(words.contains("certificate"), "{client} does not name the reason: {words}");
    Ok(())
}
