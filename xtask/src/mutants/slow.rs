//! What cannot be chosen at run time: cargo-mutants itself, a build for each change.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::list::Mutant;
use super::verdict::Verdict;
use super::{FOLDER, SHARED};
use crate::process::{self, cargo};

/// Of the whole run.
const LIMIT: Duration = Duration::from_secs(12 * 3600);

/// `outcomes.json` of cargo-mutants, as far as we need it.
#[derive(Deserialize)]
struct Outcomes {
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    scenario: Scenario,
    summary: String,
}

#[derive(Deserialize)]
enum Scenario {
    /// The code as it is.
    Baseline,
    Mutant {
        name: String,
    },
}

/// What becomes of each: first whether it compiles, and of those that do, whether a test fails.
pub fn judge(
    mutants: &[Mutant],
    ids: &[usize],
    packages: &[&str],
    judges: &[&str],
    shared: &Path,
) -> anyhow::Result<Vec<(usize, Verdict)>> {
    println!("mutants: {} are left to cargo-mutants", ids.len());
    let by_name: HashMap<&str, usize> = ids.iter().map(|id| (mutants[*id].name.as_str(), *id)).collect();
    let checked = cargo_mutants(mutants, ids, packages, &["--check"], shared)?;
    let mut verdicts = Vec::new();
    let mut compiling = Vec::new();
    for (name, summary) in &checked {
        let Some(id) = by_name.get(name.as_str()) else { continue };
        match summary.as_str() {
            "Unviable" => verdicts.push((*id, Verdict::Unviable)),
            "Success" => compiling.push(*id),
            other => bail!("{name}: checked, with the result {other}, which we do not know"),
        }
    }
    if compiling.is_empty() {
        return Ok(verdicts);
    }
    println!("mutants: {} of them compile", compiling.len());
    let judges = judges.join(",");
    let tested = cargo_mutants(mutants, &compiling, packages, &["--test-package", &judges], shared)?;
    for (name, summary) in &tested {
        let Some(id) = by_name.get(name.as_str()) else { continue };
        verdicts.push((*id, verdict(name, summary)?));
    }
    Ok(verdicts)
}

fn verdict(name: &str, summary: &str) -> anyhow::Result<Verdict> {
    let by = "cargo-mutants".to_string();
    Ok(match summary {
        "CaughtMutant" => Verdict::Caught { by },
        "Timeout" => Verdict::TimedOut { by },
        "Unviable" => Verdict::Unviable,
        "MissedMutant" => {
            println!("  missed: {name}");
            Verdict::Missed
        }
        other => bail!("{name}: ended as {other}, which we do not know"),
    })
}

fn cargo_mutants(
    mutants: &[Mutant],
    ids: &[usize],
    packages: &[&str],
    arguments: &[&str],
    shared: &Path,
) -> anyhow::Result<Vec<(String, String)>> {
    let mut command =
        cargo(&["mutants", "--all-features", "--no-shuffle", "--colors", "never", "--output", FOLDER]);
    for package in packages {
        command.args(["--package", package]);
    }
    for id in ids {
        command.args(["--re", &format!("^{}$", escape(&mutants[*id].name))]);
    }
    command.args(arguments).env(SHARED, shared);
    let finished = process::run_merged(&mut command, LIMIT)?;
    // 2: mutants were missed, 3: some timed out. Anything else is no result.
    if !finished.status.is_some_and(|status| matches!(status.code(), Some(0 | 2 | 3))) {
        finished.into_text("cargo mutants")?;
        bail!("cargo mutants ended otherwise than we know");
    }
    let path = Path::new(FOLDER).join("mutants.out/outcomes.json");
    let text = fs::read_to_string(&path).with_context(|| format!("{} was not written", path.display()))?;
    outcomes(&text)
}

/// Name and summary of each change.
fn outcomes(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let outcomes: Outcomes =
        serde_json::from_str(text).context("cargo mutants writes another format than we know")?;
    let named = outcomes.outcomes.into_iter().filter_map(|outcome| match outcome.scenario {
        Scenario::Mutant { name } => Some((name, outcome.summary)),
        Scenario::Baseline => None,
    });
    Ok(named.collect())
}

/// The text as a pattern that matches it alone.
fn escape(text: &str) -> String {
    let mut pattern = String::new();
    for letter in text.chars() {
        if letter.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcomes_of_cargo_mutants_are_read_without_the_baseline() {
        let text = r#"{"outcomes":[
            {"scenario":"Baseline","summary":"Success"},
            {"scenario":{"Mutant":{"name":"x","package":"p","function":null}},"summary":"MissedMutant"}]}"#;
        assert_eq!(outcomes(text).unwrap(), [("x".to_string(), "MissedMutant".to_string())]);
    }

    #[test]
    fn an_unknown_end_is_an_error() {
        assert_eq!(verdict("x", "Timeout").unwrap(), Verdict::TimedOut { by: "cargo-mutants".into() });
        assert!(verdict("x", "Failure").is_err());
    }

    #[test]
    fn a_name_is_a_pattern_without_meaning() {
        assert_eq!(escape("a.rs: f -> <T>"), r"a\.rs\: f \-\> \<T\>");
    }
}
