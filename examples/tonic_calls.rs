//! gRPC calls by tonic over our client, and their results: `tonic_calls CALL URL [--tonic]`.
//!
//! `CALL` is one of the four kinds (`unary`, `stream`, `collect`, `chat`), `refused`, `deadline`,
//! `cancel`, or `resets` for a server that resets each call. With an `https` URL it accepts any
//! certificate. With `--tonic` calls use tonic's own transport, in cleartext. The server is
//! `tonic_echo` or an equivalent one. A wrong response is an error.

use std::process::ExitCode;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use clap::{Parser, ValueEnum};
use futures_util::stream::{self, Stream};
use http::Uri;
use http::uri::{PathAndQuery, Scheme};
use thalweg_examples::arguments;
use thalweg_examples::plain::Plain;
use thalweg_examples::tls;
use thalweg_tokio::{BoxError, client};
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codec::Streaming;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Response, Status};

/// Makes gRPC calls by tonic over Thalweg's client; a wrong response is an error
#[derive(Debug, Parser)]
struct Arguments {
    /// The call to make
    call: Call,
    /// The service, `tonic_echo` or an equivalent one; with https any certificate is accepted
    #[arg(value_parser = arguments::web_url)]
    url: Uri,
    /// Calls over tonic's own transport, in cleartext
    #[arg(long)]
    tonic: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Call {
    Unary,
    Stream,
    Collect,
    Chat,
    /// Calls that the service refuses
    Refused,
    /// An endless stream of messages, cancelled at its deadline
    Deadline,
    /// Calls that are dropped halfway
    Cancel,
    /// For a server that resets each call
    Resets,
}

const TIME_LIMIT: Duration = Duration::from_secs(60);
/// The deadline of a call that exceeds it.
const DEADLINE: Duration = Duration::from_millis(100);
const WORDS: [Bytes; 5] = [
    Bytes::from_static(b"the line "),
    Bytes::from_static(b"of fastest "),
    Bytes::from_static(b"flow"),
    Bytes::new(),
    Bytes::from_static(&[b'x'; 100_000]),
];

#[tokio::main]
async fn main() -> ExitCode {
    arguments::exit("tonic_calls", run(Arguments::parse()).await)
}

async fn run(args: Arguments) -> Result<(), BoxError> {
    let Arguments { call, url: origin, tonic: is_tonics } = args;
    let made = async {
        if is_tonics {
            let channel = Endpoint::from(origin.clone()).connect().await?;
            return Calls::new(channel, origin).make(call).await;
        }
        let host = origin.authority().ok_or("the URL names no host")?.as_str();
        let (client, connection) = if origin.scheme() == Some(&Scheme::HTTPS) {
            let name = origin.host().unwrap_or_default().to_owned().try_into()?;
            let tls = tls::client_config(true)?;
            let (client, connection) = client::connect_tls(host, name, tls).await?;
            (client, tokio::spawn(connection))
        } else {
            let (client, connection) = client::connect(host).await?;
            (client, tokio::spawn(connection))
        };
        let outcome = Calls::new(client, origin).make(call).await;
        // It shuts down when its last handle is dropped.
        connection.await?;
        outcome
    };
    tokio::time::timeout(TIME_LIMIT, made).await.map_err(|_| "it takes too long")?
}

/// A client for `echo.Echo`, over any service for requests.
struct Calls<T> {
    grpc: Grpc<T>,
}

type Answer<T> = Result<Response<T>, Status>;

impl<T> Calls<T>
where
    T: GrpcService<Body>,
    T::ResponseBody: http_body::Body<Error: Into<BoxError>> + Send + 'static,
{
    fn new(service: T, origin: Uri) -> Self {
        Self { grpc: Grpc::with_origin(service, origin) }
    }

    async fn make(mut self, call: Call) -> Result<(), BoxError> {
        match call {
            Call::Unary => self.unary().await,
            Call::Stream => self.stream().await,
            Call::Collect => self.collect().await,
            Call::Chat => self.chat().await,
            Call::Refused => self.refused().await,
            Call::Deadline => self.deadline().await,
            Call::Cancel => self.cancel().await,
            Call::Resets => self.resets().await,
        }
    }

    async fn one(&mut self, path: &str, message: Bytes) -> Answer<Bytes> {
        self.ready().await?;
        self.grpc.unary(Request::new(message), method(path), Plain).await
    }

    /// Requests numbered copies of a payload.
    async fn copies(&mut self, count: u32, payload: &[u8]) -> Result<Streaming<Bytes>, Status> {
        self.ready().await?;
        let request = Request::new(numbered(count, payload));
        Ok(self.grpc.server_streaming(request, method("Stream"), Plain).await?.into_inner())
    }

    /// Sends a first message and those of the channel, and receives their echoes. A server may
    /// respond only with the first echo.
    async fn talk(
        &mut self,
        word: Bytes,
    ) -> Result<(mpsc::UnboundedSender<Bytes>, Streaming<Bytes>), BoxError> {
        self.ready().await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        sender.send(word)?;
        let call = self.grpc.streaming(Request::new(received(receiver)), method("Chat"), Plain);
        Ok((sender, call.await?.into_inner()))
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.grpc.ready().await.map_err(|error| Status::from_error(error.into()))
    }

    async fn unary(&mut self) -> Result<(), BoxError> {
        for message in [Bytes::new(), Bytes::from("hello"), Bytes::from(vec![b'y'; 3_000_000])] {
            let answer = self.one("Unary", message.clone()).await?;
            same(answer.get_ref(), &message)?;
        }
        Ok(())
    }

    async fn stream(&mut self) -> Result<(), BoxError> {
        let mut copies = self.copies(500, b"payload").await?;
        for number in 0..500 {
            let copy = copies.message().await?.ok_or("the stream ends early")?;
            same(&copy, &numbered(number, b"payload"))?;
        }
        ended(copies.message().await?.as_ref())
    }

    async fn collect(&mut self) -> Result<(), BoxError> {
        self.ready().await?;
        let request = Request::new(stream::iter(WORDS));
        let answer = self.grpc.client_streaming(request, method("Collect"), Plain).await?;
        same(answer.get_ref(), &WORDS.concat())
    }

    /// Sends each message after the echo of the one before.
    async fn chat(&mut self) -> Result<(), BoxError> {
        let [first, others @ ..] = WORDS;
        let (sender, mut echo) = self.talk(first.clone()).await?;
        same(&echo.message().await?.ok_or("the chat ends early")?, &first)?;
        for word in others {
            sender.send(word.clone())?;
            same(&echo.message().await?.ok_or("the chat ends early")?, &word)?;
        }
        drop(sender);
        ended(echo.message().await?.as_ref())
    }

    async fn refused(&mut self) -> Result<(), BoxError> {
        for (path, expected) in [("Other", Code::Unimplemented), ("Stream", Code::InvalidArgument)] {
            has_code(self.one(path, Bytes::from("x")).await, expected, path)?;
        }
        Ok(())
    }

    /// Requests an endless stream of messages, which is cancelled at its deadline.
    async fn deadline(&mut self) -> Result<(), BoxError> {
        let mut copies = self.copies(u32::MAX, b"payload").await?;
        let endless = async {
            while copies.message().await?.is_some() {}
            Ok::<_, Status>(())
        };
        if tokio::time::timeout(DEADLINE, endless).await.is_ok() {
            return Err("the stream has ended".into());
        }
        drop(copies);
        self.unary().await
    }

    async fn cancel(&mut self) -> Result<(), BoxError> {
        for _ in 0..20 {
            let (_sender, mut echo) = self.talk(Bytes::from("half a word")).await?;
            same(&echo.message().await?.ok_or("the chat ends early")?, b"half a word")?;
            drop(echo);
        }
        self.unary().await
    }

    /// Calls a server that resets each call with the code in its path: gRPC has a status for each.
    async fn resets(&mut self) -> Result<(), BoxError> {
        for (code, expected) in [
            (0x0, Code::Internal),
            (0x1, Code::Internal),
            (0x2, Code::Internal),
            (0x3, Code::Internal),
            (0x6, Code::Internal),
            (0x7, Code::Unavailable),
            (0x8, Code::Cancelled),
            (0x9, Code::Internal),
            (0xb, Code::ResourceExhausted),
            (0xc, Code::PermissionDenied),
        ] {
            let path = format!("Reset{code}");
            has_code(self.one(&path, Bytes::from("x")).await, expected, &path)?;
        }
        Ok(())
    }
}

fn method(name: &str) -> PathAndQuery {
    format!("/echo.Echo/{name}").parse().expect("the names here have only letters and digits")
}

fn numbered(number: u32, payload: &[u8]) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u32(number);
    message.extend_from_slice(payload);
    message.freeze()
}

fn received(messages: mpsc::UnboundedReceiver<Bytes>) -> impl Stream<Item = Bytes> {
    stream::unfold(messages, |mut messages| async { messages.recv().await.map(|next| (next, messages)) })
}

fn same(received: &[u8], expected: &[u8]) -> Result<(), BoxError> {
    if received != expected {
        return Err(format!("{} bytes came, not the {} expected", received.len(), expected.len()).into());
    }
    Ok(())
}

fn ended(message: Option<&Bytes>) -> Result<(), BoxError> {
    message.map_or(Ok(()), |_| Err("more comes than was asked for".into()))
}

fn has_code(answer: Answer<Bytes>, expected: Code, path: &str) -> Result<(), BoxError> {
    match answer {
        Err(status) if status.code() == expected => Ok(()),
        other => Err(format!("{path} gives {other:?}, not {expected:?}").into()),
    }
}
