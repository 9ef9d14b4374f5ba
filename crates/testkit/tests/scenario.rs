//! A scenario fails for each kind of unexpected behaviour.

use thalweg::{ErrorCode, Violation};
use thalweg_testkit::frames::{data, ping, rst_stream, window_update};
use thalweg_testkit::scenario::{client, server};

#[test]
fn pieces_of_content_are_joined_at_every_cut() {
    server(|s| {
        s.post(1);
        s.peer(data(1, "one "));
        s.peer(data(1, "piece").end_stream());
        s.events(["DATA stream=1 \"one piece\" end"]);
    });
}

#[test]
#[should_panic(expected = "PING ACK unseen !")]
fn unchecked_output_fails() {
    server(|s| s.peer(ping(*b"unseen !")));
}

#[test]
#[should_panic(expected = "RESET stream=1 CANCEL by the peer")]
fn an_unchecked_event_fails() {
    client(|s| {
        s.get();
        s.peer(rst_stream(1, ErrorCode::CANCEL));
    });
}

#[test]
#[should_panic(expected = "WINDOW_UPDATE of 0")]
fn an_unchecked_error_fails() {
    server(|s| s.peer(window_update(0, 0)));
}

#[test]
#[should_panic(expected = "GOAWAY last=1 PROTOCOL_ERROR")]
fn a_wrong_last_stream_fails() {
    server(|s| {
        s.get(1);
        s.peer(window_update(0, 0));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::WindowUpdateZeroOnConnection, 3);
    });
}

#[test]
#[should_panic(expected = "went another way than the whole")]
fn a_run_that_goes_another_way_fails() {
    let runs = std::cell::Cell::new(0);
    server(|s| {
        runs.set(runs.get() + 1);
        s.peer(ping([runs.get(); 8]));
        s.take_output();
    });
}
