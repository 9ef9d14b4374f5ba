//! The libraries that are measured, each with its driver.

mod floor;
#[cfg(feature = "peers")]
mod h2;
#[cfg(feature = "peers")]
mod hyper;
#[cfg(feature = "peers")]
mod memory_io;
#[cfg(feature = "peers")]
mod messages;
#[cfg(has_nghttp2)]
pub mod nghttp2;
mod thalweg;

use crate::run::{Mode, Plan};

/// The peers of this build.
pub const NAMES: &[&str] = &[
    "thalweg",
    "thalweg-plain",
    #[cfg(has_nghttp2)]
    "nghttp2",
    #[cfg(has_nghttp2)]
    "nghttp2-default",
    #[cfg(feature = "peers")]
    "h2",
    #[cfg(feature = "peers")]
    "hyper",
];

/// Runs a plan on the peer of that name.
///
/// # Errors
/// If this program was built without that peer, or no peer is called so, or it did other work than
/// the plan's.
pub fn run(peer: &str, plan: &Plan, mode: Mode) -> Result<String, String> {
    let client = plan.scene.is_client();
    match (peer, client) {
        ("floor", _) => plan.run::<floor::Floor>(mode),
        ("thalweg", false) => plan.run::<thalweg::Server<true>>(mode),
        ("thalweg", true) => plan.run::<thalweg::Client<true>>(mode),
        ("thalweg-plain", false) => plan.run::<thalweg::Server<false>>(mode),
        ("thalweg-plain", true) => plan.run::<thalweg::Client<false>>(mode),
        #[cfg(has_nghttp2)]
        ("nghttp2", false) => plan.run::<nghttp2::Server<true>>(mode),
        #[cfg(has_nghttp2)]
        ("nghttp2", true) => plan.run::<nghttp2::Client<true>>(mode),
        #[cfg(has_nghttp2)]
        ("nghttp2-default", false) => plan.run::<nghttp2::Server<false>>(mode),
        #[cfg(has_nghttp2)]
        ("nghttp2-default", true) => plan.run::<nghttp2::Client<false>>(mode),
        #[cfg(feature = "peers")]
        ("h2", false) => plan.run::<h2::Server>(mode),
        #[cfg(feature = "peers")]
        ("h2", true) => plan.run::<h2::Client>(mode),
        #[cfg(feature = "peers")]
        ("hyper", false) => plan.run::<hyper::Server>(mode),
        #[cfg(feature = "peers")]
        ("hyper", true) => plan.run::<hyper::Client>(mode),
        _ => Err(format!("this program was built without a peer called `{peer}`")),
    }
}
