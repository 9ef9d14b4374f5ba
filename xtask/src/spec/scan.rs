//! Finds the test functions of the project and the requirement ids that their comments begin with.
//!
//! A test names its ids at the beginning of a comment line above or inside it, separated by commas:
//! `// 9113-6.9.1-3, 9113-6.9.1-4: a window may not grow past its limit`. What begins like an id
//! must be one, and must be in a test, so that a misspelled id is detected.
//!
//! A case of the suite of behaviour is a test, too: a function that `on_both!` of the same file
//! lists and runs on both adapters.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::ledger::Id;
use super::tokens::{Token, tokens};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TestFunction {
    /// From the project's root, with `/` on every system.
    pub file: String,
    pub name: String,
    pub ids: Vec<Id>,
}

/// What the sources of a project, or one of them, hold.
#[derive(Debug, Default)]
pub struct Scan {
    pub tests: Vec<TestFunction>,
    /// One line each, with file and line.
    pub problems: Vec<String>,
}

/// Reads every `.rs` file below the folders, in the order of their names.
pub fn scan_folders(folders: &[&str]) -> anyhow::Result<Scan> {
    let mut scan = Scan::default();
    for folder in folders {
        for file in rust_files(Path::new(folder))? {
            let source = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            scan.add(&file.display().to_string().replace('\\', "/"), &source);
        }
    }
    scan.tests.sort();
    Ok(scan)
}

fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

impl Scan {
    /// Adds the tests of one source file.
    pub fn add(&mut self, file: &str, source: &str) {
        let tokens = tokens(source);
        let mut reader = Reader { file, tokens: &tokens, at: 0, cases: cases(&tokens), scan: self };
        reader.read();
    }
}

struct Reader<'a> {
    file: &'a str,
    tokens: &'a [(usize, Token<'a>)],
    at: usize,
    /// The functions that `on_both!`, `on_threads!` or `on_tokio!` runs.
    cases: BTreeSet<&'a str>,
    scan: &'a mut Scan,
}

/// What precedes an item: its comments with their lines, and whether an attribute makes it a
/// test.
#[derive(Default)]
struct Heading<'a> {
    comments: Vec<(usize, &'a str)>,
    is_test: bool,
}

impl<'a> Reader<'a> {
    fn read(&mut self) {
        let mut heading = Heading::default();
        while let Some((line, token)) = self.next() {
            match token {
                // A comment after code on its line belongs to that code, not to the next item.
                Token::Comment(text) if !heading.is_test && self.follows_code(line) => {
                    self.report_stray(&[(line, text)]);
                }
                Token::Comment(text) => heading.comments.push((line, text)),
                Token::Mark('#') if self.peek() == Some(Token::Mark('[')) => {
                    heading.is_test |= self.attribute_names_test();
                }
                Token::Word("fn") if heading.is_test || self.begins_case() => {
                    self.function(std::mem::take(&mut heading));
                }
                Token::Mark('{' | '}' | ';') => self.report_stray(&std::mem::take(&mut heading).comments),
                // `pub(crate)`, `async`: the heading of a test waits for its `fn`.
                _ if heading.is_test => {}
                _ => self.report_stray(&std::mem::take(&mut heading).comments),
            }
        }
        self.report_stray(&heading.comments);
    }

    fn next(&mut self) -> Option<(usize, Token<'a>)> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        token
    }

    /// Whether the name that follows is that of a case.
    fn begins_case(&self) -> bool {
        matches!(self.peek(), Some(Token::Word(name)) if self.cases.contains(name))
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).map(|(_, token)| *token)
    }

    /// Whether the token before the one just taken is code of the same line.
    fn follows_code(&self, line: usize) -> bool {
        self.at.checked_sub(2).and_then(|at| self.tokens.get(at)).is_some_and(|(before, _)| *before == line)
    }

    /// Reads the attribute that begins here. It makes a test if its path ends in `test`, as in
    /// `#[test]` and `#[tokio::test(flavor = "current_thread")]`, but not in `#[cfg(test)]`.
    fn attribute_names_test(&mut self) -> bool {
        let mut depth = 0_usize;
        let mut path_end = None;
        let mut in_path = true;
        while let Some((_, token)) = self.next() {
            match token {
                Token::Mark('[') => depth += 1,
                Token::Mark(']') if depth == 1 => break,
                Token::Mark(']') => depth -= 1,
                Token::Word(word) if in_path => path_end = Some(word),
                Token::Mark(':') => {}
                _ => in_path = false,
            }
        }
        path_end == Some("test")
    }

    /// Reads a test from its name to the end of its body.
    fn function(&mut self, heading: Heading<'a>) {
        // A macro's `fn $name` is no function yet.
        let Some(Token::Word(name)) = self.peek() else {
            return self.report_stray(&heading.comments);
        };
        let mut comments = heading.comments;
        let (mut depth, mut brackets) = (0_usize, 0_isize);
        while let Some((line, token)) = self.next() {
            match token {
                Token::Comment(text) => comments.push((line, text)),
                Token::Mark('{') => depth += 1,
                Token::Mark('}') if depth <= 1 => break,
                Token::Mark('}') => depth -= 1,
                Token::Mark('(' | '[') => brackets += 1,
                Token::Mark(')' | ']') => brackets -= 1,
                Token::Mark(';') if depth == 0 && brackets == 0 => break,
                _ => {}
            }
        }
        let mut ids = Vec::new();
        for (line, text) in comments {
            for word in words_like_ids(text) {
                match word.parse::<Id>() {
                    Ok(id) if ids.contains(&id) => {}
                    Ok(id) => ids.push(id),
                    Err(error) => self.problem(line, &format!("{error}, in test `{name}`")),
                }
            }
        }
        self.scan.tests.push(TestFunction { file: self.file.to_owned(), name: name.to_owned(), ids });
    }

    fn report_stray(&mut self, comments: &[(usize, &str)]) {
        for (line, text) in comments {
            if let Some(word) = words_like_ids(text).next() {
                self.problem(*line, &format!("`{word}` is neither above nor in a test function"));
            }
        }
    }

    fn problem(&mut self, line: usize, message: &str) {
        self.scan.problems.push(format!("{}:{line}: {message}", self.file));
    }
}

/// Returns the names that the calls of `on_both!`, `on_threads!` and `on_tokio!` list.
fn cases<'a>(tokens: &[(usize, Token<'a>)]) -> BTreeSet<&'a str> {
    let mut cases = BTreeSet::new();
    for (at, call) in tokens.windows(3).enumerate() {
        let [(_, name), (_, bang), (_, open)] = call else { continue };
        let is_list = matches!(name, Token::Word("on_both" | "on_threads" | "on_tokio"));
        if is_list && (*bang, *open) == (Token::Mark('!'), Token::Mark('(')) {
            let list = tokens[at + 3..].iter().map(|(_, token)| *token);
            cases.extend(list.take_while(|token| *token != Token::Mark(')')).filter_map(
                |token| match token {
                    Token::Word(case) => Some(case),
                    _ => None,
                },
            ));
        }
    }
    cases
}

/// Returns the words that a comment begins with and that are, or are meant as, ids: four digits and
/// a hyphen.
fn words_like_ids(comment: &str) -> impl Iterator<Item = &str> {
    comment
        .split([' ', ','])
        .filter(|word| !word.is_empty())
        .take_while(|word| {
            let (digits, rest) = word.split_at_checked(4).unwrap_or((word, ""));
            digits.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with('-')
        })
        .map(|word| word.trim_end_matches([':', ';', '.']))
}

#[cfg(test)]
mod tests {
    use super::{Scan, words_like_ids};

    /// Returns each test of a source as its name and ids in one string.
    fn found(source: &str) -> Vec<String> {
        let mut scan = Scan::default();
        scan.add("a.rs", source);
        assert_eq!(scan.problems, [""; 0]);
        let join = |ids: &[_]| ids.iter().map(ToString::to_string).collect::<Vec<String>>().join(" ");
        scan.tests.iter().map(|test| format!("{}: {}", test.name, join(&test.ids))).collect()
    }

    fn problems(source: &str) -> Vec<String> {
        let mut scan = Scan::default();
        scan.add("a.rs", source);
        scan.problems
    }

    #[test]
    fn ids_are_above_or_inside_a_test() {
        let source = "
            // 9113-6.1-1, 9113-6.1-2
            #[test]
            fn above() { a(); }

            #[test]
            // 9113-6.1-3: as text
            fn between() {}

            #[test]
            fn inside() {
                // 9113-6.9.1-3, 7541-C.1-2
                // 9113-6.9.1-4.
                if a { b(); }
                c(); // 9113-6.9.1-5
                // and 9113-6.9.1-6 is only mentioned
            }

            /// 9113-6.1-4
            #[test]
            fn documented() {}
        ";
        assert_eq!(
            found(source),
            [
                "above: 9113-6.1-1 9113-6.1-2",
                "between: 9113-6.1-3",
                "inside: 9113-6.9.1-3 7541-C.1-2 9113-6.9.1-4 9113-6.9.1-5",
                "documented: 9113-6.1-4",
            ]
        );
    }

    #[test]
    fn an_id_counts_once_for_a_test() {
        assert_eq!(found("// 9113-7-1\n#[test] fn a() { // 9113-7-1\n }"), ["a: 9113-7-1"]);
    }

    #[test]
    fn tests_of_other_attributes_and_headings_are_found() {
        let source = "
            #[tokio::test(flavor = \"current_thread\", worker_threads = [1][0])]
            #[should_panic]
            pub(crate) async fn of_tokio() -> Result<(), Box<dyn Error>> { // 9113-7-1
                Ok(())
            }
            proptest! {
                #![proptest_config(c)]
                #[test]
                fn of_proptest(a in [0_u8; 7]) { b({ a }); /* 9113-7-1 */ // 9113-7-2
                }
            }
        ";
        assert_eq!(found(source), ["of_tokio: 9113-7-1", "of_proptest: 9113-7-2"]);
    }

    #[test]
    fn cases_of_the_suite_of_behaviour_are_tests() {
        let source = "
            on_both!(
                // 100 by the handler
                first,
                second,
            );
            // 9113-7-1: above
            fn first<A: Adapter>() -> u8 { a({}) }
            fn helper<A: Adapter>() { b() }
            fn second<A: Adapter>() {
                // 9113-7-2, 9113-7-3
            }
            on_tokio!(third);
            fn third<A: Adapter>() {}
        ";
        assert_eq!(found(source), ["first: 9113-7-1", "second: 9113-7-2 9113-7-3", "third: "]);
        let stray = ["a.rs:1: `9113-7-1` is neither above nor in a test function"];
        assert_eq!(problems("// 9113-7-1\nfn helper<A: Adapter>() {} on_both!(other);"), stray);
        assert_eq!(problems("macro_rules! on_both { (a) => {} } // 9113-7-1\nfn a() {}"), stray);
    }

    #[test]
    fn what_is_no_test_is_passed_over() {
        let source = "
            #[cfg(test)]
            mod tests {
                fn helper() {}
                #[test_helper] fn other() {}
                const TEXT: &str = \"#[test] fn quoted() { // 9113-7-1\";
                // #[test] fn commented() {}
                #[doc = \"test\"] fn documented() {}
                #[test] fn declared();
                #[test] use other;
            }
        ";
        assert_eq!(found(source), ["declared: "]);
    }

    #[test]
    fn braces_in_literals_do_not_end_a_test() {
        let source = "#[test] fn a() { b('}', \"}\", r#\"}\"#); // 9113-7-1\n } #[test] fn c() {}";
        assert_eq!(found(source), ["a: 9113-7-1", "c: "]);
    }

    #[test]
    fn malformed_ids_are_problems() {
        for id in ["9113-6.9.1", "9113-6.9.1-", "9113-6.9.1-3..5", "9113-6..1-3", "9113-6.9.1-03", "9113--1"]
        {
            let source = format!("#[test]\nfn a() {{\n// {id}\n}}");
            assert_eq!(problems(&source), [format!("a.rs:3: `{id}` is not an id, in test `a`")]);
        }
    }

    #[test]
    fn ids_outside_of_tests_are_problems() {
        let stray = "is neither above nor in a test function";
        for source in [
            "// 9113-7-1",
            "// 9113-7-1\nfn a() {}",
            "fn a() { // 9113-7-1\n}",
            "fn a() {} // 9113-7-1\n#[test] fn b() {}",
            "#[test] fn $name() { // 9113-7-1\n }",
            "#[test] fn a() {} // 9113-7-1",
        ] {
            assert_eq!(problems(source), [format!("a.rs:1: `9113-7-1` {stray}")], "{source}");
        }
    }

    #[test]
    fn prose_and_dates_in_prose_are_no_ids() {
        for comment in ["", "RFC 9113 §6.9.1: a window", "see 9113-7-1", "16384 octets", "1024 - 1", "é9113"]
        {
            assert_eq!(words_like_ids(comment).count(), 0, "{comment}");
        }
    }
}
