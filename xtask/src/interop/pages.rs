//! Chromium's own `fetch`, with a script of ours in a page that our servers serve over TLS.

use super::Row;
use super::chromium;
use super::fixtures::{Fixtures, PAGE_PATH};
use super::server::{OURS, Server, Subject};
use crate::external_tools;

/// The name of a check in the script, and its result.
const CHECKS: &[(&str, &str)] = &[
    ("page", "gets a page: status, fields, text"),
    ("head", "asks for the head alone: length, no content"),
    ("missing", "gets 404 for a missing path"),
    ("download", "gets 20 MB: each byte"),
    ("upload", "receives the echo of an upload: each byte"),
    ("stream", "receives the echo of an upload from a stream: each byte"),
    ("parallel", "gets 100 things at once: each byte"),
    ("cancel", "cancels 50 transfers, and the connection continues"),
];

pub fn rows() -> Vec<Row> {
    let pairs = OURS.iter().flat_map(|subject| CHECKS.iter().map(move |check| (*subject, check)));
    let row = |(subject, (check, what)): (Subject, &'static (&str, &str))| {
        let name = format!("{} --tls: Chromium {what}", subject.name());
        Row::new(name, &[subject.need(), chromium::NEED], move |fixtures| make(fixtures, subject, check))
    };
    pairs.map(row).collect()
}

fn make(fixtures: &Fixtures, subject: Subject, check: &str) -> anyhow::Result<()> {
    let server = Server::start_listening(subject.example_command(fixtures, "127.0.0.1:0")?.arg("--tls"))?;
    chromium::on_page(fixtures, |page| {
        page.open(&format!("https://{}{PAGE_PATH}", server.address))?;
        page.evaluate(&external_tools::page_script("page.js")?)?;
        page.evaluate(&format!("check('{check}')")).map(drop)
    })
}
