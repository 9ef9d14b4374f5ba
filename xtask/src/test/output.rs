//! Parses the output of a step for the results of its tests.

use crate::process::Finished;
use crate::tally::Tally;

/// How the tests of a step are counted from its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// The step is one test.
    Whole,
    /// cargo-nextest with `--success-output`.
    Nextest,
    /// The test harness of Rust with `--show-output`, any number of times.
    Libtest,
    /// Rows and a closing line, as `Tally` prints them.
    Rows,
}

/// A test that cannot run here prints a line of its own that begins with this.
const SKIPPED: &str = "skipped: ";

impl OutputFormat {
    /// Counts the tests of a step. A step that failed without naming a failed test counts as one,
    /// and so does a step of many tests that does not print their number.
    pub fn tally(self, step: &str, finished: &Finished) -> Tally {
        let output = String::from_utf8_lossy(&finished.stdout);
        let reported = match self {
            Self::Whole => Some(whole(step, &output)),
            Self::Nextest => nextest(&output),
            Self::Libtest => libtest(&output),
            Self::Rows => rows(&output),
        };
        match reported {
            Some(tally) if finished.is_success() && tally.failed == 0 => tally,
            Some(tally) if tally.failed > 0 => tally,
            // A failure counts, even if all tests that were printed before it have passed.
            _ => Tally { failed: 1, ..Tally::default() },
        }
    }
}

fn whole(step: &str, output: &str) -> Tally {
    match output.lines().find_map(|line| line.split_once(SKIPPED)) {
        Some((_, why)) => Tally { skipped: vec![format!("{step}: {why}")], ..Tally::default() },
        None => Tally { passed: 1, ..Tally::default() },
    }
}

fn nextest(output: &str) -> Option<Tally> {
    let summary = output.lines().rev().find(|line| line.trim_start().starts_with("Summary ["))?;
    let (_, counts) = summary.split_once(" run: ")?;
    let mut tally = Tally::default();
    let mut unrun = 0;
    for count in counts.split(", ") {
        // The parentheses hold details of the passed ones: how many were slow or flaky.
        let mut words = count.split_whitespace();
        let number: usize = words.next()?.parse().ok()?;
        match words.next()? {
            "passed" => tally.passed += number,
            "skipped" => unrun += number,
            // Failed, timed out, did not start.
            _ => tally.failed += number,
        }
    }
    let passed = |line: &str| {
        let (status, name) = nextest_test(line)?;
        (status == "PASS").then(|| name.to_owned())
    };
    let other = |line: &str| nextest_test(line).is_some();
    move_skipped(&mut tally, skipped_tests(output, passed, other));
    if unrun > 0 {
        tally.skipped.push(format!("tests that are ignored: {unrun}"));
    }
    Some(tally)
}

/// Returns the status and name of the test that a line like `PASS [   0.004s] (1/4) package test`
/// is about.
fn nextest_test(line: &str) -> Option<(&str, &str)> {
    let (status, rest) = line.trim_start().split_once(" [")?;
    let (time, name) = rest.split_once("] ")?;
    let is_status = status.chars().all(|letter| letter.is_ascii_uppercase() || letter == ' ');
    let is_time = time.trim().strip_suffix('s').is_some_and(|seconds| seconds.parse::<f64>().is_ok());
    let name = name.rsplit_once(')').map_or(name, |(_, name)| name).trim();
    (is_status && is_time).then_some((status, name))
}

fn libtest(output: &str) -> Option<Tally> {
    let mut tally = Tally::default();
    let mut ignored = 0;
    let mut is_reported = false;
    for result in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        let (_, counts) = result.split_once(". ")?;
        for count in counts.split("; ") {
            let mut words = count.split_whitespace();
            let number: Option<usize> = words.next().and_then(|word| word.parse().ok());
            match (number, words.next()) {
                (Some(number), Some("passed")) => tally.passed += number,
                (Some(number), Some("failed")) => tally.failed += number,
                (Some(number), Some("ignored")) => ignored += number,
                _ => {}
            }
        }
        is_reported = true;
    }
    let block = |line: &str| Some(line.strip_prefix("---- ")?.strip_suffix(" stdout ----")?.to_owned());
    move_skipped(&mut tally, skipped_tests(output, block, |line| line == "failures:"));
    if ignored > 0 {
        tally.skipped.push(format!("tests that are ignored: {ignored}"));
    }
    is_reported.then_some(tally)
}

/// Returns the tests that passed by skipping, each with its first reason.
///
/// `begins` gives the name of the test whose output follows a line; `ends` is true for a line after
/// which the output is of no passed test.
fn skipped_tests(
    output: &str,
    begins: impl Fn(&str) -> Option<String>,
    ends: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut skipped = Vec::new();
    let mut current: Option<String> = None;
    for line in output.lines() {
        if let Some(name) = begins(line) {
            current = Some(name);
        } else if ends(line) {
            current = None;
        } else if let Some(why) = line.trim_start().strip_prefix(SKIPPED)
            && let Some(name) = current.take()
        {
            skipped.push(format!("{name}: {why}"));
        }
    }
    skipped
}

fn move_skipped(tally: &mut Tally, skipped: Vec<String>) {
    tally.passed = tally.passed.saturating_sub(skipped.len());
    tally.skipped.extend(skipped);
}

/// Returns the rows, if the closing line agrees with them.
fn rows(output: &str) -> Option<Tally> {
    let mut tally = Tally::default();
    // The output of a failed row is indented.
    for line in output.lines().filter(|line| !line.starts_with(' ')) {
        if line.ends_with(": passed") {
            tally.passed += 1;
        } else if line.ends_with(": failed") {
            tally.failed += 1;
        } else if let Some((name, why)) = line.split_once(": skipped (") {
            tally.skipped.push(format!("{name}: {}", why.trim_end_matches(')')));
        }
    }
    let closing = tally.to_string();
    output.lines().any(|line| line == closing).then_some(tally)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;
    use std::time::Duration;

    use super::*;

    fn tally(format: OutputFormat, code: i32, output: &str) -> Tally {
        let finished = Finished {
            status: Some(ExitStatus::from_raw(code << 8)),
            stdout: output.into(),
            stderr: Vec::new(),
            elapsed: Duration::ZERO,
        };
        format.tally("step", &finished)
    }

    fn counts(passed: usize, failed: usize, skipped: &[&str]) -> Tally {
        Tally { passed, failed, skipped: skipped.iter().map(|reason| (*reason).to_owned()).collect() }
    }

    const NEXTEST: &str = "\
    Starting 4 tests across 2 binaries
        PASS [   0.005s] (1/4) thalweg-hpack::corpus every_story
  stdout ───

    running 1 test
    skipped: ../shared/data is absent
    skipped: and so is the rest
    test every_story ... ok

        PASS [   0.004s] (2/4) thalweg-hpack decoder::tests::a
     SIGABRT [   0.006s] (3/4) xtask::bin/xtask tests::c
  stdout ───

    skipped: a failed test is not skipped

        PASS [   0.004s] (4/4) xtask::bin/xtask tests::d
────────────
     Summary [   0.100s] 4 tests run: 3 passed (1 slow), 1 failed, 0 skipped
";

    #[test]
    fn nextest_counts_a_skip_once_and_not_as_passed() {
        let expected = counts(2, 1, &["thalweg-hpack::corpus every_story: ../shared/data is absent"]);
        assert_eq!(tally(OutputFormat::Nextest, 100, NEXTEST), expected);
    }

    #[test]
    fn nextest_names_what_is_ignored_and_counts_what_timed_out() {
        let output = "     Summary [  60.1s] 9/12 tests run: 6 passed, 1 failed, 2 timed out, 3 skipped\n";
        assert_eq!(tally(OutputFormat::Nextest, 100, output), counts(6, 3, &["tests that are ignored: 3"]));
    }

    const LIBTEST: &str = "\
running 3 tests
test a ... ok
test b ... ok
test c ... ignored

successes:

---- b stdout ----
skipped: no curl

successes:
    a
    b

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 2 tests
test d ... ok
test e ... FAILED

failures:

---- e stdout ----
thread panicked

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn libtest_is_summed_over_its_binaries() {
        let expected = counts(2, 1, &["b: no curl", "tests that are ignored: 1"]);
        assert_eq!(tally(OutputFormat::Libtest, 101, LIBTEST), expected);
    }

    #[test]
    fn a_step_that_fails_without_a_failed_test_counts_as_one() {
        let build_error = "error: could not compile";
        for format in [OutputFormat::Whole, OutputFormat::Nextest, OutputFormat::Libtest, OutputFormat::Rows]
        {
            assert_eq!(tally(format, 101, build_error), counts(0, 1, &[]), "{format:?}");
        }
        let crash_later = "test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(tally(OutputFormat::Libtest, 101, crash_later), counts(0, 1, &[]));
    }

    #[test]
    fn a_step_of_many_tests_without_a_count_has_failed() {
        for format in [OutputFormat::Nextest, OutputFormat::Libtest, OutputFormat::Rows] {
            assert_eq!(tally(format, 0, "nothing to see\n"), counts(0, 1, &[]), "{format:?}");
        }
    }

    #[test]
    fn a_step_that_ran_out_of_time_has_failed() {
        let finished =
            Finished { status: None, stdout: Vec::new(), stderr: Vec::new(), elapsed: Duration::ZERO };
        assert_eq!(OutputFormat::Whole.tally("step", &finished), counts(0, 1, &[]));
    }

    #[test]
    fn a_whole_step_passes_or_is_skipped() {
        assert_eq!(tally(OutputFormat::Whole, 0, "all well\n"), counts(1, 0, &[]));
        let skipped = "setup: skipped: apt-get is absent\n";
        assert_eq!(tally(OutputFormat::Whole, 0, skipped), counts(0, 0, &["step: apt-get is absent"]));
    }

    #[test]
    fn rows_are_counted_if_the_closing_line_agrees() {
        let output = "a page: passed\nan upload: failed\n    x: passed\nNode: skipped (node is absent)\n";
        let closed = format!("{output}1 passed, 1 failed, 1 skipped\n");
        assert_eq!(tally(OutputFormat::Rows, 1, &closed), counts(1, 1, &["Node: node is absent"]));
        let cut_short = format!("{output}2 passed, 1 failed, 1 skipped\n");
        assert_eq!(tally(OutputFormat::Rows, 1, &cut_short), counts(0, 1, &[]));
    }
}
