//! The latest recordings of a process, as files in a folder.
//!
//! Invariants: the number and the size of the files are limited, and the oldest is removed first;
//! no connection waits for a disk, since a separate thread writes; a file is complete or does not
//! exist.

use std::borrow::ToOwned;
use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::format;
use std::fs;
use std::hash::BuildHasher as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};
use std::vec::Vec;

use thalweg::{CloseReport, ErrorCode};

use crate::recorder::RecordOptions;
use crate::recording::Recording;

/// A folder of recordings: their limits, and which connections are kept. Clones share the folder
/// and its thread.
///
/// Dropping the last clone waits until all recordings are written.
#[derive(Clone, Debug)]
pub struct RecordingStore {
    bytes_max: usize,
    files_max: usize,
    retention: Retention,
    redacts: bool,
    writer: Arc<Writer>,
}

/// Which recordings are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retention {
    /// Those of connections that ended in an error, local or, by GOAWAY, of the peer.
    #[default]
    Errors,
    /// All recordings.
    All,
}

impl Retention {
    /// Whether the recording of a connection with this end is stored.
    pub fn retains(self, report: &CloseReport) -> bool {
        let is_fault =
            || report.error.is_some() || report.remote_code.is_some_and(|code| code != ErrorCode::NO_ERROR);
        self == Self::All || is_fault()
    }
}

impl RecordingStore {
    /// Creates a store in `folder`, which is created if it does not exist, and starts the thread
    /// that writes to it.
    ///
    /// # Errors
    /// The folder cannot be created, or the thread cannot be started.
    pub fn new(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let writer = Arc::new(Writer::start(folder.into())?);
        Ok(Self {
            bytes_max: BYTES_MAX,
            files_max: FILES_MAX,
            retention: Retention::Errors,
            redacts: true,
            writer,
        })
    }

    /// Sets the limit of one recording in bytes, in memory while its connection is open and as a
    /// file. Default 1 MiB.
    #[must_use]
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// Sets the largest number of files in the folder, at least one; the oldest are removed.
    /// Default
    /// 16. Files that are named as recordings are counted and removed alone, including those of
    /// earlier processes.
    #[must_use]
    pub fn files_max(mut self, files: usize) -> Self {
        self.files_max = files.max(1);
        self
    }

    /// Sets which recordings are stored. Default [`Retention::Errors`].
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Stores header values and content unchanged. By default they are redacted before they reach
    /// the disk (see [`Recording::redacted`]), with a key that is discarded.
    #[must_use]
    pub fn with_secrets(mut self) -> Self {
        self.redacts = false;
        self
    }

    /// Returns the options for one connection: it records, and passes its file to this store when
    /// it is dropped.
    pub fn record_options(&self) -> RecordOptions {
        let recordings = self.clone();
        RecordOptions::max_bytes(self.bytes_max).to_sink(move |file, report| {
            if recordings.retention.retains(report) {
                recordings.writer.enqueue(file, recordings.files_max, recordings.redacts);
            }
        })
    }

    /// Waits until all recordings are written.
    pub fn flush(&self) {
        self.writer.flush();
    }

    /// Returns how many recordings were lost because the disk was too slow or failed.
    pub fn lost(&self) -> u64 {
        self.writer.lost.load(Ordering::Relaxed)
    }
}

/// The writing thread.
#[derive(Debug)]
struct Writer {
    /// `None` once the writer is dropped.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    lost: Arc<AtomicU64>,
}

enum Job {
    File { bytes: Vec<u8>, files_max: usize, redacts: bool },
    Flush(Sender<()>),
}

impl Writer {
    fn start(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let losses = Arc::clone(&lost);
        let thread = thread::Builder::new()
            .name("thalweg recordings".to_owned())
            .spawn(move || write_all(&folder, &queue, &losses))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), lost })
    }

    fn enqueue(&self, bytes: Vec<u8>, files_max: usize, redacts: bool) {
        let Some(jobs) = &self.jobs else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            jobs.try_send(Job::File { bytes, files_max, redacts })
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {
        let (done, waits) = channel();
        if let Some(jobs) = &self.jobs
            && jobs.send(Job::Flush(done)).is_ok()
        {
            // Fails if the thread has ended; then nothing more is written.
            let _ = waits.recv();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in the thread loses only recordings.
            let _ = thread.join();
        }
    }
}

fn write_all(folder: &Path, queue: &Receiver<Job>, lost: &AtomicU64) {
    for (sequence, job) in queue.iter().enumerate() {
        match job {
            Job::File { bytes, files_max, redacts } => {
                let file = if redacts { redacted(&bytes) } else { Some(bytes) };
                let written = file.map(|file| write(folder, sequence, &file, files_max));
                if !matches!(written, Some(Ok(()))) {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Job::Flush(done) => {
                // The waiting caller may have ended.
                let _ = done.send(());
            }
        }
    }
}

/// Returns a redacted recording; one that cannot be redacted is not stored.
fn redacted(file: &[u8]) -> Option<Vec<u8>> {
    // The only source of randomness in the standard library is `RandomState`.
    let key = [0, 1].map(|half| RandomState::new().hash_one(half));
    Recording::parse(file).ok()?.redacted(key).ok().map(|redacted| redacted.file)
}

/// Removes old files, and writes a file under a temporary name until it is complete.
fn write(folder: &Path, sequence: usize, bytes: &[u8], files_max: usize) -> io::Result<()> {
    let mut files = recordings_in(folder)?;
    // The names begin with the time, so the oldest come first.
    files.sort_unstable();
    for oldest in files.iter().take((files.len() + 1).saturating_sub(files_max)) {
        fs::remove_file(oldest)?;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let name = format!("{now:014}-{:05}-{sequence:08}", std::process::id());
    let whole = folder.join(format!("{name}.{EXTENSION}"));
    let part = folder.join(format!("{name}.part"));
    fs::write(&part, bytes)?;
    fs::rename(part, whole)
}

/// Returns the files that are named as recordings.
fn recordings_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_recording = |path: &PathBuf| {
        let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        path.extension() == Some(OsStr::new(EXTENSION))
            && name.len() >= 14
            && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    entries.filter(|path| path.as_ref().map_or(true, is_recording)).collect()
}

/// The extension of recordings.
const EXTENSION: &str = "thalweg";
const BYTES_MAX: usize = 1 << 20;
const FILES_MAX: usize = 16;
/// The largest number of recordings that wait for the disk.
const QUEUE_MAX: usize = 16;
