//! Denial-of-service attacks: one script for each known weakness of HTTP/2 implementations.
//!
//! An [`Attack`] is a preface and a step that is repeated; [`run`](run::run) runs it against a
//! server core whose application answers every request, counts the work, and reports the end.
//! `cargo xtask abuse` runs the same scripts over sockets.

pub mod attacks;
pub mod run;
pub mod wire;

use std::time::Duration;

use thalweg::Config;

/// One attack.
#[derive(Debug)]
pub struct Attack {
    /// A short name.
    pub name: &'static str,
    /// The weakness that it is known by, or the row of the table of limits that it tests.
    pub known_as: &'static str,
    /// What the attacker sends after the preface and its SETTINGS, once.
    pub opening: fn() -> Vec<u8>,
    /// What it sends in each step.
    pub step: fn(u32) -> Vec<u8>,
    /// The number of steps, unless the connection ends before.
    pub steps: u32,
    /// Virtual time between the steps.
    pub pause: Duration,
    /// Whether the attacker reads the responses.
    pub reads: bool,
    /// What the server's application does.
    pub server: Application,
    /// How the server is configured.
    pub config: fn() -> Config,
    /// The expected end.
    pub end: End,
}

/// What the application of the attacked server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// Responds to each request at once with a few bytes.
    Answers,
    /// Responds with more content than any window allows.
    Large,
    /// Does not respond: its handlers are slow.
    Waits,
    /// Does not respond, and holds all content without consuming it.
    RetainsInput,
}

/// The expected end of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// GOAWAY, and this text in the error and in its debug data.
    Cut(&'static str),
    /// The connection lives, and each step cost no more than ordinary traffic of the same size: no
    /// state accumulates.
    Allowed,
    /// The connection lives; this timeout reset the attacked streams.
    StreamsReset,
}

impl Attack {
    const DEFAULT: Self = Self {
        name: "",
        known_as: "",
        opening: Vec::new,
        step: |_| Vec::new(),
        steps: 20_000,
        pause: Duration::ZERO,
        reads: true,
        server: Application::Answers,
        config: Config::default,
        end: End::Allowed,
    };
}
