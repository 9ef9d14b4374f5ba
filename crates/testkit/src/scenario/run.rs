//! The runs of a script: how they start, how they split the input, and what they check at their
//! end.

use std::collections::BTreeMap;

use thalweg::{Client, Config, Connection, Instant, Role, Server};

use super::{Scene, lines};
use crate::frames::{self, Frame, Reader};
use crate::hpack;

/// The start of a scenario.
#[derive(Debug)]
pub struct Opening {
    /// The configuration of the connection under test.
    pub config: Config,
    /// The peer's first SETTINGS.
    pub peer_settings: Frame,
}

/// Runs a script against a server after the handshake.
pub fn server(script: impl Fn(&mut Scene<Server>)) {
    server_with(|_| {}, script);
}

/// Runs a script against a client after the handshake.
pub fn client(script: impl Fn(&mut Scene<Client>)) {
    client_with(|_| {}, script);
}

/// Runs a script against a server after a handshake that `opening` configures.
pub fn server_with(opening: impl Fn(&mut Opening), script: impl Fn(&mut Scene<Server>)) {
    run(&opening, true, script);
}

/// Runs a script against a client after a handshake that `opening` configures.
pub fn client_with(opening: impl Fn(&mut Opening), script: impl Fn(&mut Scene<Client>)) {
    run(&opening, true, script);
}

/// Runs a script against a server that has received no byte yet.
pub fn new_server(script: impl Fn(&mut Scene<Server>)) {
    run(&|_| {}, false, script);
}

/// Runs a script against a client that has received no byte yet.
pub fn new_client(script: impl Fn(&mut Scene<Client>)) {
    run(&|_| {}, false, script);
}

fn run<R: Role>(opening: &dyn Fn(&mut Opening), handshake: bool, script: impl Fn(&mut Scene<R>)) {
    let mut whole: Option<Vec<String>> = None;
    for chunking in [Chunking::Whole, Chunking::Bytewise, Chunking::Random(7), Chunking::Random(1001)] {
        let mut start = Opening { config: Config::default(), peer_settings: frames::settings() };
        opening(&mut start);
        let mut scene = Scene::<R>::new(start.config, chunking);
        if handshake {
            scene.handshake_with(&start.peer_settings);
        }
        script(&mut scene);
        scene.nothing();
        if scene.error.is_some() {
            scene.check_dead();
        }
        let transcript = std::mem::take(&mut scene.transcript);
        match &whole {
            None => whole = Some(transcript),
            Some(whole) => assert_eq!(*whole, transcript, "{chunking:?} went another way than the whole"),
        }
    }
}

impl<R: Role> Scene<R> {
    fn new(config: Config, chunking: Chunking) -> Self {
        Self {
            core: Connection::new(config).expect("a valid configuration"),
            now: Instant::ZERO,
            chunking,
            queue: Vec::new(),
            observed: Vec::new(),
            sent: Vec::new(),
            reader: Reader::default(),
            block: None,
            decoder: hpack::Decoder::default(),
            allowed: Vec::new(),
            streams: BTreeMap::new(),
            error: None,
            transcript: Vec::new(),
        }
    }

    /// Exchanges both prefaces and both acknowledgements, which the script does not check.
    fn handshake_with(&mut self, peer_settings: &Frame) {
        let mut wire = Vec::new();
        let _ = self.core.poll_transmit(&mut wire);
        if !wire.starts_with(&frames::PREFACE) {
            self.peer(frames::preface());
        }
        self.peer(peer_settings.clone());
        self.peer(frames::settings_ack());
        // As an I/O layer does at its first turn: from now on, short frames wait.
        self.call(|core| core.handle_timeout(Instant::ZERO)).expect("no timeout has passed");
        self.events([peer_settings.to_string(), "SETTINGS ACK".to_owned()]);
        self.output(["SETTINGS ACK"]);
    }
}

impl<R: Role> Drop for Scene<R> {
    /// Prints the transcript on a failure.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines: Vec<String> = self.transcript.iter().map(|line| lines::cut(line)).collect();
            eprintln!("transcript, input cut {:?}:\n    {}", self.chunking, lines.join("\n    "));
        }
    }
}

/// How a run splits the peer's bytes.
#[derive(Clone, Copy, Debug)]
pub enum Chunking {
    /// Not at all.
    Whole,
    /// After every byte; long payloads only at their ends.
    Bytewise,
    /// At random positions, from this seed.
    Random(u64),
}

impl Chunking {
    /// Returns the length of the next piece of `left` bytes.
    pub fn next(&mut self, left: usize) -> usize {
        match self {
            Self::Whole => left,
            Self::Bytewise if left > LONG_BYTES => (left - LONG_BYTES).min(LONG_BYTES),
            Self::Bytewise => 1,
            Self::Random(state) => {
                *state =
                    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Mostly short pieces, sometimes a long one.
                let bound = if state.is_multiple_of(4) { left } else { 24 };
                left.min(1 + (*state >> 33) as usize % bound)
            }
        }
    }
}

/// Up to this length a payload is split after every byte.
const LONG_BYTES: usize = 4096;
