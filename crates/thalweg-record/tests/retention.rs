//! The ring of files: which are kept, and how many.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use thalweg::{Config, Instant, Server};
use thalweg_record::{Recorder, Recording, RecordingStore, Retention};

/// A folder of its own for a test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("thalweg-record-{}-{name}", std::process::id()));
        Self(path)
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A connection that gets these bytes and ends.
fn connection(recordings: &RecordingStore, input: &[u8]) {
    let mut server = Recorder::<Server>::new(Config::default(), recordings.record_options()).unwrap();
    let _ = server.receive(&mut &input[..], Instant::ZERO);
    server.shutdown();
}

fn input_of(file: &Path) -> Vec<u8> {
    let bytes = fs::read(file).unwrap();
    let recording = Recording::parse(&bytes).unwrap();
    match &recording.steps[0].call {
        thalweg_record::Call::Receive { input: Some(input), .. } => input.to_vec(),
        call => panic!("{call:?}"),
    }
}

#[test]
fn only_errors_are_retained_by_default() {
    let folder = Folder::new("faults");
    let recordings = RecordingStore::new(&folder.0).unwrap();
    connection(&recordings, b"PRI * HTTP/2.0\r\n\r\n");
    recordings.flush();
    assert_eq!(folder.files(), Vec::<PathBuf>::new());
    connection(&recordings, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    recordings.flush();
    let file = &folder.files()[0];
    // Redacted, unless it is asked otherwise.
    assert_eq!(input_of(file), [b'x'; 27]);
    connection(&recordings.clone().retention(Retention::All), b"PRI * HTTP/2.0\r\n\r\n");
    recordings.flush();
    assert_eq!((folder.files().len(), recordings.lost()), (2, 0));
}

#[test]
fn the_oldest_recordings_are_deleted_and_other_files_stay() {
    let folder = Folder::new("oldest");
    let recordings =
        RecordingStore::new(&folder.0).unwrap().files_max(3).retention(Retention::All).with_secrets();
    fs::write(folder.0.join("notes.thalweg"), "mine").unwrap();
    for turn in 0..8u8 {
        connection(&recordings, &[turn]);
        recordings.flush();
    }
    let files = folder.files();
    assert_eq!(files.len(), 4, "{files:?}");
    assert_eq!(files[..3].iter().map(|file| input_of(file)).collect::<Vec<_>>(), [[5], [6], [7]]);
    assert_eq!(fs::read(&files[3]).unwrap(), b"mine");
}

#[test]
fn dropping_the_last_handle_waits_for_the_disk() {
    let folder = Folder::new("last");
    let recordings = RecordingStore::new(&folder.0).unwrap().retention(Retention::All);
    connection(&recordings, b"PRI");
    drop(recordings);
    assert_eq!(folder.files().len(), 1);
}

#[test]
fn failed_writes_are_counted() {
    let folder = Folder::new("lost");
    let recordings = RecordingStore::new(&folder.0).unwrap().retention(Retention::All);
    fs::remove_dir_all(&folder.0).unwrap();
    connection(&recordings, b"PRI");
    recordings.flush();
    assert_eq!(recordings.lost(), 1);
}
