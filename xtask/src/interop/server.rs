//! Servers that run for the time of one row.

use std::io::{BufRead as _, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;

use super::Need;
use super::fixtures::{self, Fixtures};
use crate::external_tools;
use crate::process::Group;

const START_LIMIT: Duration = Duration::from_secs(20);
/// Time to read what an ended program wrote.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// How much of a server's output a failed row shows.
const LINES_SHOWN: usize = 40;

/// A server that rows can run against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// One of ours, which keeps the contract of the examples.
    Example(&'static str),
    /// nghttp2's, which keeps as much of that contract as files can.
    Nghttpd,
    /// Node's `http2`, with a script of ours.
    Node,
    /// Go's net/http, with a program of ours.
    Go,
}

pub const OURS: &[Subject] = &[Subject::Example("serve"), Subject::Example("blocking_serve")];

impl Subject {
    pub fn name(self) -> &'static str {
        match self {
            Self::Example(name) => name,
            Self::Nghttpd => "nghttpd",
            Self::Node => "Node",
            Self::Go => "Go",
        }
    }

    pub fn need(self) -> Need {
        match self {
            Self::Example(name) => Need::Example(name),
            Self::Nghttpd => Need::Program("nghttpd"),
            Self::Node => Need::Program("node"),
            Self::Go => Need::Go("golang.org/x/net/http2"),
        }
    }

    /// Returns the command line of one of our servers; nghttpd's needs a port.
    pub fn example_command(self, fixtures: &Fixtures, address: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(fixtures.example(self.name())?);
        command.args(["--h2c", address, "--root"]).arg(fixtures.root());
        Ok(command)
    }
}

pub struct Server {
    group: Group,
    pub address: SocketAddr,
    output: Output,
}

/// The lines that a program has written, and the threads that read them.
struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Output {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the last lines.
    fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }

    /// Waits until all that an ended program wrote is read. A program that it started may hold its
    /// pipes open, so there is a limit.
    fn complete(&self) {
        let deadline = Instant::now() + READ_LIMIT;
        while !self.readers.iter().all(JoinHandle::is_finished) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Server {
    pub fn start(fixtures: &Fixtures, subject: Subject) -> anyhow::Result<Self> {
        match subject {
            Subject::Example(_) => {
                Self::start_listening(&mut subject.example_command(fixtures, "127.0.0.1:0")?)
            }
            Subject::Nghttpd => Self::start_nghttpd(fixtures),
            Subject::Node => {
                Self::start_listening(external_tools::node_script("server.mjs")?.arg(fixtures.root()))
            }
            Subject::Go => {
                Self::start_listening(external_tools::go_program("server.go")?.arg(fixtures.root()))
            }
        }
        .with_context(|| format!("{} does not start", subject.name()))
    }

    /// Starts one of our programs, which take a free port and print it on their first line.
    pub fn start_listening(command: &mut Command) -> anyhow::Result<Self> {
        let (group, output, lines) = spawn(command)?;
        let first = lines.recv_timeout(START_LIMIT).unwrap_or_default();
        let address = first.strip_prefix("listening on ").and_then(|address| address.parse().ok());
        let Some(address) = address else {
            bail!("its first line is {first:?}; all it wrote:\n{}", output.tail());
        };
        Ok(Self { group, address, output })
    }

    fn start_nghttpd(fixtures: &Fixtures) -> anyhow::Result<Self> {
        // nghttpd cannot choose a free port, and another program may take the port that we found.
        for _ in 0..5 {
            let address = free_address()?;
            let mut command = Command::new("nghttpd");
            command.args(["--no-tls", "--echo-upload", "--address", "127.0.0.1", "--htdocs"]);
            command.arg(stand_in_root(fixtures)?).arg(address.port().to_string());
            let (mut group, output, _) = spawn(&mut command)?;
            let deadline = Instant::now() + START_LIMIT;
            while Instant::now() < deadline && group.wait(Duration::ZERO)?.is_none() {
                if TcpStream::connect(address).is_ok() {
                    return Ok(Self { group, address, output });
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        bail!("five times");
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns what it has written, line by line.
    pub fn output(&self) -> Vec<String> {
        self.output.lines()
    }

    /// Returns how much memory it occupies.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.group.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no resident memory")?;
        Ok(kib.trim().parse::<u64>()? << 10)
    }

    /// Ctrl-C.
    pub fn interrupt(&self) -> anyhow::Result<()> {
        self.group.signal(Signal::INT)
    }

    /// Its status if it ends within the limit. Then `output` has all that it wrote.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let status = self.group.wait(limit)?;
        if status.is_some() {
            self.output.complete();
        }
        Ok(status)
    }
}

/// Runs a check on a server that must survive it. A failure includes the server's output.
pub fn on(
    fixtures: &Fixtures,
    subject: Subject,
    check: impl FnOnce(&mut Server) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut server = Server::start(fixtures, subject)?;
    let result = check(&mut server).and_then(|()| {
        let end = server.wait(Duration::ZERO)?;
        ensure!(
            end.is_none(),
            "the server ended: {}",
            end.map(|status| status.to_string()).unwrap_or_default()
        );
        Ok(())
    });
    with_output(result, &server)
}

/// Runs a check that ends the server itself.
pub fn to_the_end_of(
    fixtures: &Fixtures,
    subject: Subject,
    check: impl FnOnce(&mut Server) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut server = Server::start(fixtures, subject)?;
    let result = check(&mut server);
    with_output(result, &server)
}

fn with_output(result: anyhow::Result<()>, server: &Server) -> anyhow::Result<()> {
    result.map_err(|error| anyhow::anyhow!("{error:#}\nthe server's output:\n{}", server.output.tail()))
}

type Lines = (Group, Output, Receiver<String>);

/// Starts a program: all lines that it writes, and those of its standard output as they come.
fn spawn(command: &mut Command) -> anyhow::Result<Lines> {
    let mut group = Group::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let (_, stdout, stderr) = group.pipes();
    let mut output = Output { lines: Arc::default(), readers: Vec::new() };
    let (sender, receiver) = channel();
    let mut read = |pipe: Box<dyn Read + Send>, each: Box<dyn Fn(&str) + Send>| {
        let lines = Arc::clone(&output.lines);
        output.readers.push(thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                each(&line);
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        }));
    };
    if let Some(stdout) = stdout {
        // The receiver is dropped after the first line.
        read(Box::new(stdout), Box::new(move |line| drop(sender.send(line.to_owned()))));
    }
    if let Some(stderr) = stderr {
        read(Box::new(stderr), Box::new(|_| {}));
    }
    Ok((group, output, receiver))
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Returns a folder with files for the responses that our servers compute, so that nghttpd gives
/// the same.
fn stand_in_root(fixtures: &Fixtures) -> anyhow::Result<PathBuf> {
    let root = fixtures.root().with_file_name("stand-in");
    if !root.exists() {
        fs::create_dir_all(root.join("bytes"))?;
        for name in ["page.html", "download.bin", "folder"] {
            symlink(fixtures.root().join(name), root.join(name))?;
        }
        fs::write(root.join("index.html"), "page.html download.bin folder")?;
        fs::write(root.join("echo"), "")?;
        fs::write(root.join("bytes/1000000"), fixtures::contract_bytes(1_000_000, 7))?;
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_program_has_written_its_last_line() {
        // A reader that lags behind, as on a busy machine: the pipe holds all when the program
        // ends.
        let script = "echo listening on 127.0.0.1:1; i=0; while [ $i -lt 900 ]; do echo $i; i=$((i+1)); \
                      done; echo last";
        for _ in 0..20 {
            let mut server = Server::start_listening(Command::new("sh").args(["-c", script]))
                .expect("it prints its address");
            let status = server.wait(START_LIMIT).expect("it can be waited for").expect("it ends");
            assert!(status.success());
            assert_eq!(server.output().last().map(String::as_str), Some("last"));
        }
    }
}
