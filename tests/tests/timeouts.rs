//! Timeouts: each starts at the call or the frame that arms it, however long the connection was
//! idle before.
//!
//! A frame's timeout starts at the `now` that comes with the frame. A call carries no time, so its
//! timeout starts at the next `now`, and `poll_timeout` returns the last known time until then. A
//! timeout that waits for the peer's answer to a frame starts once the frame was handed out.
#![expect(clippy::unwrap_used, reason = "these are tests, their own functions included")]

use std::time::Duration;

use thalweg::{
    Client, Config, Connection, ErrorCode, Event, Field, Instant, Request, ResetCause, Role, Server, Status,
    StreamError, StreamKey, Timeout, Timeouts,
};
use thalweg_testkit::frames::{self, Frame, Piece, setting};
use thalweg_testkit::hpack;

/// Returns the time this many seconds after the origin.
fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

/// Returns a configuration with only the timeouts that `set` enables.
fn only(set: impl FnOnce(&mut Timeouts)) -> Config {
    let mut config = Config::default();
    config.timeouts = Timeouts::OFF;
    set(&mut config.timeouts);
    config
}

/// Returns the events of a piece of input, as far as these tests need them.
#[derive(Debug, PartialEq, Eq)]
enum Reported {
    Request(StreamKey),
    Stalled(StreamKey),
    Other,
}

#[expect(clippy::needless_pass_by_value, reason = "the tests read better without ampersands")]
fn feed<R: Role>(connection: &mut Connection<R>, piece: impl Piece, now: Instant) -> Vec<Reported> {
    let bytes = frames::wire([&piece as &dyn Piece]);
    let (mut input, mut reported) = (&bytes[..], Vec::new());
    while let Some(event) = connection.receive(&mut input, now).unwrap() {
        reported.push(match event {
            Event::Headers { stream, .. } => Reported::Request(stream),
            Event::Reset { stream, by: ResetCause::Local(StreamError::Timeout(Timeout::Stall)), .. } => {
                Reported::Stalled(stream)
            }
            _ => Reported::Other,
        });
    }
    connection.check();
    reported
}

/// Fetches the output, and reports it as written.
fn drain<R: Role>(connection: &mut Connection<R>) -> Vec<u8> {
    let mut out = Vec::new();
    while connection.poll_transmit(&mut out) {}
    out
}

/// Returns a server at 1 s whose peer has sent its preface and SETTINGS, with nothing left to
/// write.
fn server(config: Config, peer: Frame) -> Connection<Server> {
    let mut server = Connection::new(config).unwrap();
    feed(&mut server, frames::preface(), at(1));
    feed(&mut server, peer, at(1));
    feed(&mut server, frames::settings_ack(), at(1));
    drain(&mut server);
    server
}

/// Returns a client at 1 s whose peer has sent SETTINGS, with nothing left to write.
fn client(config: Config, peer: Frame) -> Connection<Client> {
    let mut client = Connection::new(config).unwrap();
    feed(&mut client, peer, at(1));
    feed(&mut client, frames::settings_ack(), at(1));
    drain(&mut client);
    client
}

fn request(server: &mut Connection<Server>, id: u32, now: Instant) -> StreamKey {
    let request = frames::headers(id, hpack::get("/")).end_stream().end_headers();
    match feed(server, request, now)[..] {
        [Reported::Request(stream)] => stream,
        ref event => panic!("{event:?}"),
    }
}

/// Checks that `poll_timeout` returns the last known time, and that the timeout of `length` starts
/// at 100 s if the time is passed then.
#[track_caller]
fn assert_starts_at_the_next_time<R: Role>(connection: &mut Connection<R>, length: u64) {
    assert_eq!(connection.poll_timeout(), Some(at(1)), "the time is asked for at once");
    assert_eq!(connection.handle_timeout(at(100)), Ok(()));
    connection.check();
    assert_eq!(connection.poll_timeout(), Some(at(100 + length)));
}

/// Checks that the connection ends at `due` for this timeout, and not a nanosecond before.
#[track_caller]
fn assert_ends_at<R: Role>(connection: &mut Connection<R>, due: Instant, timeout: Timeout) {
    let before = Instant::from_nanos(due.as_nanos() - 1);
    assert_eq!(connection.handle_timeout(before), Ok(()));
    let error = connection.handle_timeout(due).unwrap_err();
    assert_eq!(error.cause(), thalweg::CloseCause::Timeout(timeout));
    assert_eq!(connection.poll_timeout(), None);
}

#[test]
fn shutdown_counts_from_the_call_and_not_from_the_last_time_before_it() {
    let config = only(|timeouts| timeouts.shutdown = seconds(30));
    let mut server = server(config, frames::settings());
    request(&mut server, 1, at(1));
    assert_eq!(server.poll_timeout(), None);
    server.shutdown();
    drain(&mut server);
    assert_starts_at_the_next_time(&mut server, 30);
    assert_ends_at(&mut server, at(130), Timeout::Shutdown);
}

#[test]
fn shutdown_of_a_client_counts_from_the_call() {
    let mut client = client(only(|timeouts| timeouts.shutdown = seconds(30)), frames::settings());
    client.send_request(&Request::get("https", "a", "/"), [], true).unwrap();
    drain(&mut client);
    client.shutdown();
    drain(&mut client);
    assert_starts_at_the_next_time(&mut client, 30);
}

#[test]
fn the_next_time_may_come_with_input() {
    let mut server = server(only(|timeouts| timeouts.shutdown = seconds(30)), frames::settings());
    request(&mut server, 1, at(1));
    server.shutdown();
    feed(&mut server, frames::ping([1; 8]), at(1));
    assert_eq!(server.poll_timeout(), Some(at(1)), "the same reading of the clock, made before the call");
    feed(&mut server, [], at(100));
    assert_eq!(server.poll_timeout(), Some(at(130)));
}

#[test]
fn shutdown_again_after_a_goaway_of_the_peer_counts_from_the_call() {
    let mut server = server(only(|timeouts| timeouts.shutdown = seconds(30)), frames::settings());
    request(&mut server, 1, at(1));
    feed(&mut server, frames::goaway(0, ErrorCode::NO_ERROR), at(20));
    assert_eq!(server.poll_timeout(), Some(at(50)));
    server.shutdown();
    assert_eq!(server.poll_timeout(), Some(at(20)));
    server.handle_timeout(at(45)).unwrap();
    assert_eq!(server.poll_timeout(), Some(at(75)));
}

#[test]
fn shutdown_before_the_first_time_counts_from_that() {
    let config = only(|timeouts| timeouts.shutdown = seconds(30));
    let mut client = Connection::<Client>::new(config).unwrap();
    assert_eq!(client.poll_timeout(), None);
    client.send_request(&Request::get("https", "a", "/"), [], true).unwrap();
    client.shutdown();
    assert_eq!(client.poll_timeout(), Some(Instant::ZERO));
    client.handle_timeout(at(7)).unwrap();
    assert_eq!(client.poll_timeout(), Some(at(37)));
}

#[test]
fn a_goaway_of_the_peer_counts_from_the_frame() {
    let mut server = server(only(|timeouts| timeouts.shutdown = seconds(30)), frames::settings());
    request(&mut server, 1, at(1));
    feed(&mut server, frames::goaway(0, ErrorCode::NO_ERROR), at(100));
    assert_eq!(server.poll_timeout(), Some(at(130)));
    assert_ends_at(&mut server, at(130), Timeout::Shutdown);
}

#[test]
fn the_end_of_input_counts_from_its_call() {
    let mut server = server(only(|timeouts| timeouts.shutdown = seconds(30)), frames::settings());
    request(&mut server, 1, at(1));
    server.handle_eof().unwrap();
    assert_starts_at_the_next_time(&mut server, 30);
}

#[test]
fn changed_settings_count_from_the_call() {
    let config = only(|timeouts| timeouts.settings_ack = seconds(10));
    let mut server = server(config, frames::settings());
    assert_eq!(server.poll_timeout(), None);
    server.send_settings(|settings| settings.initial_window_size = 70_000).unwrap();
    drain(&mut server);
    assert_starts_at_the_next_time(&mut server, 10);
    assert_ends_at(&mut server, at(110), Timeout::SettingsAck);
}

#[test]
fn extension_settings_count_from_the_call() {
    let mut client = client(only(|timeouts| timeouts.settings_ack = seconds(10)), frames::settings());
    client.send_extension_settings(&[(thalweg::frame::SettingId(0xf000), 1)]).unwrap();
    drain(&mut client);
    assert_starts_at_the_next_time(&mut client, 10);
    assert_ends_at(&mut client, at(110), Timeout::SettingsAck);
}

#[test]
fn the_second_of_two_announcements_counts_from_the_acknowledgement_of_the_first() {
    let mut server = server(only(|timeouts| timeouts.settings_ack = seconds(10)), frames::settings());
    server.send_settings(|settings| settings.initial_window_size = 70_000).unwrap();
    drain(&mut server);
    server.handle_timeout(at(100)).unwrap();
    server.send_settings(|settings| settings.initial_window_size = 80_000).unwrap();
    drain(&mut server);
    server.handle_timeout(at(101)).unwrap();
    assert_eq!(server.poll_timeout(), Some(at(110)), "the first one's");
    feed(&mut server, frames::settings_ack(), at(105));
    assert_eq!(server.poll_timeout(), Some(at(115)));
    feed(&mut server, frames::settings_ack(), at(106));
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn the_stall_of_a_response_counts_from_the_call_that_was_cut_short() {
    for spliced in [false, true] {
        let config = only(|timeouts| timeouts.stall = seconds(60));
        let mut server = server(config, frames::settings().entry(setting::INITIAL_WINDOW_SIZE, 10));
        let stream = request(&mut server, 1, at(1));
        server.send_response(stream, Status::OK, [], false).unwrap();
        if spliced {
            assert_eq!(server.splice_data(stream, 50, true), Ok(10));
            assert!(server.poll_transmit_spliced(&mut Vec::new(), &mut Vec::new()));
        } else {
            assert_eq!(server.send_data(stream, &[7; 50], true), Ok(10));
        }
        drain(&mut server);
        assert_starts_at_the_next_time(&mut server, 60);
        assert_eq!(server.handle_timeout(Instant::from_nanos(at(160).as_nanos() - 1)), Ok(()));
        assert_eq!(feed(&mut server, [], at(160)), []);
        assert_eq!(server.handle_timeout(at(160)), Ok(()));
        assert_eq!(feed(&mut server, [], at(160)), [Reported::Stalled(stream)]);
    }
}

#[test]
fn the_stall_of_an_upload_counts_from_the_call_that_was_cut_short() {
    let config = only(|timeouts| timeouts.stall = seconds(60));
    let mut client = client(config, frames::settings().entry(setting::INITIAL_WINDOW_SIZE, 10));
    let request = Request::new("POST", "https", "a", "/");
    let stream = client.send_request(&request, [], false).unwrap();
    assert_eq!(client.send_data(stream, &[7; 50], true), Ok(10));
    drain(&mut client);
    assert_starts_at_the_next_time(&mut client, 60);
}

#[test]
fn each_stream_stalls_after_its_own_call() {
    let config = only(|timeouts| timeouts.stall = seconds(60));
    let mut server = server(config, frames::settings().entry(setting::INITIAL_WINDOW_SIZE, 10));
    let (first, second) = (request(&mut server, 1, at(1)), request(&mut server, 3, at(1)));
    for stream in [first, second] {
        server.send_response(stream, Status::OK, [], false).unwrap();
    }
    server.send_data(first, &[7; 50], true).unwrap();
    drain(&mut server);
    server.handle_timeout(at(100)).unwrap();
    assert_eq!(server.poll_timeout(), Some(at(160)));
    server.send_data(second, &[7; 50], true).unwrap();
    drain(&mut server);
    assert_eq!(server.poll_timeout(), Some(at(100)), "the second one's start is asked for, too");
    server.handle_timeout(at(150)).unwrap();
    assert_eq!(server.poll_timeout(), Some(at(160)));
    server.handle_timeout(at(160)).unwrap();
    assert_eq!(feed(&mut server, [], at(160)), [Reported::Stalled(first)]);
    assert_eq!(server.poll_timeout(), Some(at(210)));
    server.handle_timeout(at(210)).unwrap();
    assert_eq!(feed(&mut server, [], at(210)), [Reported::Stalled(second)]);
}

#[test]
fn a_slot_that_is_used_again_does_not_take_over_the_wait_of_the_stream_before() {
    let config = only(|timeouts| timeouts.stall = seconds(60));
    let mut server = server(config, frames::settings().entry(setting::INITIAL_WINDOW_SIZE, 10));
    let cut = |server: &mut Connection<Server>, id| {
        let stream = request(server, id, at(1));
        server.send_response(stream, Status::OK, [], false).unwrap();
        assert_eq!(server.send_data(stream, &[7; 50], true), Ok(10));
        stream
    };
    let gone = cut(&mut server, 1);
    server.send_reset(gone, ErrorCode::CANCEL);
    let unblocked = request(&mut server, 3, at(1));
    server.send_response(unblocked, Status::OK, [], false).unwrap();
    let (a, b) = (cut(&mut server, 5), cut(&mut server, 7));
    server.send_reset(a, ErrorCode::CANCEL);
    let c = cut(&mut server, 9);
    drain(&mut server);
    server.handle_timeout(at(100)).unwrap();
    server.handle_timeout(at(160)).unwrap();
    let mut reported = feed(&mut server, [], at(160));
    reported.sort_by_key(
        |reported| if let Reported::Stalled(stream) = reported { stream.id().as_u32() } else { 0 },
    );
    assert_eq!(reported, [Reported::Stalled(b), Reported::Stalled(c)]);
    assert_eq!(server.send_data(unblocked, &[7; 10], true), Ok(10));
}

#[test]
fn time_with_an_open_window_is_no_wait_for_the_peer() {
    for by_connection in [false, true] {
        let mut config = only(|timeouts| timeouts.stall = seconds(60));
        config.output_bytes_max = 1 << 20;
        // The connection's window must allow this much, or the frame waits for more.
        config.stall_bytes_min = 1 << 16;
        let frame = if by_connection { 16_384 } else { 10 };
        let (id, window) = if by_connection { (0, 1 << 20) } else { (1, 10) };
        let mut server = server(config, frames::settings().entry(setting::INITIAL_WINDOW_SIZE, window));
        let stream = request(&mut server, 1, at(1));
        server.send_response(stream, Status::OK, [], false).unwrap();
        // The whole window: the next byte starts the wait.
        let all = if by_connection { 65_535 } else { 10 };
        assert_eq!(server.send_data(stream, &vec![7; all], false), Ok(all));
        assert_eq!(server.send_data(stream, &[7], false), Ok(0));
        drain(&mut server);
        server.handle_timeout(at(100)).unwrap();
        // The window opens after 20 s. The application continues 35 s later, and leaves it empty
        // again.
        feed(&mut server, frames::window_update(id, frame as u32), at(120));
        assert_eq!(server.poll_writable(), Some(stream));
        server.handle_timeout(at(155)).unwrap();
        assert_eq!(server.send_data(stream, &[7; 20_000], true), Ok(frame));
        drain(&mut server);
        assert_eq!(server.poll_timeout(), Some(at(155)));
        server.handle_timeout(at(156)).unwrap();
        // A call that takes nothing changes nothing.
        assert_eq!(server.send_data(stream, &[7; 20_000], true), Ok(0));
        server.handle_timeout(at(160)).unwrap();
        assert_eq!(feed(&mut server, [], at(160)), [], "of 60 s, 36 s were the application's");
        assert_eq!(server.poll_timeout(), Some(at(196)));
        server.handle_timeout(at(196)).unwrap();
        assert_eq!(feed(&mut server, [], at(196)), [Reported::Stalled(stream)]);
    }
}

/// The output is full, and the window is open; then the peer takes it away. That frame starts the
/// wait, not the timer that found the window open 59 s before.
#[test]
fn a_wait_starts_with_the_settings_that_take_an_open_window_away() {
    let mut config = only(|timeouts| timeouts.stall = seconds(60));
    config.output_bytes_max = 1024;
    let initial_window = |bytes| frames::settings().entry(setting::INITIAL_WINDOW_SIZE, bytes);
    let mut server = server(config, initial_window(65_535));
    let stream = request(&mut server, 1, at(1));
    server.send_response(stream, Status::OK, [], false).unwrap();
    assert!(server.send_data(stream, &[7; 5000], true).unwrap() < 5000);
    drain(&mut server);
    server.handle_timeout(at(100)).unwrap();
    server.handle_timeout(at(160)).unwrap();
    assert_eq!(server.poll_timeout(), Some(at(220)), "the window was open");
    feed(&mut server, initial_window(0), at(219));
    drain(&mut server);
    server.handle_timeout(at(220)).unwrap();
    assert_eq!(feed(&mut server, [], at(220)), [], "it waits for one second");
    assert_eq!(server.poll_timeout(), Some(at(279)));
    // A window that opens and closes at once was never open for the application.
    feed(&mut server, [initial_window(65_535).bytes(), initial_window(0).bytes()].concat(), at(230));
    drain(&mut server);
    server.handle_timeout(at(279)).unwrap();
    assert_eq!(feed(&mut server, [], at(279)), [Reported::Stalled(stream)]);
}

#[test]
fn window_in_small_pieces_that_is_used_at_once_stays_a_stall() {
    let config = only(|timeouts| timeouts.stall = seconds(60));
    let mut server = server(config, frames::settings().entry(setting::INITIAL_WINDOW_SIZE, 10));
    let stream = request(&mut server, 1, at(1));
    server.send_response(stream, Status::OK, [], false).unwrap();
    server.send_data(stream, &[7; 5000], true).unwrap();
    drain(&mut server);
    server.handle_timeout(at(100)).unwrap();
    for second in 101..160 {
        feed(&mut server, frames::window_update(1, 10), at(second));
        assert_eq!(server.poll_writable(), Some(stream));
        assert_eq!(server.send_data(stream, &[7; 4000], true), Ok(10));
        drain(&mut server);
        server.handle_timeout(at(second)).unwrap();
    }
    server.handle_timeout(at(160)).unwrap();
    assert_eq!(feed(&mut server, [], at(160)), [Reported::Stalled(stream)]);
}

#[test]
fn handed_out_output_counts_from_its_call() {
    let mut server = server(only(|timeouts| timeouts.transmit = seconds(60)), frames::settings());
    server.send_ping([1; 8]).unwrap();
    let mut out = Vec::new();
    assert!(server.poll_transmit(&mut out));
    assert_starts_at_the_next_time(&mut server, 60);
    assert_ends_at(&mut server, at(160), Timeout::Transmit);
}

#[test]
fn idleness_counts_from_the_call_that_ended_the_last_stream() {
    let config = only(|timeouts| timeouts.idle = seconds(20));
    let ends: [fn(&mut Connection<Server>, StreamKey); 4] = [
        |server, stream| server.send_response(stream, Status::OK, [], true).unwrap(),
        |server, stream| {
            server.send_response(stream, Status::OK, [], false).unwrap();
            assert_eq!(server.send_data(stream, b"all", true), Ok(3));
        },
        |server, stream| {
            server.send_response(stream, Status::OK, [], false).unwrap();
            server.send_trailers(stream, [Field::new(b"sum", b"0")]).unwrap();
        },
        |server, stream| server.send_reset(stream, ErrorCode::CANCEL),
    ];
    for end in ends {
        let mut server = server(config, frames::settings());
        let stream = request(&mut server, 1, at(1));
        assert_eq!(server.poll_timeout(), None);
        end(&mut server, stream);
        drain(&mut server);
        assert_starts_at_the_next_time(&mut server, 20);
        server.handle_timeout(at(120)).unwrap();
        let frames = frames::read_all(&drain(&mut server));
        assert!(frames[0].to_string().starts_with("GOAWAY"), "{}", frames[0]);
    }
}

#[test]
fn idleness_counts_from_the_frame_that_ended_the_last_stream() {
    let mut server = server(only(|timeouts| timeouts.idle = seconds(20)), frames::settings());
    request(&mut server, 1, at(1));
    feed(&mut server, frames::rst_stream(1, ErrorCode::CANCEL), at(100));
    assert_eq!(server.poll_timeout(), Some(at(120)));
}

#[test]
fn keep_alive_and_its_answer_count_from_the_last_bytes_and_from_the_ping() {
    let config = only(|timeouts| (timeouts.keep_alive, timeouts.ping) = (seconds(50), seconds(10)));
    let mut server = server(config, frames::settings());
    assert_eq!(server.poll_timeout(), Some(at(51)));
    // `handle_timeout` before `receive` with the same `now` does not hide the received bytes.
    server.handle_timeout(at(40)).unwrap();
    feed(&mut server, frames::ping([1; 8]), at(40));
    drain(&mut server);
    assert_eq!(server.poll_timeout(), Some(at(90)));
    server.handle_timeout(at(200)).unwrap();
    assert_eq!(drain(&mut server), frames::ping(*b"\0thalive").bytes());
    server.handle_timeout(at(200)).unwrap();
    assert_eq!(server.poll_timeout(), Some(at(210)));
    assert_ends_at(&mut server, at(210), Timeout::Ping);
}

#[test]
fn a_header_block_counts_from_its_first_frame() {
    let mut server = server(only(|timeouts| timeouts.header_block = seconds(10)), frames::settings());
    feed(&mut server, frames::headers(1, hpack::get("/")), at(100));
    assert_eq!(server.poll_timeout(), Some(at(110)));
    assert_ends_at(&mut server, at(110), Timeout::HeaderBlock);
}

#[test]
fn the_preface_of_a_client_counts_from_the_first_time() {
    let mut server = Connection::<Server>::new(only(|timeouts| timeouts.preface = seconds(10))).unwrap();
    assert_eq!(server.poll_timeout(), Some(Instant::ZERO));
    server.handle_timeout(at(100)).unwrap();
    assert_eq!(server.poll_timeout(), Some(at(110)));
    assert_ends_at(&mut server, at(110), Timeout::Preface);
}

#[test]
fn answers_to_the_first_output_count_from_the_time_after_it_was_handed_out() {
    let preface = only(|timeouts| timeouts.preface = seconds(10));
    let settings_ack = only(|timeouts| timeouts.settings_ack = seconds(10));
    for (config, timeout) in [(preface, Timeout::Preface), (settings_ack, Timeout::SettingsAck)] {
        let mut client = Connection::<Client>::new(config).unwrap();
        assert_eq!(client.poll_timeout(), None);
        feed(&mut client, [], at(1));
        client.handle_timeout(at(1)).unwrap();
        drain(&mut client);
        assert_starts_at_the_next_time(&mut client, 10);
        assert_ends_at(&mut client, at(110), timeout);
    }
}

#[test]
fn the_preface_after_an_upgrade_counts_from_the_time_after_the_first_output() {
    let config = only(|timeouts| timeouts.preface = seconds(10));
    let (mut server, _) = Connection::<Server>::from_upgrade(config, &[], b"GET").unwrap();
    server.handle_timeout(at(1)).unwrap();
    assert_eq!(server.poll_timeout(), None);
    drain(&mut server);
    assert_starts_at_the_next_time(&mut server, 10);
    assert_ends_at(&mut server, at(110), Timeout::Preface);
}

#[test]
fn settings_count_from_the_time_after_they_were_handed_out() {
    let mut server = server(only(|timeouts| timeouts.settings_ack = seconds(10)), frames::settings());
    server.send_settings(|settings| settings.initial_window_size = 70_000).unwrap();
    assert_eq!(server.poll_timeout(), None, "the peer cannot acknowledge them yet");
    server.handle_timeout(at(50)).unwrap();
    drain(&mut server);
    assert_eq!(server.poll_timeout(), Some(at(50)));
    server.handle_timeout(at(100)).unwrap();
    // Others, which are still in the output when the first are acknowledged.
    server.send_settings(|settings| settings.initial_window_size = 80_000).unwrap();
    assert_eq!(server.poll_timeout(), Some(at(110)));
    feed(&mut server, frames::settings_ack(), at(109));
    assert_eq!(server.poll_timeout(), None);
    server.handle_timeout(at(150)).unwrap();
    drain(&mut server);
    server.handle_timeout(at(160)).unwrap();
    assert_ends_at(&mut server, at(170), Timeout::SettingsAck);
}

#[test]
fn pings_count_from_the_time_after_they_were_handed_out() {
    let config = only(|timeouts| (timeouts.keep_alive, timeouts.ping) = (seconds(50), seconds(10)));
    let mut keeps_alive = server(config, frames::settings());
    keeps_alive.handle_timeout(at(100)).unwrap();
    assert_eq!(keeps_alive.poll_timeout(), None);
    let mut shuts_down = server(only(|timeouts| timeouts.ping = seconds(10)), frames::settings());
    shuts_down.shutdown();
    for server in [&mut keeps_alive, &mut shuts_down] {
        server.handle_timeout(at(150)).unwrap();
        assert_eq!(server.poll_timeout(), None);
        drain(server);
        assert_eq!(server.poll_timeout(), Some(at(150)));
        server.handle_timeout(at(200)).unwrap();
        assert_eq!(server.poll_timeout(), Some(at(210)));
    }
    assert_ends_at(&mut keeps_alive, at(210), Timeout::Ping);
    // The final GOAWAY no longer waits for the answer.
    shuts_down.handle_timeout(at(210)).unwrap();
    assert!(shuts_down.is_finished() || !drain(&mut shuts_down).is_empty());
}

#[test]
fn a_connection_without_timeouts_never_asks_for_the_time() {
    let config = only(|_| {});
    let mut server = server(config, frames::settings().entry(setting::INITIAL_WINDOW_SIZE, 10));
    let stream = request(&mut server, 1, at(1));
    server.send_response(stream, Status::OK, [], false).unwrap();
    server.send_data(stream, &[7; 50], true).unwrap();
    server.send_settings(|settings| settings.initial_window_size = 70_000).unwrap();
    let _ = server.poll_transmit(&mut Vec::new());
    assert_eq!(server.poll_timeout(), None);
    server.shutdown();
    assert_eq!(server.poll_timeout(), None);
    server.send_reset(stream, ErrorCode::CANCEL);
    assert_eq!(server.poll_timeout(), None);
}
