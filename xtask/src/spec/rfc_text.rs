//! The key words of an RFC's text, section by section, to compare with the ledger.

use super::ledger::{Ledger, Level, Rfc, is_section_number};

/// A section of an RFC and the key words in it, in their order.
#[derive(Debug, PartialEq, Eq)]
pub struct Section<'a> {
    pub number: &'a str,
    pub title: &'a str,
    pub keywords: Vec<Level>,
}

/// Splits an RFC, as Markdown with numbered headings, into its sections.
pub fn sections(markdown: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        let mut body = String::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            body.push_str(line);
            body.push('\n');
        }
        if let Some((number, title)) = heading(line) {
            sections.push(Section { number, title, keywords: keywords(&body) });
        }
    }
    sections
}

/// Returns number and title of a heading such as `### 6.9. WINDOW_UPDATE` or
/// `## Appendix A. Static Table`.
fn heading(line: &str) -> Option<(&str, &str)> {
    let text = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let text = text.strip_prefix("Appendix ").unwrap_or(text);
    let (number, title) = text.split_once(". ")?;
    is_section_number(number).then(|| (number, title.trim()))
}

/// Returns the key words of BCP 14 that demand something. Some texts set them as `_MUST NOT_`,
/// across line ends too.
fn keywords(text: &str) -> Vec<Level> {
    let mut words = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map(|word| word.trim_matches('_'))
        .filter(|word| !word.is_empty())
        .peekable();
    let mut keywords = Vec::new();
    while let Some(word) = words.next() {
        let keyword = match word {
            "MUST" | "SHALL" if words.next_if_eq(&"NOT").is_some() => Level::MustNot,
            "MUST" | "SHALL" | "REQUIRED" => Level::Must,
            "SHOULD" if words.next_if_eq(&"NOT").is_some() => Level::ShouldNot,
            "SHOULD" | "RECOMMENDED" => Level::Should,
            "NOT" if words.next_if_eq(&"RECOMMENDED").is_some() => Level::ShouldNot,
            _ => continue,
        };
        keywords.push(keyword);
    }
    keywords
}

/// Returns where the ledger and the text of an RFC differ, one line each: key words without a
/// requirement, requirements without their key word or with another level, and titles.
pub fn differences(ledger: &Ledger, rfc: &Rfc, text: &[Section<'_>]) -> Vec<String> {
    let mut differences = Vec::new();
    for section in text {
        let id = format!("{}-{}", rfc.number, section.number);
        let listed = ledger.sections.iter().find(|listed| listed.id == id);
        if listed.is_some_and(|listed| listed.title != section.title) {
            differences.push(format!("section {id} has the title `{}`", section.title));
        }
        let covered: Vec<_> = listed.map(|listed| ledger.of_section(listed).collect()).unwrap_or_default();
        for (number, keyword) in (1..).zip(&section.keywords) {
            let is_covered = covered.iter().any(|requirement| requirement.keyword == Some(number));
            if counts(rfc, section) && !is_covered {
                differences.push(format!("section {id}: key word {number}, {keyword}, has no requirement"));
            }
        }
        let mut before = 1;
        for requirement in covered {
            let Some(keyword) = requirement.keyword else { continue };
            let level = keyword.checked_sub(1).and_then(|at| section.keywords.get(at));
            if level != Some(&requirement.level) {
                let id = &requirement.id;
                differences.push(format!("{id}: key word {keyword} is not a {}", requirement.level));
            }
            if keyword < before {
                differences.push(format!("{}: key word {keyword} comes before the last one", requirement.id));
            }
            before = keyword;
        }
    }
    let prefix = format!("{}-", rfc.number);
    for listed in &ledger.sections {
        if let Some(number) = listed.id.strip_prefix(&prefix)
            && !text.iter().any(|section| section.number == number)
        {
            differences.push(format!("section {} is not in the text", listed.id));
        }
    }
    differences
}

/// Whether each key word of the section has to have a requirement.
pub fn counts(rfc: &Rfc, section: &Section<'_>) -> bool {
    match &rfc.sections {
        Some(sections) => sections.iter().any(|number| number == section.number),
        None => section.number != rfc.conventions,
    }
}

#[cfg(test)]
mod tests {
    use super::{Ledger, Level, differences, keywords, sections};

    const TEXT: &str = "# HTTP/2\n\
        The title MUST not count.\n\
        ## 2. Conventions\n\
        MUST, SHOULD\n\
        ## 6. Frames\n\
        A MUST here; it _MUST\n\
        NOT_ be there. must\n\
        ### 6.1. DATA\n\
        SHOULD\n\
        ## Appendix A. More\n\
        ## Authors\n\
        MUST\n";

    const LEDGER: &str = "
        [[rfc]]
        number = 9113
        title = 'HTTP/2'
        conventions = '2'
        [[section]]
        id = '9113-6'
        title = 'Frames'
        [[section]]
        id = '9113-6.1'
        title = 'DATA'
        [[requirement]]
        id = '9113-6-1'
        section = '6'
        level = 'MUST'
        keyword = 1
        text = 'a'
        role = 'both'
        [[requirement]]
        id = '9113-6-2'
        section = '6'
        level = 'MUST NOT'
        keyword = 2
        text = 'b'
        role = 'both'
        [[requirement]]
        id = '9113-6.1-1'
        section = '6.1'
        level = 'SHOULD'
        keyword = 1
        text = 'c'
        role = 'both'
    ";

    fn compare(ledger: &str, text: &str) -> Vec<String> {
        let ledger: Ledger = toml::from_str(ledger).unwrap();
        differences(&ledger, &ledger.rfcs[0], &sections(text))
    }

    #[test]
    fn sections_are_found_by_their_numbers() {
        let found: Vec<_> =
            sections(TEXT).into_iter().map(|s| (s.number, s.title, s.keywords.len())).collect();
        assert_eq!(
            found,
            [("2", "Conventions", 2), ("6", "Frames", 2), ("6.1", "DATA", 1), ("A", "More", 0)]
        );
    }

    #[test]
    fn key_words_are_read_in_every_form() {
        use Level::{Must, MustNot, Should, ShouldNot};
        let text = "MUST _MUST_ MUST NOT, “SHALL”\nSHALL\n  NOT REQUIRED SHOULD _SHOULD\nNOT_ RECOMMENDED \
                    NOT RECOMMENDED MAY OPTIONAL Must HTTP_1_1_REQUIRED NOT";
        let expected = [Must, Must, MustNot, Must, MustNot, Must, Should, ShouldNot, Should, ShouldNot];
        assert_eq!(keywords(text), expected);
    }

    #[test]
    fn a_ledger_that_fits_its_text_has_no_differences() {
        assert_eq!(compare(LEDGER, TEXT), [""; 0]);
    }

    #[test]
    fn an_additional_key_word_is_found() {
        let more = TEXT.replace("SHOULD\n##", "SHOULD, SHALL\n##");
        assert_eq!(compare(LEDGER, &more), ["section 9113-6.1: key word 2, MUST, has no requirement"]);
        let more = TEXT.replace("More\n", "More\nREQUIRED\n");
        assert_eq!(compare(LEDGER, &more), ["section 9113-A: key word 1, MUST, has no requirement"]);
    }

    #[test]
    fn a_level_or_key_word_that_is_not_in_the_text_is_found() {
        let other = LEDGER.replace("'SHOULD'", "'SHOULD NOT'");
        assert_eq!(compare(&other, TEXT), ["9113-6.1-1: key word 1 is not a SHOULD NOT"]);
        let fewer = TEXT.replace("MUST\nNOT_", "need\nnot_");
        assert_eq!(compare(LEDGER, &fewer), ["9113-6-2: key word 2 is not a MUST NOT"]);
        let twice = TEXT.replace("MUST\nNOT_", "MUST");
        let swapped = LEDGER.replace("MUST NOT", "MUST").replacen("= 1\n", "= 2\n", 1).replacen(
            "= 2\n        text = 'b'",
            "= 1\n        text = 'b'",
            1,
        );
        assert_eq!(compare(&swapped, &twice), ["9113-6-2: key word 1 comes before the last one"]);
    }

    #[test]
    fn titles_and_sections_that_differ_are_found() {
        let other = TEXT.replace("6.1. DATA", "6.2. PING");
        let expected = [
            "section 9113-6.2: key word 1, SHOULD, has no requirement",
            "section 9113-6.1 is not in the text",
        ];
        assert_eq!(compare(LEDGER, &other), expected);
        let other = TEXT.replace("DATA", "Data");
        assert_eq!(compare(LEDGER, &other), ["section 9113-6.1 has the title `Data`"]);
    }

    #[test]
    fn only_the_listed_sections_have_to_be_whole() {
        let part = LEDGER.replace("conventions = '2'", "conventions = '2'\nsections = ['6']");
        let more = TEXT.replace("SHOULD\n##", "SHOULD, SHALL\n##");
        assert_eq!(compare(&part, &more), [""; 0]);
    }
}
