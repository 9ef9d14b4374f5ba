//! Each rate limit of the default configuration from both sides: the most that a well-behaved peer
//! reaches on a fast link passes with every response, and the attack that the limit is for ends the
//! connection with an error that names the limit. The table of these maxima is in
//! `docs/security.md`.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use thalweg::{
    Client, CloseCause, Config, Connection, ConnectionError, ErrorCode, Event, HeadersKind, Instant, Limit,
    Request, Role, Server, Status, StreamKey,
};
use thalweg_testkit::frames::{
    Frame, data, flag, goaway, headers, kind, origin, ping, ping_ack, preface, priority, priority_update,
    raw, read_all, rst_stream, settings, settings_ack, window_update, wire,
};
use thalweg_testkit::hpack::{self, Block};

/// An endpoint with a scripted peer.
struct End<R: Role> {
    connection: Connection<R>,
    now: Instant,
    /// Whether the application consumes content at once; otherwise it holds all content.
    reads: bool,
    /// Streams that requests or our calls have opened, in order.
    streams: Vec<StreamKey>,
    content_bytes: usize,
    resets: usize,
    /// The frames sent since the last call.
    sent: Vec<u8>,
}

impl End<Server> {
    fn server() -> Self {
        let mut end = Self::new(Connection::new(Config::default()).unwrap());
        end.receive(&wire([&preface(), &settings(), &settings_ack()])).unwrap();
        end.take_sent();
        end
    }

    /// Opens a stream with content to come.
    fn open(&mut self, id: u32) -> StreamKey {
        self.receive(&post(id)).unwrap();
        *self.streams.last().unwrap()
    }

    fn respond(&mut self, stream: StreamKey, end: bool) {
        self.connection.send_response(stream, Status::OK, [], end).unwrap();
    }
}

impl<R: Role> End<R> {
    fn new(connection: Connection<R>) -> Self {
        let (streams, sent) = (Vec::new(), Vec::new());
        Self { connection, now: Instant::ZERO, reads: true, streams, content_bytes: 0, resets: 0, sent }
    }

    fn receive(&mut self, mut input: &[u8]) -> Result<(), ConnectionError> {
        while let Some(event) = self.connection.receive(&mut input, self.now)? {
            match event {
                Event::Headers { stream, kind: HeadersKind::Request, .. } => self.streams.push(stream),
                Event::Data { stream, data, .. } => {
                    self.content_bytes += data.len();
                    if self.reads {
                        self.connection.release(stream, data.len());
                    }
                }
                Event::Reset { .. } => self.resets += 1,
                _ => {}
            }
        }
        while self.connection.poll_transmit(&mut self.sent) {}
        Ok(())
    }

    /// Receives frames, one each `gap`, until one ends the connection. Returns which, and by which
    /// limit.
    fn flood(&mut self, gap: Duration, mut frame: impl FnMut(u32) -> Vec<u8>) -> (u32, CloseCause) {
        for count in 1..=400_000 {
            self.now = self.now + gap;
            if let Err(error) = self.receive(&frame(count)) {
                assert_eq!(error.code(), ErrorCode::ENHANCE_YOUR_CALM, "{error}");
                while self.connection.poll_transmit(&mut self.sent) {}
                let last = self.take_sent().pop().unwrap();
                assert_eq!(last.kind, kind::GOAWAY);
                return (count, error.cause());
            }
            self.sent.clear();
        }
        panic!("the flood does not end the connection");
    }

    fn take_sent(&mut self) -> Vec<Frame> {
        read_all(&std::mem::take(&mut self.sent))
    }
}

fn post(id: u32) -> Vec<u8> {
    headers(id, hpack::request("POST", "/")).end_headers().bytes()
}

fn get(id: u32) -> Vec<u8> {
    headers(id, hpack::get("/")).end_stream().end_headers().bytes()
}

const MICROSECOND: Duration = Duration::from_micros(1);

/// grpc-go and grpc-java measure the bandwidth by one PING a round trip while DATA comes to them:
/// on a loopback of 20 µs, 50,000 a second, for as long as messages are small.
#[test]
fn a_ping_for_each_data_frame_that_we_send_passes() {
    let mut server = End::server();
    let stream = server.open(1);
    server.respond(stream, false);
    server.receive(&wire([&window_update(0, 1 << 30), &window_update(1, 1 << 30)])).unwrap();
    server.sent.clear();
    for count in 0..100_000u64 {
        server.now = server.now + 20 * MICROSECOND;
        assert_eq!(server.connection.send_data(stream, &[7; 100], false), Ok(100));
        server.receive(&ping(count.to_be_bytes()).bytes()).unwrap();
        let [message, answer] = server.take_sent().try_into().unwrap();
        assert_eq!((message.kind, message.body.len()), (kind::DATA, 100));
        assert_eq!(
            (answer.kind, answer.flags, answer.body),
            (kind::PING, flag::ACK, count.to_be_bytes().into())
        );
    }
    let flood = End::server().flood(Duration::ZERO, |_| ping([0; 8]).bytes());
    assert_eq!(flood, (10_001, CloseCause::Limit(Limit::Pings)));
}

/// grpc-go raises its windows from 64 KiB to 16 MiB by a factor of 1.32 at least: 20 SETTINGS at
/// most. grpc-core sends up to ten a second.
#[test]
fn settings_of_bandwidth_estimators_pass() {
    let mut server = End::server();
    for count in 0..20 {
        server.receive(&settings().entry(4, 65_535 + count).bytes()).unwrap();
    }
    for count in 0..6000 {
        server.now = server.now + Duration::from_millis(100);
        server.receive(&settings().entry(4, 70_000 + count).bytes()).unwrap();
    }
    let sent = server.take_sent();
    assert_eq!(sent.len(), 6020);
    assert!(sent.iter().all(|frame| (frame.kind, frame.flags) == (kind::SETTINGS, flag::ACK)));
    // One is for the handshake.
    let flood = End::server().flood(Duration::ZERO, |_| settings().bytes());
    assert_eq!(flood, (100, CloseCause::Limit(Limit::Settings)));
}

/// A client that learns of the end of its content only after its last byte ends each stream by an
/// empty frame: 200,000 requests a second.
#[test]
fn an_empty_end_for_each_stream_passes() {
    let mut server = End::server();
    for count in 0..200_000u32 {
        server.now = server.now + 5 * MICROSECOND;
        let stream = server.open(2 * count + 1);
        server.receive(&data(2 * count + 1, "").end_stream().bytes()).unwrap();
        server.respond(stream, true);
    }
    server.receive(&[]).unwrap();
    let ends = server.take_sent().iter().filter(|frame| frame.ends_stream()).count();
    assert_eq!((ends, server.resets), (200_000, 0));
    // More streams than tokens, all open before the first of them ends.
    let config = Config::default().concurrent_streams_max(2000);
    let mut server = End::<Server>::new(Connection::new(config).unwrap());
    server.receive(&wire([&preface(), &settings(), &settings_ack()])).unwrap();
    let ids = || (1..4000).step_by(2);
    ids().for_each(|id| server.receive(&post(id)).unwrap());
    ids().for_each(|id| server.receive(&data(id, "").end_stream().bytes()).unwrap());
    assert_eq!((server.streams.len(), server.connection.report().error), (2000, None));
    let mut server = End::server();
    server.open(1);
    let flood = server.flood(Duration::ZERO, |_| data(1, "").bytes());
    assert_eq!(flood, (1001, CloseCause::Limit(Limit::EmptyFrames)));
}

/// The same where the server refuses each upload by a reset, so that the end comes late.
#[test]
fn an_empty_end_for_each_stream_that_was_reset_passes() {
    let mut server = End::server();
    for count in 0..50_000u32 {
        let stream = server.open(2 * count + 1);
        server.connection.send_reset(stream, ErrorCode::NO_ERROR);
        server.receive(&data(2 * count + 1, "").end_stream().bytes()).unwrap();
    }
    let resets = server.take_sent().iter().filter(|frame| frame.kind == kind::RST_STREAM).count();
    assert_eq!((resets, server.connection.report().error), (50_000, None));
    // The last stream returned its token before its end was received.
    let flood = server.flood(Duration::ZERO, |_| data(99_999, "").end_stream().bytes());
    assert_eq!(flood, (1000, CloseCause::Limit(Limit::EmptyFrames)));
}

/// A body that flushes by an empty frame behind each message (hyper sends what its bodies yield).
#[test]
fn an_empty_frame_after_each_message_passes() {
    let mut server = End::server();
    server.open(1);
    let pair = wire([&data(1, [7; 100]), &data(1, "")]);
    for _ in 0..100_000 {
        server.receive(&pair).unwrap();
    }
    assert_eq!(server.content_bytes, 10_000_000);
}

/// Padding is not content: frames with only padding are empty frames.
#[test]
fn frames_of_padding_alone_are_empty_frames() {
    let padding = |id: u32| {
        let mut payload = vec![0; 64];
        payload[0] = 63;
        raw(kind::DATA, flag::PADDED, id, payload).bytes()
    };
    let mut server = End::server();
    let stream = server.open(1);
    assert_eq!(server.flood(Duration::ZERO, |_| padding(1)), (1001, CloseCause::Limit(Limit::EmptyFrames)));
    let mut server = End::server();
    assert_eq!(server.open(1), stream);
    server.connection.send_reset(stream, ErrorCode::CANCEL);
    assert_eq!(server.flood(Duration::ZERO, |_| padding(1)), (1001, CloseCause::Limit(Limit::EmptyFrames)));
}

/// The smallest message of gRPC has five bytes: a million a second on one stream, all consumed.
#[test]
fn a_million_grpc_messages_a_second_pass() {
    let mut server = End::server();
    server.open(1);
    for _ in 0..10_000 {
        server.now = server.now + 100 * MICROSECOND;
        let messages = data(1, [0; 5]).bytes().repeat(100);
        server.receive(&messages).unwrap();
    }
    assert_eq!(server.content_bytes, 5_000_000);
    let updates: u32 = server.take_sent().iter().filter(|f| f.stream == 1).filter_map(Frame::increment).sum();
    assert!((5_000_000 - 131_072..=5_000_000).contains(&updates), "{updates} bytes of credit");
}

/// While an application pauses, its peers may fill the connection's window with such messages.
#[test]
fn windows_full_of_grpc_messages_pass() {
    let mut server = End::server();
    server.reads = false;
    for id in [1, 3, 5, 7] {
        server.open(id);
        server.receive(&data(id, [0; 5]).bytes().repeat(52_428)).unwrap();
    }
    assert_eq!((server.content_bytes, server.connection.report().error), (4 * 262_140, None));
}

/// Single bytes that the application leaves unread cost it more memory than their window.
#[test]
fn single_bytes_that_are_not_read_end_the_connection() {
    let mut server = End::server();
    server.reads = false;
    server.open(1);
    server.open(3);
    let flood = server.flood(Duration::ZERO, |count| data(1 + count % 2 * 2, "x").bytes());
    assert_eq!(flood, (262_145, CloseCause::Limit(Limit::SmallData)));
}

/// After the reset of a stream, up to a window of its content may still arrive.
#[test]
fn late_messages_of_streams_that_were_reset_pass() {
    let mut server = End::server();
    for id in (1..41).step_by(2) {
        let stream = server.open(id);
        server.connection.send_reset(stream, ErrorCode::CANCEL);
        server.receive(&data(id, [0; 5]).bytes().repeat(52_428)).unwrap();
    }
    assert_eq!((server.content_bytes, server.connection.report().error), (0, None));
    let credit: u32 = server.take_sent().iter().filter(|f| f.stream == 0).filter_map(Frame::increment).sum();
    assert!(credit > 20 * 262_140 - (1 << 19), "{credit} bytes of credit");
}

/// A page of 256 images under way that is scrolled end to end five times a second: each image comes
/// into view and leaves it, and old browsers moved a stream by three frames.
#[test]
fn priorities_of_a_scrolled_page_pass() {
    let mut server = End::server();
    for id in (1..512).step_by(2) {
        server.receive(&get(id)).unwrap();
    }
    for round in 0..100u32 {
        server.now = server.now + Duration::from_millis(100);
        for id in (1..512).step_by(2) {
            server.receive(&priority(id, 0, round as u8).bytes().repeat(2)).unwrap();
            server.receive(&priority_update(id, format!("u={}", round % 8)).bytes()).unwrap();
        }
    }
    assert_eq!((server.streams.len(), server.connection.report().error), (256, None));
    let flood = End::server().flood(Duration::ZERO, |_| priority_update(1, "u=1").bytes());
    assert_eq!(flood, (10_001, CloseCause::Limit(Limit::Priorities)));
}

/// Browsers try what servers do with unknown frames by one beside each DATA frame or request.
#[test]
fn grease_beside_requests_and_content_passes() {
    let mut server = End::server();
    let grease = |id| raw(0xb + 0x1f, 0, id, [1; 20]).bytes();
    for count in 0..50_000u32 {
        let id = 2 * count + 1;
        let stream = server.open(id);
        server.receive(&grease(id)).unwrap();
        server.receive(&[grease(id), data(id, "12345678").end_stream().bytes()].concat()).unwrap();
        server.respond(stream, true);
    }
    assert_eq!((server.content_bytes, server.connection.report().error), (400_000, None));
    assert_eq!(
        End::server().flood(Duration::ZERO, |_| grease(0)),
        (1001, CloseCause::Limit(Limit::Extensions))
    );
}

/// Opens 256 streams, answers the first `answered` of them, and resets the others after `age`.
fn cancel_a_round(
    server: &mut End<Server>,
    round: u32,
    age: Duration,
    answered: usize,
) -> Result<(), ConnectionError> {
    let ids: Vec<u32> = (0..256).map(|count| 512 * round + 2 * count + 1).collect();
    server.streams.clear();
    for &id in &ids {
        server.receive(&get(id))?;
    }
    let streams = server.streams[..answered].to_vec();
    streams.into_iter().for_each(|stream| server.respond(stream, true));
    server.now = server.now + age;
    for &id in &ids[answered..] {
        server.receive(&rst_stream(id, ErrorCode::CANCEL).bytes())?;
    }
    server.sent.clear();
    Ok(())
}

/// A backend does not answer, and a client whose calls have timeouts of 110 ms cancels 256 at a
/// time, for 20 seconds. Resets that outrun the number of streams do not pass.
#[test]
fn calls_that_are_cancelled_after_a_while_pass() {
    let mut server = End::server();
    for round in 0..180 {
        cancel_a_round(&mut server, round, Duration::from_millis(110), 0).unwrap();
    }
    assert_eq!((server.resets, server.connection.report().error), (46_080, None));
    let flood = End::server().flood(MICROSECOND, |count| {
        let id = 2 * count - 1;
        [get(id), rst_stream(id, ErrorCode::CANCEL).bytes()].concat()
    });
    assert_eq!(flood, (1001, CloseCause::Limit(Limit::Resets)));
}

/// The outage lasts: timeouts of 250 ms never reach the limit, and neither do timeouts of 110 ms if
/// two of 256 calls are answered. A minute stands for any time, since no token is missing after it.
#[test]
fn calls_that_are_cancelled_in_a_long_outage_pass() {
    for (ms, answered) in [(250, 0), (110, 2)] {
        let mut server = End::server();
        for round in 0..60_000 / ms {
            cancel_a_round(&mut server, round, Duration::from_millis(ms.into()), answered).unwrap();
        }
        assert_eq!(server.connection.report().error, None);
        let resets = server.connection.rate_limits().get(Limit::Resets).unwrap();
        assert!(resets.tokens > 450, "{resets:?} after timeouts of {ms} ms");
    }
}

/// A patient rapid reset: 256 streams, 101 ms, 256 resets. It ends after 22 seconds.
#[test]
fn a_rapid_reset_that_waits_for_its_streams_to_age_is_ended() {
    let mut server = End::server();
    let end = (0..1000).find_map(|round| {
        cancel_a_round(&mut server, round, Duration::from_millis(101), 0).err().map(|error| (round, error))
    });
    let (round, error) = end.unwrap();
    assert_eq!((round, error.cause()), (214, CloseCause::Limit(Limit::Resets)));
    assert_eq!(server.now, Instant::ZERO + 215 * Duration::from_millis(101));
}

/// RFC 9113 §5.1: frames that the peer sent before it received our reset are not an error, even if
/// later streams have displaced the record of the reset.
#[test]
fn late_frames_of_streams_that_are_forgotten_pass() {
    let mut server = End::server();
    let upload = server.open(1);
    server.connection.send_reset(upload, ErrorCode::NO_ERROR);
    for id in (3..1003).step_by(2) {
        let stream = server.open(id);
        server.receive(&data(id, "").end_stream().bytes()).unwrap();
        server.respond(stream, true);
    }
    server.receive(&[]).unwrap();
    server.take_sent();
    for _ in 0..2000 {
        server.receive(&data(1, [0; 16_384]).bytes()).unwrap();
    }
    // Trailers, whose field enters the table nevertheless.
    let trailers = Block::new().literal_indexed("x-sum", "1").bytes();
    server.receive(&headers(1, trailers).end_stream().end_headers().bytes()).unwrap();
    let block = Block::new().raw(hpack::get("/")).indexed(62).bytes();
    server.receive(&headers(1003, block).end_stream().end_headers().bytes()).unwrap();
    let sent = server.take_sent();
    assert!(sent.iter().all(|frame| (frame.kind, frame.stream) == (kind::WINDOW_UPDATE, 0)), "{sent:?}");
    assert_eq!((server.resets, server.content_bytes, server.connection.report().error), (0, 0, None));
}

/// The same at a client: responses that arrive after the client has reset their streams and opened
/// many more.
#[test]
fn late_responses_to_streams_that_are_forgotten_pass() {
    let mut client = End::<Client>::new(Connection::new(Config::default()).unwrap());
    client.receive(&wire([&settings(), &settings_ack()])).unwrap();
    let request = Request::get("https", "example.org", "/");
    for _ in 0..5000 {
        let stream = client.connection.send_request(&request, [], true).unwrap();
        client.connection.send_reset(stream, ErrorCode::CANCEL);
    }
    client.receive(&[]).unwrap();
    client.sent.clear();
    for id in (1..10_000).step_by(2) {
        client.receive(&headers(id, hpack::response(200)).end_headers().bytes()).unwrap();
        client.receive(&data(id, "late").end_stream().bytes()).unwrap();
    }
    assert_eq!((client.take_sent(), client.content_bytes), (Vec::new(), 0));
    assert_eq!(client.connection.report().error, None);
}

/// Acknowledgements of the caller's PINGs are free, however many there are; other acknowledgements
/// are limited.
#[test]
fn an_answer_to_each_ping_of_ours_passes() {
    let mut server = End::server();
    for count in 1..=100_000u64 {
        server.connection.send_ping(count.to_be_bytes()).unwrap();
        server.receive(&ping_ack(count.to_be_bytes()).bytes()).unwrap();
    }
    assert_eq!(server.take_sent().len(), 100_000);
    for payload in [*b"\0thalive", *b"\0thaldwn", [7; 8]] {
        let flood = End::server().flood(Duration::ZERO, |_| ping_ack(payload).bytes());
        assert_eq!(flood, (10_001, CloseCause::Limit(Limit::Pings)));
    }
}

/// A keep-alive PING each millisecond, each acknowledged, for as many rounds as an hour has.
#[test]
fn an_answer_to_each_keep_alive_ping_passes() {
    let mut config = Config::default();
    config.timeouts.keep_alive = Some(Duration::from_millis(1));
    config.timeouts.idle = None;
    let mut server = End::<Server>::new(Connection::new(config).unwrap());
    server.receive(&wire([&preface(), &settings(), &settings_ack()])).unwrap();
    server.take_sent();
    for _ in 0..50_000 {
        server.now = server.now + Duration::from_millis(1);
        server.connection.handle_timeout(server.now).unwrap();
        server.receive(&[]).unwrap();
        let [ping] = server.take_sent().try_into().unwrap();
        assert_eq!((ping.kind, &ping.body[..]), (kind::PING, &b"\0thalive"[..]));
        server.receive(&ping_ack(*b"\0thalive").bytes()).unwrap();
    }
}

/// A server that shuts down sends GOAWAY twice; a proxy before it may send it again for each of its
/// backends.
#[test]
fn goaways_of_a_graceful_end_pass() {
    let mut client = End::<Client>::new(Connection::new(Config::default()).unwrap());
    client.receive(&wire([&settings(), &settings_ack()])).unwrap();
    let request = Request::get("https", "example.org", "/");
    for _ in 0..100 {
        client.connection.send_request(&request, [], true).unwrap();
    }
    for last in (1..200).step_by(2).rev() {
        client.receive(&wire([&goaway(last, ErrorCode::NO_ERROR); 2])).unwrap();
    }
    assert_eq!((client.resets, client.connection.live_streams()), (99, 1));
    let flood =
        End::server().flood(Duration::ZERO, |count| goaway(400_000 - count, ErrorCode::NO_ERROR).bytes());
    assert_eq!(flood, (1001, CloseCause::Limit(Limit::Extensions)));
}

/// A client resets streams, and the server has sent the whole response on each: two informational
/// responses, the final one, trailers.
#[test]
fn late_blocks_of_streams_that_were_reset_pass() {
    let mut client = End::<Client>::new(Connection::new(Config::default()).unwrap());
    client.receive(&wire([&settings(), &settings_ack()])).unwrap();
    let request = Request::get("https", "example.org", "/");
    for _ in 0..5000 {
        let stream = client.connection.send_request(&request, [], true).unwrap();
        client.connection.send_reset(stream, ErrorCode::CANCEL);
    }
    for id in (1..10_000).step_by(2) {
        for block in [hpack::response(103), hpack::response(103), hpack::response(200)] {
            client.receive(&headers(id, block).end_headers().bytes()).unwrap();
        }
        let trailers = hpack::block(&[("grpc-status", "1")]);
        client.receive(&headers(id, trailers).end_stream().end_headers().bytes()).unwrap();
    }
    assert_eq!((client.resets, client.connection.report().error), (0, None));
    // The free blocks of the resets are used up.
    let flood = client.flood(Duration::ZERO, |_| headers(1, hpack::response(103)).end_headers().bytes());
    assert_eq!(flood, (1001, CloseCause::Limit(Limit::Resets)));
}

/// Trailers of uploads that the server reset, and a flood of them on one stream.
#[test]
fn trailers_of_uploads_that_were_reset_pass() {
    let trailers = |id| headers(id, hpack::block(&[("x-sum", "1")])).end_stream().end_headers().bytes();
    let mut server = End::server();
    for id in (1..20_000).step_by(2) {
        let stream = server.open(id);
        server.connection.send_reset(stream, ErrorCode::NO_ERROR);
        server.receive(&trailers(id)).unwrap();
    }
    assert_eq!(server.connection.report().error, None);
    let mut server = End::server();
    let stream = server.open(1);
    server.connection.send_reset(stream, ErrorCode::NO_ERROR);
    let flood = server.flood(Duration::ZERO, |_| trailers(1));
    assert_eq!(flood, (1005, CloseCause::Limit(Limit::Resets)));
}

/// Requests that cross the final GOAWAY are ignored, up to the number that may be open. More are a
/// flood.
#[test]
fn requests_that_cross_the_final_goaway_pass() {
    let drained = || {
        let mut server = End::server();
        server.open(1);
        server.connection.shutdown();
        server.receive(&ping_ack(*b"\0thaldwn").bytes()).unwrap();
        server.take_sent();
        server
    };
    let mut server = drained();
    for id in (3..513).step_by(2) {
        server.receive(&get(id)).unwrap();
    }
    assert_eq!((server.take_sent(), server.streams.len()), (Vec::new(), 1));
    let flood = drained().flood(Duration::ZERO, |count| get(1 + 2 * count));
    assert_eq!(flood, (1001, CloseCause::Limit(Limit::Resets)));
}

/// What a client sends at most before it knows our limit of streams: 1,024 requests of a proxy with
/// the limits that Envoy has for a cluster. Those beyond 256 are refused, to be retried.
fn open_1024(server: &mut End<Server>) {
    for id in (1..2048).step_by(2) {
        server.connection_receive(&get(id));
    }
}

impl End<Server> {
    /// Receives without taking the output.
    fn connection_receive(&mut self, mut input: &[u8]) {
        while let Some(event) = self.connection.receive(&mut input, self.now).unwrap() {
            if let Event::Headers { stream, kind: HeadersKind::Request, .. } = event {
                self.streams.push(stream);
            }
        }
    }
}

#[test]
fn requests_before_the_stream_limit_is_known_pass() {
    let mut server = End::server();
    open_1024(&mut server);
    for stream in std::mem::take(&mut server.streams) {
        server.respond(stream, true);
    }
    server.receive(&[]).unwrap();
    let sent = server.take_sent();
    let refused = |frame: &&Frame| frame.code() == Some(ErrorCode::REFUSED_STREAM);
    assert_eq!(sent.iter().filter(refused).count(), 768);
    assert_eq!(sent.iter().filter(|frame| frame.ends_stream()).count(), 256);
    // The retries.
    for id in (2049..3585).step_by(2) {
        server.receive(&get(id)).unwrap();
        let stream = server.streams.pop().unwrap();
        server.respond(stream, true);
    }
    assert_eq!(server.connection.report().error, None);
    let mut server = End::server();
    for id in (1..513).step_by(2) {
        server.receive(&get(id)).unwrap();
    }
    let flood = server.flood(MICROSECOND, |count| get(511 + 2 * count));
    assert_eq!(flood, (1001, CloseCause::Limit(Limit::Resets)));
}

/// The replies that an honest peer may cause before it reads any of them: refusals of the requests
/// that it sent before it knew the limit, 20 SETTINGS, a PING, answers to 100 oversized requests.
#[test]
fn replies_that_a_peer_has_not_read_yet_pass() {
    let mut server = End::server();
    open_1024(&mut server);
    for count in 0..20 {
        server.connection_receive(&settings().entry(4, 65_535 + count).bytes());
    }
    server.connection_receive(&ping([1; 8]).bytes());
    for stream in std::mem::take(&mut server.streams) {
        server.respond(stream, true);
    }
    let oversized = hpack::block(&[(":method", "GET"), ("x-large", &"v".repeat(16_000))]);
    for id in (2049..2249).step_by(2) {
        server.connection_receive(&headers(id, &oversized).end_stream().end_headers().bytes());
    }
    assert!(server.connection.wants_read());
    server.receive(&[]).unwrap();
    assert!(server.sent.len() < 20_000, "{} bytes", server.sent.len());
    // What is not read ends the connection at four times the limit.
    let mut server = End::server();
    server.open(1);
    let pair = wire([&data(1, [7; 16]), &ping([2; 8])]);
    let error = (1..20_000).find_map(|count| {
        let mut input = &pair[..];
        loop {
            match server.connection.receive(&mut input, server.now) {
                Ok(Some(Event::Data { stream, data, .. })) => server.connection.release(stream, data.len()),
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some((count, error.cause())),
            }
        }
    });
    assert_eq!(error, Some((15_421, CloseCause::Limit(Limit::OutputBytes))));
}

/// Certificates name a hundred hosts at most as a rule, and the ORIGIN frame may name them all; the
/// debug data of a GOAWAY are a line of text. What is advice is ignored beyond the limit.
#[test]
fn origins_of_a_certificate_and_debug_data_of_a_page_pass() {
    let client = || {
        let mut end = End::<Client>::new(Connection::new(Config::default().over_tls(true)).unwrap());
        end.receive(&wire([&settings(), &settings_ack()])).unwrap();
        end
    };
    let origins = |names: usize| {
        let name = |number| format!("https://name-{number:03}.cdn.example.org");
        origin((0..names).map(name)).bytes()
    };
    let mut end = client();
    for (names, shown) in [(100, true), (120, true), (121, false), (400, false)] {
        let bytes = origins(names);
        let mut input = &bytes[..];
        let event = end.connection.receive(&mut input, end.now).unwrap();
        let count = match event {
            Some(Event::Origin { origins }) => origins.count(),
            _ => 0,
        };
        assert_eq!(count, if shown { names } else { 0 }, "{} bytes", bytes.len());
    }
    let goaway = |len: usize| {
        let head = goaway(0, ErrorCode::NO_ERROR);
        raw(kind::GOAWAY, 0, 0, [&head.body[..], &vec![b'x'; len]].concat()).bytes()
    };
    client().receive(&goaway(4088)).unwrap();
    let error = client().receive(&goaway(4089)).unwrap_err();
    assert_eq!(error.cause(), CloseCause::Limit(Limit::ControlPayloadBytes));
}

/// All settings that are registered, and two that browsers make up: 12 entries. 32 pass.
#[test]
fn all_settings_that_are_registered_pass() {
    let registered = [1, 3, 4, 5, 6, 8, 9, 0x10, 0x11, 0xf000];
    let made_up = [0x0a0a, 0x1a1a];
    let value = |id| match id {
        4 => 65_535,
        5 => 16_384,
        8 | 9 => 1,
        _ => 4096,
    };
    let first = registered.iter().chain(&made_up).fold(settings(), |frame, &id| frame.entry(id, value(id)));
    let entries = |count: u16| (0..count).fold(settings(), |frame, id| frame.entry(0x100 + id, 1)).bytes();
    let mut server = End::<Server>::new(Connection::new(Config::default()).unwrap());
    server.receive(&wire([&preface(), &first, &settings_ack()])).unwrap();
    server.receive(&entries(32)).unwrap();
    let error = server.receive(&entries(33)).unwrap_err();
    assert_eq!(error.cause(), CloseCause::Limit(Limit::SettingsEntries));
}

/// The slowest reader: 600 bytes a second, credited when half of a window of 65,535 bytes was read,
/// as most peers do, so every 55 seconds. One that credits less than 4,096 bytes a minute stalls.
#[test]
fn a_reader_of_600_bytes_a_second_passes() {
    let page = vec![7; 1 << 20];
    let send = |server: &mut End<Server>| {
        while let Some(stream) = server.connection.poll_writable() {
            server.connection.send_data(stream, &page, false).unwrap();
            server.receive(&[]).unwrap();
        }
    };
    let download = |increment: u32, pause: Duration, rounds: u32| {
        let mut server = End::server();
        server.receive(&get(1)).unwrap();
        let stream = server.streams[0];
        server.respond(stream, false);
        server.connection.send_data(stream, &page, false).unwrap();
        server.receive(&[]).unwrap();
        send(&mut server);
        for round in 1..=rounds {
            let credited_at = Instant::ZERO + round * pause;
            while let Some(due) = server.connection.poll_timeout().filter(|due| *due < credited_at) {
                server.now = due;
                server.connection.handle_timeout(due).unwrap();
                server.receive(&[]).unwrap();
                send(&mut server);
                if server.resets > 0 {
                    return Some(due);
                }
            }
            server.now = credited_at;
            server.receive(&wire([&window_update(0, increment), &window_update(1, increment)])).unwrap();
            send(&mut server);
        }
        None
    };
    assert_eq!(download(32_768, Duration::from_millis(54_613), 66), None, "an hour");
    assert_eq!(download(4096, Duration::from_secs(59), 60), None, "the least");
    let stalled = download(2000, Duration::from_secs(29), 60);
    assert_eq!(stalled, Some(Instant::ZERO + Duration::from_secs(60)));
}
