//! With the core behind it: a connection that was sniffed or upgraded is one that works, at every
//! cut.

use thalweg::{Client, Connection, Event, Field, HeadersKind, Instant, Server, Status};
use thalweg_h2c::{Config, Protocol, Sniffer, UpgradeRequest, UpgradeResponse, Upgrader};

/// A server that takes its input as the network cuts it, and answers each request with its path.
struct Host {
    sniffer: Sniffer,
    connection: Option<Connection<Server>>,
    output: Vec<u8>,
}

impl Host {
    fn new() -> Self {
        Self { sniffer: Sniffer::new(Config::default()), connection: None, output: Vec::new() }
    }

    fn receive(&mut self, mut input: &[u8]) {
        if self.connection.is_none() {
            match self.sniffer.receive(&mut input).expect("the client speaks HTTP") {
                None => return,
                Some(Protocol::Http2 { seen }) => {
                    self.connection = Connection::<Server>::new(thalweg::Config::default()).ok();
                    self.serve(seen);
                }
                Some(Protocol::Upgrade(upgrade)) => self.upgrade(&upgrade),
                Some(other) => panic!("{other:?}"),
            }
        }
        self.serve(input);
    }

    fn upgrade(&mut self, upgrade: &thalweg_h2c::Upgrade) {
        self.output.extend_from_slice(upgrade.response());
        let UpgradeRequest { method, path, .. } = &upgrade.request;
        let config = thalweg::Config::default();
        let (mut connection, stream) =
            Connection::<Server>::from_upgrade(config, &upgrade.settings, method.as_bytes())
                .expect("the settings are validated");
        response(&mut connection, stream, path.as_bytes());
        self.connection = Some(connection);
    }

    fn serve(&mut self, mut input: &[u8]) {
        let connection = self.connection.as_mut().expect("the opening is decided");
        while let Some(event) = connection.receive(&mut input, Instant::ZERO).expect("the client behaves") {
            if let Event::Headers { stream, kind: HeadersKind::Request, headers, .. } = event {
                let path: Vec<u8> = headers.path().expect("a request has a path").into();
                response(connection, stream, &path);
            }
        }
        let mut wire = Vec::new();
        while connection.poll_transmit(&mut wire) {
            self.output.append(&mut wire);
        }
    }
}

fn response(connection: &mut Connection<Server>, stream: thalweg::StreamKey, path: &[u8]) {
    connection.send_response(stream, Status::OK, [Field::new(b"server", b"x")], false).expect("a response");
    assert_eq!(connection.send_data(stream, path, true), Ok(path.len()));
}

/// Collects the bodies of all responses.
fn listen(client: &mut Connection<Client>, mut input: &[u8]) -> Vec<u8> {
    let mut bodies = Vec::new();
    while let Some(event) = client.receive(&mut input, Instant::ZERO).expect("the server behaves") {
        if let Event::Data { data, .. } = event {
            bodies.extend_from_slice(data);
        }
    }
    bodies
}

fn transmitted(client: &mut Connection<Client>) -> Vec<u8> {
    let (mut all, mut wire) = (Vec::new(), Vec::new());
    while client.poll_transmit(&mut wire) {
        all.append(&mut wire);
    }
    all
}

fn get(client: &mut Connection<Client>, path: &str) {
    let request = thalweg::Request::new("GET", "http", "example.com", path);
    client.send_request(&request, [], true).expect("a stream is free");
}

#[test]
fn prior_knowledge_becomes_a_connection() {
    let mut client = Connection::<Client>::new(thalweg::Config::default()).expect("a valid configuration");
    get(&mut client, "/first");
    let bytes = transmitted(&mut client);
    for split in 0..bytes.len() {
        let mut host = Host::new();
        host.receive(&bytes[..split]);
        host.receive(&bytes[split..]);
        let mut client =
            Connection::<Client>::new(thalweg::Config::default()).expect("a valid configuration");
        get(&mut client, "/first");
        assert_eq!(listen(&mut client, &host.output), b"/first", "cut at {split}");
    }
}

#[test]
fn an_upgrade_becomes_a_connection() {
    let settings = Connection::<Client>::upgrade_settings(&thalweg::Config::default());
    let request = UpgradeRequest::new("POST", "example.com", "/first").with_body("what is not needed");
    let upgrader = || Upgrader::new(&request, &settings, Config::default()).expect("a valid request");
    let bytes = upgrader().bytes().to_vec();
    for split in 0..bytes.len() {
        let mut host = Host::new();
        host.receive(&bytes[..split]);
        host.receive(&bytes[split..]);
        let mut received = &host.output[..];
        assert_eq!(upgrader().receive(&mut received), Ok(Some(UpgradeResponse::Switched)));

        let (mut client, stream) = Connection::<Client>::from_upgrade(thalweg::Config::default(), b"POST")
            .expect("a valid configuration");
        assert_eq!(stream.id().as_u32(), 1);
        assert_eq!(listen(&mut client, received), b"/first", "cut at {split}");

        // The connection continues as any other.
        get(&mut client, "/second");
        host.output.clear();
        host.receive(&transmitted(&mut client));
        assert_eq!(listen(&mut client, &host.output), b"/second");
    }
}

/// Both crates have the rule for the authorities of http, and neither depends on the other.
#[test]
fn both_crates_take_the_same_authorities() {
    let takes = |authority: &str| {
        let request = thalweg::Request::get("http", authority, "/");
        let mut client =
            Connection::<Client>::new(thalweg::Config::default()).expect("a valid configuration");
        let by_core = client.send_request(&request, [], true).is_ok();
        let request = UpgradeRequest::new("GET", authority, "/");
        let by_h2c = Upgrader::new(&request, &[], Config::default()).is_ok();
        assert_eq!(by_core, by_h2c, "{authority}");
        by_core
    };
    for authority in
        ["a", "a:", "a:0", "a:65535", "a:080", "[::1]", "[::1]:", "[::1]:80", "%2f", "1.2.3.4", "_a"]
    {
        assert!(takes(authority), "{authority}");
    }
    for authority in
        ["", ":", ":80", "a:b", "a:65536", "a:1:2", "a:+1", "[]", "[::1", "[::1]a", "[v1.a]", "%2", "a@b"]
    {
        assert!(!takes(authority), "{authority}");
    }
    // Each byte, at each place.
    for byte in 0..=0x7f_u8 {
        for at in 0..=5 {
            for authority in ["a.b:8", "[::1]", "a%2fb"] {
                let mut bytes = authority.as_bytes().to_vec();
                bytes.insert(at.min(bytes.len()), byte);
                takes(core::str::from_utf8(&bytes).expect("ASCII"));
            }
        }
    }
}
