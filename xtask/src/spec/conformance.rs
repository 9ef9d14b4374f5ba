//! `docs/conformance.md`: the ledger for readers.

use std::fmt::Write as _;

use super::coverage::Coverage;
use super::ledger::{Ledger, Requirement};

const HEAD: &str = "\
<!-- Written by `cargo xtask spec` from tests/requirements.toml and the tests. Changes here are lost. -->

# Conformance

The requirements of the RFCs for an endpoint, in our words, and the tests that check them. The level
is that of the RFC; MUST or MUST NOT also where the RFC states a rule without a key word. The role
names the side that is bound, client or server; for *not ours* the last column names the party that
has to comply instead. A SHOULD that is not followed has its reason, and its test shows what is done
instead.
";

/// Writes the page. It depends on the ledger and the tests alone.
pub fn page(ledger: &Ledger, coverage: &Coverage<'_>) -> String {
    let mut page = HEAD.to_owned();
    page.push_str(
        "\n| RFC | MUST, tested | SHOULD, tested | not followed | not ours |\n|---|---|---|---|---|\n",
    );
    for rfc in &ledger.rfcs {
        let of_rfc = ledger.requirements.iter().filter(|requirement| requirement.id.rfc == rfc.number);
        let counts = coverage.counts(of_rfc);
        line(
            &mut page,
            format_args!(
                "| {} {} | {} of {} | {} of {} | {} | {} |",
                rfc.number,
                rfc.title,
                counts.must_tested,
                counts.must,
                counts.should_tested,
                counts.should,
                counts.declined,
                counts.not_ours
            ),
        );
    }
    for rfc in &ledger.rfcs {
        line(&mut page, format_args!("\n## RFC {}: {}", rfc.number, rfc.title));
        let prefix = format!("{}-", rfc.number);
        for section in &ledger.sections {
            let Some(number) = section.id.strip_prefix(&prefix) else { continue };
            line(&mut page, format_args!("\n### {number} {}\n", section.title));
            page.push_str("| Requirement | Level | Role | Demand | Tests |\n|---|---|---|---|---|\n");
            for requirement in ledger.of_section(section) {
                row(&mut page, requirement, coverage);
            }
        }
    }
    page
}

fn row(page: &mut String, requirement: &Requirement, coverage: &Coverage<'_>) {
    let Requirement { id, level, role, text, note, why, declined, .. } = requirement;
    let note = note.as_ref().map(|note| format!(" *{note}*")).unwrap_or_default();
    let declined = declined.as_ref().map(|why| format!(" *Not followed: {why}*")).unwrap_or_default();
    let demand = format!("{text}{note}{declined}").replace('|', "\\|");
    let tests: Vec<String> =
        coverage.tests_of(requirement).map(|test| format!("[`{}`](../{})", test.name, test.file)).collect();
    let tests = match why {
        Some(why) if tests.is_empty() => why.replace('|', "\\|"),
        None if tests.is_empty() => "none".to_owned(),
        _ => tests.join(", "),
    };
    line(page, format_args!("| `{id}` | {level} | {role} | {demand} | {tests} |"));
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use super::super::coverage::{Coverage, tests::ledger, tests::scan};
    use super::{HEAD, page};

    #[test]
    fn the_page_shows_counts_and_every_requirement() {
        let (ledger, scan) = (ledger(), scan());
        let (coverage, _) = Coverage::new(&ledger, &scan);
        let expected = "\n\
            | RFC | MUST, tested | SHOULD, tested | not followed | not ours |\n\
            |---|---|---|---|---|\n\
            | 9113 HTTP/2 | 1 of 2 | 1 of 2 | 1 | 1 |\n\
            \n\
            ## RFC 9113: HTTP/2\n\
            \n\
            ### 6.1 DATA\n\
            \n\
            | Requirement | Level | Role | Demand | Tests |\n\
            |---|---|---|---|---|\n\
            | `9113-6.1-1` | MUST | both | DATA \\| is data. *A choice.* | \
              [`named_too`](../tests/a.rs), [`named`](../tests/b.rs) |\n\
            | `9113-6.1-2` | MUST NOT | client | No other is. | none |\n\
            | `9113-6.1-3` | MUST | not ours | Some forward. | proxies |\n\
            | `9113-6.1-4` | SHOULD | server | It may be much. | [`listed`](../tests/a.rs) |\n\
            | `9113-6.1-5` | SHOULD NOT | server | It may not be too much. | none |\n\
            | `9113-6.1-6` | SHOULD | client | It may be dear. *Dear.* *Not followed: We are poor.* | \
              [`listed`](../tests/a.rs) |\n";
        assert_eq!(page(&ledger, &coverage), format!("{HEAD}{expected}"));
    }
}
