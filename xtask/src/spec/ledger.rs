//! The ledger of requirements: `tests/requirements.toml`, read and checked.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    #[serde(rename = "rfc")]
    pub rfcs: Vec<Rfc>,
    #[serde(rename = "section")]
    pub sections: Vec<Section>,
    #[serde(rename = "requirement")]
    pub requirements: Vec<Requirement>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rfc {
    pub number: u16,
    pub title: String,
    /// The section that defines the key words, and so names all of them.
    pub conventions: String,
    /// The sections that are listed, if they are not all that have a key word.
    pub sections: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// RFC and section, as in `9113-6.9.1`.
    pub id: String,
    pub title: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    pub id: Id,
    pub section: String,
    pub level: Level,
    /// Which key word of the section it comes from, from 1. Absent where the RFC uses none.
    pub keyword: Option<usize>,
    pub text: String,
    pub role: Role,
    /// The party that has to keep it, if it is not an endpoint of ours.
    pub why: Option<String>,
    pub note: Option<String>,
    /// Why it is not followed. A SHOULD leaves that choice.
    pub declined: Option<String>,
    /// Names of test functions that do not name the id themselves.
    #[serde(default)]
    pub tests: Vec<String>,
}

impl Requirement {
    pub fn is_ours(&self) -> bool {
        self.role != Role::NotOurs
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Level {
    #[serde(rename = "MUST")]
    Must,
    #[serde(rename = "MUST NOT")]
    MustNot,
    #[serde(rename = "SHOULD")]
    Should,
    #[serde(rename = "SHOULD NOT")]
    ShouldNot,
}

impl Level {
    /// Whether it leaves no choice.
    pub fn is_must(self) -> bool {
        matches!(self, Self::Must | Self::MustNot)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Must => "MUST",
            Self::MustNot => "MUST NOT",
            Self::Should => "SHOULD",
            Self::ShouldNot => "SHOULD NOT",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Role {
    #[serde(rename = "client")]
    Client,
    #[serde(rename = "server")]
    Server,
    #[serde(rename = "both")]
    Both,
    #[serde(rename = "not ours")]
    NotOurs,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Both => "both",
            Self::NotOurs => "not ours",
        })
    }
}

/// The id of a requirement: RFC, section, and number within the section, as in `9113-6.9.1-3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Id {
    pub rfc: u16,
    pub section: String,
    pub number: u16,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.rfc, self.section, self.number)
    }
}

#[derive(Debug)]
pub struct NotAnId(String);

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an id", self.0)
    }
}

impl std::error::Error for NotAnId {}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let mut parts = text.split('-');
        let parts = (parts.next(), parts.next(), parts.next(), parts.next());
        if let (Some(rfc), Some(section), Some(number), None) = parts
            && let (Some(rfc), Some(number)) = (plain_number(rfc), plain_number(number))
            && rfc >= 1000
            && is_section_number(section)
        {
            return Ok(Self { rfc, section: section.to_owned(), number });
        }
        Err(NotAnId(text.to_owned()))
    }
}

impl TryFrom<String> for Id {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

/// Parses a number of digits only that does not begin with 0.
fn plain_number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits)
}

/// Whether it is the number of a section, such as `6.9.1`, or of an appendix, such as `C.2`.
pub fn is_section_number(text: &str) -> bool {
    let mut parts = text.split('.');
    let first = parts.next().unwrap_or_default();
    let appendix = first.len() == 1 && first.bytes().all(|b| b.is_ascii_uppercase());
    (appendix || plain_number(first).is_some()) && parts.all(|part| plain_number(part).is_some())
}

impl Ledger {
    /// Returns the inconsistencies of the ledger, one line each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut sections = BTreeSet::new();
        for section in &self.sections {
            let id = &section.id;
            if !sections.insert(id.as_str()) {
                problems.push(format!("section {id} is there twice"));
            }
            let known = id.split_once('-').is_some_and(|(rfc, number)| {
                is_section_number(number) && self.rfcs.iter().any(|known| known.number.to_string() == rfc)
            });
            if !known {
                problems.push(format!("section `{id}` is not a section of an RFC in the ledger"));
            }
        }
        let mut ids = BTreeSet::new();
        let mut before: Option<&Id> = None;
        for requirement in &self.requirements {
            let id = &requirement.id;
            if !ids.insert(id) {
                problems.push(format!("{id} is there twice"));
            } else if before
                .is_some_and(|b| (b.rfc, &b.section) == (id.rfc, &id.section) && b.number > id.number)
            {
                problems.push(format!("{id} is out of order"));
            }
            before = Some(id);
            if !sections.contains(format!("{}-{}", id.rfc, id.section).as_str()) {
                problems.push(format!("{id} has no [[section]]"));
            }
            problems.extend(requirement.faults().into_iter().map(|fault| format!("{id}: {fault}")));
        }
        problems
    }

    /// Returns the requirements of a section, in their order.
    pub fn of_section<'a>(&'a self, section: &'a Section) -> impl Iterator<Item = &'a Requirement> {
        let prefix = format!("{}-", section.id);
        self.requirements.iter().filter(move |requirement| requirement.id.to_string().starts_with(&prefix))
    }
}

impl Requirement {
    fn faults(&self) -> Vec<&'static str> {
        let mut faults = Vec::new();
        if self.section != self.id.section {
            faults.push("`section` is not that of the id");
        }
        if self.text.is_empty() || self.text.contains('\n') {
            faults.push("`text` is not one line");
        }
        if self.is_ours() == self.why.is_some() {
            faults.push("`why` goes with the role \"not ours\", and with no other");
        }
        if self.declined.is_some() && (self.level.is_must() || !self.is_ours()) {
            faults.push("only a SHOULD or SHOULD NOT that is ours can be `declined`");
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::{Id, Ledger};

    const HEAD: &str = "
        [[rfc]]
        number = 9113
        title = 'HTTP/2'
        conventions = '2.2'
        [[section]]
        id = '9113-6.1'
        title = 'DATA'
    ";

    fn entry(id: &str, rest: &str) -> String {
        format!("[[requirement]]\nid = '{id}'\nsection = '6.1'\nlevel = 'MUST'\ntext = 'A demand.'\n{rest}\n")
    }

    fn problems(entries: &[String]) -> Vec<String> {
        toml::from_str::<Ledger>(&format!("{HEAD}{}", entries.concat())).unwrap().problems()
    }

    #[test]
    fn ids_are_read_and_written_alike() {
        for text in ["9113-6-1", "9113-6.9.1-12", "7541-C.1.1-2", "7541-A-1"] {
            assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "9113",
            "9113-6.1",
            "9113-6.1-0",
            "9113-6.1-x",
            "9113-6.1-1-1",
            "913-6.1-1",
            "9113-.1-1",
            "9113-6.-1",
            "9113-AB-1",
            "9113-6.01-1",
            "+9113-6-1",
            "9113-6-+1",
            "09113-6-1",
        ] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_sound_ledger_has_no_problems() {
        let entries =
            [entry("9113-6.1-1", "role = 'both'"), entry("9113-6.1-2", "role = 'not ours'\nwhy = 'x'")];
        assert_eq!(problems(&entries), [""; 0]);
    }

    #[test]
    fn duplicates_and_disorder_are_problems() {
        let both = "role = 'both'";
        let entries = ["9113-6.1-2", "9113-6.1-2", "9113-6.1-1"].map(|id| entry(id, both));
        assert_eq!(problems(&entries), ["9113-6.1-2 is there twice", "9113-6.1-1 is out of order"]);
    }

    #[test]
    fn sections_must_be_known() {
        let expected = ["9113-6.2-1 has no [[section]]", "9113-6.2-1: `section` is not that of the id"];
        assert_eq!(problems(&[entry("9113-6.2-1", "role = 'both'")]), expected);
        let section = "[[section]]\nid = '9999-1'\ntitle = ''\n[[section]]\nid = '9113-6.1'\ntitle = ''\n";
        let expected =
            ["section `9999-1` is not a section of an RFC in the ledger", "section 9113-6.1 is there twice"];
        assert_eq!(problems(&[section.to_owned(), entry("9113-6.1-1", "role = 'both'")]), expected);
    }

    #[test]
    fn a_reason_goes_with_what_is_not_ours() {
        let fault = ["9113-6.1-1: `why` goes with the role \"not ours\", and with no other"];
        assert_eq!(problems(&[entry("9113-6.1-1", "role = 'not ours'")]), fault);
        assert_eq!(problems(&[entry("9113-6.1-1", "role = 'both'\nwhy = 'x'")]), fault);
    }

    #[test]
    fn a_must_cannot_be_declined() {
        let fault = ["9113-6.1-1: only a SHOULD or SHOULD NOT that is ours can be `declined`"];
        let must = entry("9113-6.1-1", "role = 'both'\ndeclined = 'x'");
        assert_eq!(problems(std::slice::from_ref(&must)), fault);
        let should = must.replace("'MUST'", "'SHOULD'");
        assert_eq!(problems(std::slice::from_ref(&should)), [""; 0]);
        assert_eq!(problems(&[should.replace("'both'", "'not ours'\nwhy = 'x'")]), fault);
    }

    #[test]
    fn a_text_is_one_line() {
        let good = entry("9113-6.1-1", "role = 'both'");
        for text in ["''", "\"a\\nb\""] {
            assert_eq!(
                problems(&[good.replace("'A demand.'", text)]),
                ["9113-6.1-1: `text` is not one line"]
            );
        }
    }

    #[test]
    fn unknown_fields_levels_and_malformed_ids_are_not_read() {
        let read = |entry: &str| toml::from_str::<Ledger>(&format!("{HEAD}{entry}")).map(|_| ());
        let good = entry("9113-6.1-1", "role = 'both'");
        assert_eq!(read(&good), Ok(()));
        assert!(read(&format!("{good}remark = 'x'")).is_err());
        for (a, b) in [("text", "txet"), ("'MUST'", "'MAY'"), ("'both'", "'all'"), ("9113-6.1-1", "9113-6.1")]
        {
            assert!(read(&good.replace(a, b)).is_err(), "{b}");
        }
    }
}
