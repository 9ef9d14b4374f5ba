//! Command line arguments common to the examples, parsed by clap.
//!
//! `--help` and `-h` print the usage and exit with 0, wrong arguments exit with 2 and a message,
//! and any later failure exits with 1 and one line.

use std::fmt::Display;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::process::ExitCode;

use clap::Args;
use clap::error::ErrorKind;
use http::Uri;
use thalweg_tokio::rustls::ServerConfig;

use crate::tls;

/// The address of a server.
#[derive(Args, Clone, Copy, Debug)]
pub struct Listen {
    /// Address to listen on, in cleartext and with TLS alike; port 0 takes any free one
    #[arg(
        id = "listen",
        long = "listen",
        visible_alias = "h2c",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        value_parser = socket_addr
    )]
    pub addr: SocketAddr,
}

/// Parses the address of a socket; a name is resolved.
///
/// # Errors
/// It is none, or the name has no address.
pub fn socket_addr(text: &str) -> Result<SocketAddr, String> {
    if let Ok(addr) = text.parse() {
        return Ok(addr);
    }
    let resolved = text.to_socket_addrs().ok().and_then(|mut addrs| addrs.next());
    resolved
        .ok_or_else(|| "give an address and a port: 127.0.0.1:8080, [::1]:8080, localhost:8080".to_owned())
}

/// The TLS configuration of a server.
#[derive(Args, Clone, Debug)]
pub struct Tls {
    /// Speaks TLS, with a certificate chain and its key from PEM files, or, without files, with a
    /// generated certificate for localhost
    #[arg(long, num_args = 0..=2, value_names = ["CERT", "KEY"])]
    tls: Option<Vec<String>>,
}

impl Tls {
    /// Creates the configuration; `None` without `--tls`. Exits with 2 if the command line contains
    /// only one of the two files.
    ///
    /// # Errors
    /// The error of reading or using the files.
    pub fn server_config(&self) -> Result<Option<ServerConfig>, String> {
        let Some(files) = &self.tls else { return Ok(None) };
        if let [only] = files.as_slice() {
            mistake(format_args!("--tls {only}: takes the files of a certificate and its key, or none"));
        }
        tls::server_config(files).map(Some)
    }
}

/// Parses a URL of either scheme.
///
/// # Errors
/// It is malformed, has another scheme, or names no host.
pub fn web_url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match (url.scheme_str(), url.host()) {
        (Some("http" | "https"), Some(_)) => Ok(url),
        _ => Err("a URL here begins with http:// or https:// and a host".to_owned()),
    }
}

/// Parses a URL without TLS.
///
/// # Errors
/// It is malformed, has another scheme, or names no host.
pub fn cleartext_url(text: &str) -> Result<Uri, String> {
    let url = web_url(text)?;
    if url.scheme_str() == Some("http") {
        return Ok(url);
    }
    Err("this program speaks cleartext only: the URL begins with http://".to_owned())
}

/// Handles the command line of a program without arguments: prints help, and exits on anything
/// else.
pub fn none(program: &'static str, about: &'static str) {
    clap::Command::new(program).about(about).get_matches();
}

/// Exits as clap does for wrong arguments: with a message on stderr, and exit code 2.
pub fn mistake(message: impl Display) -> ! {
    clap::Error::raw(ErrorKind::ValueValidation, format_args!("{message}; see --help\n")).exit()
}

/// Ends an example's `main`: an error is one line on stderr, and exit code 1.
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
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        listen: Listen,
        #[command(flatten)]
        tls: Tls,
        #[arg(long)]
        quiet: bool,
    }

    fn parse(line: &str) -> Result<Arguments, ErrorKind> {
        let words = std::iter::once("serve").chain(line.split_whitespace());
        Arguments::try_parse_from(words).map_err(|error| error.kind())
    }

    #[test]
    fn both_names_of_the_address_mean_the_same() {
        let addr = |line| parse(line).map(|arguments| arguments.listen.addr.to_string());
        assert_eq!(addr(""), Ok("127.0.0.1:8080".to_owned()));
        assert_eq!(addr("--listen 127.0.0.1:1"), Ok("127.0.0.1:1".to_owned()));
        assert_eq!(addr("--h2c [::1]:2 --tls"), Ok("[::1]:2".to_owned()));
        assert_eq!(addr("--listen 127.0.0.1:1 --h2c 127.0.0.1:2"), Err(ErrorKind::ArgumentConflict));
        assert_eq!(addr("--listen 127.0.0.1"), Err(ErrorKind::ValueValidation));
    }

    #[test]
    fn an_address_may_be_a_name() {
        assert!(socket_addr("localhost:7300").unwrap().ip().is_loopback());
        for text in ["127.0.0.1", "7300", ":7300", "localhost", ""] {
            assert!(socket_addr(text).unwrap_err().contains("localhost:8080"), "{text}");
        }
    }

    #[test]
    fn tls_takes_two_files_or_none() {
        let files = |line| parse(line).map(|arguments| (arguments.tls.tls, arguments.quiet));
        assert_eq!(files(""), Ok((None, false)));
        assert_eq!(files("--tls --quiet"), Ok((Some(vec![]), true)));
        assert_eq!(files("--tls a b --quiet"), Ok((Some(vec!["a".into(), "b".into()]), true)));
        assert_eq!(files("--tls a b c"), Err(ErrorKind::UnknownArgument));
    }

    #[test]
    fn urls_are_of_their_scheme_and_name_a_host() {
        assert_eq!(web_url("https://example.org/a?b#c").unwrap(), "https://example.org/a?b");
        for text in ["example.org", "ftp://example.org/", "/path", "http://", "https:// x"] {
            assert!(web_url(text).is_err(), "{text}");
        }
        assert_eq!(cleartext_url("http://[::1]:80").unwrap().host(), Some("[::1]"));
        assert!(cleartext_url("https://example.org/").unwrap_err().contains("http://"));
    }
}
