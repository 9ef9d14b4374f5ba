//! Fetches one URL over HTTP/2, on threads, and writes its content to standard output:
//! `blocking_get http://HOST[:PORT]/PATH`.
//!
//! With `-v`, prints status and fields on standard error. A status of 400 or more is an error. Over
//! TLS the program trusts the system's certificates; with `-k`, it accepts any certificate.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use http::Uri;
use thalweg_examples::arguments;
use thalweg_examples::tls;
use thalweg_threads::{Client, Request, WithCauses};

/// Fetches a URL over HTTP/2, on threads: the content goes to stdout
#[derive(Debug, Parser)]
struct Arguments {
    /// Prints status, fields and the end of the connection on stderr
    #[arg(short, long)]
    verbose: bool,
    /// Accepts any certificate, not only those that the system trusts
    #[arg(short = 'k', long)]
    insecure: bool,
    /// http[s]://HOST[:PORT]/PATH
    #[arg(value_parser = arguments::web_url)]
    url: Uri,
}

const TIME_LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    arguments::exit("blocking_get", run(Arguments::parse()))
}

fn run(args: Arguments) -> Result<(), String> {
    let Arguments { verbose: is_verbose, insecure: trusts_all, url } = args;
    let authority = url.authority().map_or("", |authority| authority.as_str());
    // The fragment is not sent (RFC 9110 §7.1): `Uri` does not keep it.
    let path = url.path_and_query().map_or("/", |path| path.as_str()).to_owned();

    let connected = if url.scheme_str() == Some("https") {
        Client::connect_tls(authority, tls::client_config(trusts_all)?)
    } else {
        Client::connect(authority)
    };
    let client = connected
        .map_err(|error| tls::with_advice(format!("cannot connect to {url}: {}", WithCauses(&error))))?;
    let client = client.time_limit(Some(TIME_LIMIT));
    let outcome = fetch(&client, path, is_verbose);
    // The connection shuts down gracefully, whatever the result of the request.
    client.shutdown();
    let end = client.wait_end();
    if is_verbose {
        eprintln!("connection ended: {end}");
    }
    outcome.map_err(|error| tls::with_advice(format!("{url}: {error}")))
}

fn fetch(client: &Client, path: String, is_verbose: bool) -> Result<(), String> {
    let mut response = client.send(Request::get(path)).map_err(|error| WithCauses(&error).to_string())?;
    if is_verbose {
        eprintln!("{} {:?}", response.status(), response.fields);
    }
    let copied = io::copy(&mut response.body, &mut io::stdout().lock());
    let bytes = copied.map_err(|error| WithCauses(&error).to_string())?;
    if is_verbose {
        eprintln!("{bytes} bytes");
    }
    if response.status().as_u16() >= 400 {
        return Err(format!("status {}", response.status()));
    }
    Ok(())
}
