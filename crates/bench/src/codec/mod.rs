//! What a header field costs: `thalweg-hpack` beside nghttp2 and fluke-hpack.
//!
//! A [`Workload`] is a set of header blocks or lists, made before anything is measured. A peer is a
//! [`Decode`] or an [`Encode`]; [`run`] lets one work through the other and reports per field.
//! The program `hpack` runs one of each; `cargo xtask bench hpack` runs them all.

pub mod corpus;
#[cfg(feature = "fluke")]
mod fluke;
pub mod hostile;
#[cfg(has_nghttp2)]
pub mod nghttp2;
pub mod program;
pub mod run;
mod thalweg;
pub mod workload;

use workload::{Sessions, Workload};

/// A decoder under measurement.
pub trait Decode {
    /// Creates a decoder as it is when a connection begins.
    fn new() -> Self;

    /// Decodes a block and returns the number of its fields.
    fn block(&mut self, block: &[u8]) -> usize;
}

/// An encoder under measurement.
pub trait Encode {
    /// A list in the form that this encoder takes.
    type List<'a>;

    /// Creates an encoder as it is when a connection begins.
    fn new() -> Self;

    /// Brings a list into form. Not measured.
    fn list<'a>(list: &'a [(Vec<u8>, Vec<u8>)]) -> Self::List<'a>;

    /// Appends a list as one block.
    fn block(&mut self, list: &Self::List<'_>, out: &mut Vec<u8>);
}

/// Runs the hostile blocks whose names contain `name` on one peer's decoder.
///
/// # Errors
///
/// When the peer is unknown or not built in.
pub fn run_hostile(peer: &str, passes: usize, name: &str) -> Result<String, String> {
    match peer {
        "thalweg" => Ok(hostile::run::<thalweg::Decoder>(passes, name)),
        #[cfg(has_nghttp2)]
        "nghttp2" => Ok(hostile::run::<nghttp2::Inflater>(passes, name)),
        #[cfg(feature = "fluke")]
        "fluke" => Ok(hostile::run::<fluke::Decoder>(passes, name)),
        _ => Err(format!("no peer is called `{peer}` in this build")),
    }
}

/// Runs one workload on one peer.
///
/// # Errors
///
/// When the peer is unknown or not built in, or the workload's files are absent.
pub fn run(workload: Workload, peer: &str, plan: &run::Plan) -> Result<String, String> {
    let sessions = Sessions::new(workload)?;
    match (workload.is_decoding(), peer) {
        (true, "thalweg") => Ok(plan.decode::<thalweg::Decoder>(&sessions)),
        (false, "thalweg") if workload == Workload::EncodePrehashed => {
            Ok(plan.encode::<thalweg::PreparedEncoder>(&sessions))
        }
        (false, "thalweg") => Ok(plan.encode::<thalweg::Encoder>(&sessions)),
        #[cfg(has_nghttp2)]
        (true, "nghttp2") => Ok(plan.decode::<nghttp2::Inflater>(&sessions)),
        #[cfg(has_nghttp2)]
        (false, "nghttp2") => Ok(plan.encode::<nghttp2::Deflater>(&sessions)),
        #[cfg(feature = "fluke")]
        (true, "fluke") => Ok(plan.decode::<fluke::Decoder>(&sessions)),
        #[cfg(feature = "fluke")]
        (false, "fluke") => Ok(plan.encode::<fluke::Encoder>(&sessions)),
        _ => Err(format!("no peer is called `{peer}` in this build")),
    }
}
