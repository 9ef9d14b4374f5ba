//! A WebSocket on one stream of a connection: extended CONNECT (RFC 8441), both ends in this program.
//!
//! The stream becomes a `Tunnel`, which reads and writes as a socket does. What goes through it here are short text messages in
//! the frames of RFC 6455; a WebSocket library would take the tunnel for its transport.

use std::convert::Infallible;
use std::io;
use std::process::ExitCode;

use http::{Request, Response, StatusCode};
use http_body_util::Either;
use thalweg_examples::arguments;
use thalweg_tokio::thalweg::Config;
use thalweg_tokio::tunnel::{Outgoing, outgoing};
use thalweg_tokio::{Body, BoxError, Client, Protocol, Server, Tunnel, client, service_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    arguments::exit("websocket_tunnel", run().await)
}

async fn run() -> Result<(), BoxError> {
    // Without this setting no client may ask for a protocol.
    let mut config = Config::default();
    config.enable_connect_protocol = true;
    let server = Server::bind("127.0.0.1:0").await?.config(config);
    let addr = server.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(service_fn(answer), async { drop(stopped.await) }));

    let (mut client, connection) = client::connect(addr).await?;
    let connection = tokio::spawn(connection);
    let mut chat = open(&mut client, &format!("http://{addr}/chat")).await?;
    for text in ["the line", "of fastest flow"] {
        write_text(&mut chat, text.as_bytes(), Some([7, 77, 177, 17])).await?;
        let echo = read_text(&mut chat).await?.ok_or("the server has ended the tunnel")?;
        println!("echo: {}", String::from_utf8_lossy(&echo));
    }
    chat.shutdown().await?;
    if read_text(&mut chat).await?.is_none() {
        println!("both sides have ended the tunnel");
    }
    drop((chat, client));
    connection.await?;
    let _ = stop.send(());
    serving.await??;
    Ok(())
}

/// The client's end: a request for a protocol, whose content is what we write.
async fn open(client: &mut Client<Outgoing>, url: &str) -> Result<Tunnel, BoxError> {
    let (writer, content) = outgoing();
    let mut request = Request::get(url).header("sec-websocket-version", "13").body(content)?;
    request.extensions_mut().insert(Protocol::new("websocket"));
    let response = client.send(request).await?;
    if response.status() != StatusCode::OK {
        return Err(format!("no tunnel: {}", response.status()).into());
    }
    Ok(Tunnel::new(response.into_body(), writer))
}

/// The server's end: 200 opens the tunnel, and a task of its own uses it.
async fn answer(request: Request<Body>) -> Result<Response<Either<Outgoing, Body>>, Infallible> {
    if request.extensions().get::<Protocol>().is_none_or(|protocol| protocol.as_bytes() != b"websocket") {
        let mut refusal = Response::new(Either::Right(Body::empty()));
        *refusal.status_mut() = StatusCode::NOT_IMPLEMENTED;
        return Ok(refusal);
    }
    let (mut tunnel, content) = Tunnel::accept(request.into_body());
    tokio::spawn(async move {
        while let Some(text) = read_text(&mut tunnel).await? {
            write_text(&mut tunnel, &text, None).await?;
        }
        tunnel.shutdown().await
    });
    Ok(Response::new(Either::Left(content)))
}

/// Reads one short text frame; `None` at the end of the stream.
async fn read_text(tunnel: &mut Tunnel) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 2];
    if tunnel.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    tunnel.read_exact(&mut head[1..]).await?;
    let (is_masked, len) = (head[1] & 0x80 != 0, head[1] & 0x7f);
    if head[0] != FINAL_TEXT || len > SHORT_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "only short text messages here"));
    }
    let mut mask = [0; 4];
    if is_masked {
        tunnel.read_exact(&mut mask).await?;
    }
    let mut text = vec![0; usize::from(len)];
    tunnel.read_exact(&mut text).await?;
    apply(mask, &mut text);
    Ok(Some(text))
}

/// Writes one short text frame. Clients mask theirs (RFC 6455 §5.3).
async fn write_text(tunnel: &mut Tunnel, text: &[u8], mask: Option<[u8; 4]>) -> io::Result<()> {
    let len = u8::try_from(text.len()).ok().filter(|len| *len <= SHORT_MAX);
    let len = len.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "too long for this example"))?;
    let mut frame = vec![FINAL_TEXT, len | if mask.is_some() { 0x80 } else { 0 }];
    frame.extend(mask.iter().flatten());
    let start = frame.len();
    frame.extend_from_slice(text);
    apply(mask.unwrap_or_default(), &mut frame[start..]);
    tunnel.write_all(&frame).await
}

fn apply(mask: [u8; 4], text: &mut [u8]) {
    text.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

const FINAL_TEXT: u8 = 0x81;
const SHORT_MAX: u8 = 125;
