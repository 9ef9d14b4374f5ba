//! Shrinks a failing script.

use std::time::{Duration, Instant};

use super::script::{Exchange, Message, Op, Script, Setup};

/// Removes what a failure does not need: first operations, in large pieces and then in small ones,
/// then the options of those that are left. `fails` returns whether a script still fails; it is
/// called at most a few thousand times, and for half a minute.
pub fn shrink(script: &Script, mut fails: impl FnMut(&Script) -> bool) -> Script {
    let mut best = script.clone();
    let (mut asked, start) = (0, Instant::now());
    let mut try_one = |best: &mut Script, candidate: Script| {
        asked += 1;
        let better =
            asked < ATTEMPTS_MAX && start.elapsed() < TIME_MAX && candidate != *best && fails(&candidate);
        if better {
            *best = candidate;
        }
        better
    };
    loop {
        let mut shorter = false;
        let mut piece = best.ops.len().max(1);
        while piece > 0 {
            let mut at = 0;
            while at < best.ops.len() {
                let mut candidate = best.clone();
                candidate.ops.drain(at..(at + piece).min(best.ops.len()));
                if try_one(&mut best, candidate) {
                    shorter = true;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
        for candidate in simpler_setups(&best) {
            shorter |= try_one(&mut best, candidate);
        }
        for at in 0..best.ops.len() {
            for op in simpler(&best.ops[at]) {
                let mut candidate = best.clone();
                candidate.ops[at] = op;
                shorter |= try_one(&mut best, candidate);
            }
        }
        if !shorter {
            return best;
        }
    }
}

fn simpler_setups(script: &Script) -> Vec<Script> {
    let default = Setup::default();
    let plain = |setup: Setup| {
        [
            default,
            Setup { output_bytes: default.output_bytes, ..setup },
            Setup { stream_window: default.stream_window, ..setup },
            Setup { connection_window: default.connection_window, ..setup },
            Setup { frame_bytes: default.frame_bytes, ..setup },
            Setup { table_bytes: default.table_bytes, ..setup },
            Setup { encoder_table_bytes: default.encoder_table_bytes, ..setup },
            Setup { streams: default.streams, ..setup },
            Setup { push: false, ..setup },
            Setup { automatic: false, ..setup },
            Setup { extensions: false, ..setup },
            Setup { timeouts: default.timeouts, ..setup },
        ]
    };
    let clients = plain(script.client).map(|client| Script { client, ..script.clone() });
    let servers = plain(script.server).map(|server| Script { server, ..script.clone() });
    clients.into_iter().chain(servers).collect()
}

fn simpler(op: &Op) -> Vec<Op> {
    match *op {
        Op::Open(exchange) => simpler_exchanges(exchange).into_iter().map(Op::Open).collect(),
        Op::Turn { of, bytes } => vec![
            Op::Turn { of, bytes: 1 << 20 },
            Op::Turn { of, bytes: bytes / 2 },
            Op::Transmit { by: of },
            Op::Serve { by: of },
        ],
        Op::Receive { by, bytes } => {
            vec![Op::Receive { by, bytes: 1 << 20 }, Op::Receive { by, bytes: bytes / 2 }]
        }
        Op::Tick { ms } => vec![Op::Tick { ms: ms / 2 }],
        Op::TickMicros { us } => vec![Op::TickMicros { us: us / 2 }],
        Op::Inject { to, kind, flags, stream, ref payload } => {
            let half = payload[..payload.len() / 2].to_vec();
            vec![
                Op::Inject { to, kind, flags: 0, stream, payload: payload.clone() },
                Op::Inject { to, kind, flags, stream, payload: half },
            ]
        }
        Op::InjectBlock { to, stream, bytes, piece } => {
            vec![Op::InjectBlock { to, stream, bytes: bytes / 2, piece }]
        }
        Op::Alter { to, at, xor } => vec![Op::Alter { to, at: at / 2, xor }],
        _ => Vec::new(),
    }
}

fn simpler_exchanges(exchange: Exchange) -> Vec<Exchange> {
    let Exchange { request, response, pushed, .. } = exchange;
    let mut plain = vec![
        Exchange { pushes: exchange.pushes / 2, ..exchange },
        Exchange { informational: 0, ..exchange },
        Exchange { waits: false, ..exchange },
        Exchange { status: 200, ..exchange },
        Exchange { method: super::Method::Get, ..exchange },
        Exchange { request: Message::default(), ..exchange },
        Exchange { response: Message::default(), ..exchange },
        Exchange { pushed: Message::default(), ..exchange },
    ];
    plain.extend(simpler_messages(request).map(|request| Exchange { request, ..exchange }));
    plain.extend(simpler_messages(response).map(|response| Exchange { response, ..exchange }));
    plain.extend(simpler_messages(pushed).map(|pushed| Exchange { pushed, ..exchange }));
    plain
}

fn simpler_messages(message: Message) -> impl Iterator<Item = Message> {
    [
        Message { body: message.body / 2, ..message },
        Message { body: message.body.saturating_sub(1), ..message },
        Message { chunk: message.body.max(1), ..message },
        Message { announces: false, ..message },
        Message { trailers: false, ..message },
        Message { padding: None, ..message },
        Message { padding: message.padding.map(|len| len / 2), ..message },
        Message { spliced: false, ..message },
        Message { header_bytes: message.header_bytes / 2, ..message },
    ]
    .into_iter()
}

const ATTEMPTS_MAX: u32 = 5000;
const TIME_MAX: Duration = Duration::from_secs(30);
