//! Generates random scripts.

use super::script::{Change, Exchange, Message, Method, Op, Script, Setup, Side, TimeoutsMs};
use crate::frames::{flag, kind};
use crate::hpack;
use crate::random::Choices;

/// One of so many scripts is a busy one: it takes as long as a hundred others.
const BUSY_ONE_IN: u32 = 64;
/// Half of them pass time. The others are fewer than the smallest burst of advice, 1,000 frames: a
/// script may hold nothing else.
const BUSY_OPS_MAX: usize = 1800;

/// What may go wrong in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conditions {
    /// None: the wire only delays.
    Benign,
    /// The connection may break.
    Disruptive,
    /// The bytes on the wire are altered.
    Hostile,
}

impl Script {
    /// Creates a script from choices.
    pub fn generate(choices: &mut impl Choices) -> Self {
        let conditions = match choices.below(10) {
            0..=6 => Conditions::Benign,
            7 => Conditions::Disruptive,
            _ => Conditions::Hostile,
        };
        let (client, server) = (Setup::generate(choices), Setup::generate(choices));
        let len = 1 + choices.size(200);
        let mut ops = Vec::new();
        while ops.len() < len as usize && !choices.is_exhausted() {
            ops.push(op(choices, conditions, &client, &server));
        }
        let mut script = Self { client, server, ops };
        if choices.chance(1, 3) {
            script.add_silences(choices);
        }
        // An exhausted source would always choose this.
        let is_busy = !choices.is_exhausted() && choices.chance(1, BUSY_ONE_IN);
        if is_busy && conditions == Conditions::Benign {
            script.make_busy(choices);
        }
        script
    }

    /// Makes a busy connection on a fast link of a script: what happens, happens many times, and
    /// the clock advances by microseconds. Half of these scripts send messages of a few bytes.
    fn make_busy(&mut self, choices: &mut impl Choices) {
        self.client = Setup { push: true, ..Setup::default() };
        self.server = Setup::default();
        self.ops.retain(|op| !matches!(op, Op::Tick { .. } | Op::Shutdown { .. } | Op::Close { .. }));
        self.ops.truncate(BUSY_OPS_MAX / 10);
        if choices.chance(1, 2) {
            let chunk = 1 + choices.size(32);
            let small = |message: Message| Message { body: message.body.min(chunk * 64), chunk, ..message };
            for op in &mut self.ops {
                if let Op::Open(Exchange { request, response, pushed, .. }) = op {
                    (*request, *response, *pushed) = (small(*request), small(*response), small(*pushed));
                }
            }
        }
        // A server that answers late: what is reset before costs its client.
        if choices.chance(1, 4) {
            for op in &mut self.ops {
                if let Op::Open(Exchange {
                    method: method @ (Method::Get | Method::Post),
                    request,
                    waits,
                    ..
                }) = op
                {
                    (*method, *waits, request.body) = (Method::Post, true, request.body.max(1));
                }
            }
        }
        // Signals that an honest peer sends beside its streams.
        for by in [Side::Client, Side::Server] {
            let signal = match choices.below(5) {
                0 => Op::Ping { by },
                1 => Op::Extension { by, bytes: 20 },
                2 => Op::Pause { by, nth: nth(choices) },
                3 => Op::Reset { by, nth: nth(choices), code: 8 },
                _ => Op::Priority { by, nth: nth(choices), urgency: 2, incremental: true },
            };
            self.ops.extend(vec![signal; choices.below(8) as usize]);
        }
        let us = 1 + choices.size(200);
        let round: Vec<Op> = self.ops.drain(..).flat_map(|op| [op, Op::TickMicros { us }]).collect();
        self.ops = round.iter().cloned().cycle().take(BUSY_OPS_MAX).collect();
    }

    /// Gives both ends timeouts of all lengths, and lets time pass now and then that reaches them.
    fn add_silences(&mut self, choices: &mut impl Choices) {
        self.client.timeouts = TimeoutsMs::generate(choices);
        self.server.timeouts = TimeoutsMs::generate(choices);
        for _ in 0..1 + choices.below(8) {
            let at = choices.below(self.ops.len() as u32 + 1) as usize;
            let ms = choices.size(500);
            self.ops.insert(at, Op::Tick { ms });
        }
        self.client.timeouts.content = TimeoutsMs::length(choices, 4);
        self.server.timeouts.content = TimeoutsMs::length(choices, 4);
        if choices.chance(1, 4) {
            self.open_block(choices);
        }
        // Timeouts that calls arm are tested only if calls follow on a pause.
        if choices.chance(1, 2) {
            let by = end(choices);
            let action = choices.pick(&[0, 1, 2]);
            let at = choices.below(self.ops.len() as u32 + 1) as usize;
            self.ops.insert(at, Op::Tick { ms: choices.size(500) });
            self.ops.insert(
                at + 1,
                match action {
                    0 => Op::Shutdown { by },
                    1 => Op::Settings { by, change: Change::InitialWindow(512 + choices.below(70_000)) },
                    _ => Op::Serve { by },
                },
            );
        }
    }
}

impl Script {
    /// Injects an unfinished field block into the wire, and lets time pass after it.
    fn open_block(&mut self, choices: &mut impl Choices) {
        let to = end(choices);
        let setup = if to == Side::Client { &mut self.client } else { &mut self.server };
        setup.timeouts.header_block = Some(1 + choices.size(100));
        let stream = if to == Side::Client { 1 } else { 1001 };
        let payload = hpack::get("/");
        let block = Op::Inject { to, kind: kind::HEADERS, flags: flag::END_STREAM, stream, payload };
        let at = choices.below(self.ops.len() as u32 + 1) as usize;
        let silence = |choices: &mut _| Op::Tick { ms: Choices::size(choices, 120) };
        let ticks = [silence(choices), silence(choices)];
        self.ops.splice(at..at, [block, Op::Receive { by: to, bytes: 1 << 20 }].into_iter().chain(ticks));
    }
}

impl Setup {
    fn generate(choices: &mut impl Choices) -> Self {
        let default = Self::default();
        let tiny = choices.chance(1, 3);
        let window = if tiny { 1 + choices.size(4000) } else { default.stream_window };
        Self {
            stream_window: window,
            connection_window: choices.pick(&[65_535, 65_536, 100_000, 1 << 20]),
            frame_bytes: choices.pick(&[16_384, 16_385, 40_000]),
            output_bytes: choices.pick(&[1024, 5000, 20_000, 65_536, 65_536]),
            table_bytes: choices.pick(&[0, 64, 200, 4096, 4096, 16_384]),
            encoder_table_bytes: choices.pick(&[0, 64, 300, 4096, 4096, 65_536]),
            streams: choices.pick(&[1, 2, 5, 100, 256]),
            push: choices.chance(1, 2),
            automatic: choices.chance(1, 4),
            extensions: choices.chance(1, 2),
            timeouts: default.timeouts,
        }
    }
}

impl TimeoutsMs {
    fn generate(choices: &mut impl Choices) -> Self {
        // Both end the connection early.
        let (preface, settings_ack) = (Self::length(choices, 1), Self::length(choices, 1));
        let mut length = || Self::length(choices, 4);
        Self {
            preface,
            settings_ack,
            header_block: length(),
            keep_alive: length(),
            ping: length(),
            idle: length(),
            shutdown: length(),
            stall: length(),
            transmit: length(),
            content: None,
        }
    }

    /// Returns the duration of one timeout: a short one in `shorts` of eight cases.
    fn length(choices: &mut impl Choices, shorts: u32) -> Option<u32> {
        let short = 1 + choices.size(300);
        if choices.chance(shorts, 8) { Some(short) } else { choices.pick(&[None, Some(10_000)]) }
    }
}

fn end(choices: &mut impl Choices) -> Side {
    choices.pick(&[Side::Client, Side::Server])
}

fn nth(choices: &mut impl Choices) -> u8 {
    choices.below(8) as u8
}

fn op(choices: &mut impl Choices, conditions: Conditions, client: &Setup, server: &Setup) -> Op {
    match choices.below(100) {
        0..=59 => progress_op(choices),
        60..=79 => Op::Open(exchange(choices, client, server)),
        80..=95 => action(choices),
        _ => match conditions {
            Conditions::Disruptive if choices.chance(1, 4) => Op::Cut { to: end(choices) },
            Conditions::Hostile => hostile(choices),
            Conditions::Benign | Conditions::Disruptive => progress_op(choices),
        },
    }
}

/// Returns a step that moves bytes or time.
fn progress_op(choices: &mut impl Choices) -> Op {
    let by = end(choices);
    match choices.below(12) {
        0..=5 => Op::Turn { of: by, bytes: choices.size(1 << 17) },
        6 | 7 => Op::Receive { by, bytes: choices.size(1 << 12) },
        8 => Op::Serve { by },
        9 | 10 => Op::Transmit { by },
        _ if choices.chance(1, 200) => Op::Tick { ms: choices.below(70_000) },
        _ => Op::Tick { ms: choices.size(40) },
    }
}

/// Returns a step of an application outside of its exchanges.
fn action(choices: &mut impl Choices) -> Op {
    let by = end(choices);
    match choices.below(36) {
        0..=4 => Op::Reset { by, nth: nth(choices), code: choices.pick(&[0, 5, 7, 8]) },
        5..=8 => Op::Pause { by, nth: nth(choices) },
        9..=12 => Op::Resume { by },
        13..=16 => {
            let (urgency, incremental) = (choices.below(8) as u8, choices.chance(1, 2));
            Op::Priority { by, nth: nth(choices), urgency, incremental }
        }
        17 | 18 => Op::Ping { by },
        19..=25 => Op::Settings { by, change: change(choices) },
        26 | 27 => Op::Extension { by, bytes: choices.size(300) as u16 },
        28 => Op::Origins,
        29 => Op::AltSvc { nth: nth(choices) },
        30..=33 => Op::Misuse { by, nth: nth(choices) },
        34 if choices.chance(1, 4) => Op::Shutdown { by },
        35 if choices.chance(1, 8) => Op::Close { by, code: choices.pick(&[0, 2, 8, 11]) },
        _ => Op::Serve { by },
    }
}

fn change(choices: &mut impl Choices) -> Change {
    match choices.below(6) {
        // Smaller ones would make the peer exceed its rate limit of small WINDOW_UPDATE frames.
        0 | 1 if choices.chance(1, 2) => Change::InitialWindow(512 + choices.below(4000)),
        0 | 1 => Change::InitialWindow(512 + choices.size(300_000)),
        2 => Change::HeaderTable(choices.size(20_000)),
        3 => Change::Streams(1 + choices.size(100)),
        4 => Change::FrameSize(16_384 + choices.size(30_000)),
        _ if choices.chance(1, 2) => Change::Push(choices.chance(1, 2)),
        // A lower limit would reject the requests of the script.
        _ => Change::HeaderList(12_000 + choices.size(20_000)),
    }
}

fn exchange(choices: &mut impl Choices, client: &Setup, server: &Setup) -> Exchange {
    let method =
        choices.pick(&[Method::Get, Method::Get, Method::Post, Method::Post, Method::Head, Method::Connect]);
    let has_content = matches!(method, Method::Post | Method::Connect);
    let request = message(choices, has_content, server);
    let response = message(choices, true, client);
    let pushed = message(choices, true, client);
    let exchange = Exchange {
        method,
        request,
        informational: if choices.chance(1, 6) { 1 + choices.below(3) as u8 } else { 0 },
        waits: choices.chance(1, 3),
        status: choices.pick(&[200, 200, 200, 200, 404, 204, 304]),
        response,
        pushes: if choices.chance(1, 6) { 1 + choices.below(3) as u8 } else { 0 },
        pushed,
    };
    if method != Method::Connect {
        return exchange;
    }
    // RFC 9113 §8.5: a tunnel has neither content-length nor trailers.
    let plain = |message| Message { announces: false, trailers: false, ..message };
    Exchange {
        status: 200,
        request: plain(request),
        response: plain(response),
        waits: false,
        pushes: 0,
        ..exchange
    }
}

fn message(choices: &mut impl Choices, has_content: bool, receiver: &Setup) -> Message {
    // Tiny windows make many short frames: bound their number.
    let most = receiver.stream_window.saturating_mul(50).min(200_000);
    let most = if choices.chance(1, 10) { most } else { most.min(6000) };
    let body = if has_content && choices.chance(7, 8) { choices.size(most) } else { 0 };
    let whole = choices.chance(1, 2);
    Message {
        body,
        chunk: if whole { body.max(1) } else { 1 + choices.size(20_000).max(body / 100) },
        announces: choices.chance(1, 3),
        trailers: choices.chance(1, 5),
        padding: if choices.chance(1, 10) { Some(choices.below(256) as u8) } else { None },
        spliced: choices.chance(1, 10),
        header_bytes: if choices.chance(1, 20) {
            choices.size(9000) as u16
        } else {
            choices.size(200) as u16
        },
    }
}

/// Returns an alteration of the bytes on the wire.
fn hostile(choices: &mut impl Choices) -> Op {
    let to = end(choices);
    if choices.chance(1, 3) {
        return Op::Alter { to, at: choices.size(2000) as u16, xor: 1 + choices.below(255) as u8 };
    }
    let kind = match choices.below(20) {
        0..=15 => choices.below(10) as u8,
        16 => kind::ALTSVC,
        17 => kind::ORIGIN,
        18 => kind::PRIORITY_UPDATE,
        _ => choices.below(256) as u8,
    };
    let flags = match choices.below(4) {
        0 => choices.below(256) as u8,
        1 => flag::END_HEADERS | flag::END_STREAM,
        2 => flag::END_HEADERS,
        _ => 0,
    };
    let stream = if choices.chance(1, 4) { 0 } else { choices.size(20) };
    let payload = payload(choices, kind);
    if kind == kind::CONTINUATION && flags & flag::END_HEADERS == 0 {
        // A single frame would be no new case. Blocks are decoded without being kept from 32 KiB
        // on.
        let (bytes, piece) = (choices.size(1_200_000), 1 + choices.size(16_000));
        return Op::InjectBlock { to, stream, bytes, piece: piece.max(bytes / 100) as u16 };
    }
    Op::Inject { to, kind, flags, stream, payload }
}

fn payload(choices: &mut impl Choices, kind: u8) -> Vec<u8> {
    if choices.chance(1, 8) {
        let len = choices.size(40);
        return (0..len).map(|_| choices.below(256) as u8).collect();
    }
    let word = |value: u32| value.to_be_bytes().to_vec();
    match kind {
        kind::HEADERS | kind::CONTINUATION => block(choices),
        kind::PUSH_PROMISE => [word(choices.size(20)), block(choices)].concat(),
        kind::RST_STREAM => word(choices.below(16)),
        kind::WINDOW_UPDATE => word(choices.size(u32::MAX)),
        kind::SETTINGS => {
            let entries = choices.below(3);
            (0..entries)
                .flat_map(|_| {
                    let id = choices.below(11) as u16;
                    let value = choices.size(u32::MAX);
                    [id.to_be_bytes().to_vec(), word(value)].concat()
                })
                .collect()
        }
        kind::PING => vec![7; 8],
        kind::GOAWAY => [word(choices.size(u32::MAX)), word(choices.below(16))].concat(),
        kind::PRIORITY => vec![0, 0, 0, 1, 15],
        kind::PRIORITY_UPDATE => [word(choices.size(20)), b"u=1, i".to_vec()].concat(),
        _ => vec![0; choices.size(100) as usize],
    }
}

fn block(choices: &mut impl Choices) -> Vec<u8> {
    match choices.below(6) {
        0 => hpack::get("/"),
        1 => hpack::request("POST", "/"),
        2 => hpack::response(choices.pick(&[100, 103, 200, 204, 304, 404])),
        3 => hpack::block(&[("x-trailer", "1")]),
        4 => hpack::Block::new().indexed(choices.size(70)).bytes(),
        _ => hpack::block(&[(":method", "GET"), ("Bad", "1")]),
    }
}
