//! As much of Rust's lexical structure as it takes to find test functions and the comments on them.
//!
//! Line comments are tokens here, which no parser crate hands out. Strings, characters and block
//! comments are skipped, so that nothing inside them is taken for code.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// A line comment without its slashes and the space around its text.
    Comment(&'a str),
    /// An identifier, keyword or number.
    Word(&'a str),
    /// Any other character of code.
    Mark(char),
    /// A string, byte string or character.
    Literal,
}

/// Returns the tokens of a source file, each with its line, counted from 1.
pub fn tokens(source: &str) -> Vec<(usize, Token<'_>)> {
    let mut cursor = Cursor { rest: source, line: 1 };
    let mut tokens = Vec::new();
    loop {
        cursor.take_while(char::is_whitespace);
        let line = cursor.line;
        if cursor.rest.is_empty() {
            return tokens;
        }
        if let Some(token) = cursor.token() {
            tokens.push((line, token));
        }
    }
}

struct Cursor<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Cursor<'a> {
    /// Takes one token; `None` is a block comment. The rest is not empty and does not begin with a
    /// space.
    fn token(&mut self) -> Option<Token<'a>> {
        if self.rest.starts_with("//") {
            let text = self.take_while(|c| c != '\n');
            return Some(Token::Comment(text.trim_start_matches('/').trim_start_matches('!').trim()));
        }
        if self.rest.starts_with("/*") {
            self.block_comment();
            return None;
        }
        if let Some(hashes) = raw_string_hashes(self.rest) {
            self.raw_string(hashes);
            return Some(Token::Literal);
        }
        let first = self.rest.chars().next()?;
        if is_word(first) {
            self.rest = self.rest.strip_prefix("r#").unwrap_or(self.rest);
            let word = self.take_while(is_word);
            return Some(Token::Word(word));
        }
        self.take(first.len_utf8());
        match first {
            '"' => self.quoted('"'),
            '\'' if begins_character(self.rest) => self.quoted('\''),
            _ => return Some(Token::Mark(first)),
        }
        Some(Token::Literal)
    }

    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(len);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let len = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        self.take(len)
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
            } else if let Some(c) = self.rest.chars().next() {
                self.take(c.len_utf8());
            }
            if depth == 0 || self.rest.is_empty() {
                return;
            }
        }
    }

    /// Takes the rest of a literal up to its closing quote, past escaped ones.
    fn quoted(&mut self, quote: char) {
        while let Some(c) = self.rest.chars().next() {
            self.take(c.len_utf8());
            if c == quote {
                return;
            }
            if c == '\\'
                && let Some(escaped) = self.rest.chars().next()
            {
                self.take(escaped.len_utf8());
            }
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        let open = self.rest.find('"').map_or(self.rest.len(), |at| at + 1);
        self.take(open);
        let end = format!("\"{}", "#".repeat(hashes));
        let len = self.rest.find(&end).map_or(self.rest.len(), |at| at + end.len());
        self.take(len);
    }
}

/// Returns how many `#` a raw string has that begins here; `None` if none does. `r#name` is an
/// identifier.
fn raw_string_hashes(source: &str) -> Option<usize> {
    let after = ["br", "cr", "r"].iter().find_map(|prefix| source.strip_prefix(prefix))?;
    let quote = after.trim_start_matches('#');
    quote.starts_with('"').then(|| after.len() - quote.len())
}

/// Whether what follows a `'` is a character, and not a lifetime.
fn begins_character(rest: &str) -> bool {
    let mut chars = rest.chars();
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::{Token, tokens};

    fn only(source: &str) -> Vec<Token<'_>> {
        tokens(source).into_iter().map(|(_, token)| token).collect()
    }

    #[test]
    fn comments_lose_their_slashes() {
        let source = "// a\n/// b\n//! c\n//";
        assert_eq!(only(source), ["a", "b", "c", ""].map(Token::Comment));
    }

    #[test]
    fn block_comments_nest_and_leave_nothing() {
        assert_eq!(only("/* // a /* b */ c */ d"), [Token::Word("d")]);
        assert_eq!(only("/* never closed"), []);
    }

    #[test]
    fn literals_hide_what_is_in_them() {
        for literal in [
            r#""// a""#,
            r#""\" // a""#,
            "r\"\\\"",
            "r#\"\" // a\"#",
            "br##\"\"# // a\"##",
            "'\"'",
            "'\\''",
            "'é'",
            "\"open",
        ] {
            assert_eq!(only(literal), [Token::Literal], "{literal}");
        }
        assert_eq!(only("b\"// a\""), [Token::Word("b"), Token::Literal]);
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        assert_eq!(
            only("&'a str"),
            [Token::Mark('&'), Token::Mark('\''), Token::Word("a"), Token::Word("str")]
        );
        assert_eq!(only("r#fn"), [Token::Word("fn")]);
    }

    #[test]
    fn lines_are_counted_through_literals_and_comments() {
        let source = "\"\n\" /*\n*/ a\nr\"\n\"\nb";
        let words: Vec<_> = tokens(source).into_iter().filter(|(_, t)| *t != Token::Literal).collect();
        assert_eq!(words, [(3, Token::Word("a")), (6, Token::Word("b"))]);
    }
}
