//! The words and the width of comments and pages.
//!
//! The project names things as RFC 9113 and the standard library do. [`VOCABULARY`] lists the words
//! that earlier versions used for them; a word that returns is a fault, and the message names the
//! word to use. Comments and Markdown keep within [`WIDTH_MAX`] columns.

use super::sources::Source;

/// Where a path must begin for its prose to be checked. The empty path begins all.
pub const CHECKED: &[&str] = &[""];

/// The file that may hold the words: this one.
pub const VOCABULARY_FILE: &str = "xtask/src/tidy/prose.rs";

/// Files whose words are checked and whose width is not: clients and servers of the interop rows,
/// and pages of the examples.
const SCRIPTS: &[&str] = &[".go", ".html", ".js", ".mjs", ".py"];

/// Columns of a line of a comment or of Markdown.
pub const WIDTH_MAX: usize = 100;

/// Words that may not return, in each of their forms.
pub struct Term {
    /// Lower case. A form of several words is found where these follow each other in a line.
    pub forms: &'static [&'static str],
    pub instead: &'static str,
}

const AGENT: &str = "who it is: the peer, the caller, the driver, the application";

pub const VOCABULARY: &[Term] = &[
    Term { forms: &["wish", "wishes", "wished"], instead: "command, request" },
    Term { forms: &["bell", "bells", "doorbell", "doorbells"], instead: "waker" },
    Term { forms: &["ears"], instead: "event handler, sink" },
    Term { forms: &["orphan", "orphans", "orphaned"], instead: "detached, unreleased after close" },
    Term { forms: &["elder", "elders"], instead: "overflow" },
    Term { forms: &["fate", "fates"], instead: "status, close reason" },
    Term { forms: &["seat", "seats"], instead: "parker" },
    Term { forms: &["lane", "lanes"], instead: "queue, direction" },
    Term { forms: &["nap", "naps", "napping"], instead: "batch" },
    Term { forms: &["hear", "hears", "heard", "hearing"], instead: "receive, read, handle" },
    Term { forms: &["eaten"], instead: "consumed" },
    Term { forms: &["nobody", "somebody", "everybody", "whoever"], instead: AGENT },
    Term { forms: &["last word", "last words"], instead: "final GOAWAY" },
    Term { forms: &["for ever"], instead: "indefinitely" },
];

/// Where a word or a long line is right, and why.
pub struct Exception {
    pub path: &'static str,
    /// A form of the vocabulary, or the beginning of a long line's text.
    pub text: &'static str,
    pub why: &'static str,
}

pub const EXCEPTIONS: &[Exception] = &[Exception {
    path: "tests/tests/rfc9113/s5_1_states.rs",
    text: "//      ",
    why: "the head of a table in code, over columns of its own width",
}];

/// The faults of one file's prose, if it is checked.
pub fn faults(source: &Source, checked: &[&str]) -> Vec<String> {
    if !checked.iter().any(|path| source.path.starts_with(path)) {
        return Vec::new();
    }
    let has_extension = |extensions: &[&str]| extensions.iter().any(|end| source.path.ends_with(end));
    let is_prose = has_extension(&[".rs", ".md"]);
    let mut faults = Vec::new();
    if (is_prose || has_extension(SCRIPTS)) && source.path != VOCABULARY_FILE {
        faults.extend(word_faults(source));
    }
    if is_prose && !is_generated_page(source) {
        faults.extend(width_faults(source));
    }
    faults
}

/// Whether a command writes the page: it quotes code and names, which no line break may split.
fn is_generated_page(source: &Source) -> bool {
    source.text.starts_with("<!-- Written by `cargo xtask ")
}

fn word_faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let words = words(line);
        for Term { forms, instead } in VOCABULARY {
            for form in forms.iter().filter(|form| holds(&words, form)) {
                if !is_excepted(&source.path, |exception| exception.text == *form) {
                    faults.push(format!("{}:{}: {form:?}: say {instead}", source.path, index + 1));
                }
            }
        }
    }
    faults
}

/// The words of a line in lower case: identifiers are split at `_` and before capitals.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut was_lower = false;
    for char in line.chars().chain([' ']) {
        let begins_anew = char.is_uppercase() && was_lower;
        if (begins_anew || !char.is_alphabetic()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if char.is_alphabetic() {
            word.extend(char.to_lowercase());
        }
        was_lower = char.is_lowercase();
    }
    words
}

/// Whether the words of a form follow each other.
fn holds(words: &[String], form: &str) -> bool {
    let form: Vec<&str> = form.split(' ').collect();
    words.windows(form.len()).any(|window| window.iter().map(String::as_str).eq(form.iter().copied()))
}

fn width_faults(source: &Source) -> Vec<String> {
    let is_markdown = source.path.ends_with(".md");
    let mut is_code = false;
    let mut faults = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let text = line.trim_start();
        is_code ^= text.starts_with("```");
        let is_prose = if is_markdown {
            !is_code && !line.starts_with("    ")
        } else {
            text.starts_with("//") || has_comment_behind_code(line)
        };
        if is_markdown && !is_code && holds_joined_rows(text) {
            faults.push(format!("{}:{}: a row of a table does not begin its line", source.path, index + 1));
        }
        let columns = line.chars().count();
        if is_prose
            && columns > WIDTH_MAX
            && is_breakable(text)
            && !is_excepted(&source.path, |exception| text.starts_with(exception.text))
        {
            faults.push(format!("{}:{}: {columns} columns, limit {WIDTH_MAX}", source.path, index + 1));
        }
    }
    faults
}

/// Whether a comment follows on code, and not only two slashes within a string.
fn has_comment_behind_code(line: &str) -> bool {
    line.split_once(" // ").is_some_and(|(code, _)| code.matches('"').count() % 2 == 0)
}

/// Whether the mark below the head of a table has other text on its line, so that a reader shows no
/// table: a reflow has joined the rows.
fn holds_joined_rows(text: &str) -> bool {
    text.contains("|---") && !text.chars().all(|char| matches!(char, '|' | '-' | ':' | ' '))
}

/// Whether the line could be broken: not the row of a table, and not a single long word such as an
/// address, behind the mark of a comment or a list.
fn is_breakable(text: &str) -> bool {
    let text = text.trim_start_matches(['/', '!', '-', '*', ' ']);
    !text.starts_with('|') && text.trim_end().contains(' ')
}

/// Exceptions that their file does not need any more.
pub fn stale_exceptions(sources: &[Source]) -> Vec<String> {
    let is_needed = |exception: &Exception| {
        let mut lines = sources
            .iter()
            .filter(|source| source.path == exception.path)
            .flat_map(|source| source.text.lines());
        lines.any(|line| holds(&words(line), exception.text) || line.trim_start().starts_with(exception.text))
    };
    let stale = EXCEPTIONS.iter().filter(|exception| !is_needed(exception));
    stale
        .map(|Exception { path, text, why }| format!("{path}: the exception for {text:?} ({why}) is stale"))
        .collect()
}

fn is_excepted(path: &str, matches: impl Fn(&Exception) -> bool) -> bool {
    EXCEPTIONS.iter().any(|exception| exception.path == path && matches(exception))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &[""];

    fn faults_in(path: &str, text: &str) -> Vec<String> {
        faults(&Source { path: path.into(), text: text.into() }, ALL)
    }

    #[test]
    fn every_planted_word_is_named_with_its_place_and_its_replacement() {
        for Term { forms, instead } in VOCABULARY {
            for form in *forms {
                let text = format!("Plain text.\nHere the {form}, planted.\n");
                for path in
                    ["crates/thalweg/src/a.rs", "docs/a.md", "a.go", "a.html", "a.js", "a.mjs", "a.py"]
                {
                    let expected = format!("{path}:2: {form:?}: say {instead}");
                    assert_eq!(faults_in(path, &text), [expected]);
                }
                assert!(faults_in("a.toml", &text).is_empty(), "{form}: only code and Markdown");
            }
        }
    }

    #[test]
    fn the_words_that_the_first_versions_used_are_in_the_table() {
        for word in [
            "wish",
            "bell",
            "orphan",
            "elder",
            "fate",
            "nobody",
            "doorbell",
            "ears",
            "wishes",
            "orphans",
            "elders",
            "seat",
            "lane",
            "nap",
            "hear",
            "heard",
            "somebody",
            "everybody",
            "whoever",
        ] {
            let found = faults_in("a.rs", &format!("// A {word} here.\n"));
            assert_eq!(found.len(), 1, "{word}: {found:?}");
        }
    }

    #[test]
    fn words_in_identifiers_and_capitals_are_found_and_longer_words_are_not() {
        for line in ["fn grant_wish() {}", "struct WishQueue;", "const WISH_MAX: u8 = 1;", "a-wish", "Wish"] {
            assert_eq!(faults_in("a.rs", line), [r#"a.rs:1: "wish": say command, request"#], "{line}");
        }
        for line in ["// wishbone", "// years and planes", "fn snapshot() {}", "// belly", "let l = 1;"] {
            assert!(faults_in("a.rs", line).is_empty(), "{line}");
        }
    }

    #[test]
    fn only_checked_paths_are_read() {
        let source = |path: &str| Source { path: path.into(), text: "A wish.\n".into() };
        assert_eq!(faults(&source("docs/a.md"), &["docs/"]).len(), 1);
        assert!(faults(&source("crates/docs/a.md"), &["docs/"]).is_empty());
        assert!(faults(&source(VOCABULARY_FILE), ALL).is_empty());
    }

    #[test]
    fn a_comment_may_reach_the_width_but_not_pass_it() {
        let line = |columns: usize| format!("// a {}\n", "x".repeat(columns - 5));
        assert!(faults_in("a.rs", &line(100)).is_empty());
        assert_eq!(faults_in("a.rs", &line(101)), ["a.rs:1: 101 columns, limit 100"]);
        for start in ["    /// a ", "//! a ", "let x = 1; // a "] {
            let text = format!("\n{start}{}\n", "x".repeat(101 - start.len()));
            assert_eq!(faults_in("a.rs", &text), ["a.rs:2: 101 columns, limit 100"], "{start}");
        }
        let code = format!("let x = \"a {}\";\n", "x".repeat(100));
        assert!(faults_in("a.rs", &code).is_empty(), "rustfmt keeps the width of code");
        let slashes = format!("let x = \"a // {}\";\n", "x".repeat(100));
        assert!(faults_in("a.rs", &slashes).is_empty());
    }

    #[test]
    fn markdown_is_measured_outside_of_tables_code_and_addresses() {
        let long = format!("a {}", "é".repeat(99));
        assert_eq!(faults_in("a.md", &format!("b\n{long}\n")), ["a.md:2: 101 columns, limit 100"]);
        assert_eq!(faults_in("a.md", &format!("```\n```\n- {long}\n")).len(), 1);
        assert!(faults_in("a.py", &format!("# {long}\n")).is_empty());
        for other in [
            format!("| {long} |\n"),
            format!("```rust\n{long}\n```\n"),
            format!("    {long}\n"),
            format!("- https://example.org/{}\n", "x".repeat(100)),
            "é".repeat(100),
        ] {
            assert!(faults_in("a.md", &other).is_empty(), "{other}");
        }
        let generated = format!("<!-- Written by `cargo xtask spec`. -->\n{long}\n");
        assert!(faults_in("a.md", &generated).is_empty());
        assert_eq!(faults_in("a.md", &format!("{generated}a wish\n")).len(), 1);
    }

    #[test]
    fn a_table_whose_rows_are_joined_is_a_fault() {
        let table = "| A | B |\n|---|:---|\n| a | b |\n";
        assert!(faults_in("a.md", table).is_empty());
        let joined = table.replace('\n', " ");
        assert_eq!(faults_in("a.md", &joined), ["a.md:1: a row of a table does not begin its line"]);
        assert!(faults_in("a.md", &format!("```\n{joined}\n```\n")).is_empty());
        assert!(faults_in("a.rs", &format!("// {joined}\n")).is_empty());
    }

    #[test]
    fn an_exception_that_its_file_does_not_need_is_a_fault() {
        let sources: Vec<Source> = EXCEPTIONS
            .iter()
            .map(|exception| Source { path: exception.path.into(), text: format!("{} x", exception.text) })
            .collect();
        assert!(stale_exceptions(&sources).is_empty());
        assert_eq!(stale_exceptions(&[]).len(), EXCEPTIONS.len());
    }

    #[test]
    fn each_exception_names_its_reason_and_is_for_its_file_alone() {
        for exception in EXCEPTIONS {
            assert!(!exception.why.is_empty());
            let long = format!("{}{}", exception.text, "a ".repeat(60));
            assert!(width_faults(&Source { path: exception.path.into(), text: long.clone() }).is_empty());
            assert_eq!(width_faults(&Source { path: "other.rs".into(), text: long }).len(), 1);
        }
    }
}
