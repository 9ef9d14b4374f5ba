//! What the simulator and the fuzzers have found, each as the shortest script that showed it.

use thalweg_testkit::sim::{self, Change::*, End::*, Method::*, Op::*, *};

const MESSAGE: Message = Message {
    body: 0,
    chunk: 1,
    announces: false,
    trailers: false,
    padding: None,
    spliced: false,
    header_bytes: 0,
};

const EXCHANGE: Exchange = Exchange {
    method: Get,
    request: MESSAGE,
    informational: 0,
    waits: false,
    status: 200,
    response: MESSAGE,
    pushes: 0,
    pushed: MESSAGE,
};

/// Runs a script, and shows what happened if it fails.
fn run(client: Setup, server: Setup, ops: Vec<Op>) {
    if let Err(failure) = sim::run(&Script { client, server, ops }) {
        panic!("{failure}");
    }
}

/// 9113-6.9.2: credit that is too little for a WINDOW_UPDATE may be all that the peer needs once the window has shrunk.
#[test]
fn credit_that_waits_goes_out_when_the_window_shrinks() {
    let client = Setup { stream_window: 4000, ..Setup::default() };
    let server = Setup { output_bytes: 1024, ..Setup::default() };
    let response = Message { body: 6000, chunk: 6000, ..MESSAGE };
    let everything = 1 << 20;
    run(
        client,
        server,
        vec![
            Open(Exchange { response, ..EXCHANGE }),
            Turn { of: Client, bytes: 0 },
            Receive { by: Server, bytes: everything },
            Transmit { by: Server },
            Settings { by: Client, change: InitialWindow(512) },
            Turn { of: Client, bytes: everything },
            Receive { by: Server, bytes: everything },
        ],
    );
}

/// 9113-6.9.1: a window below the padding is still a window.
#[test]
fn padding_gives_way_where_the_window_is_short() {
    let client = Setup { stream_window: 5, ..Setup::default() };
    let response = Message { body: 30, chunk: 30, padding: Some(152), ..MESSAGE };
    run(client, Setup::default(), vec![Open(Exchange { response, ..EXCHANGE })]);
}

/// 9113-5.1.2: the limit that is enforced on pushes is the limit that was announced, when pushes are allowed late, too.
#[test]
fn pushes_that_are_allowed_late_are_limited_as_announced() {
    let client = Setup { streams: 2, ..Setup::default() };
    let pushed = Message { body: 61_000, chunk: 1000, ..MESSAGE };
    let ops = vec![
        Settings { by: Client, change: Push(true) },
        Settings { by: Client, change: InitialWindow(512) },
        Open(Exchange { pushes: 3, pushed, ..EXCHANGE }),
    ];
    run(client, Setup::default(), ops);
}

/// What an application answers is not what its peer provokes: long response headers in one turn accuse nobody.
#[test]
fn the_peer_is_not_accused_of_what_the_application_sends() {
    let server = Setup { output_bytes: 1024, ..Setup::default() };
    let response = Message { header_bytes: 3000, ..MESSAGE };
    let request = Message { body: 15, chunk: 15, ..MESSAGE };
    let exchange = Exchange { method: Post, request, waits: true, response, ..EXCHANGE };
    run(Setup::default(), server, vec![Open(exchange), Open(exchange), Open(exchange)]);
}
