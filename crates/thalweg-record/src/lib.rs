//! Records a connection of the [`thalweg`] core, and replays it with the same events and the same
//! bytes, so that a failure seen once in production becomes a unit test.
//!
//! A connection is determined by its configuration, its role, and the calls on it with their times
//! and bytes. A [`Recorder`] is a connection that records these, up to a limit;
//! [`Recording::parse`] reads the file; [`replay`] makes the same calls on a new connection and
//! compares the results.
//!
//! ```
//! use thalweg::{Config, Instant, Server};
//! use thalweg_record::{RecordOptions, Recorder, Recording, replay};
//!
//! let mut server = Recorder::<Server>::new(Config::default(), RecordOptions::max_bytes(1 << 20))?;
//! let ended = server.receive(&mut &b"GET / HTTP/1.1\r\n\r\n......"[..], Instant::ZERO).map(drop);
//! assert!(ended.is_err());
//! let file = server.finish().expect("it records");
//!
//! let recording = Recording::parse(&file)?;
//! let replayed = replay(&recording, |_| {})?;
//! assert!(replayed.is_same());
//! assert_eq!(replayed.report.error, ended.err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! None by default. `bytes` sends from any `Buf`; `std` stores the latest recordings of a process
//! as files.
#![no_std]
#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod call;
mod codec;
mod config;
mod digest;
mod error;
mod format;
mod outcome;
mod recorder;
mod recording;
#[cfg(feature = "std")]
mod recording_store;
mod recording_writer;
mod redact;
mod replay;

pub use call::Call;
pub use error::ReadError;
pub use recorder::{RecordOptions, Recorder};
pub use recording::{RecordedRole, Recording, Start, Step};
#[cfg(feature = "std")]
pub use recording_store::{RecordingStore, Retention};
pub use redact::{RedactError, Redacted};
pub use replay::{Difference, ReplayError, ReplayEvent, Replayed, replay};
