//! What became of each change, kept from one run to the next.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::list::Mutant;

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Caught {
        by: String,
    },
    /// A test hung: noticed too.
    TimedOut {
        by: String,
    },
    /// Does not compile, so there is no verdict.
    Unviable,
    Missed,
    /// Missed, as no test comes there.
    Unreached,
}

impl Verdict {
    pub fn is_missed(&self) -> bool {
        matches!(self, Self::Missed | Self::Unreached)
    }
}

/// What names a change although lines above it come and go.
#[derive(PartialEq, Eq, Hash, PartialOrd, Ord, Clone, Debug)]
pub struct Key {
    pub file: String,
    pub change: String,
    /// The line of the source, without the space around it.
    pub at: String,
    /// The index among equal ones.
    pub nth: usize,
}

/// Returns the key of each change, by its number.
pub fn keys(mutants: &[Mutant]) -> anyhow::Result<Vec<Key>> {
    let mut lines: HashMap<&str, Vec<String>> = HashMap::new();
    let mut seen: BTreeMap<Key, usize> = BTreeMap::new();
    let mut keys = Vec::new();
    for mutant in mutants {
        if !lines.contains_key(mutant.file.as_str()) {
            let text = fs::read_to_string(&mutant.file)
                .with_context(|| format!("{} cannot be read", mutant.file))?;
            lines.insert(&mutant.file, text.lines().map(|line| line.trim().to_string()).collect());
        }
        let mut key = Key {
            file: mutant.file.clone(),
            change: mutant.change().into(),
            at: lines[mutant.file.as_str()][mutant.span.start.line - 1].clone(),
            nth: 0,
        };
        let count = seen.entry(key.clone()).or_default();
        key.nth = *count;
        *count += 1;
        keys.push(key);
    }
    Ok(keys)
}

#[derive(Serialize, Deserialize)]
struct Kept {
    file: String,
    change: String,
    at: String,
    nth: usize,
    verdict: Verdict,
}

pub fn load(path: &Path) -> HashMap<Key, Verdict> {
    let Ok(text) = fs::read_to_string(path) else { return HashMap::new() };
    let kept: Vec<Kept> = serde_json::from_str(&text).unwrap_or_default();
    kept.into_iter()
        .map(|Kept { file, change, at, nth, verdict }| (Key { file, change, at, nth }, verdict))
        .collect()
}

pub fn save(path: &Path, verdicts: &HashMap<Key, Verdict>) -> anyhow::Result<()> {
    let kept: Vec<Kept> = verdicts
        .iter()
        .map(|(key, verdict)| {
            let Key { file, change, at, nth } = key.clone();
            Kept { file, change, at, nth, verdict: verdict.clone() }
        })
        .collect();
    fs::write(path, serde_json::to_string_pretty(&kept)?)
        .with_context(|| format!("{} cannot be written", path.display()))
}
