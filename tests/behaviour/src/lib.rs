//! One suite of behaviour for both adapters, as servers and as clients.
//!
//! A case is a function over [`Adapter`]. It describes what a handler or a caller does as a list
//! of [`Step`]s or as a [`Call`], plays the other side with a scripted [`Peer`] over loopback, and
//! looks at exact frames and [`Observation`]s. [`on_both`] runs it on each adapter:
//!
//! ```
//! use thalweg_behaviour::{Adapter, on_both};
//!
//! fn the_name_is_short<A: Adapter>() {
//!     assert!(A::NAME.len() < 10);
//! }
//!
//! on_both!(the_name_is_short);
//! ```
//!
//! Every wait has a limit of [`LIMIT`], so a case that hangs fails.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "the suite is not published, and the names say it")]
#![warn(unreachable_pub)]

mod on_threads;
mod on_tokio;
mod peer;
mod script;

pub use on_threads::Threads;
pub use on_tokio::Tokio;
pub use peer::Peer;
pub use script::{
    Call, Content, End, Failure, Gate, Handler, Head, Observation, Piece, Received, Step, respond,
};

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use thalweg::Config;

/// For waits that take no time unless something is broken.
pub const LIMIT: Duration = Duration::from_secs(20);

/// An adapter under test.
pub trait Adapter {
    /// Its name in the lists of cases.
    const NAME: &'static str;
    type Server: Server;
    type Client: Client;

    /// Starts a server on a free port of 127.0.0.1.
    fn serve(config: Config, handler: Handler) -> Self::Server {
        Self::serve_with(config, true, handler)
    }

    /// Starts a server as [`serve`](Self::serve) does. `date`: whether responses carry one.
    fn serve_with(config: Config, date: bool, handler: Handler) -> Self::Server;

    /// Starts a client on a connected socket; requests go to `http://example.org`.
    fn connect(stream: TcpStream, config: Config) -> Self::Client;
}

/// A running server. Dropping it shuts it down.
pub trait Server {
    fn address(&self) -> SocketAddr;

    /// Returns the next observation of a handler, waiting for it.
    fn observation(&self) -> Observation;

    /// Returns the next observation if there is one already.
    fn try_observation(&self) -> Option<Observation>;

    /// Waits for the end of a connection.
    fn end(&self) -> End;

    /// Connects a scripted client that has exchanged prefaces and SETTINGS.
    fn peer(&self) -> Peer {
        let mut peer = self.silent_peer();
        peer.greet();
        peer
    }

    /// Connects a scripted client that has sent nothing.
    fn silent_peer(&self) -> Peer {
        Peer::new(TcpStream::connect(self.address()).expect("the server listens"))
    }
}

/// A client on one connection. Dropping it drops all its handles.
pub trait Client {
    type Pending: Pending;

    /// Starts a request.
    fn send(&self, call: Call) -> Self::Pending;

    /// Waits for the end of the connection.
    fn end(&self) -> End;
}

/// A request that was started. Dropping it drops the response with its reader.
pub trait Pending {
    /// Waits for the head of the final response.
    ///
    /// # Errors
    /// What the adapter reported to its caller.
    fn head(&mut self) -> Result<Head, Failure>;

    /// Reads the content of the response to its end.
    ///
    /// # Errors
    /// What the adapter reported to its caller.
    fn read(&mut self) -> Result<Received, Failure>;
}

/// Connects a client of the adapter to a scripted server that has read the client preface.
pub fn client<A: Adapter>(config: Config) -> (A::Client, Peer) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let stream = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let client = A::connect(stream, config);
    let mut peer = Peer::new(listener.accept().expect("a connection").0);
    peer.expect_preface();
    (client, peer)
}

/// Runs cases, functions over [`Adapter`], as tests on both adapters.
#[macro_export]
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        $crate::on_tokio!($($case),*);
        $crate::on_threads!($($case),*);
    };
}

/// Runs cases on `thalweg-tokio` alone; the reason is stated beside each list.
#[macro_export]
macro_rules! on_tokio {
    ($($case:ident),* $(,)?) => {
        mod tokio {
            $(#[test] fn $case() { super::$case::<$crate::Tokio>(); })*
        }
    };
}

/// Runs cases on `thalweg-threads` alone; the reason is stated beside each list.
#[macro_export]
macro_rules! on_threads {
    ($($case:ident),* $(,)?) => {
        mod threads {
            $(#[test] fn $case() { super::$case::<$crate::Threads>(); })*
        }
    };
}
