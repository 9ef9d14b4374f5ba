//! Fairness between streams: a server with more to send on every stream than the windows allow.

use thalweg::{Config, Event, Instant, Status, StreamKey};

use super::PropertyFailure;
use crate::endpoint::Endpoint;
use crate::frames::{Reader, headers, kind, preface, setting, settings, window_update, wire};
use crate::hpack::{self, Block};
use crate::random::{Choices, Random};

/// The priority signal of a stream, and whether it is a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    None,
    /// A tunnel without a signal.
    SilentTunnel,
    Priority {
        urgency: u8,
        incremental: bool,
    },
    Tunnel {
        urgency: u8,
    },
}

/// Checks that no stream without a signal waits for more than a bounded number of frames of others,
/// in any mix. The same holds for all streams with a signal together, and for all tunnels together.
///
/// # Errors
/// The mix, and the stream or class that waited.
pub fn fair_turns(seed: u64) -> Result<(), PropertyFailure> {
    let mut random = Random::new(seed);
    let signals: Vec<Signal> = (0..2 + random.below(8)).map(|_| signal(&mut random)).collect();
    let mut config = Config::default();
    config.output_bytes_max = 1 << 20;
    let mut server = Endpoint::server(config).map_err(|error| error.to_string())?;
    let streams = open(&mut server, &signals)?;
    let served = serve(&mut server, &streams, &mut random)?;
    let is_silent = |signal: &Signal| matches!(signal, Signal::None | Signal::SilentTunnel);
    let unsignalled = signals.iter().filter(|signal| is_silent(signal)).count();
    for (index, signal) in signals.iter().enumerate() {
        if is_silent(signal) {
            let gap = longest_gap(&served, |stream| stream == index);
            if gap > GAP_MAX * unsignalled {
                return Err(format!("turns: stream {index} of {signals:?} waited for {gap} frames"));
            }
        }
    }
    let is_signalled = |index: usize| matches!(signals[index], Signal::Priority { .. });
    let is_tunnel = |index: usize| matches!(signals[index], Signal::Tunnel { .. });
    let classes: [(&str, &dyn Fn(usize) -> bool); 2] = [("signalled", &is_signalled), ("tunnel", &is_tunnel)];
    for (name, class) in classes {
        let gap = longest_gap(&served, class);
        if (0..signals.len()).any(class) && gap > GAP_MAX {
            return Err(format!("turns: every {name} stream of {signals:?} waited for {gap} frames"));
        }
    }
    Ok(())
}

fn signal(choices: &mut impl Choices) -> Signal {
    let urgency = choices.below(8) as u8;
    match choices.below(6) {
        0 | 1 => Signal::None,
        2 => Signal::SilentTunnel,
        3 => Signal::Tunnel { urgency },
        _ => Signal::Priority { urgency, incremental: choices.chance(1, 2) },
    }
}

fn open(server: &mut Endpoint, signals: &[Signal]) -> Result<Vec<StreamKey>, PropertyFailure> {
    let mut input = wire([&preface(), &settings().entry(setting::INITIAL_WINDOW_SIZE, (1 << 31) - 1)]);
    for (id, signal) in (1..).step_by(2).zip(signals) {
        let get = Block::new().raw(hpack::get("/"));
        let block = match signal {
            Signal::None => get.bytes(),
            Signal::Priority { urgency, incremental } => {
                let text = format!("u={urgency}{}", if *incremental { ", i" } else { "" });
                get.literal("priority", text).bytes()
            }
            Signal::SilentTunnel => hpack::block(&[CONNECT, AUTHORITY]),
            Signal::Tunnel { urgency } => {
                let text = format!("u={urgency}");
                hpack::block(&[CONNECT, AUTHORITY, ("priority", &text)])
            }
        };
        let frame = headers(id, block).end_headers();
        let is_tunnel = matches!(signal, Signal::Tunnel { .. } | Signal::SilentTunnel);
        let frame = if is_tunnel { frame } else { frame.end_stream() };
        input.extend(frame.bytes());
    }
    let (mut streams, mut input) = (Vec::new(), input.as_slice());
    while let Some(event) = server.receive(&mut input, Instant::ZERO).map_err(|error| error.to_string())? {
        if let Event::Headers { stream, .. } = event {
            streams.push(stream);
        }
    }
    for stream in &streams {
        server.send_response(*stream, Status::OK, &[], false).map_err(|error| error.to_string())?;
        server.send_data(*stream, CONTENT, false, None).map_err(|error| error.to_string())?;
    }
    Ok(streams)
}

/// Sends on each stream that `poll_writable` returns, and returns the streams of the frames.
fn serve(
    server: &mut Endpoint,
    streams: &[StreamKey],
    choices: &mut impl Choices,
) -> Result<Vec<usize>, PropertyFailure> {
    let mut reader = Reader::default();
    let mut served = Vec::new();
    for _ in 0..TURNS {
        let update = window_update(0, 16_384 * (1 + choices.below(4))).bytes();
        let mut update = update.as_slice();
        while server.receive(&mut update, Instant::ZERO).map_err(|error| error.to_string())?.is_some() {}
        while let Some(stream) = server.poll_writable() {
            server.send_data(stream, CONTENT, false, None).map_err(|error| error.to_string())?;
        }
        let mut out = Vec::new();
        while server.poll_transmit(&mut out, &mut Vec::new()) {}
        reader.push(&out);
        while let Some(frame) = reader.next_frame().map_err(|error| error.to_string())? {
            if frame.kind == kind::DATA {
                let index = streams.iter().position(|stream| stream.id().as_u32() == frame.stream);
                served.push(index.ok_or("DATA on no stream")?);
            }
        }
    }
    // Frames from before all streams were open do not count.
    Ok(served.split_off(8.min(served.len())))
}

fn longest_gap(served: &[usize], is_meant: impl Fn(usize) -> bool) -> usize {
    served.split(|index| is_meant(*index)).map(<[usize]>::len).max().unwrap_or(0)
}

const CONNECT: (&str, &str) = (":method", "CONNECT");
const AUTHORITY: (&str, &str) = (":authority", "example.org:443");
static CONTENT: &[u8] = &[b'x'; 200_000];
const TURNS: usize = 200;
/// Seven frames of others, and one of each of the two other classes if they have waited as long.
const GAP_MAX: usize = 10;
