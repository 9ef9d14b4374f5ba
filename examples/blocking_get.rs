//! Fetches one URL over HTTP/2, on threads, and writes its content to standard output: `blocking_get http://HOST[:PORT]/PATH`.
//!
//! Says on standard error what came, with `-v` the fields, too. A status of 400 or more is an error. Over TLS the system's certificates
//! count; with `-k`, any certificate does.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use thalweg_examples::arguments::{self, Arguments};
use thalweg_examples::tls;
use thalweg_threads::{Client, Options, Request};

const USAGE: &str = "blocking_get [-v] [-k] http[s]://HOST[:PORT]/PATH";
const TIME_LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    arguments::exit("blocking_get", run())
}

fn run() -> Result<(), String> {
    let mut arguments = Arguments::from_env(USAGE);
    let is_verbose = arguments.switch("-v");
    let trusts_all = arguments.switch("-k");
    let url = arguments.word("URL")?;
    arguments.finish()?;

    let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") else {
        return Err(format!("{url}: not a URL that begins with http:// or https://"));
    };
    let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    // A fragment stays here (RFC 9110 §7.1), and a path begins with a slash.
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };

    let describe = |error: &str| format!("{url}: {error}");
    let connected = if scheme == "https" {
        Client::connect_tls(authority, Arc::new(tls::client_config(trusts_all)?), &Options::default())
    } else {
        Client::connect(authority)
    };
    let client = connected.map_err(|error| describe(&tls::failure(&error)))?;
    let client = client.time_limit(Some(TIME_LIMIT));
    let outcome = fetch(&client, path, is_verbose);
    // The connection says goodbye, whatever came of the request.
    client.shutdown();
    let end = client.wait_end();
    if is_verbose {
        eprintln!("connection ended: {end}");
    }
    outcome.map_err(|error| describe(&error))
}

fn fetch(client: &Client, path: String, is_verbose: bool) -> Result<(), String> {
    let mut response = client.send(Request::get(path)).map_err(|error| error.to_string())?;
    if is_verbose {
        eprintln!("{} {:?}", response.status(), response.fields);
    }
    let bytes = io::copy(&mut response.body, &mut io::stdout().lock()).map_err(|error| error.to_string())?;
    if is_verbose {
        eprintln!("{bytes} bytes");
    }
    if response.status().as_u16() >= 400 {
        return Err(format!("status {}", response.status()));
    }
    Ok(())
}
