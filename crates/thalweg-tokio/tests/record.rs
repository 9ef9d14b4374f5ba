//! A recorded connection replays, on either side.
#![cfg(feature = "record")]
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use thalweg_record::{RecordedRole, Recording, RecordingStore, Retention, replay};
use thalweg_tokio::{Body, Server, client, service_fn, thalweg_record};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

async fn echo(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    Ok(Response::new(Full::new(body)))
}

#[tokio::test]
async fn both_ends_are_recorded_and_replay() {
    let folder = std::env::temp_dir().join(format!("thalweg-tokio-record-{}", std::process::id()));
    let recordings = RecordingStore::new(&folder).unwrap().retention(Retention::All);

    let server = Server::builder().record(&recordings).bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(service_fn(echo), async { drop(stopped.await) }));

    let socket = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = client::Builder::new().record(&recordings).handshake(socket).unwrap();
    let driving = tokio::spawn(connection);
    for len in [0, 10, 100_000] {
        let request = Request::post(format!("http://{address}/{len}"))
            .body(Full::new(Bytes::from(vec![7; len])))
            .unwrap();
        let answer = client.send(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes().len(), len);
    }
    client.ready().await.unwrap();
    drop(client);
    driving.await.unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    recordings.flush();

    let mut sides = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let file = fs::read(entry.unwrap().path()).unwrap();
        let recording = Recording::parse(&file).unwrap();
        let replayed = replay(&recording, |_| {}).unwrap();
        assert_eq!(replayed.difference, None);
        assert_eq!(replayed.report.counters.streams_completed, 3);
        assert!(replayed.output_bytes > 100_000);
        sides.push(recording.role as u8);
    }
    fs::remove_dir_all(PathBuf::from(&folder)).unwrap();
    sides.sort_unstable();
    assert_eq!(sides, [RecordedRole::Client as u8, RecordedRole::Server as u8]);
}
