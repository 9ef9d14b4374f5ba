//! A damaged recording is refused with an error that names the place.
#![allow(clippy::unwrap_used)]

use thalweg::{Config, Instant, Server};
use thalweg_record::{ReadError, RecordOptions, Recorder, Recording};

/// A recording of more than one block of steps.
fn file() -> Vec<u8> {
    let mut server = Recorder::<Server>::new(Config::default(), RecordOptions::max_bytes(1 << 20)).unwrap();
    server.receive(&mut &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], Instant::ZERO).unwrap();
    server.receive(&mut &[0, 0, 0, 4, 0, 0, 0, 0, 0][..], Instant::ZERO).unwrap();
    for _ in 0..300 {
        server
            .receive(&mut &[[0, 0, 60, 0xfa, 0, 0, 0, 0, 0].as_slice(), &[7; 60]].concat()[..], Instant::ZERO)
            .unwrap();
    }
    server.finish().unwrap()
}

#[test]
fn damage_at_every_byte_is_found() {
    let file = file();
    assert!(Recording::parse(&file).unwrap().steps.len() == 302);
    for at in 0..file.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= flip;
            let error = Recording::parse(&damaged).expect_err("it is damaged");
            match error {
                ReadError::NotARecording => assert!(at < 7),
                ReadError::Version { seen } => assert!(at == 7 && seen != 1),
                // The block begins at most at the damage, and reaches it.
                ReadError::Damaged { offset } => {
                    assert!(offset <= at && at - offset < 17_000, "{error}, {at}");
                }
                // A length that leads past the end.
                ReadError::Truncated { offset } => assert_eq!(offset, file.len()),
                error => panic!("{error} at {at}"),
            }
        }
    }
}

#[test]
fn a_recording_that_is_cut_off_anywhere_is_refused() {
    let file = file();
    for len in 0..file.len() {
        assert_eq!(Recording::parse(&file[..len]).unwrap_err(), ReadError::Truncated { offset: len });
    }
    let longer = [&file[..], b"!"].concat();
    let error = Recording::parse(&longer).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the recording is malformed at byte {}, expected nothing", file.len())
    );
}

#[test]
fn other_files_are_refused_by_name() {
    assert_eq!(Recording::parse(b"GET / HTTP/1.1\r\n").unwrap_err(), ReadError::NotARecording);
    let error = Recording::parse(b"THALWEG\x01").unwrap_err();
    assert_eq!(error.to_string(), "recording has format version 1, supported is 3");
}
