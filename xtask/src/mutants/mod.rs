//! `cargo xtask mutants`: changes the code in one place after another, and expects a test to fail
//! each time.
//!
//! cargo-mutants lists the changes. One build in a copy of the project holds all of them,
//! each behind a switch that is set when a test program starts; so that a change costs a run of the
//! tests that come to it, and no build. Those that cannot be chosen at run time (in constants, say)
//! get a build each, after that.
//!
//! `tests/mutants.toml` explains the changes that no test can detect. A run of whole
//! packages writes `docs/mutants.md`; it fails where a change was missed that is not explained.

mod explained;
mod list;
mod page;
mod run;
mod schema;
mod slow;
mod tree;
mod verdict;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use anyhow::ensure;

use self::explained::Explained;
use self::list::Mutant;
use self::tree::Tree;
use self::verdict::{Key, Verdict};
use crate::setup;

const PAGE: &str = "docs/mutants.md";
const FOLDER: &str = "target/xtask/mutants";
const VERDICTS: &str = "target/xtask/mutants/verdicts.json";
const TOOL_VERSION: &str = "^27";
const PROTOCOL_CRATES: &[&str] = &["thalweg-hpack", "thalweg", "thalweg-h2c"];
/// Their tests exercise the protocol crates too.
const JUDGES: &[&str] = &["thalweg-tests", "thalweg-testkit"];
/// The folder of the vectors; the copy of the project has none beside it.
const SHARED: &str = "THALWEG_SHARED";

#[derive(clap::Args)]
pub struct Args {
    /// The package to change; the protocol crates if none is given
    #[arg(long)]
    package: Vec<String>,
    /// Changes only files that match, by a pattern as in `crates/thalweg/src/frame/*.rs`
    #[arg(long)]
    file: Vec<String>,
    /// Runs only what is new, or was missed the last time and is not explained
    #[arg(long)]
    missed: bool,
    /// Leaves out what cannot be chosen at run time, and would need a build for each change
    #[arg(long)]
    quick: bool,
    /// How many test programs run at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Writes docs/mutants.md of the last verdicts, and runs nothing
    #[arg(long)]
    page: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    setup::cargo_tool("mutants", TOOL_VERSION)?;
    let packages: Vec<&str> = match args.package.as_slice() {
        [] => PROTOCOL_CRATES.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    fs::create_dir_all(FOLDER)?;
    let mutants = list::read(&packages, &args.file)?;
    let keys = verdict::keys(&mutants)?;
    let kept = verdict::load(Path::new(VERDICTS));
    let explained = Explained::read()?;
    let is_due = |key: &Key| match kept.get(key) {
        Some(verdict) if args.missed => verdict.is_missed() && explained.of(key).is_none(),
        _ => true,
    };
    let due: Vec<usize> = (0..mutants.len()).filter(|id| is_due(&keys[*id])).collect();
    let verdicts = if args.page { kept } else { run_tests(args, &packages, &mutants, (&keys, &due), kept)? };
    let results: Vec<page::Row<'_>> =
        mutants.iter().zip(&keys).map(|(mutant, key)| (mutant, key, verdicts.get(key))).collect();
    let page = page::page(&results, &explained);
    print!("{}", page::summary(&results, &explained));
    if args.file.is_empty() {
        fs::write(PAGE, page)?;
        println!("mutants: wrote {PAGE}");
    }
    let unexplained = results.iter().filter(|row| page::is_unexplained(row, &explained)).count();
    ensure!(unexplained == 0, "mutants: missed without an explanation: {unexplained}");
    Ok(())
}

fn run_tests(
    args: &Args,
    packages: &[&str],
    mutants: &[Mutant],
    (keys, due): (&[Key], &[usize]),
    kept: HashMap<Key, Verdict>,
) -> anyhow::Result<HashMap<Key, Verdict>> {
    let shared = shared_folder()?;
    let mut tree = Tree::new(Path::new(FOLDER), PROTOCOL_CRATES, mutants)?;
    let all_judges = [packages, JUDGES].concat();
    let programs = tree.build(PROTOCOL_CRATES, &all_judges, mutants)?;
    let held = tree.held();
    println!("mutants: {} of {} changes are in one build", held.len(), mutants.len());
    let test_programs = run::test_programs(programs, Path::new(FOLDER), &shared)?;

    let (ids, rest): (Vec<usize>, Vec<usize>) = due.iter().partition(|id| held.contains(id));
    let verdicts = Mutex::new(kept);
    let reported = |id: usize, verdict| {
        let mut verdicts = verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.insert(keys[id].clone(), verdict);
        // So that a run that is ended early is not lost.
        let _ = verdict::save(Path::new(VERDICTS), &verdicts);
    };
    run::run_mutants(&test_programs, mutants, &ids, &shared, args.jobs, &reported)?;
    if !args.quick && !rest.is_empty() {
        slow::run_tests(mutants, &rest, &all_judges, &shared, &reported)?;
    }
    let verdicts = verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
    verdict::save(Path::new(VERDICTS), &verdicts)?;
    Ok(verdicts)
}

fn shared_folder() -> anyhow::Result<PathBuf> {
    Ok(match env::var_os(SHARED) {
        Some(folder) => PathBuf::from(folder),
        None => env::current_dir()?.join("../shared"),
    })
}
