//! The properties of a connection, as functions that return the violation.
//!
//! * [`chunking`]: any split of the input gives the same events, with adjacent DATA joined, and the
//!   same output.
//! * [`determinism`]: the same script gives the same bytes.
//! * [`silence`]: without input, time or calls there is no output and no event.
//! * [`bounded_memory`]: the heap stays below a function of the configuration.
//! * Pair agreement, liveness and "exactly once" need two endpoints:
//!   [`sim::run_with`](crate::sim::run_with).
//! * [`timeouts`]: no timeout expires earlier than its duration after the call or the frame that
//!   armed it. The simulator checks the same for each endpoint.
//! * [`DataModel`]: the mean length of DATA is at least half of what the windows allow, and no
//!   stream without a priority signal waits for more than a bounded number of frames of others, in
//!   every run of the simulator.
//! * [`no_allocations`]: steady work allocates nothing.
//! * [`long_frames`]: in every pattern of WINDOW_UPDATE, few DATA frames are short, and no limit is
//!   reached.
//! * [`fair_turns`]: no stream without a priority signal waits for more than a bounded number of
//!   frames of others.
//!
//! The first four take an [`InputScript`]: one endpoint, its input, and an application that reacts
//! in the same way to the same events.

mod data;
mod random;
mod run;
mod steady_state;
mod timeouts;
mod turns;
mod waits;
mod windows;

pub use data::{DataModel, SendCall};
pub use run::{InputScript, Reactions, Step};
pub use steady_state::no_allocations;
pub use timeouts::TimeoutModel;
pub use turns::fair_turns;
pub use windows::{Credit, Upload, Uploaded, long_frames};

use thalweg::{Config, Instant};

use crate::chunking::Chunking;
use crate::endpoint::Endpoint;
use crate::random::Random;
use run::RunOutput;

/// How a property is violated.
pub type PropertyFailure = String;

/// Checks that any split of the input gives the same events and the same output.
///
/// # Errors
/// The first difference.
pub fn chunking(script: &InputScript, make: impl Fn() -> Endpoint, seed: u64) -> Result<(), PropertyFailure> {
    let whole = script.run(make(), &mut Chunking::Whole)?;
    is_independent_of_chunking(script, &make, seed, &whole)
}

fn is_independent_of_chunking(
    script: &InputScript,
    make: &impl Fn() -> Endpoint,
    seed: u64,
    whole: &RunOutput,
) -> Result<(), PropertyFailure> {
    let mut chunkings = vec![("at random places", Chunking::Random(Random::new(seed)))];
    if script.input_len() <= BYTEWISE_MAX {
        chunkings.push(("byte by byte", Chunking::Bytewise));
    }
    for (name, mut chunking) in chunkings {
        let cut = script.run(make(), &mut chunking)?;
        compare(whole, &cut).map_err(|difference| format!("chunking: input cut {name} {difference}"))?;
    }
    Ok(())
}

/// [`chunking`], [`determinism`], [`silence`] and [`bounded_memory`], in fewer runs.
///
/// # Errors
/// The first violation.
pub fn all(script: &InputScript, make: impl Fn() -> Endpoint, seed: u64) -> Result<(), PropertyFailure> {
    let whole = script.run_with_check(make(), &mut Chunking::Whole, |endpoint, now| {
        is_silent(endpoint, now).and_then(|()| is_bounded(endpoint.heap_bytes(), &script.config))
    })?;
    is_repeated(script, &make, &whole)?;
    is_independent_of_chunking(script, &make, seed, &whole)
}

/// Checks that the same script gives the same bytes.
///
/// # Errors
/// The first difference.
pub fn determinism(script: &InputScript, make: impl Fn() -> Endpoint) -> Result<(), PropertyFailure> {
    let first = script.run(make(), &mut Chunking::Whole)?;
    is_repeated(script, &make, &first)
}

fn is_repeated(
    script: &InputScript,
    make: &impl Fn() -> Endpoint,
    first: &RunOutput,
) -> Result<(), PropertyFailure> {
    let second = script.run(make(), &mut Chunking::Whole)?;
    compare(first, &second)
        .map_err(|difference| format!("determinism: played again, the script {difference}"))
}

/// Checks that no timeout expires earlier than its duration after the call or the frame that armed
/// it. The runs of the other properties check this too.
///
/// # Errors
/// The timeout that expires too early.
pub fn timeouts(script: &InputScript, make: impl Fn() -> Endpoint) -> Result<(), PropertyFailure> {
    script.run(make(), &mut Chunking::Whole).map(drop)
}

/// Checks that there is no output and no event without input, time or calls.
///
/// # Errors
/// Output or events without a cause.
pub fn silence(script: &InputScript, make: impl Fn() -> Endpoint) -> Result<(), PropertyFailure> {
    script.run_with_check(make(), &mut Chunking::Whole, is_silent).map(drop)
}

fn is_silent(endpoint: &mut Endpoint, now: Instant) -> Result<(), PropertyFailure> {
    for _ in 0..2 {
        match endpoint.receive(&mut &[][..], now) {
            Ok(None) | Err(_) => {}
            Ok(Some(event)) => return Err(format!("silence: {event:?} is returned without a cause")),
        }
        let mut out = Vec::new();
        if endpoint.poll_transmit(&mut out, &mut Vec::new()) {
            return Err(format!("silence: {} bytes are sent without a cause", out.len()));
        }
    }
    Ok(())
}

/// Checks that the heap stays below a function of the configuration. `heap` measures it:
/// [`Endpoint::heap_bytes`], or an allocator.
///
/// # Errors
/// The heap, bytes.
pub fn bounded_memory(
    script: &InputScript,
    make: impl Fn() -> Endpoint,
    heap: impl Fn(&Endpoint) -> usize,
) -> Result<(), PropertyFailure> {
    script
        .run_with_check(make(), &mut Chunking::Whole, |endpoint, _| {
            is_bounded(heap(endpoint), &script.config)
        })
        .map(drop)
}

fn is_bounded(heap: usize, config: &Config) -> Result<(), PropertyFailure> {
    let bound = heap_bound(config);
    if heap > bound { Err(format!("bounded memory: {heap} bytes, bound {bound}")) } else { Ok(()) }
}

/// Returns the heap that the configuration of a connection allows after its output was fetched,
/// bytes.
pub fn heap_bound(config: &Config) -> usize {
    let tables = 3 * (config.header_table_bytes_max as usize + config.encoder_table_bytes_max as usize);
    let headers = 3 * config.header_list_bytes_max as usize + 64 * config.header_fields_max as usize;
    let carried = 2 * config.header_block_bytes_max as usize + 2 * config.control_payload_bytes_max as usize;
    // For a larger block: one payload, and one field that may become an entry.
    let payload = config.frame_bytes_max.min(config.oversized_block_bytes_max + 261) as usize;
    let skipped = 2 * payload + 2 * 4 * config.header_table_bytes_max.max(4096) as usize;
    // A client bounds the streams that it opens itself.
    let streams = 4 * 256 * (config.concurrent_streams_max as usize).min(1 << 16);
    let remembered = 2 * 32 * config.closed_streams_max as usize;
    let output = config.output_bytes_max as usize * 5;
    tables + headers + carried + skipped + streams + remembered + output + FIXED_BYTES
}

fn compare(one: &RunOutput, other: &RunOutput) -> Result<(), PropertyFailure> {
    for (index, pair) in one.events.iter().zip(&other.events).enumerate() {
        if pair.0 != pair.1 {
            return Err(format!("event {index} is `{}` instead of `{}`", pair.1, pair.0));
        }
    }
    if one.events.len() != other.events.len() {
        return Err(format!("{} events instead of {}", other.events.len(), one.events.len()));
    }
    for (step, pair) in one.output.iter().zip(&other.output).enumerate() {
        if pair.0 != pair.1 {
            let at = pair.0.iter().zip(pair.1).take_while(|(one, other)| one == other).count();
            return Err(format!("the output after step {step} differs at byte {at}"));
        }
    }
    if one.output.len() == other.output.len() { Ok(()) } else { Err("takes other steps".to_owned()) }
}

/// Longer inputs are not run byte by byte.
const BYTEWISE_MAX: usize = 4096;
/// The heap that does not depend on the configuration: the encoder's hash table, small buffers that
/// are kept.
const FIXED_BYTES: usize = 16 << 10;
