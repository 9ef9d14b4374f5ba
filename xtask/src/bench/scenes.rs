//! The workloads and peers that can be selected, and how large a run of each must be.

use clap::ValueEnum;

/// A workload as seen from one side, by its name in reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scene {
    pub name: &'static str,
    /// What one unit is.
    pub unit: &'static str,
    pub what: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Requests, a hundred to a chunk.
    Requests,
    /// DATA frames that are sent, 64 to a chunk.
    Sending,
    /// DATA frames that are received: the copy of the read is subtracted.
    Receiving,
    /// Connections, one to a chunk.
    SetUp,
    /// Something idle: only its memory is measured.
    Memory,
}

impl Scene {
    /// Chunks of the two runs whose instruction counts are subtracted.
    pub fn counted_chunks(&self) -> Option<(usize, usize)> {
        match self.kind {
            Kind::Requests => Some((20, 70)),
            Kind::Sending | Kind::Receiving => Some((20, 120)),
            Kind::SetUp => Some((100, 600)),
            Kind::Memory => None,
        }
    }

    /// Chunks of a run whose time is measured: some ten milliseconds.
    pub fn timed_chunks(&self) -> Option<usize> {
        match self.kind {
            Kind::Requests => Some(400),
            Kind::Sending | Kind::Receiving => Some(1500),
            Kind::SetUp => Some(20_000),
            Kind::Memory => None,
        }
    }

    /// Whether the cost of the read itself, which is the same for every peer, is subtracted.
    pub fn is_above_the_read(&self) -> bool {
        self.kind == Kind::Receiving
    }
}

/// Reads the name of a scene.
pub fn parse(name: &str) -> Result<Scene, String> {
    let known = || ALL.iter().map(|scene| scene.name).collect::<Vec<_>>().join(" ");
    ALL.into_iter().find(|scene| scene.name == name).ok_or_else(|| format!("known are: {}", known()))
}

/// The libraries to measure.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    Thalweg,
    /// Thalweg as a program uses it that looks up every name and releases content by calls
    ThalwegPlain,
    /// nghttp2's best configuration: closed streams are not kept, RFC 7540's priorities are off,
    /// and bodies are not copied in the splice workloads
    Nghttp2,
    /// nghttp2 with its default configuration
    Nghttp2Default,
    H2,
    Hyper,
}

impl Peer {
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Thalweg | Self::ThalwegPlain)
    }

    pub fn is_nghttp2(self) -> bool {
        matches!(self, Self::Nghttp2 | Self::Nghttp2Default)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Thalweg => "thalweg",
            Self::ThalwegPlain => "thalweg-plain",
            Self::Nghttp2 => "nghttp2",
            Self::Nghttp2Default => "nghttp2-default",
            Self::H2 => "h2",
            Self::Hyper => "hyper",
        }
    }
}

pub const ALL: [Scene; 20] = [
    scene("w1", "request", "browser GETs, 10 fields in, 5 out, 128 bytes, 100 at a time", Kind::Requests),
    scene("w1lit", "request", "the same, every received field a never-indexed literal", Kind::Requests),
    scene("w2", "call", "unary gRPC calls with trailers", Kind::Requests),
    scene("w3down", "frame", "a body leaves in frames of 16 KiB, copied into the output", Kind::Sending),
    scene(
        "w3splice",
        "frame",
        "a body leaves in frames of 16 KiB, not copied where that can be",
        Kind::Sending,
    ),
    scene("w3up", "frame", "a body arrives in frames of 16 KiB; above the copy of the read", Kind::Receiving),
    scene("w4", "stream", "requests that are cancelled before they are answered", Kind::Requests),
    scene("w5idle", "connection", "an idle connection, with its struct", Kind::Memory),
    scene("w5stream", "stream", "an open idle stream", Kind::Memory),
    scene("w6", "connection", "connections set up and dropped", Kind::SetUp),
    scene("client-w1", "request", "the client of w1", Kind::Requests),
    scene("client-w1lit", "request", "the client of w1, every received field a literal", Kind::Requests),
    scene("client-w2", "call", "the client of w2", Kind::Requests),
    scene("client-w3down", "frame", "the client of w3down; above the copy of the read", Kind::Receiving),
    scene("client-w3splice", "frame", "an upload, not copied where that can be", Kind::Sending),
    scene("client-w3up", "frame", "the client of w3up: an upload, copied into the output", Kind::Sending),
    scene("client-w4", "stream", "requests that are cancelled at the response's headers", Kind::Requests),
    scene("client-w5idle", "connection", "an idle connection's client, with its struct", Kind::Memory),
    scene("client-w5stream", "stream", "a request without an answer", Kind::Memory),
    scene("client-w6", "connection", "the client of w6", Kind::SetUp),
];

const fn scene(name: &'static str, unit: &'static str, what: &'static str, kind: Kind) -> Scene {
    Scene { name, unit, what, kind }
}
