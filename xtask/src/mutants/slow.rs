//! What cannot be chosen at run time: a build for each change, in a copy of the project.
//!
//! Most of it does not compile, which a check shows in a second or two. For the rest, what comes
//! first is what fails first: the tests of the package itself, then those of the others that
//! exercise it, the quick ones before the slow.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::FOLDER;
use super::list::Mutant;
use super::run::{self, TestProgram};
use super::tree::{self, Program};
use super::verdict::Verdict;
use crate::process::{self, cargo};

/// Of a build. One that takes longer computes a constant without end.
const BUILD: Duration = Duration::from_secs(900);

/// Returns the verdict of each change; calls `reported` for each.
pub fn run_tests(
    mutants: &[Mutant],
    ids: &[usize],
    test_programs: &[&str],
    shared: &Path,
    reported: &dyn Fn(usize, Verdict),
) -> anyhow::Result<()> {
    println!("mutants: {} are left to a build of their own", ids.len());
    let copy = Copy::new(&env::current_dir()?.join(FOLDER).join("alone"))?;
    let mut compiling = Vec::new();
    for &id in ids {
        copy.change(&mutants[id])?;
        if copy.compiles(package(&mutants[id].file))? {
            compiling.push(id);
        } else {
            reported(id, Verdict::Unviable);
        }
        copy.restore(&mutants[id].file)?;
    }
    println!("mutants: {} of them compile", compiling.len());
    if compiling.is_empty() {
        return Ok(());
    }
    let programs = copy.build(test_programs)?.context("the project does not build without a change")?;
    let judges_of_all = run::sorted_test_programs(programs, Path::new(FOLDER), shared)?;
    for id in compiling {
        let mutant = &mutants[id];
        copy.change(mutant)?;
        let verdict = copy.verdict(package(&mutant.file), test_programs, &judges_of_all, shared)?;
        copy.restore(&mutant.file)?;
        if verdict.is_missed() {
            println!("  missed: {}", mutant.name);
        }
        reported(id, verdict);
    }
    Ok(())
}

/// `thalweg` of `crates/thalweg/src/flow.rs`.
fn package(file: &str) -> &str {
    file.split('/').nth(1).unwrap_or(file)
}

/// A copy of the project that holds one change at most.
struct Copy {
    root: PathBuf,
    target: PathBuf,
    originals: HashMap<String, String>,
}

impl Copy {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let mut copy =
            Self { root: folder.join("tree"), target: folder.join("build"), originals: HashMap::new() };
        for (path, bytes) in tree::project_files()? {
            tree::write(&copy.root, &path, &bytes)?;
            if let Ok(text) = String::from_utf8(bytes) {
                copy.originals.insert(path, text);
            }
        }
        tree::write_sim(&copy.root)?;
        Ok(copy)
    }

    fn change(&self, mutant: &Mutant) -> anyhow::Result<()> {
        let text = self.original(&mutant.file)?;
        tree::write(&self.root, &mutant.file, changed(text, mutant).as_bytes())
    }

    fn restore(&self, file: &str) -> anyhow::Result<()> {
        tree::write(&self.root, file, self.original(file)?.as_bytes())
    }

    fn original(&self, file: &str) -> anyhow::Result<&str> {
        self.originals.get(file).map(String::as_str).with_context(|| format!("{file} is not in the copy"))
    }

    fn cargo(&self, verb: &str, packages: &[&str]) -> Command {
        let mut command = cargo(&[verb, "--all-features", "--message-format", "json"]);
        tree::set_profile(&mut command, packages);
        for package in packages {
            command.args(["--package", package]);
        }
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target).env("CARGO_INCREMENTAL", "1");
        command
    }

    fn compiles(&self, package: &str) -> anyhow::Result<bool> {
        Ok(process::run(&mut self.cargo("check", &[package]), BUILD)?.is_success())
    }

    /// Returns the test programs of the packages, or nothing if they do not compile.
    fn build(&self, packages: &[&str]) -> anyhow::Result<Option<Vec<Program>>> {
        let finished = process::run(self.cargo("build", packages).args(["--tests", "--bins"]), BUILD)?;
        let messages = tree::messages(&finished.stdout);
        Ok(finished.is_success().then(|| tree::programs(&messages)))
    }

    fn verdict(
        &self,
        package: &str,
        packages: &[&str],
        test_programs: &[TestProgram],
        shared: &Path,
    ) -> anyhow::Result<Verdict> {
        let mut done: Vec<String> = Vec::new();
        for packages in [&[package], packages] {
            let Some(programs) = self.build(packages)? else { return Ok(Verdict::Unviable) };
            for run_tests in test_programs {
                let Some(program) = programs.iter().find(|program| program.name == run_tests.name()) else {
                    continue;
                };
                if done.contains(&program.name) {
                    continue;
                }
                if let Some(verdict) = run_tests.run_built(program, shared)? {
                    return Ok(verdict);
                }
                done.push(program.name.clone());
            }
        }
        Ok(Verdict::Missed)
    }
}

/// Returns the text with the change in it.
fn changed(text: &str, mutant: &Mutant) -> String {
    let starts: Vec<usize> =
        std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let offset = |place: super::list::Place| {
        let line = &text[starts[place.line - 1]..];
        starts[place.line - 1] + line.char_indices().nth(place.column - 1).map_or(line.len(), |(at, _)| at)
    };
    let (start, end) = (offset(mutant.span.start), offset(mutant.span.end));
    format!("{}{}{}", &text[..start], mutant.replacement, &text[end..])
}

#[cfg(test)]
mod tests {
    use super::super::list::{Genre, Place, Span};
    use super::*;

    #[test]
    fn a_change_replaces_its_span_alone() {
        // Columns are characters, not bytes.
        let span = Span { start: Place { line: 2, column: 8 }, end: Place { line: 2, column: 9 } };
        let mutant = Mutant {
            file: String::new(),
            name: String::new(),
            genre: Genre::BinaryOperator,
            replacement: "-".into(),
            span,
        };
        assert_eq!(changed("a + b\n\"§\", c + d\n", &mutant), "a + b\n\"§\", c - d\n");
    }

    #[test]
    fn the_package_is_the_folder_among_the_crates() {
        assert_eq!(package("crates/thalweg-h2c/src/lib.rs"), "thalweg-h2c");
    }
}
