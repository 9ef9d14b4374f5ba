//! Child processes that end: each has a time limit and a process group of its own.
//!
//! Owns the list of the groups that run. Invariants: a group leaves the list only when its leader
//! has ended, and a signal that ends us ends every listed group first. Ends are asked for (SIGTERM)
//! before they are forced (SIGKILL), so that a child which started groups of its own, as nextest
//! and we do, can end them too.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// The time between SIGTERM and SIGKILL to a group.
const GRACE: Duration = Duration::from_secs(15);
/// The same when this process is ended itself: shorter, since the process that ends it may be an
/// xtask too, and longer than the ten seconds that nextest gives its tests.
const GRACE_AT_OUR_END: Duration = Duration::from_secs(12);
const POLL: Duration = Duration::from_millis(10);

static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A child process that has ended, or was ended at its limit.
pub struct Finished {
    /// `None` when the time limit ended it.
    pub status: Option<ExitStatus>,
    pub stdout: Vec<u8>,
    /// Empty if the streams were merged.
    pub stderr: Vec<u8>,
    pub elapsed: Duration,
}

impl Finished {
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Returns the outcome in words: `exit status: 1`, or that it ran out of time.
    pub fn outcome(&self) -> String {
        match self.status {
            Some(status) => status.to_string(),
            None => format!("ended by us after {:.0} s", self.elapsed.as_secs_f64()),
        }
    }

    /// Standard output as text, if the program succeeded; else an error with all that it wrote.
    pub fn into_text(self, program: &str) -> anyhow::Result<String> {
        let text = String::from_utf8_lossy(&self.stdout).into_owned();
        if self.is_success() {
            return Ok(text);
        }
        let errors = String::from_utf8_lossy(&self.stderr);
        bail!("{program}: {}\n{}", self.outcome(), format!("{text}{errors}").trim_end())
    }
}

/// Runs a command to its end, or for `limit`.
pub fn run(command: &mut Command, limit: Duration) -> anyhow::Result<Finished> {
    let (stdout, stdout_end) = io::pipe()?;
    let (stderr, stderr_end) = io::pipe()?;
    let group = Group::spawn(command.stdout(stdout_end).stderr(stderr_end))?;
    finish(group, command, limit, &collect(stdout), Some(&collect(stderr)))
}

/// As `run`, with standard error going into the same stream as standard output, in order.
pub fn run_merged(command: &mut Command, limit: Duration) -> anyhow::Result<Finished> {
    let (stdout, stdout_end) = io::pipe()?;
    let stderr_end = stdout_end.try_clone()?;
    let group = Group::spawn(command.stdout(stdout_end).stderr(stderr_end))?;
    finish(group, command, limit, &collect(stdout), None)
}

fn finish(
    mut group: Group,
    command: &mut Command,
    limit: Duration,
    stdout: &Receiver<Vec<u8>>,
    stderr: Option<&Receiver<Vec<u8>>>,
) -> anyhow::Result<Finished> {
    // The command keeps our ends of the pipes open, and with them the readers waiting.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = group.wait(limit)?;
    group.end();
    let elapsed = start.elapsed();
    let stderr = stderr.map(gather).unwrap_or_default();
    Ok(Finished { status, stdout: gather(stdout), stderr, elapsed })
}

/// Reads a pipe to its end on a thread of its own, and returns a channel of its pieces.
pub fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(len @ 1..) = pipe.read(&mut buffer) {
            if sender.send(buffer[..len].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Returns everything up to the end of a pipe. A process that left the group may hold the pipe
/// open: what it writes after a silence is not waited for.
fn gather(pieces: &Receiver<Vec<u8>>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Ok(piece) = pieces.recv_timeout(Duration::from_secs(2)) {
        all.extend(piece);
    }
    all
}

/// A child that leads a process group, ended when this is dropped.
pub struct Group {
    child: Child,
    id: Pid,
}

impl Group {
    /// Starts a command as the leader of a new group, without standard input.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        Self::spawn_with_input(command, Stdio::null())
    }

    /// As `spawn`, with a standard input.
    pub fn spawn_with_input(command: &mut Command, input: Stdio) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(input)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        let id = Pid::from_child(&child);
        running().push(id);
        Ok(Self { child, id })
    }

    /// Returns the number of the group, which is its leader's.
    pub fn id(&self) -> i32 {
        self.id.as_raw_nonzero().get()
    }

    /// Returns the leader's status if it ends within `limit`.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.child.try_wait().context("the child cannot be waited for")?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
    }

    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process_group(self.id, signal).context("the child cannot be signalled")
    }

    /// Returns the pipes of the command; each can be taken once.
    pub fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take())
    }

    /// Sends SIGTERM to the leader, and SIGKILL to the rest of the group after a while.
    pub fn end(&mut self) {
        // An error means that the group has ended, which is the goal.
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = kill_process_group(self.id, Signal::TERM);
            let _ = self.wait(GRACE);
        }
        let _ = kill_process_group(self.id, Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
        running().retain(|id| *id != self.id);
    }
}

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a signal that ends this process end its children first.
pub fn end_children_with_us() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        let groups = running();
        for id in groups.iter() {
            let _ = kill_process_group(*id, Signal::TERM);
        }
        let deadline = Instant::now() + GRACE_AT_OUR_END;
        while groups.iter().any(|id| test_kill_process_group(*id).is_ok()) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        for id in groups.iter() {
            let _ = kill_process_group(*id, Signal::KILL);
        }
        std::process::exit(130);
    })
    .context("the signal handler cannot be set")
}

/// Returns a cargo command as a user would type it, free of what `cargo run` has put into our
/// environment.
///
/// Build scripts that watch those variables, ring's for example, would otherwise be rebuilt each
/// time.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(arguments)
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("CARGO_TERM_COLOR", "never");
    for (name, _) in std::env::vars_os() {
        let is_ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix));
        if is_ours {
            command.env_remove(&name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use std::io::PipeReader;
    use std::sync::mpsc::RecvTimeoutError;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn streams_are_kept_apart_and_the_status_is_reported() {
        let finished = run(&mut shell("echo out; echo err >&2; exit 3"), LIMIT).unwrap();
        assert_eq!(finished.stdout, b"out\n");
        assert_eq!(finished.stderr, b"err\n");
        assert_eq!(finished.status.and_then(|status| status.code()), Some(3));
        assert!(finished.into_text("sh").unwrap_err().to_string().contains("err"));
    }

    #[test]
    fn merged_streams_keep_their_order() {
        let finished = run_merged(&mut shell("echo 1; echo 2 >&2; echo 3"), LIMIT).unwrap();
        assert_eq!(finished.into_text("sh").unwrap(), "1\n2\n3\n");
    }

    #[test]
    fn a_large_output_does_not_block_the_child() {
        let finished = run(&mut shell("head -c 1000000 /dev/zero"), LIMIT).unwrap();
        assert_eq!(finished.stdout.len(), 1_000_000);
    }

    #[test]
    fn the_limit_ends_the_child() {
        let finished = run(&mut shell("sleep 600"), Duration::from_millis(300)).unwrap();
        assert_eq!(finished.status, None);
        assert!(finished.outcome().starts_with("ended by us"));
    }

    /// Whether every holder of the pipe's other end has ended.
    fn reaches_its_end(pipe: PipeReader) -> bool {
        let pieces = collect(pipe);
        loop {
            match pieces.recv_timeout(Duration::from_secs(10)) {
                Ok(_) => {}
                Err(error) => return error == RecvTimeoutError::Disconnected,
            }
        }
    }

    #[test]
    fn a_dropped_group_ends_with_its_children() {
        let (pipe, pipe_end) = io::pipe().unwrap();
        let mut command = shell("sleep 600 & sleep 600 & wait");
        let group = Group::spawn(command.stdout(pipe_end)).unwrap();
        let id = group.id;
        drop(group);
        drop(command);
        assert!(reaches_its_end(pipe), "a grandchild still runs");
        assert!(!running().contains(&id));
    }

    #[test]
    fn processes_of_a_child_end_with_it() {
        let (pipe, pipe_end) = io::pipe().unwrap();
        let mut command = shell("sleep 600 & exit 0");
        let mut group = Group::spawn(command.stdout(pipe_end)).unwrap();
        assert!(group.wait(LIMIT).unwrap().is_some());
        drop(group);
        drop(command);
        assert!(reaches_its_end(pipe), "the child's child still runs");
    }

    #[test]
    fn a_program_that_is_absent_is_named() {
        let error = run(&mut Command::new("no-such-program"), LIMIT).err().unwrap();
        assert!(error.to_string().contains("no-such-program"));
    }
}
