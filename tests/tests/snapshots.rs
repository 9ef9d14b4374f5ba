//! Snapshots of a connection.
#![expect(clippy::unwrap_used, reason = "these are tests, their own functions included")]

use thalweg::inspect::{Direction, Inspector};
use thalweg::{
    Client, Config, Connection, Event, Field, HalfState, Instant, Limit, Priority, Request, Role, Server,
    Status, StreamKey, StreamSnapshot,
};

type Pair = (Connection<Client>, Connection<Server>);

fn pair() -> Pair {
    let mut config = Config::default();
    config.stream_window_bytes = 1000;
    (Connection::new(config).unwrap(), Connection::new(config).unwrap())
}

/// Passes the output of one endpoint to the other. Returns the streams of the events.
fn pass<F: Role, T: Role>(from: &mut Connection<F>, to: &mut Connection<T>) -> Vec<StreamKey> {
    let (mut wire, mut streams) = (Vec::new(), Vec::new());
    let _ = from.poll_transmit(&mut wire);
    let mut input = &wire[..];
    while let Some(event) = to.receive(&mut input, Instant::ZERO).unwrap() {
        if let Event::Headers { stream, .. } = event {
            streams.push(stream);
        }
    }
    streams
}

fn greet((client, server): &mut Pair) {
    pass(client, server);
    pass(server, client);
    pass(client, server);
}

fn only<R: Role>(connection: &Connection<R>) -> StreamSnapshot {
    let streams: Vec<StreamSnapshot> = connection.streams().collect();
    assert_eq!(streams.len(), 1);
    streams[0]
}

#[test]
fn a_stream_is_shown_from_its_request_to_its_end() {
    let mut pair = pair();
    greet(&mut pair);
    let (client, server) = &mut pair;
    assert_eq!((client.streams().count(), server.streams().count()), (0, 0));
    let request = Request::new("POST", "http", "a", "/");
    let fields = [Field::new(b"content-length", b"300"), Field::new(b"priority", b"u=1, i")];
    let asked = client.send_request(&request, fields, false).unwrap();
    assert_eq!(client.send_data(asked, &[1; 100], false).unwrap(), 100);
    let shown = only(client);
    assert_eq!((shown.stream, shown.state(), shown.is_reserved), (asked, "open", false));
    assert_eq!((shown.local, shown.remote), (HalfState::Data, HalfState::Headers));
    assert_eq!((shown.send_left, shown.receive_left), (Some(200), None));
    assert_eq!((shown.window.send, client.window().send), (900, 65_535 + (1 << 20) - 65_535 - 100));

    let stream = pass(client, server)[0];
    let shown = only(server);
    assert_eq!((shown.stream, shown.receive_left), (stream, Some(200)));
    assert_eq!(shown.priority, Priority::new(1, true));
    assert_eq!((shown.window.receive, shown.window.held, shown.window.due), (900, 100, 0));
    assert_eq!((server.window().receive, server.window().held), ((1 << 20) - 100, 100));
    server.release(stream, 60);
    let shown = only(server);
    assert_eq!((shown.window.held, shown.window.due), (40, 60));
    assert_eq!((server.window().held, server.window().due), (40, 60));

    server.send_response(stream, Status::OK, [], false).unwrap();
    assert_eq!(server.send_data(stream, &[2; 1200], true).unwrap(), 1000);
    let shown = only(server);
    assert_eq!((shown.is_blocked, shown.window.send), (true, 0));
    assert_eq!((shown.state(), shown.local), ("open", HalfState::Data));
    assert_eq!(client.send_data(asked, &[1; 200], true), Ok(200));
    assert_eq!(only(client).state(), "half-closed (local)");
    pass(client, server);
    assert_eq!((only(server).state(), only(server).remote), ("half-closed (remote)", HalfState::Closed));
    server.send_reset(stream, thalweg::ErrorCode::CANCEL);
    assert_eq!(server.streams().count(), 0);
}

#[test]
fn a_promised_stream_is_reserved_until_its_response() {
    let mut config = Config::default();
    config.enable_push = true;
    let mut pair: Pair = (Connection::new(config).unwrap(), Connection::new(Config::default()).unwrap());
    greet(&mut pair);
    let (client, server) = &mut pair;
    client.send_request(&Request::get("http", "a", "/"), [], true).unwrap();
    let parent = pass(client, server)[0];
    let promised = server.send_push(parent, &Request::get("http", "a", "/style"), []).unwrap();
    pass(server, client);
    let states =
        |streams: Vec<StreamSnapshot>| streams.into_iter().map(|view| view.state()).collect::<Vec<_>>();
    assert_eq!(states(server.streams().collect()), ["half-closed (remote)", "reserved (local)"]);
    assert_eq!(states(client.streams().collect()), ["half-closed (local)", "reserved (remote)"]);
    server.send_response(promised, Status::OK, [], false).unwrap();
    pass(server, client);
    assert_eq!(states(server.streams().collect()), ["half-closed (remote)", "half-closed (remote)"]);
}

#[test]
fn the_rest_of_a_rate_limit_is_shown_under_its_name() {
    let mut pair = pair();
    greet(&mut pair);
    let (client, server) = &mut pair;
    let tokens = |server: &Connection<Server>| {
        server.rate_limits().iter().map(|budget| budget.tokens).collect::<Vec<_>>()
    };
    let before = tokens(server);
    client.send_ping(*b"12345678").unwrap();
    pass(client, server);
    let after = tokens(server);
    let changed: Vec<usize> = (0..8).filter(|index| before[*index] != after[*index]).collect();
    assert_eq!(changed, [1]);
    let pings = server.rate_limits().get(Limit::Pings).unwrap();
    assert_eq!((pings.limit, pings.tokens, pings.burst), (Limit::Pings, 9_999, 10_000));
    let names = server.rate_limits().iter().map(|budget| budget.limit.config_field()).collect::<Vec<_>>();
    assert_eq!(names[0], "rate_limits.resets");
    assert_eq!(names[7], "rate_limits.small_data");
}

#[test]
fn an_inspector_can_follow_from_between_two_frames() {
    let mut pair = pair();
    greet(&mut pair);
    let (client, server) = &mut pair;
    assert!(server.is_between_frames());
    client.send_request(&Request::get("http", "a", "/"), [], true).unwrap();
    let mut wire = Vec::new();
    let _ = client.poll_transmit(&mut wire);
    let mut inspector = Inspector::resume();
    let mut lines = Vec::new();
    for cut in 0..wire.len() {
        let mut byte = &wire[cut..=cut];
        while let Some(seen) = inspector.inspect(Direction::ToServer, &mut byte) {
            lines.push(seen.to_string());
        }
        let mut byte = &wire[cut..=cut];
        while server.receive(&mut byte, Instant::ZERO).unwrap().is_some() {}
        assert_eq!(server.is_between_frames(), cut == wire.len() - 1, "behind byte {cut}");
    }
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("> HEADERS stream 1, ") && !lines[0].contains(":method"), "{lines:?}");
}
