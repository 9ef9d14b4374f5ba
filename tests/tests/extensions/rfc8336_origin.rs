//! RFC 8336: the ORIGIN frame.

use thalweg::SendError;
use thalweg_testkit::frames::{Frame, origin, raw};
use thalweg_testkit::scenario::{Opening, client, client_with, server};

fn over_tls(opening: &mut Opening) {
    opening.config.over_tls = true;
}

fn two_origins() -> Frame {
    origin(["https://example.org", "https://example.com:8443"])
}

#[test]
fn s2_2_a_client_is_shown_the_origins() {
    // 8336-2.2-7
    client_with(over_tls, |s| {
        s.peer(two_origins());
        s.events(["ORIGIN \"https://example.org\" \"https://example.com:8443\""]);
        s.peer(raw(0xc, 0, 0, []));
        s.events(["ORIGIN "]);
    });
}

#[test]
fn s2_2_on_a_stream_it_is_ignored() {
    // 8336-2.2-2
    client_with(over_tls, |s| {
        s.get();
        s.peer(raw(0xc, 0, 1, two_origins().body));
        s.unmoved();
    });
}

#[test]
fn s2_2_on_a_cleartext_connection_it_is_ignored() {
    // 8336-2.2-3
    client(|s| {
        s.peer(two_origins());
        s.unmoved();
    });
}

#[test]
fn s2_2_with_a_flag_that_could_mean_something_it_is_ignored() {
    // 8336-2.2-4
    client_with(over_tls, |s| {
        for flag in [0x1, 0x2, 0x4, 0x8] {
            s.peer(two_origins().flags(flag));
            s.peer(two_origins().flags(flag | 0xf0));
        }
        s.unmoved();
        for flag in [0x10, 0x20, 0x40, 0x80] {
            s.peer(two_origins().flags(flag));
            assert_eq!(s.take_events().len(), 1);
        }
    });
}

#[test]
fn s2_2_entries_that_are_no_origin_are_ignored() {
    // 8336-2.2-7, 8336-2.2-8
    let bad = [
        "",
        "null",
        "example.org",
        "https:example.org",
        "https://",
        "://example.org",
        "1://example.org",
        "https://example.org/",
        "https://example.org?x",
        "https://user@example.org",
        "https://ex ample.org",
        "https://ex\u{e4}mple.org",
    ];
    client_with(over_tls, |s| {
        for text in bad {
            s.peer(origin([text, "https://example.org", text]));
            s.events(["ORIGIN \"https://example.org\""]);
        }
        // An entry that is longer than the frame ends the list.
        let mut cut = two_origins();
        cut.body.pop();
        s.peer(cut);
        s.events(["ORIGIN \"https://example.org\""]);
    });
}

#[test]
fn s2_2_a_server_ignores_it_and_sends_it_on_the_connection() {
    // 8336-2.2-1, 8336-2.2-2
    server(|s| {
        s.peer(two_origins());
        s.unmoved();
        assert_eq!(s.call(|core| core.send_origins(&[b"https://example.org"])), Ok(()));
        s.output(["ORIGIN \"\\x00\\x13https://example.org\""]);
        let long = [b'a'; 16_383];
        assert_eq!(s.call(|core| core.send_origins(&[&long])), Err(SendError::OutOfRange));
        s.nothing();
    });
}
