//! What there is to change: the list that cargo-mutants makes.

use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use crate::process::{self, cargo};

/// One change. Its number is its place in the list.
#[derive(Deserialize, Clone)]
pub struct Mutant {
    pub file: String,
    /// With line and column, as cargo-mutants prints it.
    pub name: String,
    pub genre: Genre,
    pub replacement: String,
    pub span: Span,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    pub start: Place,
    pub end: Place,
}

/// Both count from one; a column is a character.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Mutant {
    /// Returns what is changed, without the place: `replace == with != in Core::receive`.
    pub fn change(&self) -> &str {
        let place = format!("{}:{}:{}: ", self.file, self.span.start.line, self.span.start.column);
        self.name.strip_prefix(&place).unwrap_or(&self.name)
    }
}

/// Returns all changes to the packages, or to the files of them that match one of the patterns.
pub fn read(packages: &[&str], files: &[String]) -> anyhow::Result<Vec<Mutant>> {
    let mut command = cargo(&["mutants", "--list", "--json", "--all-features", "--colors", "never"]);
    for package in packages {
        command.args(["--package", package]);
    }
    for file in files {
        command.args(["--file", file]);
    }
    let text = process::run(&mut command, Duration::from_secs(300))?.into_text("cargo mutants --list")?;
    serde_json::from_str(&text).context("cargo mutants lists in another format than we know")
}
