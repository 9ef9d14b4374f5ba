//! Our clients against a server with rare behaviour: h2 with a script of ours.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::fixtures::{self, Fixtures};
use super::server::Server;
use super::{Need, Row};
use crate::{external_tools, process};

const CLIENTS: &[&str] = &["get", "blocking_get"];
const LIMIT: Duration = Duration::from_secs(60);
/// What the script prints if the client behaves as expected.
const WELL: &str = "well";

/// The expected result of the request.
#[derive(Clone, Copy)]
enum Expectation {
    /// All content arrives.
    Whole,
    /// The client fails, with this text in its one line of output.
    Failed(&'static str),
}

/// What the server does, as the script's argument and as text, and the expected result.
const BEHAVIOURS: &[(&str, &str, Expectation)] = &[
    ("informational", "sends 103 before the response and trailers behind it", Expectation::Whole),
    ("bytes_one_by_one", "sends each byte by itself", Expectation::Whole),
    ("padding", "pads its content", Expectation::Whole),
    ("pings", "sends PINGs between content, and waits for their answers", Expectation::Whole),
    ("settings_change", "takes the compression table away and gives it back", Expectation::Whole),
    ("goaway_midway", "sends GOAWAY within a response and completes it", Expectation::Whole),
    ("reset_midway", "resets the stream within the response", Expectation::Failed("INTERNAL_ERROR")),
    ("refused", "refuses the stream", Expectation::Failed("REFUSED_STREAM")),
    ("goaway_at_once", "sends GOAWAY before it reads the request", Expectation::Failed("REFUSED_STREAM")),
    ("closed_midway", "closes within a response without GOAWAY", Expectation::Failed("too early")),
    ("too_short", "sends less than it has promised", Expectation::Failed("content-length")),
    ("window_overflow", "opens the window too far", Expectation::Failed("window")),
];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for client in CLIENTS {
        for (behaviour, what, outcome) in BEHAVIOURS {
            let name = match outcome {
                Expectation::Whole => format!("{client}: gets all from an h2 that {what}"),
                Expectation::Failed(_) => {
                    format!("{client}: fails with a clear message at an h2 that {what}")
                }
            };
            let needs = [Need::Example(client), Need::Python("h2")];
            rows.push(Row::new(name, &needs, move |fixtures| meet(fixtures, client, behaviour, *outcome)));
        }
    }
    rows
}

/// The row over TLS, with the files of a certificate and its key.
pub fn gets_all_over_tls(fixtures: &Fixtures, client: &str, identity: [&str; 2]) -> anyhow::Result<()> {
    let mut script = external_tools::python_script("h2_server.py")?;
    let server = Server::start_listening(script.arg("informational").args(identity))?;
    let url = format!("https://{}/", server.address);
    check(server, Command::new(fixtures.example(client)?).args(["-k", &url]), Expectation::Whole)
}

fn meet(fixtures: &Fixtures, client: &str, behaviour: &str, outcome: Expectation) -> anyhow::Result<()> {
    let server = Server::start_listening(external_tools::python_script("h2_server.py")?.arg(behaviour))?;
    let url = server.url("/");
    check(server, Command::new(fixtures.example(client)?).arg(url), outcome)
}

fn check(mut server: Server, client: &mut Command, outcome: Expectation) -> anyhow::Result<()> {
    let finished = process::run(client, LIMIT)?;
    let words = String::from_utf8_lossy(&finished.stderr);
    let judged = match outcome {
        Expectation::Whole if finished.is_success() => fixtures::compare(&finished.stdout, &content()),
        Expectation::Whole => Err(anyhow::anyhow!("{}: {words}", finished.outcome())),
        Expectation::Failed(expected) => {
            check_failure(finished.status.and_then(|status| status.code()), &words, expected)
        }
    };
    let end = server.wait(LIMIT)?.context("the script does not end")?;
    let reported = server.output().join("\n");
    judged.with_context(|| format!("the script prints:\n{reported}"))?;
    ensure!(end.success() && reported.ends_with(WELL), "the script: {end}, the client: {words}\n{reported}");
    Ok(())
}

/// Expects one line of output, and an exit status other than 0.
pub fn check_failure(code: Option<i32>, words: &str, expected: &str) -> anyhow::Result<()> {
    ensure!(code.is_some_and(|code| code != 0), "it does not fail: {code:?}, {words}");
    ensure!(words.lines().count() == 1 && !words.contains("panicked"), "not one clear line: {words:?}");
    ensure!(words.contains(expected), "{expected} is not in it: {words}");
    Ok(())
}

/// Returns what the script sends.
fn content() -> Vec<u8> {
    (0..100_000_u32).map(|i| (i * 7) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_one_clear_line() {
        assert!(check_failure(Some(1), "get: reset by INTERNAL_ERROR\n", "INTERNAL_ERROR").is_ok());
        for (code, words) in [
            (Some(0), "get: reset by INTERNAL_ERROR\n"),
            (None, "get: reset by INTERNAL_ERROR\n"),
            (Some(101), "thread 'main' panicked at INTERNAL_ERROR\n"),
            (Some(1), "get: INTERNAL_ERROR\nand more\n"),
            (Some(1), "get: something\n"),
            (Some(1), ""),
        ] {
            assert!(check_failure(code, words, "INTERNAL_ERROR").is_err(), "{code:?} {words}");
        }
    }
}
