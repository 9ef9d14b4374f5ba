//! The printed summary and the written page of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::explained::Explained;
use super::list::Mutant;
use super::verdict::{Key, Verdict};

/// A change, and its result if it was run.
pub type Row<'a> = (&'a Mutant, &'a Key, Option<&'a Verdict>);

const HEAD: &str = "<!-- Written by `cargo xtask mutants`. Changes here are lost. -->\n# Mutants\n\n\
    Changes to the code, one at a time, and whether a test failed. A test that hangs counts as failed.\n\
    Not run: files that no run has reached, code that is newer than the last run, and changes in\n\
    constants that the last run did not reach, since each of those needs a build.\n\n\
    | File | Caught | Hung | Explained | Missed | Do not compile | Not run |\n|---|--:|--:|--:|--:|--:|--:|\n";

#[derive(Default, Clone, Copy)]
struct Count {
    caught: usize,
    hung: usize,
    explained: usize,
    missed: usize,
    unviable: usize,
    not_run: usize,
}

impl Count {
    fn add(&mut self, row: &Row<'_>, explained: &Explained) {
        let field = match row.2 {
            None => &mut self.not_run,
            Some(Verdict::Caught { .. }) => &mut self.caught,
            Some(Verdict::TimedOut { .. }) => &mut self.hung,
            Some(Verdict::Unviable) => &mut self.unviable,
            Some(Verdict::Missed | Verdict::Unreached) if explained.of(row.1).is_some() => {
                &mut self.explained
            }
            Some(Verdict::Missed | Verdict::Unreached) => &mut self.missed,
        };
        *field += 1;
    }

    fn line(self, name: &str) -> String {
        let Self { caught, hung, explained, missed, unviable, not_run } = self;
        format!("| {name} | {caught} | {hung} | {explained} | {missed} | {unviable} | {not_run} |\n")
    }
}

pub fn is_unexplained(row: &Row<'_>, explained: &Explained) -> bool {
    row.2.is_some_and(Verdict::is_missed) && explained.of(row.1).is_none()
}

fn counts<'a>(rows: &[Row<'a>], explained: &Explained) -> (BTreeMap<&'a str, Count>, Count) {
    let mut files: BTreeMap<&str, Count> = BTreeMap::new();
    let mut all = Count::default();
    for row in rows {
        files.entry(&row.0.file).or_default().add(row, explained);
        all.add(row, explained);
    }
    (files, all)
}

/// Returns the whole page, with the reasons.
pub fn page(rows: &[Row<'_>], explained: &Explained) -> String {
    let (files, all) = counts(rows, explained);
    let mut page = String::from(HEAD);
    for (file, count) in &files {
        page += &count.line(&format!("`{file}`"));
    }
    page += &all.line("all");
    let mut is_headed = false;
    for row in rows.iter().filter(|row| is_unexplained(row, explained)) {
        if !std::mem::replace(&mut is_headed, true) {
            page += "\n## Missed\n\n";
        }
        let _ = writeln!(page, "- `{}`: {}, at `{}`", row.1.file, code(&row.1.change), row.1.at);
    }
    let mut file = "";
    for row in rows.iter().filter(|row| row.2.is_some_and(Verdict::is_missed)) {
        let Some(entry) = explained.of(row.1) else { continue };
        if file.is_empty() {
            page += "\n## Explained\n\nWhat no test can or should notice.\n";
        }
        if file != row.1.file {
            file = &row.1.file;
            let _ = writeln!(page, "\n### `{file}`\n");
        }
        let _ = writeln!(page, "- {}, at `{}`: {}", code(&row.1.change), row.1.at, entry.why);
    }
    page
}

fn code(change: &str) -> String {
    format!("`{change}`")
}

/// Returns the summary at the end of a run.
pub fn summary(rows: &[Row<'_>], explained: &Explained) -> String {
    let (files, all) = counts(rows, explained);
    let mut text = String::new();
    for row in rows.iter().filter(|row| is_unexplained(row, explained)) {
        let _ = writeln!(text, "missed: {}", row.0.name);
        let _ = writeln!(text, "    {}", row.1.at);
    }
    let missed: Vec<&Key> =
        rows.iter().filter(|row| row.2.is_none_or(Verdict::is_missed)).map(|row| row.1).collect();
    for entry in explained.idle(&missed, &files.keys().copied().collect::<Vec<_>>()) {
        let _ = writeln!(text, "explained, but not missed: {}: {} at {}", entry.file, entry.change, entry.at);
    }
    let Count { caught, hung, explained, missed, unviable, not_run } = all;
    let _ = writeln!(
        text,
        "mutants: {caught} caught, {hung} hung, {explained} explained, {missed} missed, {unviable} do not \
         compile, {not_run} not run"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::list::{Genre, Place, Span};

    const TABLE: &str =
        "[[mutant]]\nfile = 'a.rs'\nchange = 'replace + with -'\nat = 'x + 1'\nwhy = 'as good'\n";

    fn key(at: &str) -> Key {
        Key { file: "a.rs".into(), change: "replace + with -".into(), at: at.into(), nth: 0 }
    }

    fn mutant() -> Mutant {
        let place = Place { line: 1, column: 1 };
        Mutant {
            file: "a.rs".into(),
            name: "a.rs:1:1: replace + with -".into(),
            genre: Genre::BinaryOperator,
            replacement: "-".into(),
            span: Span { start: place, end: place },
        }
    }

    #[test]
    fn what_is_missed_is_explained_or_named() {
        let explained: Explained = toml::from_str(TABLE).unwrap();
        let (mutant, known, new) = (mutant(), key("x + 1"), key("y + 1"));
        let caught = Verdict::Caught { by: "t".into() };
        let rows = [
            (&mutant, &known, Some(&Verdict::Missed)),
            (&mutant, &new, Some(&Verdict::Unreached)),
            (&mutant, &new, Some(&caught)),
            (&mutant, &new, None),
        ];
        let page = page(&rows, &explained);
        assert!(
            page.contains("| `a.rs` | 1 | 0 | 1 | 1 | 0 | 1 |\n| all | 1 | 0 | 1 | 1 | 0 | 1 |\n"),
            "{page}"
        );
        assert!(page.contains("## Missed\n\n- `a.rs`: `replace + with -`, at `y + 1`\n"), "{page}");
        assert!(page.ends_with("### `a.rs`\n\n- `replace + with -`, at `x + 1`: as good\n"), "{page}");
        assert!(
            summary(&rows, &explained)
                .ends_with("mutants: 1 caught, 0 hung, 1 explained, 1 missed, 0 do not compile, 1 not run\n")
        );
    }

    #[test]
    fn an_explanation_of_a_caught_mutant_is_reported() {
        let explained: Explained = toml::from_str(TABLE).unwrap();
        let (mutant, known) = (mutant(), key("x + 1"));
        let caught = Verdict::Caught { by: "t".into() };
        let text = summary(&[(&mutant, &known, Some(&caught))], &explained);
        assert!(text.starts_with("explained, but not missed: a.rs: replace + with - at x + 1\n"), "{text}");
    }
}
