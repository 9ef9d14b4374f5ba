//! The copy of the project that holds all changes, and the test programs built from it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::list::Mutant;
use super::schema::{self, Schema};
use crate::process::{self, cargo};

const SWITCH: &str = include_str!("switch_template.rs");
const SWITCH_MANIFEST: &str =
    "[package]\nname = \"mutant-switch\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n";
const SIM: &str = include_str!("sim_template.rs");
const BUILD: Duration = Duration::from_secs(3600);
/// Each finds what the compiler could not see for the faults of the one before.
const ROUNDS_MAX: usize = 40;

/// The copy, and which changes it holds.
pub struct Tree {
    root: PathBuf,
    target: PathBuf,
    originals: BTreeMap<String, String>,
    schemas: HashMap<String, Schema>,
    /// Functions that are called where the compiler computes.
    constant: BTreeSet<String>,
    dropped: BTreeSet<usize>,
}

/// A test program of the copy.
pub struct Program {
    pub name: String,
    pub path: PathBuf,
    /// Of its package.
    pub folder: PathBuf,
    pub arguments: Vec<String>,
}

impl Tree {
    /// Copies the project to `folder`, with the changes in it.
    pub fn new(folder: &Path, packages: &[&str], mutants: &[Mutant]) -> anyhow::Result<Self> {
        let folder = env::current_dir()?.join(folder);
        let root = folder.join("tree");
        let mut tree = Self {
            target: folder.join("build"),
            root,
            originals: BTreeMap::new(),
            schemas: HashMap::new(),
            constant: BTreeSet::new(),
            dropped: BTreeSet::new(),
        };
        let changed: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.file.as_str()).collect();
        tree.copy(&changed, packages)?;
        Ok(tree)
    }

    /// Copies the files that git lists, so that unchanged ones are not rebuilt.
    fn copy(&mut self, changed: &BTreeSet<&str>, packages: &[&str]) -> anyhow::Result<()> {
        for (path, mut bytes) in project_files()? {
            if changed.contains(path.as_str()) {
                self.originals.insert(path, String::from_utf8(bytes)?);
                continue;
            }
            if packages.iter().any(|package| path == format!("crates/{package}/Cargo.toml")) {
                bytes.extend(b"\n[dependencies.mutant-switch]\npath = \"../../mutant-switch\"\n");
            }
            self.write(&path, &bytes)?;
        }
        self.write("mutant-switch/Cargo.toml", SWITCH_MANIFEST.as_bytes())?;
        self.write("mutant-switch/src/lib.rs", SWITCH.as_bytes())?;
        write_sim(&self.root)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        write(&self.root, path, bytes)
    }

    /// Writes the changed files: all changes but those that were dropped.
    fn put(&mut self, mutants: &[Mutant]) -> anyhow::Result<()> {
        let mut by_file: BTreeMap<&str, Vec<(usize, &Mutant)>> = BTreeMap::new();
        for (id, mutant) in mutants.iter().enumerate().filter(|(id, _)| !self.dropped.contains(id)) {
            by_file.entry(&mutant.file).or_default().push((id, mutant));
        }
        for (file, text) in &self.originals {
            let mutants = by_file.get(file.as_str()).map_or(&[][..], Vec::as_slice);
            let schema = schema::build(text, mutants, &|name| self.constant.contains(name))
                .with_context(|| format!("{file} cannot be read"))?;
            self.write(file, schema.text.as_bytes())?;
            self.schemas.insert(file.clone(), schema);
        }
        Ok(())
    }

    /// Returns the changes that the copy holds.
    pub fn held(&self) -> BTreeSet<usize> {
        self.schemas.values().flat_map(|schema| schema.held.iter().copied()).collect()
    }

    /// Builds the test programs, and drops the changes that do not compile.
    pub fn build(
        &mut self,
        packages: &[&str],
        test_programs: &[&str],
        mutants: &[Mutant],
    ) -> anyhow::Result<Vec<Program>> {
        let mut is_checked = false;
        for round in 1..=ROUNDS_MAX {
            self.put(mutants)?;
            let mut arguments = if is_checked { vec!["build"] } else { vec!["check"] };
            arguments.extend(["--all-features", "--keep-going", "--message-format", "json"]);
            for package in if is_checked { test_programs } else { packages } {
                arguments.extend(["--package", package]);
            }
            if is_checked {
                arguments.extend(["--tests", "--bins"]);
            }
            let mut command = cargo(&arguments);
            set_profile(&mut command, &[packages, test_programs].concat());
            command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
            // The changes make code that the lints would refuse.
            command.env("RUSTFLAGS", "--cap-lints=allow");
            let finished = process::run(&mut command, BUILD)?;
            let messages = messages(&finished.stdout);
            if finished.is_success() {
                if is_checked {
                    return Ok(programs(&messages));
                }
                is_checked = true;
                continue;
            }
            let before = (self.dropped.len(), self.constant.len());
            self.drop_faulty(&messages)?;
            println!(
                "mutants: round {round}: {} changes and {} functions left aside",
                self.dropped.len(),
                self.constant.len()
            );
            if before == (self.dropped.len(), self.constant.len()) {
                finished.into_text("cargo")?;
            }
        }
        bail!("the changes still do not compile after {ROUNDS_MAX} rounds")
    }

    fn drop_faulty(&mut self, messages: &[Value]) -> anyhow::Result<()> {
        for message in messages.iter().filter(|message| message["reason"] == "compiler-message") {
            let fault: Fault = serde_json::from_value(message["message"].clone())?;
            if fault.level != "error" {
                continue;
            }
            if let Some(name) = fault.non_const_function()
                && self.schemas.values().any(|schema| schema.freed.iter().any(|freed| freed == name))
            {
                self.constant.insert(name.into());
                continue;
            }
            let blamed = self.blamed(&fault);
            ensure!(
                !blamed.is_empty() || fault.spans.is_empty(),
                "the copy does not compile, and no change is to blame:\n{}",
                fault.rendered.unwrap_or(fault.message)
            );
            self.dropped.extend(blamed);
        }
        Ok(())
    }

    /// Returns the changes that a fault lies in: the one whose code it is, or else all of the
    /// nearest choice.
    fn blamed(&self, fault: &Fault) -> Vec<usize> {
        let mut spans: Vec<&FaultSpan> = fault.spans.iter().collect();
        spans.sort_by_key(|span| !span.is_primary);
        for span in &spans {
            let Some(schema) = self.schemas.get(&span.file_name) else { continue };
            let is_in =
                |range: &std::ops::Range<usize>| range.start <= span.byte_start && span.byte_end <= range.end;
            let own =
                schema.own.iter().filter(|(range, _)| is_in(range)).min_by_key(|(range, _)| range.len());
            if let Some((_, id)) = own {
                return vec![*id];
            }
        }
        for span in &spans {
            let Some(schema) = self.schemas.get(&span.file_name) else { continue };
            let is_in =
                |range: &std::ops::Range<usize>| range.start <= span.byte_start && span.byte_end <= range.end;
            let nearest =
                schema.choices.iter().filter(|(range, _)| is_in(range)).min_by_key(|(range, _)| range.len());
            if let Some((_, ids)) = nearest {
                return ids.clone();
            }
            let within = |(range, _): &&(std::ops::Range<usize>, usize)| {
                span.byte_start <= range.start && range.end <= span.byte_end
            };
            let inside: Vec<usize> = schema.own.iter().filter(within).map(|(_, id)| *id).collect();
            if !inside.is_empty() {
                return inside;
            }
        }
        Vec::new()
    }
}

/// Returns the files that git lists.
pub fn project_files() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = process::run(&mut git, Duration::from_secs(60))?.into_text("git ls-files")?;
    let paths = list.split('\0').filter(|path| Path::new(path).is_file());
    paths
        .map(|path| Ok((path.into(), fs::read(path).with_context(|| format!("{path} cannot be read"))?)))
        .collect()
}

/// Writes a file below `root`, unless it is as it should be: what does not change is not built
/// anew.
pub fn write(root: &Path, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = root.join(path);
    if fs::read(&path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))
}

/// The simulator as a test program of its own, with fewer seeds than its test has.
pub fn write_sim(root: &Path) -> anyhow::Result<()> {
    write(root, "crates/testkit/src/bin/mutant_sim.rs", SIM.as_bytes())
}

/// A little optimisation for all: the tests run more often than they are built.
pub fn set_profile(command: &mut Command, packages: &[&str]) {
    command.args(["--config", "profile.dev.debug=0", "--config", "profile.dev.opt-level=1"]);
    for package in packages {
        command.args(["--config", &format!("profile.dev.package.{package}.opt-level=1")]);
    }
}

/// An error of the compiler.
#[derive(Deserialize)]
struct Fault {
    level: String,
    message: String,
    code: Option<FaultCode>,
    spans: Vec<FaultSpan>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct FaultCode {
    code: String,
}

#[derive(Deserialize)]
struct FaultSpan {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}

impl Fault {
    /// Returns the function that would have to be `const`.
    fn non_const_function(&self) -> Option<&str> {
        if self.code.as_ref()?.code != "E0015" {
            return None;
        }
        let path = self.message.split('`').nth(1)?;
        let name = path.rsplit("::").find(|part| !part.starts_with('<'))?;
        name.split('<').next()
    }
}

pub fn messages(stdout: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

pub fn programs(messages: &[Value]) -> Vec<Program> {
    let mut programs = Vec::new();
    for message in messages {
        let (Some(path), Some(name), Some(manifest)) = (
            message["executable"].as_str(),
            message["target"]["name"].as_str(),
            message["manifest_path"].as_str(),
        ) else {
            continue;
        };
        let folder = Path::new(manifest).parent().unwrap_or(Path::new("/"));
        let package = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let is_test = message["profile"]["test"] == true;
        let arguments: &[&str] = match (is_test, name) {
            (false, "mutant_sim") => &["2000"],
            // `misuse` compiles programs that must not compile; `mutant_sim` replaces `sim` with
            // fewer seeds.
            (false, _) | (true, "misuse" | "sim" | "mutant_sim") => continue,
            (true, _) => &["--test-threads", "1"],
        };
        programs.push(Program {
            name: format!("{package}/{name}"),
            path: path.into(),
            folder: folder.into(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
        });
    }
    programs
}
