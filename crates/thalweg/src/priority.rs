//! Priorities of RFC 9218: the value, and the field and frame text that carries it.
//!
//! Invariants: urgency is 0 to 7; text that cannot be parsed gives the defaults (RFC 9218 §4).

use core::fmt;

/// The priority of a response: its urgency, and whether it is incremental (RFC 9218 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Priority {
    urgency: u8,
    incremental: bool,
}

impl Priority {
    /// Creates a priority. `urgency` is 0 (most urgent) to 7; larger values count as 7.
    pub const fn new(urgency: u8, incremental: bool) -> Self {
        Self { urgency: if urgency > 7 { 7 } else { urgency }, incremental }
    }

    /// Returns the urgency, from 0, the most urgent, to 7.
    pub const fn urgency(self) -> u8 {
        self.urgency
    }

    /// Whether the client can process parts of the response as they arrive, so that the response
    /// may share the bandwidth with others.
    pub const fn incremental(self) -> bool {
        self.incremental
    }

    /// Parses a Priority field value, or the payload of PRIORITY_UPDATE: a dictionary of structured
    /// fields with the parameters `u` and `i`.
    ///
    /// RFC 9218 §4: unknown parameters and values out of range are ignored; text that is not a
    /// dictionary gives the defaults.
    pub fn parse(text: &[u8]) -> Self {
        parse_dictionary(text).unwrap_or_default()
    }
}

impl Default for Priority {
    /// Urgency 3, not incremental (RFC 9218 §4.1, §4.2).
    fn default() -> Self {
        Self { urgency: 3, incremental: false }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "u={}", self.urgency)?;
        if self.incremental { f.write_str(", i") } else { Ok(()) }
    }
}

/// Parses `key`, `key=value` members separated by commas (RFC 8941 §3.2). `None`: not a dictionary.
fn parse_dictionary(text: &[u8]) -> Option<Priority> {
    let mut priority = Priority::default();
    let text = text.trim_ascii();
    if text.is_empty() {
        return Some(priority);
    }
    let mut rest = text;
    loop {
        let (key, after) = split_key(rest)?;
        let (value, after) = match after.split_first() {
            Some((b'=', value)) => {
                let (value, after) = split_value(value)?;
                (Some(value), after)
            }
            _ => (None, after),
        };
        match (key, value) {
            (b"u", Some([digit @ b'0'..=b'7'])) => priority.urgency = digit - b'0',
            (b"i", None | Some(b"?1")) => priority.incremental = true,
            (b"i", Some(b"?0")) => priority.incremental = false,
            _ => {}
        }
        let after = skip_parameters(after)?.trim_ascii_start();
        match after.split_first() {
            None => return Some(priority),
            Some((b',', next)) => rest = next.trim_ascii_start(),
            Some(_) => return None,
        }
        if rest.is_empty() {
            return None;
        }
    }
}

fn split_key(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = *text.first()?;
    if !(first.is_ascii_lowercase() || first == b'*') {
        return None;
    }
    let is_key = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(b);
    let len = text.iter().take_while(|b| is_key(b)).count();
    Some(text.split_at(len))
}

/// Splits off one bare item: a quoted string, or anything up to a separator.
fn split_value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text.first() == Some(&b'"') {
        let mut escaped = false;
        for (index, &byte) in text.iter().enumerate().skip(1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => return Some(text.split_at(index + 1)),
                _ => {}
            }
        }
        return None;
    }
    let len = text.iter().take_while(|b| !b",; \t\"=".contains(b)).count();
    if len == 0 { None } else { Some(text.split_at(len)) }
}

/// Skips `;name=value` parameters of a member, which have no meaning here.
fn skip_parameters(mut text: &[u8]) -> Option<&[u8]> {
    while let Some((b';', parameter)) = text.split_first() {
        let (_, after) = split_key(parameter.trim_ascii_start())?;
        text = match after.split_first() {
            Some((b'=', value)) => split_value(value)?.1,
            _ => after,
        };
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_in_any_order_among_others() {
        // 9218-4-1, 9218-4-2, 9218-4-3, 9218-4-4
        let cases: [(&[u8], u8, bool); 17] = [
            (b"", 3, false),
            (b"u=0", 0, false),
            (b"i", 3, true),
            (b"u=7, i", 7, true),
            (b"i,u=5", 5, true),
            (b"i=?0", 3, false),
            (b"i=?1;x=1, u=1;y", 1, true),
            (b"u=8", 3, false),
            (b"u=-1, i", 3, true),
            (b"u=1, u=2", 2, false),
            (b"x=\"a,\\\"u=0\", u=4", 4, false),
            (b"  u=2  ", 2, false),
            (b"U=1", 3, false),
            (b"u=1,", 3, false),
            (b"u=1 i", 3, false),
            (b"=1", 3, false),
            (b"x=\"open", 3, false),
        ];
        for (text, urgency, incremental) in cases {
            let parsed = Priority::parse(text);
            assert_eq!(parsed, Priority::new(urgency, incremental), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_is_printed_parses_to_itself() {
        extern crate alloc;
        for urgency in 0..8 {
            for incremental in [false, true] {
                let priority = Priority::new(urgency, incremental);
                assert_eq!(Priority::parse(alloc::format!("{priority}").as_bytes()), priority);
            }
        }
    }
}
