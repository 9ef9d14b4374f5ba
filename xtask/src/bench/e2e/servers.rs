//! The servers, each on one thread of one core and without a log.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::load::{LARGE, SMALL};
use super::{output_of, text};
use crate::bench::program::{BUILD_LIMIT, Core, Programs, pinned};
use crate::process::{self, Group};
use crate::setup;

/// A server that can be measured.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    /// thalweg-tokio on one thread, bodies from memory
    ThalwegTokio,
    /// thalweg-threads, bodies from memory
    ThalwegThreads,
    /// Our example `serve` on thalweg-tokio: several threads, bodies are computed
    Serve,
    /// Our example `blocking_serve` on thalweg-threads: bodies are computed
    BlockingServe,
    /// hyper on one thread of tokio, bodies from memory
    Hyper,
    /// nghttp2's server
    Nghttpd,
    H2o,
    Nginx,
}

impl Server {
    pub const ALL: [Self; 8] = [
        Self::ThalwegTokio,
        Self::ThalwegThreads,
        Self::Serve,
        Self::BlockingServe,
        Self::Hyper,
        Self::Nghttpd,
        Self::H2o,
        Self::Nginx,
    ];

    /// Returns the Debian package of servers that are not ours to build.
    fn package(self) -> Option<&'static str> {
        match self {
            Self::ThalwegTokio | Self::ThalwegThreads | Self::Serve | Self::BlockingServe | Self::Hyper => {
                None
            }
            Self::Nghttpd => Some("nghttp2-server"),
            Self::H2o => Some("h2o"),
            Self::Nginx => Some("nginx"),
        }
    }

    /// Whether it can run, after an attempt to install it.
    pub fn is_installed(self, place: &Place) -> anyhow::Result<bool> {
        match self.package() {
            Some(package) => setup::ensure(&[package]),
            None => Ok(self.program(place).is_file()),
        }
    }

    fn program(self, place: &Place) -> PathBuf {
        match self {
            Self::ThalwegTokio => place.programs.path("tokio_serve"),
            Self::ThalwegThreads => place.programs.path("threads_serve"),
            Self::Serve => place.examples.join("serve"),
            Self::BlockingServe => place.examples.join("blocking_serve"),
            Self::Hyper => place.programs.path("hyper_serve"),
            Self::Nghttpd => "nghttpd".into(),
            Self::H2o => "h2o".into(),
            Self::Nginx => "nginx".into(),
        }
    }

    fn arguments(self, place: &Place, port: u16) -> anyhow::Result<Vec<String>> {
        let root = text(&place.root);
        Ok(match self {
            Self::Serve | Self::BlockingServe => {
                vec!["--quiet".into(), "--h2c".into(), format!("127.0.0.1:{port}"), "--root".into(), root]
            }
            Self::ThalwegTokio | Self::ThalwegThreads | Self::Hyper => vec![port.to_string()],
            Self::Nghttpd => {
                let fixed = ["--no-tls", "-n1", "-m1000", "-a127.0.0.1"].map(str::to_owned);
                fixed.into_iter().chain([format!("-d{root}"), port.to_string()]).collect()
            }
            Self::H2o => vec!["-c".into(), text(&place.write("h2o.conf", &h2o_conf(&root, port))?)],
            Self::Nginx => {
                let directory = text(&place.directory);
                let conf = place.write("nginx.conf", &nginx_conf(&directory, &root, port))?;
                vec!["-c".into(), text(&conf), "-e".into(), text(&place.file("nginx.log"))]
            }
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThalwegTokio => "thalweg-tokio",
            Self::ThalwegThreads => "thalweg-threads",
            Self::Serve => "serve",
            Self::BlockingServe => "blocking_serve",
            Self::Hyper => "hyper",
            Self::Nghttpd => "nghttpd",
            Self::H2o => "h2o",
            Self::Nginx => "nginx",
        })
    }
}

/// The Debian packages whose versions belong to the figures.
pub const PACKAGES: [&str; 5] = ["nghttp2-client", "nghttp2-server", "h2o", "nginx", "strace"];

fn h2o_conf(root: &str, port: u16) -> String {
    format!(
        "listen:\n  host: 127.0.0.1\n  port: {port}\nnum-threads: 1\nhttp2-reprioritize-blocking-assets: OFF\n\
         hosts:\n  default:\n    paths:\n      /:\n        file.dir: {root}\n"
    )
}

fn nginx_conf(directory: &str, root: &str, port: u16) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|of| format!("  {of}_temp_path {directory}/{of};\n"))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {directory}/nginx.pid;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n  access_log off;\n  sendfile on;\n  tcp_nodelay on;\n  keepalive_requests 100000000;\n  \
         http2_max_requests 100000000;\n  open_file_cache max=100;\n{temporary}  \
         server {{ listen 127.0.0.1:{port} http2; root {root}; }}\n}}\n"
    )
}

/// The folder of the servers' files, and our built programs.
pub struct Place {
    programs: Programs,
    examples: PathBuf,
    directory: PathBuf,
    root: PathBuf,
}

impl Place {
    /// Builds our servers and lays out the files that the others serve.
    pub fn prepare(programs: Programs) -> anyhow::Result<Self> {
        eprintln!("bench e2e: building our servers");
        let mut arguments = vec!["build", "--package", "thalweg-examples", "--profile", "measure"];
        arguments.extend(["--example", "serve", "--example", "blocking_serve"]);
        process::run(&mut process::cargo(&arguments), BUILD_LIMIT)?.into_text("cargo build")?;
        let target = programs.path("").ancestors().nth(2).context("programs lie below target")?.to_owned();
        let examples = target.join("measure/examples");
        let directory = target.join("bench/e2e");
        let root = directory.join("root");
        fs::create_dir_all(root.join("bytes"))?;
        for load in [SMALL, LARGE] {
            let body: Vec<u8> = (0..load.body_bytes).map(|i| (i % 251) as u8).collect();
            fs::write(root.join("bytes").join(load.body_bytes.to_string()), body)?;
        }
        Ok(Self { programs, examples, directory, root })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, content: &str) -> anyhow::Result<PathBuf> {
        let path = self.file(name);
        fs::write(&path, content).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }
}

/// A server that runs, and ends with this value.
pub struct Running {
    group: Group,
    pub port: u16,
}

impl Running {
    /// Starts a server, under strace if there is a file for its summary.
    pub fn start(place: &Place, server: Server, strace: Option<&Path>) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = match strace {
            None => pinned(&server.program(place), Core::Server),
            Some(summary) => {
                let mut command = Command::new("strace");
                command.args(["-c", "-f", "-o"]).arg(summary).arg(server.program(place));
                command
            }
        };
        command.args(server.arguments(place, port)?);
        let log = fs::File::create(place.file("server.log"))?;
        command.stdout(Stdio::null()).stderr(log);
        let mut group = Group::spawn(&mut command)?;
        let deadline = Instant::now() + START_LIMIT;
        // Only load a server that still runs: another program could have taken the port.
        while group.wait(POLL)?.is_none() && Instant::now() < deadline {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() && group.wait(POLL)?.is_none() {
                return Ok(Self { group, port });
            }
        }
        let output = fs::read_to_string(place.file("server.log")).unwrap_or_default();
        bail!("it does not listen: {output}")
    }

    /// Processor time of the server so far, of all its threads and processes.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let ticks_per_second: f64 =
            output_of(Command::new("getconf").arg("CLK_TCK"), "getconf")?.trim().parse()?;
        let group = self.group.id();
        let mut ticks = 0;
        for entry in fs::read_dir("/proc")? {
            let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
            if let Some((of, used)) = group_and_ticks(&stat)
                && of == group
            {
                ticks += used;
            }
        }
        Ok(ticks as f64 / ticks_per_second)
    }

    pub fn end(&mut self) {
        self.group.end();
    }
}

/// Returns the process group, and user and system time, of a line of `/proc/PID/stat`.
fn group_and_ticks(stat: &str) -> Option<(i32, u64)> {
    // The name in parentheses may hold anything.
    let (_, behind) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = behind.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((fields.get(2)?.parse().ok()?, number(11)? + number(12)?))
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

const START_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_after_the_name() {
        let stat = "42 (a) b) S 1 40 40 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 1 0 100 1000 10";
        assert_eq!(group_and_ticks(stat), Some((40, 12)));
        assert_eq!(group_and_ticks("42"), None);
    }

    #[test]
    fn a_free_port_can_be_bound() {
        TcpListener::bind((Ipv4Addr::LOCALHOST, free_port().unwrap())).unwrap();
    }
}
