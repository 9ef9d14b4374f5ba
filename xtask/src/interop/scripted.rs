//! Our clients against a server that does what few servers do: h2 with a script of ours.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::lab::{self, Lab};
use super::server::Server;
use super::{Need, Row};
use crate::{process, strangers};

const CLIENTS: &[&str] = &["get", "blocking_get"];
const LIMIT: Duration = Duration::from_secs(60);
/// What the script says when the client has behaved.
const WELL: &str = "well";

/// What becomes of the request.
#[derive(Clone, Copy)]
enum Outcome {
    /// All content comes.
    Whole,
    /// The client says in one line why it does not: it has this in it.
    Failed(&'static str),
}

/// What the server does, by the script's name for it and in words, and what becomes of the request.
const BEHAVIOURS: &[(&str, &str, Outcome)] = &[
    ("informational", "sends 103 before the response and trailers behind it", Outcome::Whole),
    ("bytes_one_by_one", "sends each byte by itself", Outcome::Whole),
    ("padding", "pads its content", Outcome::Whole),
    ("pings", "sends PINGs between content, and waits for their answers", Outcome::Whole),
    ("settings_change", "takes the compression table away and gives it back", Outcome::Whole),
    ("goaway_midway", "says GOAWAY within a response and goes on with it", Outcome::Whole),
    ("reset_midway", "resets the stream within the response", Outcome::Failed("INTERNAL_ERROR")),
    ("refused", "refuses the stream", Outcome::Failed("REFUSED_STREAM")),
    ("goaway_at_once", "says GOAWAY before it looks at the request", Outcome::Failed("REFUSED_STREAM")),
    ("closed_midway", "closes within a response without a word", Outcome::Failed("too early")),
    ("too_short", "sends less than it has promised", Outcome::Failed("content-length")),
    ("window_overflow", "opens the window too far", Outcome::Failed("window")),
];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for client in CLIENTS {
        for (behaviour, what, outcome) in BEHAVIOURS {
            let name = match outcome {
                Outcome::Whole => format!("{client}: gets all from an h2 that {what}"),
                Outcome::Failed(_) => format!("{client}: fails with a clear word at an h2 that {what}"),
            };
            let needs = [Need::Example(client), Need::Python("h2")];
            rows.push(Row::new(name, &needs, move |lab| meet(lab, client, behaviour, *outcome)));
        }
    }
    rows
}

/// The same over TLS, with the files of a certificate and its key.
pub fn gets_all_over_tls(lab: &Lab, client: &str, identity: [&str; 2]) -> anyhow::Result<()> {
    let mut script = strangers::python_script("h2_server.py")?;
    let server = Server::start_listening(script.arg("informational").args(identity))?;
    let url = format!("https://{}/", server.address);
    judge(server, Command::new(lab.example(client)?).args(["-k", &url]), Outcome::Whole)
}

fn meet(lab: &Lab, client: &str, behaviour: &str, outcome: Outcome) -> anyhow::Result<()> {
    let server = Server::start_listening(strangers::python_script("h2_server.py")?.arg(behaviour))?;
    let url = server.url("/");
    judge(server, Command::new(lab.example(client)?).arg(url), outcome)
}

fn judge(mut server: Server, client: &mut Command, outcome: Outcome) -> anyhow::Result<()> {
    let finished = process::run(client, LIMIT)?;
    let words = String::from_utf8_lossy(&finished.stderr);
    let judged = match outcome {
        Outcome::Whole if finished.is_success() => lab::compare(&finished.stdout, &content()),
        Outcome::Whole => Err(anyhow::anyhow!("{}: {words}", finished.outcome())),
        Outcome::Failed(expected) => {
            judge_failure(finished.status.and_then(|status| status.code()), &words, expected)
        }
    };
    let end = server.wait(LIMIT)?.context("the script does not end")?;
    let told = server.output().join("\n");
    judged.with_context(|| format!("the script says:\n{told}"))?;
    ensure!(end.success() && told.ends_with(WELL), "the script: {end}, the client: {words}\n{told}");
    Ok(())
}

/// One clear line, and a status that says no.
pub fn judge_failure(code: Option<i32>, words: &str, expected: &str) -> anyhow::Result<()> {
    ensure!(code.is_some_and(|code| code != 0), "it does not fail: {code:?}, {words}");
    ensure!(words.lines().count() == 1 && !words.contains("panicked"), "not one clear line: {words:?}");
    ensure!(words.contains(expected), "{expected} is not in it: {words}");
    Ok(())
}

/// What the script sends.
fn content() -> Vec<u8> {
    (0..100_000_u32).map(|i| (i * 7) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_one_clear_line() {
        assert!(judge_failure(Some(1), "get: reset by INTERNAL_ERROR\n", "INTERNAL_ERROR").is_ok());
        for (code, words) in [
            (Some(0), "get: reset by INTERNAL_ERROR\n"),
            (None, "get: reset by INTERNAL_ERROR\n"),
            (Some(101), "thread 'main' panicked at INTERNAL_ERROR\n"),
            (Some(1), "get: INTERNAL_ERROR\nand more\n"),
            (Some(1), "get: something\n"),
            (Some(1), ""),
        ] {
            assert!(judge_failure(code, words, "INTERNAL_ERROR").is_err(), "{code:?} {words}");
        }
    }
}
