//! Fetches a URL over cleartext TCP from an unknown server: starts with HTTP/1.1 and an Upgrade to
//! h2c (RFC 7540 §3.2). The response's content goes to stdout, the result of the Upgrade to stderr.
//!
//! `thalweg-h2c` writes the request and reads the server's decision; then the core takes over the
//! connection. RFC 9113 has removed this Upgrade; some servers still offer it.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::process::ExitCode;

use clap::Parser;
use http::Uri;
use thalweg::{Client, Config, Connection, Event, Instant, StreamKey};
use thalweg_examples::arguments;
use thalweg_examples::hash_seed::hash_seed;
use thalweg_tokio::thalweg_h2c::{self, UpgradeRequest, UpgradeResponse, Upgrader};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Fetches a URL over cleartext TCP, starting with HTTP/1.1 and an Upgrade to h2c: the content goes
/// to stdout
#[derive(Debug, Parser)]
struct Arguments {
    /// http://HOST[:PORT]/PATH
    #[arg(value_parser = arguments::cleartext_url)]
    url: Uri,
}

fn main() -> ExitCode {
    arguments::exit("h2c_upgrade", run(Arguments::parse()))
}

fn run(Arguments { url }: Arguments) -> Result<()> {
    let authority = url.authority().ok_or("the URL names no host")?;
    let mut socket = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80)))?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = UpgradeRequest::new("GET", authority.as_str(), path);
    let config = Config::default().hash_seed(hash_seed());
    let settings = Connection::<Client>::upgrade_settings(&config);
    let mut upgrader = Upgrader::new(&request, &settings, thalweg_h2c::Config::default())?;
    socket.write_all(upgrader.bytes())?;
    let mut buf = [0; 16 << 10];
    loop {
        let len = socket.read(&mut buf)?;
        if len == 0 {
            upgrader.handle_eof()?;
        }
        let mut input = &buf[..len];
        match upgrader.receive(&mut input)? {
            None => {}
            Some(UpgradeResponse::Switched) => {
                eprintln!("the server switches to HTTP/2");
                let (connection, stream) = Connection::<Client>::from_upgrade(config, b"GET")?;
                return fetch(socket, connection, stream, input.to_vec());
            }
            Some(answer) => return Err(format!("the server stays with HTTP/1.1: {answer:?}").into()),
        }
    }
}

/// Reads the response to the Upgrade request, which is on stream 1. `input` are the bytes after the
/// 101.
fn fetch(
    mut socket: TcpStream,
    mut connection: Connection<Client>,
    asked: StreamKey,
    mut input: Vec<u8>,
) -> Result<()> {
    let (mut buf, mut out, start) = ([0; 16 << 10], Vec::new(), std::time::Instant::now());
    let (mut stdout, mut is_whole) = (io::stdout().lock(), false);
    while !connection.is_finished() {
        let (mut rest, now) = (&input[..], Instant::from_origin(start.elapsed()));
        while let Some(event) = connection.receive(&mut rest, now)? {
            let is_end = match event {
                Event::Headers { headers, end, .. } => {
                    eprintln!("{}", headers.status().unwrap_or_default());
                    end
                }
                Event::Data { stream, data, end } => {
                    stdout.write_all(data)?;
                    connection.release(stream, data.len());
                    end
                }
                Event::Reset { stream, code, .. } if stream == asked => {
                    return Err(format!("the server resets the stream: {code}").into());
                }
                _ => false,
            };
            if is_end {
                is_whole = true;
                connection.shutdown();
            }
        }
        while connection.poll_transmit(&mut out) {
            socket.write_all(&out)?;
            out.clear();
        }
        if !is_whole {
            let len = socket.read(&mut buf)?;
            if len == 0 {
                return Err("the server ends the connection before its answer".into());
            }
            input.clear();
            input.extend_from_slice(&buf[..len]);
        }
    }
    Ok(stdout.flush()?)
}
