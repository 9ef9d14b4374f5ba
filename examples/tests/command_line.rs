//! The programs as their users start them: help, wrong arguments, signals, addresses, and the
//! routes of the testbeds.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use thalweg_examples::pattern::Pattern;
use thalweg_threads::{Client, Request};

/// For waits that take no time unless something is broken.
const LIMIT: Duration = Duration::from_secs(60);
/// All servers that shut down gracefully at a signal.
const SERVERS: &[&str] = &[
    "axum_app",
    "blocking_serve",
    "blocking_testbed",
    "proxy",
    "serve",
    "testbed",
    "tonic_echo",
    "websocket_tunnel",
];

/// Returns cargo without the environment variables that this test inherits from it: build scripts
/// that read them would run again, and their dependents would be rebuilt, each time.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let is_of_this_package = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|own| name.starts_with(own))
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_this_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Returns the programs, by name. A test build turns them into test harnesses, or skips them; so
/// they are built here, as `cargo xtask interop` builds them.
fn programs() -> BTreeMap<String, PathBuf> {
    let output = cargo()
        .args(["build", "--package", env!("CARGO_PKG_NAME"), "--all-features", "--examples", "--release"])
        .arg("--message-format=json-render-diagnostics")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(executable).collect()
}

/// Returns the program that a line of cargo's JSON output announces.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let file = message.get("executable")?.as_str()?;
    let name = message.get("target")?.get("name")?.as_str()?;
    Some((name.to_owned(), PathBuf::from(file)))
}

fn program(name: &str) -> Command {
    Command::new(&programs()[name])
}

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_prints_the_usage_and_exits_with_0() {
    let programs = programs();
    assert!(programs.len() >= 20, "{programs:?}");
    for (name, file) in &programs {
        for flag in ["--help", "-h"] {
            let (code, out, err) = texts(&Command::new(file).arg(flag).output().unwrap());
            assert_eq!((code, err.as_str()), (Some(0), ""), "{name} {flag}");
            assert!(out.contains(&format!("Usage: {name}")), "{name} {flag}: {out}");
        }
    }
    for name in SERVERS {
        let (_, out, _) = texts(&Command::new(&programs[*name]).arg("--help").output().unwrap());
        assert!(out.contains("--listen <ADDR>") && out.contains("h2c"), "{name}: {out}");
    }
}

#[test]
fn wrong_arguments_exit_with_2_and_are_named() {
    let programs = programs();
    let refused = |name: &str, args: &[&str], named: &str| {
        let (code, out, err) = texts(&Command::new(&programs[name]).args(args).output().unwrap());
        assert_eq!((code, out.as_str()), (Some(2), ""), "{name} {args:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains(named), "{name} {args:?}: {err}");
    };
    for name in programs.keys() {
        refused(name, &["--no-such-option"], "'--no-such-option'");
    }
    for name in SERVERS {
        refused(name, &["--listen", "nonsense"], "'nonsense' for '--listen <ADDR>'");
        refused(name, &["--h2c", "nonsense"], "'nonsense' for '--listen <ADDR>'");
    }
    for name in ["serve", "blocking_serve", "axum_app", "tonic_echo"] {
        refused(name, &["--tls", "cert.pem"], "--tls cert.pem: takes the files of a certificate and its key");
    }
    for name in ["get", "blocking_get"] {
        refused(name, &[], "<URL>");
        refused(name, &["ftp://example.org/"], "'ftp://example.org/' for '<URL>'");
    }
    refused("h2c_upgrade", &["https://example.org/"], "cleartext only");
    refused("blocking_serve", &["--threads", "0"], "'0' for '--threads <N>'");
    refused("proxy", &[], "--to <HOST:PORT>");
    refused("tonic_echo", &["--tonic", "--tls"], "'--tls [<CERT> <KEY>]'");
    refused("tonic_echo", &["--call", "http://a", "--h2c", "127.0.0.1:0"], "'--listen <ADDR>'");
    refused("tonic_calls", &["dance", "http://example.org"], "'dance' for '<CALL>'");
    refused("websocket_tunnel", &["--tls"], "give --listen ADDR");
    refused("frames", &["127.0.0.1:0"], "<TARGET_ADDR>");
    refused("replay", &[], "<FILE>");
}

/// A server that is killed at the end of its test.
struct Server {
    child: Child,
    address: String,
    /// Held open: a server whose output cannot be written panics.
    _output: BufReader<ChildStdout>,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{command:?}: {line}"));
        Self { child, address: address.trim_end().to_owned(), _output: output }
    }

    fn client(&self) -> Client {
        Client::connect(&self.address).unwrap().time_limit(Some(LIMIT))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < LIMIT, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sigterm_and_ctrl_c_shut_a_server_down_gracefully() {
    let programs = programs();
    for name in SERVERS {
        for (option, signal) in [("--listen", Signal::TERM), ("--h2c", Signal::INT)] {
            let mut command = Command::new(&programs[*name]);
            command.args([option, "127.0.0.1:0"]);
            if *name == "proxy" {
                // The origin does not listen: the proxy responds with 502.
                command.args(["--to", "127.0.0.1:1"]);
            }
            let mut server = Server::start(&mut command);
            let client = server.client();
            drop(client.send(Request::get("/")).unwrap());
            server.signal(signal);
            let end = client.wait_end();
            assert!(end.is_orderly(), "{name} at {signal:?}: {end}");
            let status = server.end();
            assert!(status.success(), "{name} at {signal:?}: {status}");
        }
    }
}

/// A response in progress completes.
#[test]
fn sigterm_completes_a_slow_response() {
    for name in ["testbed", "blocking_testbed"] {
        let mut server = Server::start(program(name).args(["--listen", "127.0.0.1:0"]));
        let client = server.client();
        // The response shows that the connection was accepted.
        drop(client.send(Request::get("/bytes/1")).unwrap());
        let (_writer, answer) = client.start_request(Request::get("/slow/700/100000")).unwrap();
        drop(client.send(Request::get("/bytes/1")).unwrap());
        server.signal(Signal::TERM);
        let mut response = answer.wait().unwrap();
        assert_eq!(response.body.read_whole(1 << 20).unwrap(), bytes(100_000), "{name}");
        assert!(client.wait_end().is_orderly(), "{name}");
        assert!(server.end().success(), "{name}");
    }
}

#[test]
fn one_option_is_the_address_of_cleartext_and_tls() {
    let programs = programs();
    for name in ["serve", "blocking_serve"] {
        for option in ["--listen", "--h2c"] {
            let mut command = Command::new(&programs[name]);
            let server = Server::start(command.args([option, "127.0.0.1:0", "--tls", "--quiet"]));
            let url = format!("https://{}/bytes/1000", server.address);
            for client in ["get", "blocking_get"] {
                let output = Command::new(&programs[client]).args(["-k", &url]).output().unwrap();
                assert!(output.status.success(), "{client} {url}: {output:?}");
                assert_eq!(output.stdout, bytes(1000), "{name} {option}, {client}");
            }
        }
    }
}

fn bytes(len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    Pattern::new(len, 0).fill(&mut bytes);
    bytes
}

#[test]
fn slow_responses_take_their_delay_and_block_no_other() {
    for name in ["testbed", "blocking_testbed"] {
        let server = Server::start(program(name).args(["--listen", "127.0.0.1:0", "--quiet"]));
        let client = server.client();
        let get = |path: &str| {
            let mut response = client.send(Request::get(path)).unwrap();
            (response.status().as_u16(), response.body.read_whole(1 << 20).unwrap())
        };
        let start = Instant::now();
        assert_eq!(get("/slow/250/70000"), (200, bytes(70_000)), "{name}");
        assert!(start.elapsed() >= Duration::from_millis(250), "{name}: {:?}", start.elapsed());
        assert_eq!(get("/slow/0/0"), (200, Vec::new()), "{name}");

        let (slowest, (sender, receiver)) = (client.clone(), channel());
        let (_writer, waiting) = slowest.start_request(Request::get("/slow/60000/1")).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || sender.send(get("/slow/1/2")).unwrap());
            let fast = receiver.recv_timeout(Duration::from_secs(30)).expect("it waits for no other");
            assert_eq!(fast, (200, bytes(2)), "{name}");
        });
        // Dropping it resets the stream.
        drop(waiting);

        let refused = |path| {
            let mut response = client.send(Request::get(path)).unwrap();
            let text = response.body.read_whole(1 << 10).unwrap();
            (response.status().as_u16(), String::from_utf8(text).unwrap())
        };
        let range =
            |name, value, max| (400, format!("/slow/MS/N: {name} is {value}, and must be from 0 to {max}\n"));
        assert_eq!(refused("/slow/600001/1"), range("MS", "600001", "600000 milliseconds"), "{name}");
        assert_eq!(refused("/slow/1/x"), range("N", "x", "1099511627776 bytes"), "{name}");
        let (status, text) = refused("/slow/1");
        assert_eq!(
            (status, text.as_str()),
            (400, "/slow/1: not /slow/MS/N, N bytes after MS milliseconds\n")
        );
    }
}
