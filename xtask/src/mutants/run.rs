//! Runs the test programs with one change after another.

use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{bail, ensure};
use rustix::process::Signal;

use super::SHARED;
use super::list::Mutant;
use super::tree::Program;
use super::verdict::Verdict;
use crate::process::{self, Finished};

/// A run may use this many times the processor time that it takes without a change, and this many
/// seconds more.
const FACTOR: u64 = 4;
const SECONDS_MORE: u64 = 5;
/// A run that waits may take this many times as long.
const WAITING_FACTOR: u32 = 8;
const MEMORY_KIB: u64 = 6 << 20;

/// A test program, with its time and the code that it reaches.
pub struct TestProgram {
    program: Program,
    seconds: f64,
    reached: HashSet<usize>,
    /// Whether the first panic may end it: not where a test expects one.
    ends_at_panic: bool,
}

impl TestProgram {
    /// Runs a program without a change: it must pass.
    pub fn new(program: Program, folder: &Path, shared: &Path) -> anyhow::Result<Self> {
        let list =
            env::current_dir()?.join(folder).join(format!("{}.reached", program.name.replace('/', "-")));
        for ends_at_panic in [true, false] {
            let _ = fs::remove_file(&list);
            let start = Instant::now();
            let setting = ("MUTANT_REACHED", list.to_string_lossy().into_owned());
            let finished = run(&program, shared, &setting, ends_at_panic, 600)?;
            if finished.is_success() {
                let text = fs::read_to_string(&list).unwrap_or_default();
                let reached = text.lines().map(str::parse).collect::<Result<_, _>>()?;
                let seconds = start.elapsed().as_secs_f64();
                return Ok(Self { program, seconds, reached, ends_at_panic });
            }
            if !ends_at_panic {
                finished.into_text(&program.name)?;
            }
        }
        bail!("{}: fails without a change", program.name)
    }

    pub fn describe(&self) -> String {
        let Self { program, seconds, reached, .. } = self;
        format!("{:6.1} s  reaches {:5}  {}", seconds, reached.len(), program.name)
    }

    fn run_tests(&self, id: usize, shared: &Path) -> anyhow::Result<Option<Verdict>> {
        if !self.reached.contains(&id) {
            return Ok(None);
        }
        self.outcome(&self.program, id, shared)
    }

    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// Runs a program of ours that was built with one change.
    pub fn run_built(&self, program: &Program, shared: &Path) -> anyhow::Result<Option<Verdict>> {
        self.outcome(program, usize::MAX, shared)
    }

    fn outcome(&self, program: &Program, id: usize, shared: &Path) -> anyhow::Result<Option<Verdict>> {
        let seconds = (self.seconds.ceil() as u64) * FACTOR + SECONDS_MORE;
        let setting = ("MUTANT", id.to_string());
        let finished = run(program, shared, &setting, self.ends_at_panic, seconds)?;
        let by = program.name.clone();
        Ok(match finished.status {
            Some(status) if status.success() => None,
            Some(status) if status.signal() != Some(Signal::XCPU.as_raw()) => Some(Verdict::Caught { by }),
            _ => Some(Verdict::TimedOut { by }),
        })
    }
}

fn run(
    program: &Program,
    shared: &Path,
    setting: &(&str, String),
    ends_at_panic: bool,
    seconds: u64,
) -> anyhow::Result<Finished> {
    let limits = format!("ulimit -t {seconds} -v {MEMORY_KIB}; exec \"$@\"");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &limits, "sh"]).arg(&program.path).args(&program.arguments);
    command.current_dir(&program.folder).env("CARGO_MANIFEST_DIR", &program.folder);
    command.env(setting.0, &setting.1).env(SHARED, shared);
    if ends_at_panic {
        command.env("MUTANT_ABORT", "1");
    }
    process::run_merged(&mut command, Duration::from_secs(seconds) * WAITING_FACTOR)
}

/// Returns the test programs that reach a change, from cheap to expensive.
pub fn test_programs(
    programs: Vec<Program>,
    folder: &Path,
    shared: &Path,
) -> anyhow::Result<Vec<TestProgram>> {
    let mut test_programs = sorted_test_programs(programs, folder, shared)?;
    test_programs.retain(|run_tests| !run_tests.reached.is_empty());
    ensure!(!test_programs.is_empty(), "no test reaches what would be changed");
    Ok(test_programs)
}

/// Returns all test programs from cheap to expensive, each of which passes without a change.
pub fn sorted_test_programs(
    programs: Vec<Program>,
    folder: &Path,
    shared: &Path,
) -> anyhow::Result<Vec<TestProgram>> {
    let mut test_programs = Vec::new();
    for program in programs {
        let run_tests = TestProgram::new(program, folder, shared)?;
        println!("mutants: {}", run_tests.describe());
        test_programs.push(run_tests);
    }
    test_programs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    Ok(test_programs)
}

/// Returns the verdict of each change, running `jobs` at a time; calls `reported` for each.
pub fn run_mutants(
    test_programs: &[TestProgram],
    mutants: &[Mutant],
    ids: &[usize],
    shared: &Path,
    jobs: usize,
    reported: &(dyn Fn(usize, Verdict) + Sync),
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let fault = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(&id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match verdict(test_programs, id, shared) {
                        Ok(verdict) => {
                            if matches!(verdict, Verdict::Missed | Verdict::Unreached) {
                                println!("  missed: {}", mutants[id].name);
                            }
                            reported(id, verdict);
                        }
                        Err(error) => *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
                    }
                }
            });
        }
    });
    match fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn verdict(test_programs: &[TestProgram], id: usize, shared: &Path) -> anyhow::Result<Verdict> {
    for run_tests in test_programs {
        if let Some(verdict) = run_tests.run_tests(id, shared)? {
            return Ok(verdict);
        }
    }
    let is_reached = test_programs.iter().any(|run_tests| run_tests.reached.contains(&id));
    Ok(if is_reached { Verdict::Missed } else { Verdict::Unreached })
}
