//! Fetches a URL: the body goes to stdout; with `-v`, status and fields go to stderr. Over TLS the
//! program trusts the system's certificates; with `-k`, it accepts any certificate.

use std::io::{self, Write as _};
use std::process::ExitCode;

use bytes::Bytes;
use clap::Parser;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty};
use thalweg_examples::arguments;
use thalweg_examples::tls;
use thalweg_tokio::client::{self, Client};
use thalweg_tokio::rustls::pki_types::ServerName;

/// Fetches a URL over HTTP/2: the content goes to stdout
#[derive(Debug, Parser)]
struct Arguments {
    /// Prints status and fields on stderr
    #[arg(short, long)]
    verbose: bool,
    /// Accepts any certificate, not only those that the system trusts
    #[arg(short = 'k', long)]
    insecure: bool,
    /// http[s]://HOST[:PORT]/PATH
    #[arg(value_parser = arguments::web_url)]
    url: Uri,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    arguments::exit("get", run(Arguments::parse()).await)
}

async fn run(args: Arguments) -> Result<(), String> {
    let Arguments { verbose, insecure: trusts_all, url: uri } = args;
    let url = uri.to_string();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let failed = |error: io::Error| tls::with_advice(format!("cannot connect to {url}: {error}"));
    let (client, connection) = if uri.scheme_str() == Some("https") {
        let addr = (host.as_str(), uri.port_u16().unwrap_or(443));
        let name = ServerName::try_from(host.clone()).map_err(|error| format!("{url}: {error}"))?;
        let tls = tls::client_config(trusts_all)?;
        let (client, connection) = client::connect_tls(addr, name, tls).await.map_err(failed)?;
        (client, tokio::spawn(connection))
    } else {
        let addr = (host.as_str(), uri.port_u16().unwrap_or(80));
        let (client, connection) = client::connect(addr).await.map_err(failed)?;
        (client, tokio::spawn(connection))
    };
    let outcome = fetch(client, uri, verbose).await;
    // The connection shuts down gracefully when its last handle is dropped, whatever the result of
    // the request.
    connection.await.map_err(|error| error.to_string())?;
    outcome.map_err(|error| format!("{url}: {error}"))
}

async fn fetch(mut client: Client<Empty<Bytes>>, uri: Uri, verbose: bool) -> Result<(), String> {
    let request = Request::get(uri).body(Empty::new()).map_err(|error| error.to_string())?;
    let response = client.send(request).await.map_err(|error| error.to_string())?;
    if verbose {
        eprintln!("{:?} {}", response.version(), response.status());
        for (name, value) in response.headers() {
            eprintln!("{name}: {}", value.as_bytes().escape_ascii());
        }
    }
    let status = response.status();
    let mut body = response.into_body();
    let mut stdout = io::stdout().lock();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Some(data) = frame.data_ref() {
            stdout.write_all(data).map_err(|error| format!("stdout: {error}"))?;
        }
    }
    stdout.flush().map_err(|error| format!("stdout: {error}"))?;
    if status.is_client_error() || status.is_server_error() {
        return Err(status.to_string());
    }
    Ok(())
}
