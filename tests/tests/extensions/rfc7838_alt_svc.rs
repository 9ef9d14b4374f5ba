//! RFC 7838 §4: the ALTSVC frame.

use thalweg::SendError;
use thalweg_testkit::frames::altsvc;
use thalweg_testkit::scenario::{client, server};

#[test]
fn s4_alternative_services_are_shown_to_a_client() {
    // 7838-4-3, 7838-4-4
    client(|s| {
        s.get();
        s.peer(altsvc(0, "https://example.org", "h2=\":8000\""));
        s.peer(altsvc(1, "", "clear"));
        s.events([
            "ALTSVC stream=0 \"https://example.org\" \"h2=\\\":8000\\\"\"",
            "ALTSVC stream=1 \"\" \"clear\"",
        ]);
    });
}

#[test]
fn s4_without_an_origin_on_the_connection_it_is_ignored() {
    // 7838-4-3
    client(|s| {
        s.peer(altsvc(0, "", "clear"));
        s.unmoved();
    });
}

#[test]
fn s4_with_an_origin_on_a_stream_it_is_ignored() {
    // 7838-4-4
    client(|s| {
        s.get();
        s.peer(altsvc(1, "https://example.org", "clear"));
        s.unmoved();
    });
}

#[test]
fn s4_from_a_client_it_is_ignored() {
    // 7838-4-2
    server(|s| {
        s.get(1);
        s.peer(altsvc(0, "https://example.org", "clear"));
        s.peer(altsvc(1, "", "clear"));
        s.unmoved();
    });
}

/// A frame that is shorter than its fields, or on a closed stream, is ignored.
#[test]
fn s4_what_makes_no_sense_is_ignored() {
    // 7838-4-3
    client(|s| {
        for payload in [&b""[..], b"\0", b"\0\x05http"] {
            s.peer(thalweg_testkit::frames::raw(0xa, 0, 0, payload));
        }
        s.peer(altsvc(7, "", "clear"));
        s.unmoved();
    });
}

#[test]
fn s4_what_would_be_ignored_is_not_sent() {
    // 7838-4-3, 7838-4-4
    server(|s| {
        let stream = s.get(1);
        let mut send = |on, origin: &[u8]| s.call(|core| core.send_alt_svc(on, origin, b"clear"));
        assert_eq!(send(None, b""), Err(SendError::OutOfRange));
        assert_eq!(send(Some(stream), b"https://example.org"), Err(SendError::OutOfRange));
        assert_eq!(send(None, b"https://example.org"), Ok(()));
        assert_eq!(send(Some(stream), b""), Ok(()));
        s.output(["ALTSVC \"\\x00\\x13https://example.orgclear\"", "ALTSVC stream=1 \"\\x00\\x00clear\""]);
    });
}
