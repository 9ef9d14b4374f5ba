//! curl with HTTP/2 from the first byte (prior knowledge).

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::fixtures::{self, BYTES_PATH, DOWNLOAD_PATH, Fixtures, PAGE, PAGE_PATH, SECRET};
use super::server::{self, Server, Subject};
use super::{Need, Row};
use crate::process::{self, Group, collect};

/// The time limit of one transfer. curl's own limit is a little shorter, since its message is
/// better.
const LIMIT: Duration = Duration::from_secs(130);
const CURL: &[&str] = &[
    "--disable",
    "--silent",
    "--show-error",
    "--noproxy",
    "*",
    "--http2-prior-knowledge",
    "--max-time",
    "120",
];

pub fn rows(subject: Subject) -> Vec<Row> {
    let row = |what: &str, check: fn(&Fixtures, &Server) -> anyhow::Result<()>| {
        let needs = [subject.need(), Need::Program("curl")];
        Row::new(format!("{}: curl {what}", subject.name()), &needs, move |fixtures| {
            server::on(fixtures, subject, |server| check(fixtures, server))
        })
    };
    let mut rows = vec![
        row("gets a page", page),
        row("gets a directory page", directory_page),
        row("gets a large file", large_file),
        row("asks for the head alone", head),
        row("gets 404 for a missing path", not_found),
        row("does not get out of the root", traversal),
        row("gets bytes by contract", bytes),
        row("receives the echo of an upload", echo),
    ];
    // nghttpd keeps an upload until its end, and makes no bytes.
    if subject != Subject::Nghttpd {
        rows.push(row("gets forty bodies at a time", parallel));
        rows.push(row("receives the echo before the upload ends", early_echo));
    }
    rows
}

/// Sizes of what is fetched side by side, bytes.
const PARALLEL_LENS: std::ops::Range<usize> = 40_000..40_040;
/// Of an upload that waits for its echo, a tenth of a second each.
const EARLY_PARTS_MAX: usize = 200;

/// A response as curl saw it.
struct Fetched {
    status: u16,
    content_type: String,
    content_len: String,
    body: Vec<u8>,
}

pub fn curl(arguments: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(CURL).args(arguments);
    command
}

/// One request over HTTP/2, whatever its status.
fn fetch(fixtures: &Fixtures, url: &str, arguments: &[&str]) -> anyhow::Result<Fetched> {
    let file = fixtures.received();
    // The file of an earlier row must not be taken for this one's.
    fs::write(&file, "")?;
    let mut command =
        curl(&["--write-out", "%{http_version}\n%{response_code}\n%{content_type}\n%header{content-length}"]);
    command.args(arguments).arg("--output").arg(&file).arg(url);
    let reported = process::run(&mut command, LIMIT)?.into_text("curl")?;
    let mut lines = reported.lines();
    let version = lines.next().unwrap_or_default();
    ensure!(version == "2", "{url} was answered over HTTP/{version}");
    let status = lines.next().unwrap_or_default().parse().context("curl prints no status")?;
    let mut line = || lines.next().unwrap_or_default().to_owned();
    Ok(Fetched { status, content_type: line(), content_len: line(), body: fs::read(&file)? })
}

fn expect_status(fetched: &Fetched, status: u16) -> anyhow::Result<()> {
    ensure!(fetched.status == status, "status {}, expected {status}", fetched.status);
    Ok(())
}

fn page(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let fetched = fetch(fixtures, &server.url(PAGE_PATH), &[])?;
    expect_status(&fetched, 200)?;
    fixtures::compare(&fetched.body, PAGE.as_bytes())?;
    ensure!(fetched.content_type.starts_with("text/html"), "content-type {:?}", fetched.content_type);
    Ok(())
}

fn directory_page(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let fetched = fetch(fixtures, &server.url("/"), &[])?;
    expect_status(&fetched, 200)?;
    let listing = String::from_utf8_lossy(&fetched.body);
    for name in ["page.html", "download.bin", "folder"] {
        ensure!(listing.contains(name), "the page does not name {name}: {listing}");
    }
    Ok(())
}

fn large_file(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let fetched = fetch(fixtures, &server.url(DOWNLOAD_PATH), &[])?;
    expect_status(&fetched, 200)?;
    fixtures::compare(&fetched.body, &fs::read(fixtures.root().join("download.bin"))?)
}

fn head(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let fetched = fetch(fixtures, &server.url(PAGE_PATH), &["--head"])?;
    expect_status(&fetched, 200)?;
    let len = PAGE.len().to_string();
    ensure!(fetched.content_len == len, "content-length {:?}, expected {len}", fetched.content_len);
    Ok(())
}

fn not_found(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let fetched = fetch(fixtures, &server.url("/no/such/page.html"), &[])?;
    expect_status(&fetched, 404)
}

fn traversal(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let paths = [
        "/../secret.txt",
        "/folder/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/folder/..%2f..%2fsecret.txt",
        "//../secret.txt",
        "/..%5csecret.txt",
        "/page.html%00/../../secret.txt",
    ];
    for path in paths {
        let fetched = fetch(fixtures, &server.url(path), &["--path-as-is"])?;
        ensure!((400..500).contains(&fetched.status), "{path} was answered with status {}", fetched.status);
        let body = String::from_utf8_lossy(&fetched.body);
        ensure!(!body.contains(SECRET), "{path} gave the secret away");
    }
    Ok(())
}

fn bytes(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let fetched = fetch(fixtures, &server.url(BYTES_PATH), &[])?;
    expect_status(&fetched, 200)?;
    ensure!(fetched.content_len == "1000000", "content-length {:?}", fetched.content_len);
    fixtures::compare(&fetched.body, &fixtures::contract_bytes(1_000_000, 7))
}

fn echo(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let upload = format!("@{}", fixtures.upload().display());
    let fetched = fetch(fixtures, &server.url("/echo"), &["--data-binary", &upload])?;
    expect_status(&fetched, 200)?;
    fixtures::compare(&fetched.body, &fs::read(fixtures.upload())?)
}

/// Makes parallel transfers, each on a connection: with prior knowledge curl 7.88 cannot share one,
/// with any server.
fn parallel(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let received = |len: usize| fixtures.received().with_file_name(format!("parallel-{len}"));
    for len in PARALLEL_LENS {
        // The file of an earlier row must not be taken for this one's.
        fs::write(received(len), "")?;
    }
    let mut command = curl(&["--parallel", "--parallel-immediate", "--parallel-max", "40"]);
    command.args(["--write-out", "%{http_version} %{response_code}\n"]);
    for len in PARALLEL_LENS {
        command.arg("--output").arg(received(len));
        command.arg(server.url(&format!("/bytes/{len}?seed=7")));
    }
    let reported = process::run(&mut command, LIMIT)?.into_text("curl")?;
    let mut answered = 0;
    for line in reported.lines() {
        ensure!(line == "2 200", "curl prints {line:?}");
        answered += 1;
    }
    ensure!(answered == PARALLEL_LENS.len(), "{answered} of {} were answered", PARALLEL_LENS.len());
    for len in PARALLEL_LENS {
        fixtures::compare(&fs::read(received(len))?, &fixtures::contract_bytes(len, 7))
            .with_context(|| format!("of {len} bytes"))?;
    }
    Ok(())
}

/// Uploads until the first of the echo arrives. The file `.` is standard input, read while the
/// answer comes; curl may look for the answer only when there is more to send, so there is more
/// until then.
fn early_echo(_fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let mut command = curl(&["--no-buffer", "--request", "POST", "--upload-file", "."]);
    command.arg(server.url("/echo")).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut group = Group::spawn_with_input(&mut command, Stdio::piped())?;
    let (stdin, stdout, _) = group.pipes();
    let mut stdin = stdin.context("a pipe was asked for")?;
    let echo = collect(stdout.context("a pipe was asked for")?);

    let mut sent = Vec::new();
    let mut received = Vec::new();
    for number in 0..EARLY_PARTS_MAX {
        let part = format!("part {number}\n");
        stdin.write_all(part.as_bytes()).context("curl does not read")?;
        sent.extend(part.into_bytes());
        if let Ok(piece) = echo.recv_timeout(Duration::from_millis(100)) {
            received.extend(piece);
            break;
        }
    }
    ensure!(!received.is_empty(), "no echo during the upload");
    drop(stdin);
    let status = group.wait(LIMIT)?;
    ensure!(status.is_some_and(|status| status.success()), "curl did not end well: {status:?}");
    received.extend(echo.iter().flatten());
    fixtures::compare(&received, &sent)
}
