//! The names of what is measured.

use std::fmt;
use std::str::FromStr;

/// One kind of traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// Browser GETs: ten fields in, five out, a body of 128 bytes; a hundred in a read.
    W1,
    /// The same with every received field a never-indexed Huffman literal.
    W1Lit,
    /// Unary gRPC calls, with trailers.
    W2,
    /// A body without end leaves in frames of 16 KiB, copied into the output.
    W3Down,
    /// The same, but the library writes frame headers only and the payload is never copied.
    W3Splice,
    /// A body without end arrives in frames of 16 KiB.
    W3Up,
    /// Requests that are cancelled before they are answered.
    W4,
    /// Memory of a connection on which nothing happens.
    W5Idle,
    /// Memory of a stream on which nothing happens.
    W5Stream,
    /// Connections set up and dropped.
    W6,
}

/// Which end of the connection is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The end that answers.
    Server,
    /// The end that asks. It receives what the server sends and the reverse, so `W3Down` is still
    /// the body from server to client, and `W3Splice` is the upload without a copy.
    Client,
}

/// The application that a peer's driver runs on top of its library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum App {
    /// Answers each complete request with `RESPONSE_FIELDS` and 128 bytes; a client asks so.
    Unary,
    /// Answers with headers, one message and trailers; a client asks so.
    Grpc,
    /// Sends a body without end, as far as the windows allow, in pieces of 16 KiB.
    Send,
    /// The same through the library's door without a copy, where it has one.
    Splice,
    /// Swallows what it receives and gives the window back.
    Receive,
    /// A server that never comes to answer before the cancellation, a client that cancels at the
    /// response's headers.
    Cancel,
    /// Leaves every stream open.
    Hold,
}

impl Workload {
    /// Every workload, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::W1,
        Self::W1Lit,
        Self::W2,
        Self::W3Down,
        Self::W3Splice,
        Self::W3Up,
        Self::W4,
        Self::W5Idle,
        Self::W5Stream,
        Self::W6,
    ];

    /// Returns the name in reports, of the server's side.
    pub fn name(self) -> &'static str {
        match self {
            Self::W1 => "w1",
            Self::W1Lit => "w1lit",
            Self::W2 => "w2",
            Self::W3Down => "w3down",
            Self::W3Splice => "w3splice",
            Self::W3Up => "w3up",
            Self::W4 => "w4",
            Self::W5Idle => "w5idle",
            Self::W5Stream => "w5stream",
            Self::W6 => "w6",
        }
    }

    fn app(self, side: Side) -> App {
        match (self, side) {
            (Self::W1 | Self::W1Lit | Self::W6, _) => App::Unary,
            (Self::W2, _) => App::Grpc,
            (Self::W3Down, Side::Server) | (Self::W3Up, Side::Client) => App::Send,
            (Self::W3Splice, _) => App::Splice,
            (Self::W3Up, Side::Server) | (Self::W3Down, Side::Client) => App::Receive,
            (Self::W4, _) => App::Cancel,
            (Self::W5Idle | Self::W5Stream, _) => App::Hold,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "",
            Self::Client => "client-",
        })
    }
}

/// A workload seen from one side, as reports name it: `w1`, `client-w1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scene {
    /// The traffic.
    pub workload: Workload,
    /// The end that is measured.
    pub side: Side,
}

impl Scene {
    /// Returns what the measured application does.
    pub fn app(self) -> App {
        self.workload.app(self.side)
    }

    /// Whether one body without end is all that happens.
    pub fn is_endless(self) -> bool {
        matches!(self.workload, Workload::W3Down | Workload::W3Splice | Workload::W3Up)
    }

    /// Whether the measured end is the one that asks.
    pub fn is_client(self) -> bool {
        self.side == Side::Client
    }

    /// Whether the measured end sends that body.
    pub fn is_sending(self) -> bool {
        matches!(self.app(), App::Send | App::Splice)
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.side, self.workload.name())
    }
}

impl FromStr for Scene {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (side, name) = match text.strip_prefix("client-") {
            Some(name) => (Side::Client, name),
            None => (Side::Server, text),
        };
        let workload = Workload::ALL.into_iter().find(|w| w.name() == name);
        let workload = workload.ok_or_else(|| format!("no workload is called `{text}`"))?;
        Ok(Self { workload, side })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for workload in Workload::ALL {
            for side in [Side::Server, Side::Client] {
                let scene = Scene { workload, side };
                assert_eq!(scene.to_string().parse(), Ok(scene));
            }
        }
        assert!("w7".parse::<Scene>().is_err());
        assert!("client-".parse::<Scene>().is_err());
    }
}
