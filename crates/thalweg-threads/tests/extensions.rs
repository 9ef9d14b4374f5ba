//! Extensions of HTTP/2 for handlers and callers: informational responses, tunnels, pushes,
//! priorities.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io::{self, Read, Write};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use shared::{LIMIT, Peer, Running};
use thalweg::{Config, OpenError, SendError};
use thalweg_testkit::frames::{
    Frame, data, flag, goaway, headers, kind, ping, priority_update, push_promise, rst_stream, setting,
    settings, settings_ack, window_update, wire,
};
use thalweg_testkit::hpack;
use thalweg_threads::client::Builder;
use thalweg_threads::{
    Body, Client, Error, ErrorCode, ExchangeTimeouts, Priority, Request, Responder, Response, Status, Tunnel,
    WithCauses,
};

fn status(code: u16) -> Status {
    Status::new(code).unwrap()
}

/// A client, and the scripted server with its settings.
fn scripted(builder: &Builder, settings: &Frame) -> (Peer, Client) {
    let (mut peer, client) = Peer::accept(|address| builder.connect(&address.to_string()).unwrap());
    peer.answer_greeting(settings);
    (peer, client.time_limit(Some(LIMIT)))
}

#[test]
fn informational_responses_arrive_in_order_before_the_final_one() {
    let server = Running::start(|_: Request<Body>, mut responder: Responder| -> io::Result<()> {
        responder.send_informational(Response::new(status(103)).field("link", "</style.css>"))?;
        responder.send_informational(Response::new(status(102)))?;
        responder.send(Response::ok().body("at last"))
    });
    let client = server.client();
    let (writer, mut answer) = client.start_request(Request::get("/")).unwrap();
    writer.finish().unwrap();
    let early = answer.informational().unwrap().unwrap();
    assert_eq!((early.status().as_u16(), early.fields.text("link")), (103, Some("</style.css>")));
    assert_eq!(answer.informational().unwrap().unwrap().status().as_u16(), 102);
    assert!(answer.informational().unwrap().is_none());
    assert_eq!(answer.wait().unwrap().body.read_whole(100).unwrap(), b"at last");
}

#[test]
fn of_unread_informational_responses_the_last_sixteen_are_kept() {
    let (mut peer, client) = scripted(&Builder::new(), &settings());
    let (_writer, mut answer) = client.start_request(Request::get("/")).unwrap();
    peer.until(kind::HEADERS);
    for number in 0..40 {
        let block = hpack::block(&[(":status", "103"), ("x-number", &number.to_string())]);
        peer.send(&headers(1, block).end_headers().bytes());
    }
    peer.send(&headers(1, hpack::response(200)).end_headers().end_stream().bytes());
    // The PING acknowledgement shows that all earlier frames were handled.
    peer.send(&ping([7; 8]).bytes());
    peer.until(kind::PING);
    let mut numbers = Vec::new();
    while let Some(head) = answer.informational().unwrap() {
        numbers.push(head.fields.text("x-number").unwrap().parse::<u32>().unwrap());
    }
    assert_eq!(numbers, (24..40).collect::<Vec<_>>());
}

/// A handler that accepts tunnels and returns each line in upper case.
fn shout(request: Request<Body>, responder: Responder) -> io::Result<()> {
    let how = format!("{} {}{:?}", request.authority(), request.path(), request.protocol());
    let body = request.replace_body(()).1;
    let mut tunnel = responder.tunnel(Response::ok().field("x-asked", how), body)?;
    let mut buffer = [0; 100];
    loop {
        match tunnel.read(&mut buffer)? {
            0 => return tunnel.finish().map(drop),
            len => tunnel.write_all(&buffer[..len].to_ascii_uppercase())?,
        }
    }
}

fn talk(client: &Client, request: Request<()>, asked: &str) {
    let (writer, answer) = client.start_request(request).unwrap();
    let (head, body) = answer.wait().unwrap().replace_body(());
    assert_eq!(head.fields.text("x-asked"), Some(asked));
    assert_eq!(head.fields.text("content-length"), None, "RFC 9110 §9.3.6");
    let mut tunnel = Tunnel::new(body, writer);
    for word in ["to", "and", "fro"] {
        // Writes are sent without an explicit flush, and each word is echoed before the next.
        tunnel.write_all(word.as_bytes()).unwrap();
        let mut answer = vec![0; word.len()];
        tunnel.read_exact(&mut answer).unwrap();
        assert_eq!(answer, word.to_ascii_uppercase().as_bytes());
    }
    assert_eq!(tunnel.finish().unwrap().read_whole(10).unwrap(), b"");
}

#[test]
fn a_connect_is_a_stream_of_bytes_in_both_directions() {
    let server = Running::start(shout);
    talk(&server.client(), Request::connect("example.org:443"), "example.org:443 None");
}

#[test]
fn an_extended_connect_is_a_stream_of_bytes_in_both_directions() {
    let mut config = Config::default();
    config.enable_connect_protocol = true;
    let server = Running::with(|server| server.config(config), shout);
    let authority = server.address.to_string();
    let asked = format!("{authority} /chatSome(\"websocket\")");
    talk(&server.client(), Request::extended_connect("websocket", "/chat"), &asked);
}

#[test]
fn an_extended_connect_waits_for_the_settings_that_allow_it() {
    let (mut peer, client) =
        Peer::accept(|address| Client::connect(&address.to_string()).unwrap().time_limit(Some(LIMIT)));
    let opening = thread::spawn(move || {
        let request = Request::extended_connect("websocket", "/chat");
        let (_writer, answer) = client.start_request(request).unwrap();
        answer.wait().unwrap().status()
    });
    peer.until(kind::SETTINGS);
    peer.send(&wire([&settings().entry(setting::ENABLE_CONNECT_PROTOCOL, 1), &settings_ack()]));
    let request = peer.until(kind::HEADERS);
    assert!(peer.fields(&request).contains(&":protocol: websocket".to_owned()));
    peer.send(&headers(1, hpack::response(200)).end_headers().end_stream().bytes());
    assert_eq!(opening.join().unwrap(), Status::OK);
}

#[test]
fn an_extended_connect_that_the_server_does_not_allow_is_a_typed_error() {
    let (_peer, client) = scripted(&Builder::new(), &settings());
    let error = client.start_request(Request::extended_connect("websocket", "/")).unwrap_err();
    let expected = matches!(error, Error::Open(OpenError::Send(SendError::NotAllowedByPeer)));
    assert!(expected, "{error}");
}

/// Pushes a style sheet if the client accepts it, and responds with the result.
#[allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]
fn pushing(request: Request<Body>, responder: Responder) -> io::Result<()> {
    let promised = Request::get("/style.css").field("accept", "text/css");
    let text = match responder.push(&request, promised) {
        Ok(push) => {
            push.send(Response::ok().body("body { color: green }"))?;
            "pushed".to_owned()
        }
        Err(error) => WithCauses(&error).to_string(),
    };
    responder.send(Response::ok().body(text))
}

#[test]
fn a_push_arrives_with_its_request() {
    let server = Running::start(pushing);
    let builder = Client::builder().config(Config::default().enable_push(true));
    let client = builder.connect(&server.address.to_string()).unwrap();
    let client = client.time_limit(Some(LIMIT));
    let mut pushes = client.accept_pushes();
    let mut page = client.send(Request::get("/")).unwrap();
    assert_eq!(page.body.read_whole(100).unwrap(), b"pushed");
    let pushed = pushes.next().unwrap();
    assert_eq!((pushed.request.method(), pushed.request.path()), ("GET", "/style.css"));
    assert_eq!(pushed.request.authority(), server.address.to_string());
    assert_eq!(pushed.request.fields.text("accept"), Some("text/css"));
    let mut style = pushed.response.wait().unwrap();
    assert_eq!(style.fields.text("content-length"), Some("21"));
    assert_eq!(style.body.read_whole(100).unwrap(), b"body { color: green }");
    client.shutdown();
    assert!(pushes.next().is_none(), "the connection has ended");
    assert!(client.wait_end().is_orderly());
}

#[test]
fn a_push_to_a_client_that_disabled_push_is_an_error_and_the_response_continues() {
    let server = Running::start(pushing);
    let mut page = server.client().send(Request::get("/")).unwrap();
    let text = String::from_utf8(page.body.read_whole(100).unwrap()).unwrap();
    assert!(text.contains("settings do not allow"), "{text}");
}

#[test]
fn a_pushed_response_that_is_dropped_is_cancelled() {
    let builder = Client::builder().config(Config::default().enable_push(true));
    let (mut peer, client) = scripted(&builder, &settings());
    let mut pushes = client.accept_pushes();
    let (_writer, answer) = client.start_request(Request::get("/")).unwrap();
    peer.until(kind::HEADERS);
    peer.send(&push_promise(1, 2, hpack::get("/first")).end_headers().bytes());
    drop(pushes.next().unwrap());
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(2, ErrorCode::CANCEL));
    drop(pushes);
    peer.send(&push_promise(1, 4, hpack::get("/second")).end_headers().bytes());
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(4, ErrorCode::CANCEL));
    peer.send(&headers(1, hpack::response(200)).end_headers().end_stream().bytes());
    assert_eq!(answer.wait().unwrap().status(), Status::OK);
    peer.send(&goaway(1, ErrorCode::NO_ERROR).bytes());
}

#[test]
fn a_client_sends_a_changed_priority_to_the_server() {
    let (mut peer, client) = scripted(&Builder::new(), &settings().entry(setting::NO_RFC7540_PRIORITIES, 1));
    let request = Request::get("/").field("priority", "u=5");
    assert_eq!(request.priority(), Priority::new(5, false));
    let (_writer, answer) = client.start_request(request).unwrap();
    let request = peer.until(kind::HEADERS);
    assert!(peer.fields(&request).contains(&"priority: u=5".to_owned()));
    answer.handle().set_priority(Priority::new(1, true));
    assert_eq!(peer.until(kind::PRIORITY_UPDATE), priority_update(1, "u=1, i"));
}

#[test]
fn a_handler_can_prioritize_its_response() {
    const LEN: usize = 100_000;
    let (answered, answers) = channel();
    let answered = Mutex::new(answered);
    let server = Running::start(move |request: Request<Body>, responder: Responder| -> io::Result<()> {
        if request.path() == "/urgent" {
            responder.handle().set_priority(Priority::new(0, false));
        }
        responder.send(Response::ok().body(vec![7; LEN]))?;
        answered.lock().unwrap().send(()).unwrap();
        Ok(())
    });
    let mut peer = server.peer();
    peer.greet_with(&settings().entry(setting::INITIAL_WINDOW_SIZE, 1 << 20));
    let mut left = [(1, LEN), (3, LEN)];
    for (stream, path) in [(1, "/"), (3, "/urgent")] {
        peer.send(&headers(stream, hpack::get(path)).end_headers().end_stream().bytes());
        answers.recv_timeout(LIMIT).unwrap();
        // The first stream takes all of the connection's window.
        while left[0].1 > LEN - 65_535 {
            left[0].1 -= peer.until(kind::DATA).body.len();
        }
    }
    peer.send(&window_update(0, 1 << 20).bytes());
    let mut order = Vec::new();
    while left.iter().any(|(_, left)| *left > 0) {
        let frame = peer.until(kind::DATA);
        left.iter_mut().find(|(stream, _)| *stream == frame.stream).unwrap().1 -= frame.body.len();
        order.push(frame.stream);
    }
    assert!(order.is_sorted_by(|a, b| a >= b), "the urgent one comes first: {order:?}");
    assert_eq!(order.first(), Some(&3));
}

/// The ways to drop a tunnel. Each ends our half.
const ENDS: [fn(Tunnel); 3] = [
    drop,
    |tunnel| drop(tunnel.finish().unwrap()),
    |tunnel| {
        assert_eq!(tunnel.finish().unwrap().read_whole(10).unwrap(), b"");
    },
];

/// The peer has this time to end its half of a tunnel.
fn timeouts() -> ExchangeTimeouts {
    let mut timeouts = ExchangeTimeouts::default();
    timeouts.tunnel_end = Duration::from_millis(200);
    timeouts
}

/// Reads "part" on stream 1, its end, and the reset with this code after the peer had its time, if
/// expected; then no further frame.
fn read_to_reset(peer: &mut Peer, code: Option<ErrorCode>) {
    let (mut content, mut flags) = (Vec::new(), 0);
    while flags & flag::END_STREAM == 0 {
        let frame = peer.until(kind::DATA);
        content.extend(frame.body);
        flags |= frame.flags;
    }
    assert_eq!(content, b"part");
    let before = Instant::now();
    if let Some(code) = code {
        assert_eq!(peer.frame().unwrap(), rst_stream(1, code));
        assert!(before.elapsed() > Duration::from_millis(100));
    }
    peer.send(&ping([7; 8]).bytes());
    assert_eq!(peer.frame().unwrap().kind, kind::PING);
}

#[test]
fn a_server_that_drops_its_tunnel_ends_it_and_resets_the_stream_unless_the_peer_ends_it_too() {
    let codes = [Some(ErrorCode::NO_ERROR), Some(ErrorCode::NO_ERROR), None];
    for (end, code) in ENDS.into_iter().zip(codes) {
        let serve = move |request: Request<Body>, responder: Responder| -> io::Result<()> {
            let mut tunnel = responder.tunnel(Response::ok(), request.replace_body(()).1)?;
            tunnel.write_all(b"part")?;
            end(tunnel);
            Ok(())
        };
        let server = Running::with(|server| server.exchange_timeouts(timeouts()), serve);
        let mut peer = server.peer();
        peer.greet();
        let connect = hpack::block(&[(":method", "CONNECT"), (":authority", "example.org:443")]);
        peer.send(&headers(1, connect).end_headers().bytes());
        if code.is_none() {
            peer.send(&data(1, "").end_stream().bytes());
        }
        read_to_reset(&mut peer, code);
    }
}

#[test]
fn a_client_that_drops_its_tunnel_ends_it_and_resets_the_stream_unless_the_peer_ends_it_too() {
    let codes = [Some(ErrorCode::CANCEL), Some(ErrorCode::CANCEL), None];
    for (end, code) in ENDS.into_iter().zip(codes) {
        let (mut peer, client) = scripted(&Builder::new().exchange_timeouts(timeouts()), &settings());
        let (writer, answer) = client.start_request(Request::connect("example.org:443")).unwrap();
        peer.until(kind::HEADERS);
        peer.send(&headers(1, hpack::response(200)).end_headers().bytes());
        let mut tunnel = Tunnel::new(answer.wait().unwrap().replace_body(()).1, writer);
        tunnel.write_all(b"part").unwrap();
        if code.is_none() {
            peer.send(&data(1, "").end_stream().bytes());
        }
        end(tunnel);
        read_to_reset(&mut peer, code);
    }
}
