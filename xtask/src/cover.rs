//! `cargo xtask cover`: which lines of the published crates the tests reach.
//!
//! Prints the coverage by crate and writes it, with every file, to `docs/coverage.md`. Of one
//! package alone it only prints, since the tests of the others reach it too. Needs cargo-llvm-cov,
//! which it installs, and an LLVM at least as new as the compiler's, which it installs where that
//! is permitted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::metadata::Metadata;
use crate::process::{self, cargo};
use crate::setup;

const PAGE: &str = "docs/coverage.md";
const REPORT: &str = "target/xtask/coverage.json";
const TOOL_VERSION: &str = "^0.9";
/// Crates whose tests do not exercise the published crates.
const UNRELATED: &[&str] = &["xtask", "thalweg-bench"];

#[derive(clap::Args)]
pub struct Args {
    /// Runs the tests of this package alone, and writes no page
    #[arg(long)]
    package: Option<String>,
}

/// What `cargo llvm-cov --json --summary-only` writes, as far as we need it.
#[derive(Deserialize)]
struct Report {
    data: Vec<Export>,
}

#[derive(Deserialize)]
struct Export {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: PathBuf,
    summary: Summary,
}

#[derive(Deserialize)]
struct Summary {
    lines: Lines,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
struct Lines {
    count: u64,
    covered: u64,
}

impl Lines {
    fn percent(self) -> f64 {
        100.0 * self.covered as f64 / self.count.max(1) as f64
    }
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    setup::cargo_tool("llvm-cov", TOOL_VERSION)?;
    let llvm = llvm_programs()?;

    fs::create_dir_all(Path::new(REPORT).parent().unwrap_or(Path::new(".")))?;
    let mut command =
        cargo(&["llvm-cov", "--all-features", "--json", "--summary-only", "--output-path", REPORT]);
    // The vectors are beside the project, and the tests run in their usual folder.
    command.env("CARGO_LLVM_COV_SETUP", "no").env("LLVM_COV", llvm.join("llvm-cov"));
    command.env("LLVM_PROFDATA", llvm.join("llvm-profdata"));
    match &args.package {
        Some(package) => command.args(["--package", package]),
        None => command.arg("--workspace").args(UNRELATED.iter().flat_map(|name| ["--exclude", name])),
    };
    process::run_merged(&mut command, Duration::from_secs(3600))?.into_text("cargo llvm-cov")?;

    let report = fs::read_to_string(REPORT).with_context(|| format!("{REPORT} was not written"))?;
    let report: Report =
        serde_json::from_str(&report).context("cargo llvm-cov writes another format than we know")?;
    let folders = published_folders(&Metadata::of_workspace()?)?;
    let files = by_crate(&report, &env::current_dir()?, &folders);
    for (name, lines) in totals(&files) {
        println!("{name}: {:.1} % of {} lines", lines.percent(), lines.count);
    }
    if args.package.is_none() {
        fs::write(PAGE, page(&files))?;
        println!("cover: wrote {PAGE}");
    }
    Ok(())
}

/// Returns the folder with an `llvm-cov` that reads what this compiler writes.
fn llvm_programs() -> anyhow::Result<PathBuf> {
    let version =
        process::run(Command::new("rustc").args(["--version", "--verbose"]), Duration::from_secs(60))?;
    let version = version.into_text("rustc")?;
    let major = llvm_major(&version).context("rustc does not print its LLVM version")?;
    let folder = |number: u32| PathBuf::from(format!("/usr/lib/llvm-{number}/bin"));
    // The format changes at times, and newer programs read older formats.
    let installed = || (major..major + 10).map(folder).find(|folder| folder.join("llvm-cov").exists());
    if let Some(folder) = installed() {
        return Ok(folder);
    }
    let package = format!("llvm-{major}");
    ensure!(setup::ensure(&[&package])?, "there is no llvm-cov of version {major} or later");
    installed().with_context(|| format!("{package} holds no llvm-cov"))
}

fn llvm_major(rustc: &str) -> Option<u32> {
    let version = rustc.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

/// Returns the folders of the published crates below the project's root, by name.
fn published_folders(metadata: &Metadata) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut folders = BTreeMap::new();
    for package in metadata.published() {
        let folder = Path::new(&package.manifest_path).parent().context("a manifest lies in a folder")?;
        folders.insert(package.name.clone(), folder.to_path_buf());
    }
    Ok(folders)
}

/// Crate, file below the root, lines.
type Files = Vec<(String, String, Lines)>;

fn by_crate(report: &Report, root: &Path, folders: &BTreeMap<String, PathBuf>) -> Files {
    let mut files = Files::new();
    for file in report.data.iter().flat_map(|export| &export.files) {
        let owner = folders.iter().find(|(_, folder)| file.filename.starts_with(folder));
        if let Some((name, _)) = owner {
            let path = file.filename.strip_prefix(root).unwrap_or(&file.filename);
            files.push((name.clone(), path.display().to_string(), file.summary.lines));
        }
    }
    files.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    files
}

fn totals(files: &Files) -> BTreeMap<&str, Lines> {
    let mut totals: BTreeMap<&str, Lines> = BTreeMap::new();
    for (name, _, lines) in files {
        let total = totals.entry(name).or_default();
        total.count += lines.count;
        total.covered += lines.covered;
    }
    totals
}

fn page(files: &Files) -> String {
    let mut page = String::from(
        "<!-- Written by `cargo xtask cover`. Changes here are lost. -->\n# Coverage\n\n\
         Lines that the tests of the whole workspace reach, without the documentation's examples.\n\n\
         | Crate | Lines | Reached |\n|---|--:|--:|\n",
    );
    for (name, lines) in totals(files) {
        let _ = writeln!(page, "| `{name}` | {} | {:.1} % |", lines.count, lines.percent());
    }
    page.push_str("\n| File | Lines | Not reached | Reached |\n|---|--:|--:|--:|\n");
    for (_, path, lines) in files {
        let missing = lines.count - lines.covered;
        let _ = writeln!(page, "| `{path}` | {} | {missing} | {:.1} % |", lines.count, lines.percent());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"type":"x","version":"3","data":[{"totals":{},"files":[
        {"filename":"/p/crates/b/src/lib.rs","summary":{"lines":{"count":10,"covered":9,"percent":90.0}}},
        {"filename":"/p/crates/a/src/z.rs","summary":{"lines":{"count":4,"covered":1,"percent":25.0}}},
        {"filename":"/p/crates/a/src/c.rs","summary":{"lines":{"count":4,"covered":4,"percent":100.0}}},
        {"filename":"/p/tests/lib.rs","summary":{"lines":{"count":99,"covered":0,"percent":0.0}}}]}]}"#;

    fn files() -> Files {
        let folders = [("a", "/p/crates/a"), ("b", "/p/crates/b")];
        let folders = folders.map(|(name, folder)| (name.to_owned(), PathBuf::from(folder))).into();
        by_crate(&serde_json::from_str(REPORT).unwrap(), Path::new("/p"), &folders)
    }

    #[test]
    fn lines_are_summed_by_crate_and_others_do_not_count() {
        let files = files();
        let expected = [("a", Lines { count: 8, covered: 5 }), ("b", Lines { count: 10, covered: 9 })];
        assert_eq!(totals(&files), expected.into());
    }

    #[test]
    fn the_page_lists_every_file_from_the_root() {
        let page = page(&files());
        assert!(page.contains("| `a` | 8 | 62.5 % |\n| `b` | 10 | 90.0 % |\n"), "{page}");
        assert!(
            page.contains(
                "| `crates/a/src/c.rs` | 4 | 0 | 100.0 % |\n| `crates/a/src/z.rs` | 4 | 3 | 25.0 % |\n"
            ),
            "{page}"
        );
    }

    #[test]
    fn the_llvm_version_of_the_compiler_is_read() {
        assert_eq!(llvm_major("rustc 1.95.0\nrelease: 1.95.0\nLLVM version: 22.1.2\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.95.0\n"), None);
    }
}
