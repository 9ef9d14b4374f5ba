//! Which tests keep which requirement.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Id, Ledger, Requirement};
use super::scan::{Scan, TestFunction};

pub struct Coverage<'a> {
    tests: BTreeMap<&'a Id, BTreeSet<&'a TestFunction>>,
}

/// How many requirements there are, and how many of them have a test. What was declined is not
/// among the SHOULDs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub must: usize,
    pub must_tested: usize,
    pub should: usize,
    pub should_tested: usize,
    pub declined: usize,
    pub not_ours: usize,
}

impl<'a> Coverage<'a> {
    /// Joins ledger and tests. Also returns one line for each place where a test names an unknown
    /// id and where the ledger names an unknown test.
    pub fn new(ledger: &'a Ledger, scan: &'a Scan) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut tests: BTreeMap<&Id, BTreeSet<&TestFunction>> = BTreeMap::new();
        for requirement in &ledger.requirements {
            let listed = tests.entry(&requirement.id).or_default();
            for name in &requirement.tests {
                let known = listed.len();
                listed.extend(scan.tests.iter().filter(|test| test.name == *name));
                if listed.len() == known {
                    problems.push(format!("{}: there is no test function `{name}`", requirement.id));
                }
            }
        }
        for test in &scan.tests {
            for id in &test.ids {
                match tests.get_mut(id) {
                    Some(listed) => {
                        listed.insert(test);
                    }
                    None => {
                        problems.push(format!("{}: test `{}` names the unknown {id}", test.file, test.name));
                    }
                }
            }
        }
        (Self { tests }, problems)
    }

    /// Returns the tests that keep a requirement, by file and name.
    pub fn tests_of(&self, requirement: &Requirement) -> impl Iterator<Item = &'a TestFunction> {
        self.tests.get(&requirement.id).into_iter().flatten().copied()
    }

    /// Whether it is ours and has no test.
    pub fn is_gap(&self, requirement: &Requirement) -> bool {
        requirement.is_ours() && self.tests_of(requirement).next().is_none()
    }

    pub fn counts<'r>(&self, requirements: impl Iterator<Item = &'r Requirement>) -> Counts {
        let mut counts = Counts::default();
        for requirement in requirements {
            let tested = usize::from(!self.is_gap(requirement));
            if !requirement.is_ours() {
                counts.not_ours += 1;
            } else if requirement.level.is_must() {
                counts.must += 1;
                counts.must_tested += tested;
            } else if requirement.declined.is_some() {
                counts.declined += 1;
            } else {
                counts.should += 1;
                counts.should_tested += tested;
            }
        }
        counts
    }
}

#[cfg(test)]
pub mod tests {
    use super::{Counts, Coverage, Ledger, Scan};

    /// Six requirements: tested, not tested, not ours, a SHOULD that lists its test, one without,
    /// and one that is not followed.
    pub const LEDGER: &str = "
        [[rfc]]
        number = 9113
        title = 'HTTP/2'
        conventions = '2.2'
        [[section]]
        id = '9113-6.1'
        title = 'DATA'
        [[requirement]]
        id = '9113-6.1-1'
        section = '6.1'
        level = 'MUST'
        text = 'DATA | is data.'
        role = 'both'
        note = 'A choice.'
        [[requirement]]
        id = '9113-6.1-2'
        section = '6.1'
        level = 'MUST NOT'
        text = 'No other is.'
        role = 'client'
        [[requirement]]
        id = '9113-6.1-3'
        section = '6.1'
        level = 'MUST'
        text = 'Some forward.'
        role = 'not ours'
        why = 'proxies'
        [[requirement]]
        id = '9113-6.1-4'
        section = '6.1'
        level = 'SHOULD'
        text = 'It may be much.'
        role = 'server'
        tests = ['listed']
        [[requirement]]
        id = '9113-6.1-5'
        section = '6.1'
        level = 'SHOULD NOT'
        text = 'It may not be too much.'
        role = 'server'
        [[requirement]]
        id = '9113-6.1-6'
        section = '6.1'
        level = 'SHOULD'
        text = 'It may be dear.'
        role = 'client'
        note = 'Dear.'
        declined = 'We are poor.'
        tests = ['listed']
    ";

    pub fn ledger() -> Ledger {
        toml::from_str(LEDGER).unwrap()
    }

    pub fn scan() -> Scan {
        let mut scan = Scan::default();
        scan.add("tests/b.rs", "// 9113-6.1-1\n#[test] fn named() {}");
        scan.add("tests/a.rs", "#[test] fn listed() {}\n#[test] fn named_too() { // 9113-6.1-1\n }");
        scan
    }

    #[test]
    fn tests_count_by_comment_and_by_list() {
        let (ledger, scan) = (ledger(), scan());
        let (coverage, problems) = Coverage::new(&ledger, &scan);
        assert_eq!(problems, [""; 0]);
        let names: Vec<Vec<&str>> = ledger
            .requirements
            .iter()
            .map(|requirement| coverage.tests_of(requirement).map(|test| test.name.as_str()).collect())
            .collect();
        assert_eq!(
            names,
            [vec!["named_too", "named"], vec![], vec![], vec!["listed"], vec![], vec!["listed"]]
        );
        let gaps: Vec<bool> =
            ledger.requirements.iter().map(|requirement| coverage.is_gap(requirement)).collect();
        assert_eq!(gaps, [false, true, false, false, true, false]);
        let expected =
            Counts { must: 2, must_tested: 1, should: 2, should_tested: 1, declined: 1, not_ours: 1 };
        assert_eq!(coverage.counts(ledger.requirements.iter()), expected);
    }

    #[test]
    fn unknown_ids_and_unknown_tests_are_problems() {
        let ledger: Ledger = toml::from_str(&LEDGER.replace("'listed'", "'listed', 'lost'")).unwrap();
        let mut scan = scan();
        scan.add("tests/c.rs", "#[test] fn c() { // 9113-6.1-7\n }");
        let (_, problems) = Coverage::new(&ledger, &scan);
        let expected = [
            "9113-6.1-4: there is no test function `lost`",
            "9113-6.1-6: there is no test function `lost`",
            "tests/c.rs: test `c` names the unknown 9113-6.1-7",
        ];
        assert_eq!(problems, expected);
    }
}
