//! What an idle cleartext connection costs thalweg-tokio in resident memory: `tokio_idle
//! [CONNECTIONS]`, default 10,000. Once after the prefaces, and once for
//! others that have had a request answered, and so hold tables of fields.
//!
//! This process serves, and starts itself once more as the client, so that only the server's memory
//! is seen. Needs as many file descriptors as connections.

use std::convert::Infallible;
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use thalweg_tokio::{Body, Server, service_fn};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--client", port, count, kind] => hold(port.parse()?, count.parse()?, kind == ANSWERED),
        ["--server", count, kind] => measure(count.parse()?, kind),
        [] => measure_both("10000"),
        [count] => measure_both(count),
        _ => Err("usage: tokio_idle [CONNECTIONS]".into()),
    }
}

/// A process for each, so that the first leaves nothing to the second.
fn measure_both(count: &str) -> Outcome<()> {
    for kind in [GREETED, ANSWERED] {
        Command::new(std::env::current_exe()?).args(["--server", count, kind]).status()?;
    }
    Ok(())
}

/// The server's side: its memory before the connections and with them.
fn measure(count: usize, kind: &str) -> Outcome<()> {
    let (report_port, port) = channel();
    std::thread::spawn(move || {
        serve(count, |port| {
            let _ = report_port.send(port);
        })
        .map_err(|error| eprintln!("{error}"))
    });
    let port = port.recv()?;
    // What the first connection costs is not what each costs.
    drop(open(port, kind == ANSWERED)?);
    std::thread::sleep(SETTLE);
    let before = resident_kib()?;
    let mut client = Command::new(std::env::current_exe()?);
    client.args(["--client", &port.to_string(), &count.to_string(), kind]);
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut ready = [0];
    client.stdout.take().ok_or("a pipe was asked for")?.read_exact(&mut ready)?;
    std::thread::sleep(SETTLE);
    let with = resident_kib()?;
    drop(client.stdin.take());
    client.wait()?;
    let each = with.saturating_sub(before) as f64 / count as f64;
    println!(
        "{count} idle connections, {kind}: {before} KiB resident before, {with} KiB with them, {each:.2} KiB each"
    );
    Ok(())
}

fn serve(count: usize, report_port: impl FnOnce(u16)) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::builder().connections_max(count + 1).bind((Ipv4Addr::LOCALHOST, 0)).await?;
        report_port(server.local_addr()?.port());
        server.serve(service_fn(answer)).await.map(drop)
    })
}

async fn answer(_: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("the line of fastest flow")))
}

/// The client's side: it holds connections until its input ends.
fn hold(port: u16, count: usize, is_answered: bool) -> Outcome<()> {
    let _connections = (0..count).map(|_| open(port, is_answered)).collect::<Outcome<Vec<_>>>()?;
    std::io::stdout().write_all(b"!")?;
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Connects and waits for the SETTINGS acknowledgement, or for the response to a request.
fn open(port: u16, is_answered: bool) -> Outcome<TcpStream> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.write_all(GREETING)?;
    if is_answered {
        socket.write_all(REQUEST)?;
    }
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head)?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        socket.read_exact(&mut vec![0; len])?;
        // SETTINGS with ACK, or DATA with END_STREAM.
        let last = if is_answered { 0 } else { 4 };
        if head[3] == last && head[4] & 1 != 0 {
            return Ok(socket);
        }
    }
}

fn resident_kib() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

const GREETED: &str = "greeted";
const ANSWERED: &str = "answered";

/// Preface, SETTINGS, and the acknowledgement of the server's.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x00\x04\x01\x00\x00\x00\x00";

/// GET http://a/ with END_STREAM.
const REQUEST: &[u8] = b"\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x86\x84\x41\x01a";

/// For the tasks to come to rest.
const SETTLE: Duration = Duration::from_millis(500);
