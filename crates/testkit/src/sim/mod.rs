//! The simulator: random applications at both endpoints of a connection, a wire that delays, breaks
//! and alters, and a model of what must arrive. A run depends on its script alone, and a script on
//! its seed.

mod app;
mod content;
mod generate;
mod script;
mod shrink;
mod world;

use std::fmt::{self, Display, Formatter};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use script::{Change, Exchange, Message, Method, Op, Script, Setup, Side, TimeoutsMs};
pub use shrink::shrink;
pub use world::Coverage;

use crate::endpoint::Endpoint;
use crate::random::Random;
use world::World;

/// A failed run.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The violation.
    pub mismatch: String,
    /// The transcript of the run, line by line.
    pub transcript: Vec<String>,
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for line in &self.transcript {
            writeln!(f, "  {line}")?;
        }
        write!(f, "{}", self.mismatch)
    }
}

impl std::error::Error for Failure {}

/// Runs a script.
///
/// # Errors
/// An invariant of the core failed, an endpoint sent a frame that it must not send, an application
/// got a wrong event, or something never arrived.
pub fn run(script: &Script) -> Result<Coverage, Failure> {
    run_with(script, || endpoints(script))
}

/// Runs a script with the given endpoints, for example with injected faults.
///
/// # Errors
/// Those of [`run`].
pub fn run_with(script: &Script, endpoints: impl Fn() -> [Endpoint; 2]) -> Result<Coverage, Failure> {
    let (outcome, _) = attempt(script, endpoints(), false);
    let Err(mismatch) = outcome else { return outcome.map_err(|_| unreachable!("it is no error")) };
    // Runs again with a transcript.
    let (_, transcript) = attempt(script, endpoints(), true);
    Err(Failure { mismatch, transcript })
}

/// Creates the two endpoints of a script.
pub fn endpoints(script: &Script) -> [Endpoint; 2] {
    let client = Endpoint::client(script.client.config()).expect("a setup makes a valid configuration");
    let server = Endpoint::server(script.server.config()).expect("a setup makes a valid configuration");
    [client, server]
}

/// Returns the script of a seed.
pub fn script(seed: u64) -> Script {
    Script::generate(&mut Random::new(seed))
}

/// Returns the bytes that the client and the server read in a run, read by read.
pub fn received_input(script: &Script) -> [Vec<Vec<u8>>; 2] {
    let mut world = World::new(script, endpoints(script), true);
    // A failed run was recorded up to the failure.
    let _ = script.ops.iter().try_for_each(|op| world.step(op)).and_then(|()| world.finish());
    world.received_input()
}

fn attempt(
    script: &Script,
    endpoints: [Endpoint; 2],
    keeps_transcript: bool,
) -> (Result<Coverage, String>, Vec<String>) {
    let mut world = World::new(script, endpoints, keeps_transcript);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for op in &script.ops {
            world.step(op)?;
        }
        world.finish()
    }));
    let outcome = match outcome {
        Ok(Ok(())) => Ok(std::mem::take(&mut world.coverage)),
        Ok(Err(mismatch)) => Err(mismatch),
        Err(panic) => Err(format!("panic: {}", panic_text(panic.as_ref()))),
    };
    (outcome, world.transcript().to_vec())
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}
