//! HTTP semantics (RFC 9110) for endpoints on the Thalweg core, without I/O.
//!
//! The core (`thalweg`) keeps the rules of RFC 9113 and refuses what is malformed. The rules of RFC
//! 9110 that bind an endpoint live here, once for all I/O layers and both roles. Nothing here owns
//! a socket, a clock, a task or a message: fields are iterators of [`Field`](thalweg::Field), time
//! is an argument, and each state machine returns what the I/O layer is to do.
//!
//! | Module | Question that it answers |
//! |---|---|
//! | [`content`] | Does this message have content? Which `content-length` does it carry? Do the bytes match it? |
//! | [`repair`] | Which fields must be dropped, trimmed or joined, and what does the log say? |
//! | [`date`] | Does this response get a `date`, and what is its text? |
//! | [`expect`] | When does a server send 100, and how long does a client withhold content? |
//! | [`retry`] | May a failed request be sent again? |
//! | [`exchange`] | What happens now in this exchange, and until when may an unwanted half of it live? |
//! | [`deadlines`] | Which of many exchanges has the next deadline? |
//! | [`transport`] | What does an I/O layer do in each state of its transport? |
//!
//! # Example
//!
//! A server sends a response whose handler returned six bytes, and later ends the exchange:
//!
//! ```
//! use thalweg::{Field, Instant, Status};
//! use thalweg_http::content::{Body, Digits, Plan};
//! use thalweg_http::exchange::{Exchange, ExchangeEnd, Input, Timeouts};
//! use thalweg_http::{Method, date};
//!
//! let (now, timeouts) = (Instant::ZERO, Timeouts::default());
//! let mut exchange = Exchange::server(Method::Get);
//! let _ = exchange.handle(Input::InboundEnded, now, &timeouts);
//!
//! let fields = [Field::new("content-type", "text/plain")];
//! let plan = Plan::response(Method::Get, Status::OK, Body::of_len(6), None)?;
//! let mut digits = Digits::default();
//! let sent: Vec<_> = plan.fields(fields, &mut digits).collect();
//! assert_eq!(sent, [Field::new("content-type", "text/plain"), Field::new("content-length", "6")]);
//! assert!(date::is_due(Status::OK) && !plan.ends_with_headers());
//!
//! let _ = exchange.handle(Input::HeadersSent { status: Status::OK }, now, &timeouts);
//! let actions = exchange.handle(Input::OutboundEnded, now, &timeouts);
//! assert_eq!(actions.end, Some(ExchangeEnd::Completed));
//! # Ok::<(), thalweg_http::content::ContentError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

extern crate alloc;

pub mod content;
pub mod date;
pub mod deadlines;
pub mod exchange;
pub mod expect;
mod method;
pub mod repair;
pub mod retry;
pub mod transport;

pub use method::Method;

/// The role of an endpoint on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It sends requests.
    Client,
    /// It sends responses.
    Server,
}

impl Role {
    /// Returns the role that the type `R` of a connection names.
    pub const fn of<R: thalweg::Role>() -> Self {
        if R::IS_CLIENT { Self::Client } else { Self::Server }
    }
}
