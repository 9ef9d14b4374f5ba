//! The programs of `crates/bench`: built, run under valgrind or a clock, and their figures read.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use super::scenes::Peer;
use crate::{process, setup};

/// What is linked into the measured programs. Ours alone is built alone, so that its figures do not
/// depend on which peers can be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Build {
    /// The workloads of the gate, which are few, so that it is quick.
    Gate,
    Core,
    Peers,
    /// The servers of the end-to-end runs.
    Servers,
    /// Our header codec alone, and beside others.
    Hpack,
    HpackPeers,
}

/// A build's programs.
pub struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// Builds the programs and copies them to a folder that no other build overwrites.
    pub fn build(build: Build) -> anyhow::Result<Self> {
        let (name, features, programs) = match build {
            Build::Gate => ("gate", "", &["measure", "hpack"][..]),
            Build::Core => ("core", "", &["measure", "measure_allocations"][..]),
            Build::Peers => ("peers", "peers,nghttp2", &["measure", "measure_allocations"][..]),
            Build::Hpack => ("hpack", "", HPACK),
            Build::HpackPeers => ("hpack-peers", "nghttp2,fluke", HPACK),
            Build::Servers => ("servers", "servers", &["tokio_serve", "threads_serve", "hyper_serve"][..]),
        };
        eprintln!("bench: building {name}");
        let mut arguments = vec!["build", "--package", "thalweg-bench", "--profile", "measure"];
        arguments.extend(["--features", features, "--message-format", "json-render-diagnostics"]);
        arguments.extend(programs.iter().flat_map(|program| ["--bin", program]));
        let built = process::run(&mut process::cargo(&arguments), BUILD_LIMIT)?;
        if !built.is_success() {
            bail!("cargo build: {}\n{}", built.outcome(), String::from_utf8_lossy(&built.stderr).trim_end());
        }
        let mut directory = None;
        for line in String::from_utf8_lossy(&built.stdout).lines() {
            let Ok(Message { executable: Some(from) }) = serde_json::from_str(line) else { continue };
            let target = from.ancestors().nth(2).context("cargo builds two levels deep")?;
            let to = target.join("bench").join(name);
            std::fs::create_dir_all(&to)?;
            std::fs::copy(&from, to.join(from.file_name().context("a program has a name")?))?;
            directory = Some(to);
        }
        Ok(Self { directory: directory.context("cargo built no program")? })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Builds the programs that contain a peer.
    pub fn build_for(peer: Peer) -> anyhow::Result<Self> {
        let build = if peer.is_ours() { Build::Core } else { Build::Peers };
        let programs = Self::build(build)?;
        ensure!(programs.peers()?.iter().any(|name| name == peer.name()), "{} is absent", peer.name());
        Ok(programs)
    }

    /// Returns the peers that could be linked.
    pub fn peers(&self) -> anyhow::Result<Vec<String>> {
        let mut command = Command::new(self.path("measure"));
        let names = process::run(command.arg("peers"), RUN_LIMIT)?.into_text("measure")?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Fails unless the peer does exactly the plan's work.
    pub fn check(&self, plan: &Plan<'_>) -> anyhow::Result<()> {
        let mut command = Command::new(self.path("measure"));
        let checked = process::run(command.args(plan.arguments("check")), RUN_LIMIT)?;
        checked
            .into_text("measure")
            .with_context(|| format!("{} did other work in {}", plan.peer, plan.scene))?;
        Ok(())
    }

    /// Instructions per unit: the difference of two runs of different size.
    pub fn instructions(&self, plan: &Plan<'_>, sizes: (usize, usize)) -> anyhow::Result<f64> {
        self.count(plan, sizes, NO_REP_MOVSB)
    }

    /// Returns the same, as it would be on a processor with nothing but what its architecture
    /// requires.
    pub fn instructions_anywhere(&self, plan: &Plan<'_>, sizes: (usize, usize)) -> anyhow::Result<f64> {
        self.count(plan, sizes, &anywhere())
    }

    /// Instructions per header field of a workload of the program `hpack`, as on the plainest
    /// processor.
    pub fn hpack_instructions_anywhere(&self, workload: &str) -> anyhow::Result<f64> {
        self.hpack_count(&[workload, "thalweg", "count"], None, (2, 6), &anywhere())
    }

    /// Instructions per header field of a workload of one codec: of its first stories, or of all.
    pub fn hpack_instructions(
        &self,
        workload: &str,
        codec: &str,
        sessions: Option<usize>,
    ) -> anyhow::Result<f64> {
        self.hpack_count(&[workload, codec, "count"], sessions, (1, 3), NO_REP_MOVSB)
    }

    fn hpack_count(
        &self,
        arguments: &[&str],
        sessions: Option<usize>,
        (few, many): (usize, usize),
        tunables: &str,
    ) -> anyhow::Result<f64> {
        let count = |passes: usize| {
            let arguments = hpack_arguments(arguments, passes, sessions);
            let (total, output) = self.callgrind("hpack", &arguments, tunables)?;
            // It prints the fields of one pass, and its start-up is the same for any number.
            anyhow::Ok((total, value_of(&output, "fields")? * passes as f64))
        };
        difference(count(few)?, count(many)?)
    }

    /// Returns what one of the programs for header codecs prints as `mode`.
    pub fn hpack_figure(
        &self,
        program: &str,
        [workload, codec, mode]: [&str; 3],
        passes: usize,
        sessions: Option<usize>,
    ) -> anyhow::Result<f64> {
        let mut command = pinned(&self.path(program), Core::Client);
        command.args(hpack_arguments(&[workload, codec, mode], passes, sessions));
        value_of(&process::run(&mut command, RUN_LIMIT)?.into_text(program)?, mode_name(mode))
    }

    /// Returns what `hpack hostile` prints: the best of many, in nanoseconds, and what was sent.
    pub fn hpack_hostile(&self, codec: &str, passes: usize) -> anyhow::Result<String> {
        let mut command = pinned(&self.path("hpack"), Core::Client);
        process::run(command.args(["hostile", codec, &passes.to_string()]), RUN_LIMIT)?.into_text("hpack")
    }

    fn count(&self, plan: &Plan<'_>, (few, many): (usize, usize), tunables: &str) -> anyhow::Result<f64> {
        let count = |chunks| {
            let plan = Plan { chunks, made: many, ..*plan };
            let (total, output) = self.callgrind("measure", &plan.arguments("count"), tunables)?;
            anyhow::Ok((total, value_of(&output, "units")?))
        };
        difference(count(few)?, count(many)?)
    }

    /// Returns the instructions of a run, and what it printed.
    fn callgrind(
        &self,
        program: &str,
        arguments: &[String],
        tunables: &str,
    ) -> anyhow::Result<(f64, String)> {
        let mut command = callgrind(Path::new("/dev/null"));
        command.env("GLIBC_TUNABLES", tunables).arg(self.path(program)).args(arguments);
        let run = process::run(&mut command, VALGRIND_LIMIT)?;
        let output = String::from_utf8_lossy(&run.stderr).into_owned();
        let total = output.rsplit_once("Collected : ").map(|(_, total)| total.lines().next().unwrap_or(""));
        let total = total.unwrap_or_default().trim().parse();
        let printed = run.into_text("valgrind")?;
        Ok((total.context("callgrind counted nothing")?, printed))
    }

    /// Writes a profile of the measured part, for `callgrind_annotate`.
    pub fn profile(&self, plan: &Plan<'_>, out: &Path) -> anyhow::Result<()> {
        let mut command = callgrind(out);
        command.args(["--toggle-collect=*measured_*", "--dump-instr=no"]);
        command.arg(self.path("measure")).args(plan.arguments("count"));
        process::run(&mut command, VALGRIND_LIMIT)?.into_text("valgrind")?;
        Ok(())
    }

    /// Nanoseconds per unit, once.
    pub fn ns(&self, plan: &Plan<'_>) -> anyhow::Result<f64> {
        let mut command = pinned(&self.path("measure"), Core::Client);
        let run = process::run(command.args(plan.arguments("time")), RUN_LIMIT)?;
        value_of(&run.into_text("measure")?, "ns")
    }

    /// Allocations and bytes per unit.
    pub fn allocations(&self, plan: &Plan<'_>) -> anyhow::Result<(f64, f64)> {
        let mut command = Command::new(self.path("measure_allocations"));
        let run = process::run(command.args(plan.arguments("allocations")), RUN_LIMIT)?;
        let text = run.into_text("measure_allocations")?;
        Ok((value_of(&text, "allocations")?, value_of(&text, "bytes")?))
    }
}

/// The peers of a comparison with their programs.
pub struct Lineup {
    pub core: Programs,
    others: Option<Programs>,
    pub peers: Vec<Peer>,
}

impl Lineup {
    /// Builds what the peers need. Those that cannot be had are announced and left out.
    pub fn build(peers: &[Peer]) -> anyhow::Result<Self> {
        if peers.iter().any(|peer| peer.is_nghttp2()) {
            setup::ensure(&["libnghttp2-dev"])?;
        }
        let core = Programs::build(Build::Core)?;
        if peers.iter().all(|peer| peer.is_ours()) {
            return Ok(Self { core, others: None, peers: peers.to_vec() });
        }
        let others = Programs::build(Build::Peers)?;
        let linked = others.peers()?;
        let mut peers = peers.to_vec();
        peers.retain(|peer| {
            let is_linked = linked.iter().any(|name| name == peer.name());
            if !is_linked {
                eprintln!("bench: skipped: {}, as its library is absent", peer.name());
            }
            is_linked
        });
        Ok(Self { core, others: Some(others), peers })
    }

    pub fn programs(&self, peer: Peer) -> &Programs {
        match &self.others {
            Some(others) if !peer.is_ours() => others,
            _ => &self.core,
        }
    }
}

fn hpack_arguments(front: &[&str], passes: usize, sessions: Option<usize>) -> Vec<String> {
    let counts = [Some(passes), sessions].into_iter().flatten().map(|count| count.to_string());
    front.iter().map(|&text| text.to_owned()).chain(counts).collect()
}

/// Returns the name of the figure that a mode of the program `hpack` prints.
fn mode_name(mode: &str) -> &str {
    if mode == "time" { "ns" } else { mode }
}

/// The arguments of a measured program.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub scene: &'a str,
    pub peer: &'a str,
    pub chunks: usize,
    pub made: usize,
    /// Units in a chunk, if not as many as usual.
    pub units: Option<usize>,
    pub held: usize,
    pub connections: usize,
}

impl<'a> Plan<'a> {
    pub fn new(scene: &'a str, peer: &'a str, chunks: usize) -> Self {
        Self { scene, peer, chunks, made: chunks, units: None, held: 0, connections: 1 }
    }

    fn arguments(&self, mode: &str) -> Vec<String> {
        let mut all: Vec<String> = [self.scene, self.peer, mode].map(str::to_owned).into();
        let mut option = |name: &str, value: usize| all.extend([name.to_owned(), value.to_string()]);
        option("--chunks", self.chunks);
        option("--made", self.made);
        option("--held", self.held);
        option("--connections", self.connections);
        if let Some(units) = self.units {
            option("--units", units);
        }
        all
    }
}

/// Callgrind, writing its profile to `out`.
///
/// A copy by `rep movsb` would count each byte as an instruction, so the C library is set to use
/// its vector loops.
pub fn callgrind(out: &Path) -> Command {
    let mut command = Command::new("valgrind");
    let out = format!("--callgrind-out-file={}", out.display());
    command.args(["--tool=callgrind", &out]).env("GLIBC_TUNABLES", NO_REP_MOVSB);
    command
}

/// Instructions per unit, from two runs of different size.
fn difference((few, few_units): (f64, f64), (many, many_units): (f64, f64)) -> anyhow::Result<f64> {
    ensure!(many_units > few_units, "both runs did {few_units} units");
    Ok((many - few) / (many_units - few_units))
}

/// Returns the variable that makes the C library run the same code on every processor.
fn anywhere() -> String {
    format!("{NO_REP_MOVSB}:{PLAIN_PROCESSOR}")
}

/// Which program runs on which core, if there are two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Core {
    Server,
    Client,
}

/// Returns a command that stays on its core, where the machine has more than one.
pub fn pinned(program: &Path, core: Core) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    if cores < 2 {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", if core == Core::Server { "0" } else { "1" }]).arg(program);
    command
}

/// Whether instructions can be counted here, after an attempt to install what does it.
pub fn has_valgrind() -> anyhow::Result<bool> {
    let version = || Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    let is_there = || version().is_ok_and(|status| status.success());
    Ok(is_there() || setup::ensure(&["valgrind"])? && is_there())
}

/// Returns a number in a program's output of lines `name number`.
fn value_of(text: &str, name: &str) -> anyhow::Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = line.with_context(|| format!("no `{name}` in: {text}"))?;
    value.parse().with_context(|| format!("`{name}` is no number in: {text}"))
}

/// The part of cargo's messages that has the path of a program.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

const HPACK: &[&str] = &["hpack", "hpack_allocations"];
const NO_REP_MOVSB: &str =
    "glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824";
/// The processor features by which the C library otherwise chooses its code.
const PLAIN_PROCESSOR: &str = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX2_Usable,-AVX_Fast_Unaligned_Load,\
    -AVX512F,-AVX512VL,-AVX512BW,-BMI1,-BMI2,-ERMS,-FSRM,-LZCNT,-MOVBE,-POPCNT,-RTM,-SSE4_1,-SSE4_2,-SSSE3";
pub const BUILD_LIMIT: Duration = Duration::from_secs(1800);
pub const RUN_LIMIT: Duration = Duration::from_secs(120);
const VALGRIND_LIMIT: Duration = Duration::from_secs(900);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_by_name() {
        let text = "allocations 5\nbytes 864.5\n";
        assert_eq!(value_of(text, "bytes").unwrap(), 864.5);
        assert!(value_of(text, "ns").is_err());
        assert!(value_of("ns fast", "ns").is_err());
    }

    #[test]
    fn what_both_runs_do_cancels_out() {
        assert_eq!(difference((1500.0, 10.0), (2500.0, 20.0)).unwrap(), 100.0);
        assert!(difference((1.0, 10.0), (2.0, 10.0)).is_err());
    }

    #[test]
    fn a_plan_spells_its_arguments() {
        let plan = Plan { units: Some(10), connections: 3, ..Plan::new("w1", "h2", 7) };
        let spelt = plan.arguments("time").join(" ");
        assert_eq!(spelt, "w1 h2 time --chunks 7 --made 7 --held 0 --connections 3 --units 10");
    }
}
