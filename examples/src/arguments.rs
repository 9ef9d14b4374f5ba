//! Command lines of the form `--name value`, and errors of one line.

use std::fmt::Display;
use std::process::ExitCode;
use std::str::FromStr;

/// What stands behind the program's name.
#[derive(Debug)]
pub struct Arguments {
    usage: &'static str,
    words: Vec<String>,
}

impl Arguments {
    /// Takes the arguments of this process; `usage` is printed with every mistake.
    pub fn from_env(usage: &'static str) -> Self {
        Self::new(usage, std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()))
    }

    fn new(usage: &'static str, words: impl IntoIterator<Item = String>) -> Self {
        Self { usage, words: words.into_iter().collect() }
    }

    /// Takes `name` and the value behind it; `None` when it is absent.
    pub fn option<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(at) = self.words.iter().position(|word| word == name) else { return Ok(None) };
        if at + 1 == self.words.len() {
            return Err(self.mistake(&format!("{name} needs a value")));
        }
        let value = self.words.remove(at + 1);
        self.words.remove(at);
        value.parse().map(Some).map_err(|error| self.mistake(&format!("{name} {value}: {error}")))
    }

    /// Takes a switch and tells whether it was there.
    pub fn switch(&mut self, name: &str) -> bool {
        let at = self.words.iter().position(|word| word == name);
        at.map(|at| self.words.remove(at)).is_some()
    }

    /// Takes `name` and the words behind it up to the next option; `None` when it is absent.
    pub fn words_behind(&mut self, name: &str) -> Option<Vec<String>> {
        let at = self.words.iter().position(|word| word == name)?;
        let behind = &self.words[at + 1..];
        let len = behind.iter().position(|word| word.starts_with('-')).unwrap_or(behind.len());
        Some(self.words.drain(at..=at + len).skip(1).collect())
    }

    /// Takes the next word that is no option; `what` names it in the mistake.
    pub fn word(&mut self, what: &str) -> Result<String, String> {
        match self.words.iter().position(|word| !word.starts_with('-')) {
            Some(at) => Ok(self.words.remove(at)),
            None => Err(self.mistake(&format!("{what} is missing"))),
        }
    }

    /// Nothing may be left over.
    pub fn finish(self) -> Result<(), String> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(self.mistake(&format!("unexpected argument {word}"))),
        }
    }

    fn mistake(&self, what: &str) -> String {
        format!("{what}; usage: {}", self.usage)
    }
}

/// The end of an example's `main`: an error is one line on stderr, and exit code 1.
pub fn exit(program: &str, outcome: Result<(), impl Display>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new("serve [--port N]", line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_switches_and_words_come_in_any_order() {
        let mut args = arguments("-v http://x --port 80");
        assert_eq!(args.option::<u16>("--port"), Ok(Some(80)));
        assert_eq!(args.option::<u16>("--other"), Ok(None));
        assert!(args.switch("-v") && !args.switch("-q"));
        assert_eq!(args.word("URL"), Ok("http://x".into()));
        assert_eq!(args.finish(), Ok(()));

        let mut args = arguments("--tls cert key --port 80");
        assert_eq!(args.words_behind("--tls"), Some(vec!["cert".into(), "key".into()]));
        assert_eq!(args.words_behind("--tls"), None);
        assert_eq!(args.option::<u16>("--port"), Ok(Some(80)));
        assert_eq!(arguments("--tls").words_behind("--tls"), Some(vec![]));
    }

    #[test]
    fn mistakes_are_one_line_that_names_them() {
        let port = |line| arguments(line).option::<u16>("--port").unwrap_err();
        assert_eq!(port("--port"), "--port needs a value; usage: serve [--port N]");
        assert!(port("--port 65536").starts_with("--port 65536: number too large"));
        assert!(arguments("").word("URL").unwrap_err().starts_with("URL is missing"));
        assert!(arguments("--prot 1").finish().unwrap_err().starts_with("unexpected argument --prot"));
    }
}
