//! The first bytes of a cleartext connection that may speak HTTP/2.
//!
//! HTTP/2 without TLS ("h2c") begins in one of two ways. A client with prior knowledge sends the
//! connection preface (RFC 9113 §3.3). Others send an HTTP/1.1 request with `Upgrade` (RFC 7540
//! §3.2), which RFC 9113 deprecates but `curl --http2`, Java's `HttpClient` and many load testers
//! still use. The same port also receives plain HTTP/1, TLS by mistake, and port scans. This crate
//! detects which of these a connection is, without I/O: it takes bytes and returns a decision, and
//! loses no byte.
//!
//! - A server passes the first bytes to a [`Sniffer`], which returns a [`Protocol`]:
//!   [`Http2`](Protocol::Http2), an [`Upgrade`], or plain [`Http1`] with its bytes untouched; or a
//!   [`SniffError`] to log, often with a response.
//! - A client sends the bytes of an [`Upgrader`] and passes it the bytes of the server. It returns
//!   an [`UpgradeResponse`].
//! - A server without HTTP/1 finds complete HTTP/1.1 responses in [`responses`].
//!
//! Both sides consume bytes from the front of `&mut &[u8]`, buffer incomplete ones within the
//! limits of [`Config`], and leave the rest for the HTTP/2 connection. Any chunking of the input
//! gives the same result.
//!
//! # Example
//!
//! ```
//! use thalweg_h2c::{UpgradeResponse, Config, Protocol, UpgradeRequest, Sniffer, Upgrader};
//!
//! // The client sends a request with `Upgrade`.
//! let request = UpgradeRequest::new("GET", "example.com:8080", "/notes?page=2");
//! let request = request.with_field("accept", "*/*");
//! let settings = [0x00, 0x04, 0x00, 0x0f, 0xff, 0xff]; // SETTINGS_INITIAL_WINDOW_SIZE = 1,048,575
//! let mut client = Upgrader::new(&request, &settings, Config::default())?;
//!
//! // The server detects the protocol, here in two reads.
//! let (first_read, second_read) = client.bytes().split_at(20);
//! let mut server = Sniffer::new(Config::default());
//! assert!(server.receive(&mut &first_read[..])?.is_none());
//! let mut input = second_read;
//! let upgrade = match server.receive(&mut input)?.expect("the request is complete") {
//!     Protocol::Upgrade(upgrade) => upgrade,
//!     Protocol::Http2 { seen } => panic!("a connection would receive {seen:?}, then {input:?}"),
//!     Protocol::Http1(request) => panic!("plain HTTP/1, answered by {:?}", request.response()),
//!     other => panic!("{other:?}"),
//! };
//!
//! // The request becomes stream 1 of an HTTP/2 connection with these client settings.
//! assert_eq!(upgrade.request, request);
//! assert_eq!(upgrade.settings, settings);
//!
//! // The server accepts; its SETTINGS frame would follow at once.
//! assert_eq!(client.receive(&mut upgrade.response())?, Some(UpgradeResponse::Switched));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # With the HTTP/2 connection
//!
//! Both kinds of connection on the server. The rest of `input` is for the connection.
//!
//! ```
//! use thalweg::{Connection, Server};
//! use thalweg_h2c::Protocol;
//!
//! type Error = Box<dyn std::error::Error>;
//!
//! /// Creates the connection, and writes the bytes that precede its frames.
//! fn connect(protocol: Protocol, out: &mut Vec<u8>) -> Result<Option<Connection<Server>>, Error> {
//!     let config = thalweg::Config::default();
//!     match protocol {
//!         Protocol::Http2 { seen } => {
//!             let mut connection = Connection::<Server>::new(config)?;
//!             let event = connection.receive(&mut &seen[..], thalweg::Instant::ZERO)?;
//!             assert!(event.is_none(), "half a preface is no event");
//!             Ok(Some(connection))
//!         }
//!         Protocol::Upgrade(upgrade) => {
//!             let method = upgrade.request.method.as_bytes();
//!             let settings = &upgrade.settings;
//!             let (mut connection, stream) =
//!                 Connection::<Server>::from_upgrade(config, settings, method)?;
//!             out.extend_from_slice(upgrade.response());
//!             // The response to `upgrade.request`.
//!             connection.send_response(stream, thalweg::Status::OK, [], true)?;
//!             Ok(Some(connection))
//!         }
//!         Protocol::Http1(request) => {
//!             out.extend_from_slice(request.response());
//!             Ok(None)
//!         }
//!         _ => Ok(None),
//!     }
//! }
//! # let http2 = connect(Protocol::Http2 { seen: b"PRI * HTTP/2" }, &mut Vec::new())?;
//! # assert!(http2.is_some());
//! # let mut request = &b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
//! #     Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"[..];
//! # let mut sniffer = thalweg_h2c::Sniffer::new(thalweg_h2c::Config::default());
//! # let upgrade = sniffer.receive(&mut request)?.expect("the request is complete");
//! # let mut out = Vec::new();
//! # assert!(connect(upgrade, &mut out)?.is_some());
//! # assert_eq!(out, thalweg_h2c::responses::SWITCHING_PROTOCOLS);
//! # Ok::<(), Error>(())
//! ```
//!
//! # Rejected upgrades
//!
//! Request smuggling exploits servers and proxies that parse an HTTP/1 message differently, and an
//! Upgrade turns such a message into one of another protocol. So only a message with exactly one
//! interpretation is upgraded. An ambiguous request, or one that needs an unsupported feature,
//! stays plain HTTP/1, which is always allowed (RFC 9110 §7.8); its [`UpgradeRejection`] is the
//! reason:
//!
//! - `Connection` lists both `Upgrade` and `HTTP2-Settings` (RFC 7540 §3.2.1), and nothing that
//!   would remove a field from the request (RFC 9110 §7.6.1). There is one `HTTP2-Settings`,
//!   base64url without padding, with valid settings.
//! - There is one valid `Host` (RFC 9112 §3.2). The target is a path, `*` with `OPTIONS` (§3.2.4),
//!   or in absolute form with the scheme `http` and the authority that `Host` names (§3.2.2).
//!   `CONNECT` does not upgrade.
//! - A body has one `Content-Length` or is `chunked`, not both (RFC 9112 §6.1); no list of lengths,
//!   even if they are equal (RFC 9110 §8.6). Chunks have neither extensions nor trailers. The whole
//!   body must arrive before HTTP/2 begins (RFC 7540 §3.2), so it is buffered, up to
//!   [`Config::body_bytes_max`]. `Expect` is rejected.
//! - Lines end in CRLF (RFC 9112 §2.2). Folded lines make the request malformed (§5.2).
//!
//! # Security
//!
//! An HTTP/1 proxy that forwards `Upgrade: h2c` to a server that accepts it gives the client a
//! tunnel that bypasses every rule of the proxy ("h2c smuggling"). A server behind such a proxy
//! sets [`Config::upgrade`] to `false`; HTTP/2 with prior knowledge still works.
#![no_std]
#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

extern crate alloc;

mod body;
mod config;
mod error;
mod head;
mod http1;
mod rejection;
mod request;
pub mod responses;
mod settings;
mod sniffer;
mod target;
mod upgrader;
mod validate;

pub use config::Config;
pub use error::{EofPosition, Excerpt, RequestError, SniffError, UpgradeResponseError};
pub use head::Version;
pub use http1::Http1;
pub use rejection::UpgradeRejection;
pub use request::UpgradeRequest;
pub use settings::SettingsError;
pub use sniffer::{Protocol, Sniffer, Upgrade};
pub use upgrader::{UpgradeResponse, Upgrader};

/// The client connection preface, without its SETTINGS frame (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
