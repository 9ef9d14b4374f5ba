//! axum's own `Router` on our server, in cleartext and over TLS: extractors, streams both ways,
//! events, a fallback.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::chromium;
use super::clients::{self, CLIENTS};
use super::curl::curl;
use super::fixtures::{self, Fixtures};
use super::server::Server;
use super::{Need, Row};
use crate::process::{self, Group, collect};

const APP: Need = Need::Example("axum_app");
const LIMIT: Duration = Duration::from_secs(60);

/// The name of a check in the scripts, and its result.
const CHECKS: &[(&str, &str)] = &[
    ("hello", "gets greetings by path and query, and 400 for a bad query"),
    ("sum", "gets the sum of numbers in JSON, and 400 for malformed JSON"),
    ("upper", "streams pieces up and receives them changed"),
    ("events", "receives three server-sent events in order and leaves; the next request is answered"),
    ("fallback", "gets the fallback's response for a missing path"),
];

type CurlCheck = fn(&App) -> anyhow::Result<()>;
const CURL_CHECKS: &[CurlCheck] = &[hello, sum, upper, events, fallback];

/// The result that the app's page shows on success.
const SEEN: &[&str] = &[
    r#"path and query: "hello, browser\nhello, browser\n""#,
    r#"json: {"sum":42}"#,
    "no json: 400",
    "stream: THE LINE OF FASTEST FLOW",
    "events: 0 1 2",
    r#"fallback: 404 "nothing at /no/such/page\n""#,
    "protocol: h2",
];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, tls) in [("axum_app", &[][..]), ("axum_app --tls", &["--tls"])] {
        for ((_, what), check) in CHECKS.iter().zip(CURL_CHECKS) {
            let needs = [APP, Need::Program("curl")];
            rows.push(Row::new(format!("{name}: curl {what}"), &needs, |fixtures| {
                check(&App::start(fixtures, tls)?)
            }));
        }
        for (client, (check, what)) in
            CLIENTS.iter().flat_map(|client| CHECKS.iter().map(move |c| (client, c)))
        {
            rows.push(Row::new(format!("{name}: {} {what}", client.name), &[APP, client.need], |fixtures| {
                let app = App::start(fixtures, tls)?;
                clients::make(&mut client.command(fixtures, check, &app.url(""))?)
            }));
        }
    }
    let what =
        "axum_app --tls: Chromium's fetch and EventSource see all of it by the app's own page, over h2";
    rows.push(Row::new(what, &[APP, chromium::NEED], |fixtures| {
        page(fixtures, &App::start(fixtures, &["--tls"])?)
    }));
    rows
}

struct App {
    server: Server,
    scheme: &'static str,
}

impl App {
    fn start(fixtures: &Fixtures, tls: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(fixtures.example("axum_app")?);
        let server = Server::start_listening(command.args(["--h2c", "127.0.0.1:0"]).args(tls))?;
        Ok(Self { server, scheme: if tls.is_empty() { "http" } else { "https" } })
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.server.address)
    }

    /// Returns the response that curl gets over HTTP/2, with its status.
    fn ask(&self, path: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = curl(&["--insecure", "--write-out", "%{http_version} %{response_code}"]);
        let reported = process::run(command.args(arguments).arg(self.url(path)), LIMIT)?.into_text("curl")?;
        let (text, status) =
            reported.rsplit_once("2 ").with_context(|| format!("not over HTTP/2: {reported:?}"))?;
        Ok(format!("{status} {text}"))
    }

    /// Runs curl, and returns its output piece by piece.
    fn stream(&self, path: &str, arguments: &[&str]) -> anyhow::Result<(Group, Receiver<Vec<u8>>)> {
        let mut command = curl(&["--insecure", "--no-buffer"]);
        command.args(arguments).arg(self.url(path)).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut group = Group::spawn_with_input(&mut command, Stdio::piped())?;
        let (stdin, stdout, _) = group.pipes();
        // curl reads its input only if the arguments make it upload.
        if let Some(mut stdin) = stdin.filter(|_| !arguments.is_empty()) {
            std::thread::spawn(move || {
                for number in 0..100 {
                    let written = stdin.write_all(format!("piece {number};").as_bytes());
                    if written.is_err() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        Ok((group, collect(stdout.context("a pipe was asked for")?)))
    }
}

fn same(reported: &str, expected: &str) -> anyhow::Result<()> {
    ensure!(reported == expected, "curl receives {reported:?}, expected {expected:?}");
    Ok(())
}

fn hello(app: &App) -> anyhow::Result<()> {
    same(&app.ask("/hello/curl?times=2", &[])?, "200 hello, curl\nhello, curl\n")?;
    let reported = app.ask("/hello/curl?times=x", &[])?;
    ensure!(reported.starts_with("400 "), "curl receives {reported:?}");
    Ok(())
}

fn sum(app: &App) -> anyhow::Result<()> {
    let ask = |numbers| app.ask("/sum", &["--header", "content-type: application/json", "--data", numbers]);
    same(&ask("[1, 2, 39]")?, r#"200 {"sum":42}"#)?;
    let reported = ask("[1, 2")?;
    ensure!(reported.starts_with("400 "), "curl receives {reported:?}");
    Ok(())
}

/// The first pieces of the echo arrive before the last were sent.
fn upper(app: &App) -> anyhow::Result<()> {
    let start = Instant::now();
    let (mut curl, pieces) = app.stream("/upper", &["--request", "POST", "--upload-file", "."])?;
    let mut received = pieces.recv_timeout(LIMIT).context("nothing comes back")?;
    ensure!(!received.ends_with(b"PIECE 99;"), "all came at once, after {:?}", start.elapsed());
    received.extend(pieces.iter().flatten());
    let expected: String = (0..100).map(|number| format!("PIECE {number};")).collect();
    fixtures::compare(&received, expected.as_bytes())?;
    let status = curl.wait(LIMIT)?;
    ensure!(status.is_some_and(|status| status.success()), "curl did not end well: {status:?}");
    Ok(())
}

fn events(app: &App) -> anyhow::Result<()> {
    let (curl, pieces) = app.stream("/ticks", &[])?;
    let expected = "event: tick\ndata: 0\n\nevent: tick\ndata: 1\n\nevent: tick\ndata: 2\n\n";
    let mut received = Vec::new();
    while received.len() < expected.len() {
        received.extend(pieces.recv_timeout(LIMIT).context("no more events")?);
    }
    fixtures::compare(&received[..expected.len()], expected.as_bytes())?;
    drop(curl);
    same(&app.ask("/hello/again", &[])?, "200 hello, again\n")
}

fn fallback(app: &App) -> anyhow::Result<()> {
    same(&app.ask("/no/such/page", &[])?, "404 nothing at /no/such/page\n")
}

fn page(fixtures: &Fixtures, app: &App) -> anyhow::Result<()> {
    let seen = chromium::on_page(fixtures, |page| {
        page.open(&app.url("/"))?;
        page.until("'done' in document.body.dataset")?;
        page.evaluate("Array.from(document.querySelectorAll('#seen li'), (line) => line.textContent)")
    })?;
    ensure!(seen == json!(SEEN), "the page shows {seen:#}\nexpected {:#}", json!(SEEN));
    Ok(())
}
