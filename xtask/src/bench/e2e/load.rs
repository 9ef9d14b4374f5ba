//! Runs h2load and parses its output.

use std::path::Path;

use anyhow::{Context as _, ensure};

use super::output_of;
use crate::bench::program::{Core, pinned};

/// One run of the client.
#[derive(Clone, Copy)]
pub struct Load {
    pub requests: usize,
    pub body_bytes: usize,
    /// Requests under way on each of the eight connections.
    streams: usize,
}

/// Requests that cost the protocol and little else.
pub const SMALL: Load = Load { requests: 300_000, body_bytes: 128, streams: 100 };
/// Requests that cost the bytes.
pub const LARGE: Load = Load { requests: 1500, body_bytes: 1 << 20, streams: 10 };

impl Load {
    pub fn with_requests(self, requests: usize) -> Self {
        Self { requests, ..self }
    }

    /// Runs it against a server and returns the seconds that it took.
    pub fn run(&self, port: u16) -> anyhow::Result<f64> {
        let mut command = pinned(Path::new("h2load"), Core::Client);
        command.args(["-c8", "-t1", &format!("-n{}", self.requests), &format!("-m{}", self.streams)]);
        for field in FIELDS {
            command.args(["-H", field]);
        }
        command.arg(format!("http://127.0.0.1:{port}{}", path(self.body_bytes)));
        let output = output_of(&mut command, "h2load")?;
        let succeeded = succeeded(&output).context("h2load prints another format than we know")?;
        ensure!(succeeded == self.requests, "{succeeded} of {} succeeded:\n{output}", self.requests);
        seconds(&output).context("h2load does not print its duration")
    }
}

/// Returns the path at which every server has a body of that many bytes.
pub fn path(body_bytes: usize) -> String {
    format!("/bytes/{body_bytes}?seed=1")
}

fn succeeded(output: &str) -> Option<usize> {
    let line = output.lines().find(|line| line.starts_with("requests: "))?;
    let part = line.split(", ").find_map(|part| part.strip_suffix(" succeeded"))?;
    part.parse().ok()
}

fn seconds(output: &str) -> Option<f64> {
    let (_, rest) = output.split_once("finished in ")?;
    let time = rest.split_once(',')?.0;
    let digits = time.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &time[digits.len()..] {
        "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        _ => return None,
    };
    digits.parse::<f64>().ok().map(|number| number * scale)
}

/// The other fields that a browser sends.
const FIELDS: [&str; 6] = [
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language: en-US,en;q=0.5",
    "accept-encoding: gzip, deflate, br, zstd",
    "referer: https://www.example.com/catalogue/index.html",
    "cookie: session=9f86d081884c7d659a2feaa0c55ad015; theme=dark",
];

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "finished in 815.23ms, 122664.30 req/s, 17.98MB/s\n\
        requests: 100000 total, 100000 started, 100000 done, 99990 succeeded, 10 failed, 10 errored\n";

    #[test]
    fn the_clients_output_is_parsed() {
        assert_eq!(succeeded(OUTPUT), Some(99_990));
        assert!((seconds(OUTPUT).unwrap() - 0.815_23).abs() < 1e-9);
        assert_eq!(seconds("finished in 2.50s, 1 req/s"), Some(2.5));
        assert_eq!(seconds("finished in 2.50h, 1 req/s"), None);
        assert_eq!(succeeded("requests: none"), None);
    }
}
