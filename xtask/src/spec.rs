//! `cargo xtask spec`: the ledger of requirements against the tests.
//!
//! Reads `tests/requirements.toml`, finds the tests that name its ids, prints the coverage and
//! writes `docs/conformance.md`. Fails where ledger and tests contradict each other, and where a
//! requirement that is ours has no test.

mod conformance;
mod coverage;
mod ledger;
mod rfc_text;
mod scan;
mod tokens;

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, bail, ensure};

use coverage::{Counts, Coverage};
use ledger::Ledger;

const LEDGER: &str = "tests/requirements.toml";
const PAGE: &str = "docs/conformance.md";
const FOLDERS_OF_TESTS: &[&str] = &["tests", "crates"];

#[derive(clap::Args)]
pub struct Args {
    /// Only print what has no test, and do not fail on it
    #[arg(long)]
    allow_gaps: bool,
    /// Fail if docs/conformance.md is not what would be written, and write nothing
    #[arg(long)]
    check: bool,
    /// Compare the ledger with the key words of the RFCs' texts, if those are available
    #[arg(long)]
    check_rfc: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let text = fs::read_to_string(LEDGER).with_context(|| format!("reading {LEDGER}"))?;
    let ledger: Ledger = toml::from_str(&text).with_context(|| format!("in {LEDGER}"))?;
    let scan = scan::scan_folders(FOLDERS_OF_TESTS)?;
    let (coverage, contradictions) = Coverage::new(&ledger, &scan);

    let mut problems = ledger.problems();
    problems.extend(scan.problems.iter().cloned());
    problems.extend(contradictions);
    if args.check_rfc {
        problems.extend(check_rfcs(&ledger)?);
    }
    for problem in &problems {
        println!("{problem}");
    }
    ensure!(problems.is_empty(), "{} problems in the ledger and the tests", problems.len());

    print_counts(&ledger, &coverage);
    let gaps = print_gaps(&ledger, &coverage);
    let page = conformance::page(&ledger, &coverage);
    if args.check {
        let current = fs::read_to_string(PAGE).unwrap_or_default();
        ensure!(current == page, "{PAGE} is out of date: run `cargo xtask spec` and commit it");
    } else {
        write(Path::new(PAGE), &page)?;
    }
    if gaps > 0 && !args.allow_gaps {
        bail!("{gaps} requirements have no test");
    }
    Ok(())
}

fn print_counts(ledger: &Ledger, coverage: &Coverage<'_>) {
    for rfc in &ledger.rfcs {
        let prefix = format!("{}-", rfc.number);
        println!("RFC {} {}", rfc.number, rfc.title);
        for section in &ledger.sections {
            if let Some(number) = section.id.strip_prefix(&prefix) {
                print_count(number, coverage.counts(ledger.of_section(section)), &section.title);
            }
        }
        let of_rfc = ledger.requirements.iter().filter(|requirement| requirement.id.rfc == rfc.number);
        print_count("all", coverage.counts(of_rfc), "");
    }
    print_count("sum", coverage.counts(ledger.requirements.iter()), "of all RFCs");
}

fn print_count(section: &str, counts: Counts, title: &str) {
    let Counts { must, must_tested, should, should_tested, declined, not_ours } = counts;
    let count = format!(
        "  {section:<7} MUST {must_tested:>3} of {must:>3}, SHOULD {should_tested:>2} of {should:>2}, \
         not followed {declined}, not ours {not_ours:>2}  {title}"
    );
    println!("{}", count.trim_end());
}

/// Prints what has no test, and counts it.
fn print_gaps(ledger: &Ledger, coverage: &Coverage<'_>) -> usize {
    let mut gaps = 0;
    for requirement in ledger.requirements.iter().filter(|requirement| coverage.is_gap(requirement)) {
        println!("no test: {} {}: {}", requirement.id, requirement.level, requirement.text);
        gaps += 1;
    }
    gaps
}

/// Compares the ledger with each RFC's text, and prints which text is absent.
fn check_rfcs(ledger: &Ledger) -> anyhow::Result<Vec<String>> {
    let shared = env::var_os("THALWEG_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let mut differences = Vec::new();
    for rfc in &ledger.rfcs {
        let path = shared.join(format!("data/rfc/rfc{}.md", rfc.number));
        if !path.exists() {
            println!("skipped: RFC {}: {} is absent", rfc.number, path.display());
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let sections = rfc_text::sections(&text);
        ensure!(!sections.is_empty(), "{} has no numbered sections", path.display());
        let found = rfc_text::differences(ledger, rfc, &sections);
        let keywords: usize =
            sections.iter().filter(|section| rfc_text::counts(rfc, section)).map(|s| s.keywords.len()).sum();
        println!("RFC {}: {keywords} key words, {} differences", rfc.number, found.len());
        differences.extend(found);
    }
    Ok(differences)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
