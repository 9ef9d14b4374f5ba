//! A relay that prints the frames of both directions, with decoded fields: `frames LISTEN_ADDR
//! TARGET_ADDR`, for example `frames 127.0.0.1:8081 127.0.0.1:8080`.
//!
//! Cleartext HTTP/2 only. One line per frame; see `thalweg::inspect`.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;

use clap::Parser;
use thalweg::inspect::{Direction, Inspector};

/// Relays cleartext HTTP/2 and prints the frames, with decoded fields
#[derive(Debug, Parser)]
struct Arguments {
    /// Address that clients connect to
    listen_addr: SocketAddr,
    /// The server that the relay connects to, as HOST:PORT
    #[arg(value_name = "TARGET_ADDR")]
    target: String,
}

fn main() -> ExitCode {
    let Arguments { listen_addr: listen, target } = Arguments::parse();
    let listener = match TcpListener::bind(listen) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen on {listen}: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Ok(address) = listener.local_addr() {
        println!("listening on {address}");
    }
    for client in listener.incoming() {
        let relayed = client.and_then(|client| relay(client, &target));
        if let Err(error) = relayed {
            eprintln!("{target}: {error}");
        }
    }
    ExitCode::SUCCESS
}

/// Copies bytes in both directions until both sides have ended.
fn relay(client: TcpStream, target: &str) -> std::io::Result<()> {
    let server = TcpStream::connect(target)?;
    let inspector = Arc::new(Mutex::new(Inspector::new()));
    for (from, to, direction) in [
        (client.try_clone()?, server.try_clone()?, Direction::ToServer),
        (server, client, Direction::ToClient),
    ] {
        let inspector = Arc::clone(&inspector);
        thread::spawn(move || pass(from, to, direction, &inspector));
    }
    Ok(())
}

fn pass(mut from: TcpStream, mut to: TcpStream, direction: Direction, inspector: &Mutex<Inspector>) {
    let mut buf = [0; 16 << 10];
    loop {
        let len = match from.read(&mut buf) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        print(&buf[..len], direction, inspector);
        if to.write_all(&buf[..len]).is_err() {
            break;
        }
    }
    // The other direction continues until its own side has ended.
    let _ = to.shutdown(Shutdown::Write);
}

fn print(mut bytes: &[u8], direction: Direction, inspector: &Mutex<Inspector>) {
    let Ok(mut inspector) = inspector.lock() else { return };
    while let Some(seen) = inspector.inspect(direction, &mut bytes) {
        println!("{seen}");
    }
}
