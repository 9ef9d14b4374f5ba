//! Counts of passed, failed and skipped checks, and the lines that report them.
//!
//! Commands that run many checks print a row for each and a closing line; `cargo xtask test` reads
//! them again from its children.

use std::fmt;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    /// Each with its reason. Never counted as passed.
    pub skipped: Vec<String>,
}

/// How one check ended.
pub enum RowResult {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Tally {
    /// Prints the row of a check and counts it.
    pub fn report(&mut self, name: &str, outcome: &RowResult) {
        match outcome {
            RowResult::Passed => {
                println!("{name}: passed");
                self.passed += 1;
            }
            RowResult::Failed(why) => {
                println!("{name}: failed");
                for line in why.lines() {
                    println!("    {line}");
                }
                self.failed += 1;
            }
            RowResult::Skipped(why) => {
                println!("{name}: skipped ({why})");
                self.skipped.push(format!("{name}: {why}"));
            }
        }
    }

    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }
}

/// The closing line: `N passed, N failed`, and the skipped if there are any.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        match self.skipped.len() {
            0 => Ok(()),
            skipped => write!(f, ", {skipped} skipped"),
        }
    }
}
