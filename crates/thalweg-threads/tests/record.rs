//! A recorded connection replays, on either side.
#![cfg(feature = "record")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read as _;
use std::thread;
use std::time::{Duration, Instant};

use thalweg_record::{RecordedRole, Recording, RecordingStore, Retention, replay};
use thalweg_threads::{Client, Request, Responder, Response, Server, thalweg_record};

#[test]
fn both_ends_are_recorded_and_replay() {
    let folder = std::env::temp_dir().join(format!("thalweg-threads-record-{}", std::process::id()));
    let recordings = RecordingStore::new(&folder).unwrap().retention(Retention::All);

    let server = Server::builder().record(&recordings).bind("127.0.0.1:0").unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let serving = thread::spawn(move || {
        server.serve(|request: Request<_>, responder: Responder| {
            responder.send(Response::ok().body(request.path().repeat(10_000)))
        })
    });
    let client = Client::builder().record(&recordings).connect(&address.to_string()).unwrap();
    for path in ["/a", "/thalweg"] {
        let mut text = String::new();
        client.send(Request::get(path)).unwrap().body.read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), path.len() * 10_000);
    }
    client.shutdown();
    client.wait_end();
    handle.shutdown(Duration::from_secs(5));
    serving.join().unwrap().unwrap();
    // The recording is stored when its connection is dropped, which may be after its end was
    // reported.
    let deadline = Instant::now() + Duration::from_secs(20);
    while fs::read_dir(&folder).unwrap().count() < 2 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    recordings.flush();

    let mut sides = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let file = fs::read(entry.unwrap().path()).unwrap();
        let recording = Recording::parse(&file).unwrap();
        let replayed = replay(&recording, |_| {}).unwrap();
        assert_eq!(replayed.difference, None);
        assert_eq!(replayed.report.counters.streams_completed, 2);
        sides.push(recording.role as u8);
    }
    fs::remove_dir_all(&folder).unwrap();
    sides.sort_unstable();
    assert_eq!(sides, [RecordedRole::Client as u8, RecordedRole::Server as u8]);
}
