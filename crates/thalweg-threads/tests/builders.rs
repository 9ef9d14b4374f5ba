//! The builders of servers, clients and drivers.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use shared::pipe::waker;
use shared::{LIMIT, Peer, Running};
use thalweg::frame::{Flags, FrameType};
use thalweg_testkit::frames::settings;
use thalweg_threads::server::Builder;
use thalweg_threads::{
    Body, Client, OwnedEvent, Pool, Readiness, Request, Responder, Response, Server, Turn,
};

/// Responds with scheme, authority and the client's address.
#[allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]
fn describe(request: Request<Body>, responder: Responder) -> io::Result<()> {
    let text = format!("{} {} {:?}", request.scheme(), request.authority(), request.remote());
    responder.send(Response::ok().body(text))
}

fn fetch(client: &Client) -> String {
    let mut response = client.send(Request::get("/")).unwrap();
    String::from_utf8(response.body.read_whole(1000).unwrap()).unwrap()
}

#[test]
fn a_server_runs_on_an_existing_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().from_listener(listener).unwrap();
    assert_eq!(server.local_addr().unwrap(), address);
    let handle = server.handle();
    let serving = thread::spawn(move || server.serve(describe));
    let client = Client::connect(&address.to_string()).unwrap().time_limit(Some(LIMIT));
    assert!(fetch(&client).starts_with(&format!("http {address} Some(127.0.0.1:")));
    drop(client);
    handle.shutdown(LIMIT);
    assert_eq!(serving.join().unwrap().unwrap().accepted, 1);
}

#[test]
fn a_server_with_the_default_options_takes_an_existing_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(Server::from_listener(listener).unwrap().local_addr().unwrap(), address);
}

#[test]
fn a_client_on_a_connected_socket_sends_the_given_scheme_and_authority() {
    let server = Running::start(describe);
    let socket = TcpStream::connect(server.address).unwrap();
    let local = socket.local_addr().unwrap();
    let client = Client::builder().handshake(socket, "https", "example.org").unwrap();
    assert_eq!(fetch(&client.time_limit(Some(LIMIT))), format!("https example.org Some({local})"));
}

#[test]
fn a_driver_takes_the_address_of_its_peer_from_the_transport() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, remote) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let pool = Pool::new(1, describe);
    let (wake, _woken) = channel();
    let mut driver = Builder::new().driver(socket, &pool, waker(wake)).unwrap();
    drop(peer);
    let deadline = Instant::now() + LIMIT;
    let end = loop {
        match driver.turn(Readiness::ALL) {
            Turn::Ended(end) => break end,
            Turn::Wait(_) => assert!(Instant::now() < deadline),
        }
        thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(end.remote, Some(remote));
}

#[test]
fn on_notice_of_a_client_can_reply_through_the_handle() {
    const TYPE: FrameType = FrameType(0xfa);
    let (sender, notices) = channel();
    let sender = Mutex::new(sender);
    let builder = Client::builder().on_notice(move |handle, notice| {
        if matches!(notice, OwnedEvent::Settings { .. }) {
            assert!(handle.send_extension(TYPE, Flags(0), "received"));
        }
        drop(sender.lock().unwrap().send(notice));
    });
    let (mut peer, _client) = Peer::accept(|address| builder.connect(&address.to_string()).unwrap());
    peer.answer_greeting(&settings());
    assert!(matches!(notices.recv_timeout(LIMIT).unwrap(), OwnedEvent::Settings { .. }));
    assert_eq!(peer.until(TYPE.0).payload(), b"received");
}
