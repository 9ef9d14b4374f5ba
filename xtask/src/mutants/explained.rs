//! `tests/mutants.toml`: why changes that no test detects are correct.

use std::fs;

use anyhow::Context as _;
use serde::Deserialize;

use super::verdict::Key;

const TABLE: &str = "tests/mutants.toml";

#[derive(Deserialize)]
pub struct Explained {
    #[serde(default)]
    mutant: Vec<Entry>,
}

/// The changes of one kind in one line of the source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub file: String,
    /// As cargo-mutants prints it, without file, line and column.
    pub change: String,
    /// The line of the source.
    pub at: String,
    /// One line.
    pub why: String,
}

impl Explained {
    pub fn read() -> anyhow::Result<Self> {
        let text = fs::read_to_string(TABLE).with_context(|| format!("{TABLE} cannot be read"))?;
        toml::from_str(&text).with_context(|| format!("{TABLE} is not as it should be"))
    }

    pub fn of(&self, key: &Key) -> Option<&Entry> {
        self.mutant
            .iter()
            .find(|entry| entry.file == key.file && entry.change == key.change && entry.at == key.at)
    }

    /// Returns entries that explain none of these: their line has changed, or a test detects the
    /// change now.
    pub fn idle<'a>(&'a self, missed: &[&Key], files: &[&str]) -> Vec<&'a Entry> {
        let explains =
            |entry: &Entry, key: &Key| self.of(key).is_some_and(|found| std::ptr::eq(found, entry));
        self.mutant
            .iter()
            .filter(|entry| files.contains(&entry.file.as_str()))
            .filter(|entry| !missed.iter().any(|key| explains(entry, key)))
            .collect()
    }
}
