//! RFC 9113 §5.1: every state of a stream with every frame, inbound and outbound, for both roles.
//!
//! The stream under test is `STREAM`, or `PROMISED` where a promise made it. A state is reached
//! only by frames and calls, and each pair is a scenario of its own.

use thalweg::frame::{Flags, FrameType};
use thalweg::{Client, ErrorCode, Field, Request, Role, SendError, Server, Status, StreamKey};
use thalweg_testkit::frames::{
    Frame, continuation, data, headers, priority, push_promise, raw, rst_stream, window_update,
};
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::{Opening, Scene, client_with, server};

const PARENT: u32 = 3;
const STREAM: u32 = 5;
const IDLE: u32 = STREAM + 2;
const PROMISED: u32 = 2;

// The effect of a frame.
const TAKEN: &str = "taken";
const IGNORED: &str = "ignored";
const ENDS: &str = "ends the stream";
const CLOSED: &str = "stream error STREAM_CLOSED";
const MALFORMED: &str = "stream error PROTOCOL_ERROR";
const FATAL: &str = "connection error PROTOCOL_ERROR";
const FATAL_CLOSED: &str = "connection error STREAM_CLOSED";
const REFUSED: &str = "the promise is refused";

/// Returns the frames of the table's columns, on a stream. HEADERS end the stream: a response to a
/// client; a request on an idle stream, and trailers on others, to a server.
fn columns(stream: u32, to_client: bool) -> [Frame; 8] {
    let block = match stream {
        _ if to_client => hpack::response(200),
        IDLE => hpack::get("/"),
        _ => hpack::block(&[("x-sum", "1")]),
    };
    [
        data(stream, "x"),
        headers(stream, block).end_stream().end_headers(),
        priority(stream, 1, 15),
        rst_stream(stream, ErrorCode::CANCEL),
        window_update(stream, 1),
        push_promise(stream, 12, hpack::get("/")).end_headers(),
        continuation(stream, []).end_headers(),
        raw(0xf0, 0xff, stream, "?"),
    ]
}

/// Describes the effect of the peer's last frame.
fn outcome<R: Role>(s: &mut Scene<R>) -> String {
    let (events, output) = (s.take_events(), s.take_output());
    let word = |line: &str, index| line.split([' ', ':']).nth(index).unwrap_or_default().to_owned();
    match (&events[..], &output[..]) {
        ([], []) => IGNORED.to_owned(),
        ([event], [_]) if event.starts_with("ERROR") => format!("connection error {}", word(event, 1)),
        ([event], []) if event.ends_with("by the peer") => ENDS.to_owned(),
        ([_], []) => TAKEN.to_owned(),
        ([] | [_], [reset]) if reset == "RST_STREAM stream=12 CANCEL" => REFUSED.to_owned(),
        ([] | [_], [reset]) if reset.starts_with("RST_STREAM") => format!("stream error {}", word(reset, 2)),
        other => panic!("{other:?}"),
    }
}

/// A state by its name, the stream in it, and what each frame of [`columns`] does in it.
type Row<R> = (&'static str, u32, fn(&mut Scene<R>), [&'static str; 8]);

fn respond_and_end(s: &mut Scene<Server>, stream: StreamKey) {
    assert_eq!(s.call(|core| core.send_response(stream, Status::OK, [], true)), Ok(()));
    s.output([format!("HEADERS stream={stream} end [:status: 200]")]);
}

fn reset<R: Role>(s: &mut Scene<R>, stream: StreamKey) {
    s.call(|core| core.send_reset(stream, ErrorCode::CANCEL));
    s.output([format!("RST_STREAM stream={stream} CANCEL")]);
}

fn peer_resets<R: Role>(s: &mut Scene<R>, stream: StreamKey) {
    s.peer(rst_stream(stream.id().as_u32(), ErrorCode::CANCEL));
    s.events([format!("RESET stream={stream} CANCEL by the peer")]);
}

#[rustfmt::skip]
const SERVER: [Row<Server>; 11] = [
    //                                                                            DATA     HEADERS       PRIORITY RST_STREAM WINDOW_UPDATE PUSH_PROMISE CONTINUATION unknown
    ("idle", IDLE,                           |s| { s.get(STREAM); },              [FATAL,  TAKEN,        IGNORED, FATAL,     FATAL,        FATAL,       FATAL,       IGNORED]),
    ("idle, of the server", PROMISED,        |_| {},                              [FATAL,  FATAL,        IGNORED, FATAL,     FATAL,        FATAL,       FATAL,       IGNORED]),
    ("passed over", STREAM - 2,              |s| { s.get(STREAM); },              [CLOSED, FATAL,        IGNORED, IGNORED,   IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("open", STREAM,                         |s| { s.post(STREAM); },             [TAKEN,  TAKEN,        IGNORED, ENDS,      IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("half-closed (remote)", STREAM,         |s| { s.get(STREAM); },              [CLOSED, CLOSED,       IGNORED, ENDS,      IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("half-closed (local)", STREAM,          |s| { let t = s.post(STREAM); respond_and_end(s, t); },
                                                                                  [TAKEN,  TAKEN,        IGNORED, ENDS,      IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("reserved (local)", PROMISED,           |s| { let t = s.get(PARENT); s.promise(t); },
                                                                                  [FATAL,  FATAL,        IGNORED, ENDS,      IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("promised, half-closed (remote)", PROMISED, |s| { let t = s.get(PARENT); let p = s.promise(t); s.respond(p); },
                                                                                  [CLOSED, CLOSED,       IGNORED, ENDS,      IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("closed, by both ends", STREAM,         |s| { let t = s.get(STREAM); respond_and_end(s, t); },
                                                                                  [CLOSED, FATAL_CLOSED, IGNORED, IGNORED,   IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("closed, by our reset", STREAM,         |s| { let t = s.post(STREAM); reset(s, t); },
                                                                                  [IGNORED, IGNORED,     IGNORED, IGNORED,   IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("closed, by their reset", STREAM,       |s| { let t = s.post(STREAM); peer_resets(s, t); },
                                                                                  [CLOSED, CLOSED,       IGNORED, IGNORED,   IGNORED,      FATAL,       FATAL,       IGNORED]),
];

/// The client's requests are 1, 3 (the parent), and 5.
fn requests(s: &mut Scene<Client>) -> StreamKey {
    s.get();
    s.get();
    s.post()
}

#[rustfmt::skip]
const CLIENT: [Row<Client>; 12] = [
    //                                                                            DATA       HEADERS       PRIORITY RST_STREAM WINDOW_UPDATE PUSH_PROMISE CONTINUATION unknown
    ("idle", IDLE,                           |s| { requests(s); },                [FATAL,    FATAL,        IGNORED, FATAL,     FATAL,        FATAL,       FATAL,       IGNORED]),
    ("idle, of the server", PROMISED,        |s| { requests(s); },                [FATAL,    FATAL,        IGNORED, FATAL,     FATAL,        FATAL,       FATAL,       IGNORED]),
    ("open, before the response", STREAM,    |s| { requests(s); },                [MALFORMED, TAKEN,       IGNORED, ENDS,      IGNORED,      TAKEN,       FATAL,       IGNORED]),
    ("half-closed (remote)", STREAM,         |s| { requests(s); end(s, STREAM); },
                                                                                  [CLOSED,   CLOSED,       IGNORED, ENDS,      IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("half-closed (local)", PARENT,          |s| { requests(s); },                [MALFORMED, TAKEN,       IGNORED, ENDS,      IGNORED,      TAKEN,       FATAL,       IGNORED]),
    ("half-closed (local), in content", PARENT, |s| { requests(s); s.response(PARENT); },
                                                                                  [TAKEN,    MALFORMED,    IGNORED, ENDS,      IGNORED,      TAKEN,       FATAL,       IGNORED]),
    ("reserved (remote)", PROMISED,          |s| { requests(s); s.promised(PARENT, PROMISED); },
                                                                                  [FATAL,    TAKEN,        IGNORED, ENDS,      FATAL,        FATAL,       FATAL,       IGNORED]),
    ("promised, half-closed (local)", PROMISED, |s| { requests(s); s.promised(PARENT, PROMISED); s.response(PROMISED); },
                                                                                  [TAKEN,    MALFORMED,    IGNORED, ENDS,      IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("closed, by both ends", PARENT,         |s| { requests(s); end(s, PARENT); },
                                                                                  [CLOSED,   FATAL_CLOSED, IGNORED, IGNORED,   IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("closed, by our reset", STREAM,         |s| { let t = requests(s); reset(s, t); },
                                                                                  [IGNORED,  IGNORED,      IGNORED, IGNORED,   IGNORED,      REFUSED,     FATAL,       IGNORED]),
    ("promised, closed, by our reset", PROMISED, |s| { requests(s); let t = s.promised(PARENT, PROMISED); reset(s, t); },
                                                                                  [IGNORED,  IGNORED,      IGNORED, IGNORED,   IGNORED,      FATAL,       FATAL,       IGNORED]),
    ("closed, by their reset", STREAM,       |s| { let t = requests(s); peer_resets(s, t); },
                                                                                  [CLOSED,   CLOSED,       IGNORED, IGNORED,   IGNORED,      FATAL,       FATAL,       IGNORED]),
];

fn end(s: &mut Scene<Client>, id: u32) {
    s.peer(headers(id, hpack::response(200)).end_stream().end_headers());
    s.events([format!("HEADERS stream={id} response end [:status: 200]")]);
}

fn with_push(opening: &mut Opening) {
    opening.config.enable_push = true;
}

/// Compares the effect of each frame with the table, and lists the differences.
fn compare(differences: &[String]) {
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn s5_1_a_server_receives_every_frame_in_every_state() {
    // 9113-5.1-1, 9113-5.1-3, 9113-5.1-5, 9113-5.1-9, 9113-5.1-10, 9113-5.1-12, 9113-5.1-13,
    // 9113-5.1-18, 9113-5.1-19 9113-6.1-7, 9113-6.3-2, 9113-6.4-6, 9113-6.9-4, 9113-6.9-5
    let mut differences = std::collections::BTreeSet::new();
    for (state, stream, reach, expected) in SERVER {
        for (frame, expected) in columns(stream, false).into_iter().zip(expected) {
            let seen = std::cell::RefCell::new(String::new());
            server(|s| {
                reach(s);
                s.peer(frame.clone());
                *seen.borrow_mut() = outcome(s);
            });
            let seen = seen.into_inner();
            if seen != expected {
                differences.insert(format!("{state}, {frame}: {seen}, not {expected}"));
            }
        }
    }
    compare(&differences.into_iter().collect::<Vec<_>>());
}

#[test]
fn s5_1_a_client_receives_every_frame_in_every_state() {
    // 9113-5.1-1, 9113-5.1-2, 9113-5.1-7, 9113-5.1-9, 9113-5.1-10, 9113-5.1-12, 9113-5.1-13,
    // 9113-5.1-18, 9113-5.1-19 9113-6.1-7, 9113-6.3-2, 9113-6.4-6, 9113-6.6-13, 9113-6.9-4,
    // 9113-6.9-5
    let mut differences = std::collections::BTreeSet::new();
    for (state, stream, reach, expected) in CLIENT {
        for (frame, expected) in columns(stream, true).into_iter().zip(expected) {
            let seen = std::cell::RefCell::new(String::new());
            client_with(with_push, |s| {
                reach(s);
                s.peer(frame.clone());
                *seen.borrow_mut() = outcome(s);
            });
            let seen = seen.into_inner();
            if seen != expected {
                differences.insert(format!("{state}, {frame}: {seen}, not {expected}"));
            }
        }
    }
    compare(&differences.into_iter().collect::<Vec<_>>());
}

// Rules that bind our output.

const GONE: &str = "StreamClosed";
const ENDED: &str = "AlreadyEnded";
const SENT: &str = "HeadersSent";
const NOT_SENT: &str = "HeadersNotSent";

/// Returns the result of a call: the frames that it sent, or its error; an error sends nothing.
fn sent<R: Role>(s: &mut Scene<R>, result: Result<(), SendError>) -> String {
    let output: Vec<String> =
        s.take_output().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    match result {
        Err(refusal) => {
            assert!(output.is_empty(), "{refusal:?} and {output:?}");
            format!("{refusal:?}")
        }
        Ok(()) => output.join(" "),
    }
}

fn push(core: &mut thalweg::Connection<Server>, parent: StreamKey) -> Result<(), SendError> {
    match core.send_push(parent, &Request::get("https", "example.org", "/pushed"), []) {
        Ok(_) => Ok(()),
        Err(thalweg::OpenError::Send(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    }
}

type Call<R> = fn(&mut Scene<R>, StreamKey) -> Result<(), SendError>;

/// Returns each call that sends on a stream, in the order of the tables' columns.
fn server_calls() -> [Call<Server>; 9] {
    [
        |s, t| s.call(|core| core.send_informational(t, Status::EARLY_HINTS, [])),
        |s, t| s.call(|core| core.send_response(t, Status::OK, [], false)),
        |s, t| s.call(|core| core.send_data(t, b"x", false)).map(|_| ()),
        |s, t| s.call(|core| core.splice_data(t, 0, true)).map(|_| ()),
        |s, t| s.call(|core| core.send_trailers(t, [Field::new(b"x-sum", b"1")])),
        |s, t| s.call(|core| push(core, t)),
        |s, t| s.call(|core| core.send_alt_svc(Some(t), b"", b"clear")),
        |s, t| s.call(|core| core.send_extension(FrameType(0xf0), Flags(0), Some(t), b"?")),
        |s, t| {
            s.call(|core| core.send_reset(t, ErrorCode::CANCEL));
            Ok(())
        },
    ]
}

type SendRow<R, const N: usize> = (&'static str, fn(&mut Scene<R>) -> StreamKey, [&'static str; N]);

#[rustfmt::skip]
const SERVER_SENDS: [SendRow<Server, 9>; 8] = [
    //                                                          informational response   DATA      spliced   trailers  push            ALTSVC    extension reset
    ("open", |s| s.post(STREAM),                                ["HEADERS",   "HEADERS", NOT_SENT, NOT_SENT, NOT_SENT, "PUSH_PROMISE", "ALTSVC", "TYPE",   "RST_STREAM"]),
    ("open, in content", |s| { let t = s.post(STREAM); s.respond(t); t },
                                                                [SENT,        SENT,      "DATA",   "DATA",   "HEADERS", "PUSH_PROMISE", "ALTSVC", "TYPE",  "RST_STREAM"]),
    ("half-closed (remote)", |s| s.get(STREAM),                 ["HEADERS",   "HEADERS", NOT_SENT, NOT_SENT, NOT_SENT, "PUSH_PROMISE", "ALTSVC", "TYPE",   "RST_STREAM"]),
    ("half-closed (local)", |s| { let t = s.post(STREAM); respond_and_end(s, t); t },
                                                                [ENDED,       ENDED,     ENDED,    ENDED,    ENDED,    ENDED,          ENDED,    ENDED,    "RST_STREAM"]),
    ("reserved (local)", |s| { let t = s.get(PARENT); s.promise(t) },
                                                                ["HEADERS",   "HEADERS", NOT_SENT, NOT_SENT, NOT_SENT, ENDED,          NOT_SENT, NOT_SENT, "RST_STREAM"]),
    ("closed, by both ends", |s| { let t = s.get(STREAM); respond_and_end(s, t); t },
                                                                [GONE,        GONE,      GONE,     GONE,     GONE,     GONE,           GONE,     GONE,     ""]),
    ("closed, by our reset", |s| { let t = s.get(STREAM); reset(s, t); t },
                                                                [GONE,        GONE,      GONE,     GONE,     GONE,     GONE,           GONE,     GONE,     ""]),
    ("closed, by their reset", |s| { let t = s.get(STREAM); peer_resets(s, t); t },
                                                                [GONE,        GONE,      GONE,     GONE,     GONE,     GONE,           GONE,     GONE,     ""]),
];

#[test]
fn s5_1_a_server_sends_what_each_state_allows() {
    // 9113-5.1-4, 9113-5.1-8, 9113-5.1-11, 9113-5.4.2-3, 9113-6.1-4, 9113-6.4-1, 9113-6.6-10,
    // 9113-8.4.1-7
    for (state, reach, expected) in SERVER_SENDS {
        for (column, (call, expected)) in server_calls().into_iter().zip(expected).enumerate() {
            server(|s| {
                let stream = reach(s);
                let result = call(s, stream);
                assert_eq!(sent(s, result), expected, "{state}, call {column}");
            });
        }
    }
}

fn client_calls() -> [Call<Client>; 5] {
    [
        |s, t| s.call(|core| core.send_data(t, b"x", false)).map(|_| ()),
        |s, t| s.call(|core| core.splice_data(t, 0, true)).map(|_| ()),
        |s, t| s.call(|core| core.send_trailers(t, [Field::new(b"x-sum", b"1")])),
        |s, t| s.call(|core| core.send_extension(FrameType(0xf0), Flags(0), Some(t), b"?")),
        |s, t| {
            s.call(|core| core.send_reset(t, ErrorCode::CANCEL));
            Ok(())
        },
    ]
}

#[rustfmt::skip]
const CLIENT_SENDS: [SendRow<Client, 5>; 8] = [
    //                                                          DATA    spliced trailers   extension reset
    ("open", requests,                                          ["DATA", "DATA", "HEADERS", "TYPE",  "RST_STREAM"]),
    ("half-closed (remote)", |s| { let t = requests(s); end(s, STREAM); t },
                                                                ["DATA", "DATA", "HEADERS", "TYPE",  "RST_STREAM"]),
    ("half-closed (local)", |s| s.get(),                        [ENDED,  ENDED,  ENDED,     ENDED,   "RST_STREAM"]),
    ("reserved (remote)", |s| { requests(s); s.promised(PARENT, PROMISED) },
                                                                [ENDED,  ENDED,  ENDED,     ENDED,   "RST_STREAM"]),
    ("promised, half-closed (local)", |s| { requests(s); let t = s.promised(PARENT, PROMISED); s.response(PROMISED); t },
                                                                [ENDED,  ENDED,  ENDED,     ENDED,   "RST_STREAM"]),
    ("closed, by both ends", |s| { let t = s.get(); end(s, 1); t },
                                                                [GONE,   GONE,   GONE,      GONE,    ""]),
    ("closed, by our reset", |s| { let t = requests(s); reset(s, t); t },
                                                                [GONE,   GONE,   GONE,      GONE,    ""]),
    ("closed, by their reset", |s| { let t = requests(s); peer_resets(s, t); t },
                                                                [GONE,   GONE,   GONE,      GONE,    ""]),
];

#[test]
fn s5_1_a_client_sends_what_each_state_allows() {
    // 9113-5.1-6, 9113-5.1-8, 9113-5.1-11, 9113-5.4.2-3, 9113-6.1-4, 9113-6.4-1
    for (state, reach, expected) in CLIENT_SENDS {
        for (column, (call, expected)) in client_calls().into_iter().zip(expected).enumerate() {
            client_with(with_push, |s| {
                let stream = reach(s);
                let result = call(s, stream);
                assert_eq!(sent(s, result), expected, "{state}, call {column}");
            });
        }
    }
}
