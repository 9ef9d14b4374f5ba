//! A complete HTTP/2 server with nothing but the core and `std`: one thread with one loop per
//! connection.
//!
//! `blocking_loop [--listen ADDR]`, then `curl --http2-prior-knowledge
//! http://ADDR/bytes/1000000?seed=7`. It has no timeouts; `epoll_loop.rs` shows them.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use thalweg::{CloseReport, Config, Connection, Event, HeadersKind, Instant, Server};
use thalweg_examples::application::{Application, PendingResponse};
use thalweg_examples::arguments::{self, Listen};
use thalweg_examples::hash_seed::hash_seed;

/// Serves one connection to its end. Writes the final GOAWAY whatever the peer does.
fn serve(mut socket: TcpStream) -> Result<CloseReport, Box<dyn Error>> {
    let mut connection = Connection::<Server>::new(Config::default().hash_seed(hash_seed()))?;
    let mut application = Application::default();
    let (mut buf, mut out, start) = ([0; 16 << 10], Vec::new(), std::time::Instant::now());
    loop {
        let len = socket.read(&mut buf)?;
        if len == 0 {
            let _ = connection.handle_eof();
        }
        let (mut input, now) = (&buf[..len], Instant::from_origin(start.elapsed()));
        while let Ok(Some(event)) = connection.receive(&mut input, now) {
            match event {
                Event::Headers { stream, kind: HeadersKind::Request, headers, .. } => {
                    let answer = PendingResponse::to(&headers);
                    application.answer(&mut connection, stream, answer);
                }
                Event::Data { stream, data, .. } => connection.release(stream, data.len()),
                _ => {}
            }
        }
        application.resume(&mut connection);
        while connection.poll_transmit(&mut out) {
            socket.write_all(&out)?;
            out.clear();
            application.resume(&mut connection);
        }
        if len == 0 || connection.is_finished() {
            break;
        }
    }
    // Drains the peer's input, because TCP would otherwise discard the GOAWAY. The peer may have
    // closed already.
    let _ = socket.shutdown(Shutdown::Write);
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    while socket.read(&mut buf).is_ok_and(|len| len > 0) {}
    Ok(connection.report())
}

/// A complete HTTP/2 server with nothing but the core and std: one thread per connection
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    listen: Listen,
}

fn main() -> ExitCode {
    arguments::exit("blocking_loop", run(Arguments::parse()))
}

fn run(Arguments { listen: Listen { addr: address } }: Arguments) -> Result<(), String> {
    let describe = |error: std::io::Error| format!("{address}: {error}");
    let listener =
        TcpListener::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("listening on {}", listener.local_addr().map_err(describe)?);
    for socket in listener.incoming() {
        let socket = socket.map_err(describe)?;
        thread::spawn(move || match serve(socket) {
            Ok(report) => println!("connection ended: {report}"),
            Err(error) => println!("connection failed: {error}"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::SocketAddr;

    use thalweg_examples::pattern::Pattern;
    use thalweg_threads::{Client, Request};

    use super::*;

    /// Serves one connection, and returns how it ended.
    fn serve_one() -> (SocketAddr, thread::JoinHandle<CloseReport>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (address, thread::spawn(move || serve(listener.accept().unwrap().0).unwrap()))
    }

    #[test]
    fn content_beyond_all_windows_is_complete_and_the_close_graceful() {
        let (address, served) = serve_one();
        let client = Client::connect(&address.to_string()).unwrap().time_limit(Some(Duration::from_secs(20)));
        let mut expected = vec![0; 3_000_000];
        Pattern::new(3_000_000, 7).fill(&mut expected);
        let mut response = client.send(Request::get("/bytes/3000000?seed=7")).unwrap();
        assert!(response.body.read_whole(3_000_000).unwrap() == expected);
        assert_eq!(client.send(Request::get("/missing")).unwrap().status().as_u16(), 404);
        client.shutdown();
        assert!(client.wait_end().is_orderly());
        let report = served.join().unwrap();
        assert_eq!((report.error, report.counters.streams_completed), (None, 2));
    }

    #[test]
    fn input_that_is_not_http2_gets_a_goaway() {
        let (address, served) = serve_one();
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut received = Vec::new();
        socket.read_to_end(&mut received).unwrap();
        assert!(received.windows(4).any(|head| head[3] == 7), "no GOAWAY in {received:?}");
        drop(socket);
        assert!(served.join().unwrap().is_warning());
    }
}
