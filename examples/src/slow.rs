//! The delayed responses: `GET /slow/MS/N`, N bytes after MS milliseconds.

use std::time::Duration;

use crate::pattern::{LEN_MAX, Pattern};

/// The longest delay, in milliseconds: longer than any default timeout.
pub const MS_MAX: u64 = 600_000;

/// A delayed response: computed bytes with seed 0, and the delay.
#[derive(Clone, Debug)]
pub struct Slow {
    /// From the request to its response, up to [`MS_MAX`] milliseconds.
    pub delay: Duration,
    /// Up to [`LEN_MAX`] bytes.
    pub content: Pattern,
}

impl Slow {
    /// Parses a request target. `None`: it is a different target. Error: it starts with `/slow/`
    /// and is malformed or out of range; the text describes how.
    pub fn from_target(target: &str) -> Option<Result<Self, String>> {
        let asked = target.strip_prefix("/slow/")?;
        let asked = asked.split_once('?').map_or(asked, |(path, _)| path);
        Some(Self::from_words(asked))
    }

    fn from_words(asked: &str) -> Result<Self, String> {
        let Some((ms, len)) = asked.split_once('/') else {
            return Err(format!("/slow/{asked}: not /slow/MS/N, N bytes after MS milliseconds\n"));
        };
        let delay_ms = number(ms, "MS", MS_MAX, "milliseconds")?;
        let len = number(len, "N", LEN_MAX, "bytes")?;
        Ok(Self { delay: Duration::from_millis(delay_ms), content: Pattern::new(len, 0) })
    }
}

fn number(word: &str, name: &str, max: u64, unit: &str) -> Result<u64, String> {
    // The standard library's parser accepts a sign.
    let is_decimal = !word.is_empty() && word.bytes().all(|digit| digit.is_ascii_digit());
    match word.parse() {
        Ok(number) if is_decimal && number <= max => Ok(number),
        _ => Err(format!("/slow/MS/N: {name} is {word}, and must be from 0 to {max} {unit}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str) -> Option<Result<(u64, u64), String>> {
        let slow = Slow::from_target(target)?;
        Some(slow.map(|slow| (slow.delay.as_millis() as u64, slow.content.remaining())))
    }

    #[test]
    fn targets_within_the_bounds_are_read() {
        assert_eq!(asked("/slow/250/1000"), Some(Ok((250, 1000))));
        assert_eq!(asked("/slow/0/0?x=1"), Some(Ok((0, 0))));
        assert_eq!(asked("/slow/600000/1099511627776"), Some(Ok((MS_MAX, LEN_MAX))));
        assert_eq!(asked("/slowly"), None);
    }

    #[test]
    fn the_error_names_the_value_out_of_range() {
        let mistake = |target| asked(target).unwrap().unwrap_err();
        assert_eq!(mistake("/slow/5"), "/slow/5: not /slow/MS/N, N bytes after MS milliseconds\n");
        let ms = |word| format!("/slow/MS/N: MS is {word}, and must be from 0 to 600000 milliseconds\n");
        let len = |word| format!("/slow/MS/N: N is {word}, and must be from 0 to 1099511627776 bytes\n");
        assert_eq!(mistake("/slow/600001/1"), ms("600001"));
        assert_eq!(mistake("/slow/+1/1"), ms("+1"));
        assert_eq!(mistake("/slow//1"), ms(""));
        assert_eq!(mistake("/slow/1/"), len(""));
        assert_eq!(mistake("/slow/1/1099511627777"), len("1099511627777"));
        assert_eq!(mistake("/slow/1/99999999999999999999"), len("99999999999999999999"));
        assert_eq!(mistake("/slow/1/2/3"), len("2/3"));
    }
}
