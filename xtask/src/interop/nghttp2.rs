//! The clients of nghttp2: `nghttp`, which shows frames, and `h2load`, which sends many requests.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::fixtures::{DOWNLOAD_PATH, Fixtures, PAGE, PAGE_PATH};
use super::server::{self, Server, Subject};
use super::{Need, Row};
use crate::process;

const CONNECTIONS: &str = "8";
const STREAMS: &str = "100";

pub fn rows(subject: Subject) -> Vec<Row> {
    let row = |program: &'static str, what: &str, check: fn(&Fixtures, &Server) -> anyhow::Result<()>| {
        let needs = [subject.need(), Need::Program(program)];
        Row::new(format!("{}: {program} {what}", subject.name()), &needs, move |fixtures| {
            server::on(fixtures, subject, |server| check(fixtures, server))
        })
    };
    vec![
        row("nghttp", "sees SETTINGS and a clean end", transcript),
        row("h2load", "has all requests answered", many_requests),
        row("h2load", "gets a large file eight times at once", large_files),
    ]
}

fn transcript(_fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let mut command = Command::new("nghttp");
    // A large file: after a small one that arrives with the server's SETTINGS, nghttp closes
    // without acknowledging them.
    command.args(["--null-out", "--verbose"]).arg(server.url(DOWNLOAD_PATH));
    let text = process::run(&mut command, Duration::from_secs(60))?.into_text("nghttp")?;
    check_transcript(&text).with_context(|| format!("in what nghttp shows:\n{text}"))
}

fn check_transcript(text: &str) -> anyhow::Result<()> {
    let has = |what: &str| text.lines().any(|line| line.contains(what));
    // An ACK has no other flag and no payload.
    let is_sent_ack = |line: &&str| line.contains("send SETTINGS frame <length=0, flags=0x01");
    let acks = text.lines().filter(is_sent_ack).count();
    ensure!(acks == 1, "the server's SETTINGS were acknowledged {acks} times");
    ensure!(has("recv SETTINGS frame <length=0, flags=0x01"), "ours were not acknowledged");
    ensure!(has(":status: 200"), "no status 200");
    ensure!(has("; END_STREAM"), "no end of the stream");
    ensure!(!has("recv RST_STREAM"), "the server reset a stream");
    let goaways = text.lines().zip(text.lines().skip(1)).filter(|(line, _)| line.contains(" GOAWAY frame "));
    for (line, details) in goaways {
        ensure!(details.contains("NO_ERROR(0x00)"), "{line}: {}", details.trim());
    }
    ensure!(has("send GOAWAY frame"), "nghttp did not come to its GOAWAY");
    Ok(())
}

fn many_requests(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let requests = fixtures.load.requests;
    let text = h2load(requests, CONNECTIONS, STREAMS, &server.url(PAGE_PATH))?;
    check_load(&text, requests, PAGE.len()).with_context(|| format!("in the output of h2load:\n{text}"))
}

fn large_files(fixtures: &Fixtures, server: &Server) -> anyhow::Result<()> {
    let text = h2load(8, "1", "8", &server.url(DOWNLOAD_PATH))?;
    check_load(&text, 8, fixtures.load.download_bytes)
        .with_context(|| format!("in the output of h2load:\n{text}"))
}

fn h2load(requests: u32, connections: &str, streams: &str, url: &str) -> anyhow::Result<String> {
    let mut command = Command::new("h2load");
    command.args(["--requests", &requests.to_string(), "--clients", connections]);
    command.args(["--max-concurrent-streams", streams, url]);
    process::run(&mut command, Duration::from_secs(300))?.into_text("h2load")
}

/// Checks that every request succeeded with a body of `body_bytes`.
fn check_load(text: &str, requests: u32, body_bytes: usize) -> anyhow::Result<()> {
    let expected = [
        format!(
            "requests: {requests} total, {requests} started, {requests} done, {requests} succeeded, \
             0 failed, 0 errored, 0 timeout"
        ),
        format!("status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx"),
    ];
    for line in &expected {
        ensure!(text.lines().any(|own| own.trim_end() == line), "not there: {line}");
    }
    let data = format!("({}) data", u64::from(requests) * body_bytes as u64);
    let traffic = text.lines().find(|line| line.starts_with("traffic: ")).unwrap_or_default();
    ensure!(traffic.ends_with(&data), "not {data}: {traffic}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSCRIPT: &str = "\
[  0.000] Connected
[  0.000] recv SETTINGS frame <length=6, flags=0x00, stream_id=0>
          (niv=1)
[  0.000] send SETTINGS frame <length=12, flags=0x00, stream_id=0>
          (niv=2)
[  0.000] send SETTINGS frame <length=0, flags=0x01, stream_id=0>
          ; ACK
[  0.001] send HEADERS frame <length=37, flags=0x25, stream_id=13>
          ; END_STREAM | END_HEADERS | PRIORITY
[  0.001] recv SETTINGS frame <length=0, flags=0x01, stream_id=0>
          ; ACK
[  0.001] recv (stream_id=13) :status: 200
[  0.001] recv DATA frame <length=66, flags=0x01, stream_id=13>
          ; END_STREAM
[  0.001] send GOAWAY frame <length=8, flags=0x00, stream_id=0>
          (last_stream_id=0, error_code=NO_ERROR(0x00), opaque_data(0)=[])
";

    #[test]
    fn a_clean_transcript_passes() {
        check_transcript(TRANSCRIPT).unwrap();
    }

    #[test]
    fn each_flaw_of_a_transcript_is_detected() {
        let blemishes = [
            ("send SETTINGS frame <length=0", "send PING frame <length=0", "acknowledged 0 times"),
            ("recv SETTINGS frame <length=0", "recv PING frame <length=0", "ours were not acknowledged"),
            (":status: 200", ":status: 500", "no status 200"),
            ("; END_STREAM", "; NOTHING", "no end of the stream"),
            ("recv DATA frame", "recv RST_STREAM frame", "reset a stream"),
            ("NO_ERROR(0x00)", "PROTOCOL_ERROR(0x01)", "PROTOCOL_ERROR"),
            ("send GOAWAY frame", "send PING frame", "did not come to its GOAWAY"),
        ];
        for (part, other, expected) in blemishes {
            let error = check_transcript(&TRANSCRIPT.replace(part, other)).unwrap_err().to_string();
            assert!(error.contains(expected), "{part}: {error}");
        }
    }

    const LOAD: &str = "\
finished in 1.20s, 8333.33 req/s, 1.00MB/s
requests: 10 total, 10 started, 10 done, 10 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 10 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.23KB (1259) total, 214B (214) headers (space savings 94.40%), 700B (700) data
";

    #[test]
    fn all_requests_must_succeed_with_their_bytes() {
        check_load(LOAD, 10, 70).unwrap();
        let check = |text: &str, bytes| check_load(text, 10, bytes).unwrap_err().to_string();
        assert!(check_load(LOAD, 11, 70).is_err());
        assert!(check(LOAD, 71).contains("(710) data"));
        assert!(
            check(&LOAD.replace("10 succeeded, 0 failed", "9 succeeded, 1 failed"), 70).contains("requests")
        );
        assert!(
            check(&LOAD.replace("10 2xx, 0 3xx, 0 4xx", "9 2xx, 0 3xx, 1 4xx"), 70).contains("status codes")
        );
    }
}
