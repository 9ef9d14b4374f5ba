//! RFC 9218 §2 to §7: the setting, the parameters, and PRIORITY_UPDATE.

use thalweg::{ErrorCode, Priority, SendError, Violation};
use thalweg_testkit::frames::{Frame, headers, kind, priority, priority_update, raw, setting, settings};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{GET, Opening, Scene, client, client_with, new_client, server, server_with};

fn goes_by_rfc_9218(opening: &mut Opening) {
    opening.config.enable_push = true;
    opening.peer_settings = settings().entry(setting::NO_RFC7540_PRIORITIES, 1);
}

// §2.1: the setting.

#[test]
fn s2_1_the_setting_is_1_in_the_first_settings_and_stays_so() {
    // 9218-2.1-1, 9218-2.1-3, 9218-2.1-4
    fn first(wire: &[u8]) -> Vec<(u16, u32)> {
        thalweg_testkit::frames::read_all(wire)[0].entries()
    }
    let mut wire = Vec::new();
    let _ = thalweg::Connection::<thalweg::Server>::new(thalweg::Config::default())
        .unwrap()
        .poll_transmit(&mut wire);
    assert!(first(&wire).contains(&(setting::NO_RFC7540_PRIORITIES, 1)));
    let mut wire = Vec::new();
    let _ = thalweg::Connection::<thalweg::Client>::new(thalweg::Config::default())
        .unwrap()
        .poll_transmit(&mut wire);
    assert!(first(&wire[24..]).contains(&(setting::NO_RFC7540_PRIORITIES, 1)));
    fn changed<R: thalweg::Role>(s: &mut Scene<R>) {
        let refused = s.call(|core| core.send_settings(|settings| settings.no_rfc7540_priorities = false));
        assert_eq!(refused, Err(SendError::OutOfRange));
        s.nothing();
    }
    server(changed);
    client(changed);
}

#[test]
fn s2_1_other_values_end_the_connection() {
    // 9218-2.1-2
    for value in [2, u32::MAX] {
        server(|s| {
            s.peer(settings().entry(setting::NO_RFC7540_PRIORITIES, value));
            s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::SettingsNoRfc7540Priorities, 0);
        });
        client(|s| {
            s.peer(settings().entry(setting::NO_RFC7540_PRIORITIES, value));
            s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::SettingsNoRfc7540Priorities, 0);
        });
    }
    server(|s| {
        s.peer(settings().entry(setting::NO_RFC7540_PRIORITIES, 1));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::SettingsNoRfc7540Priorities, 0);
    });
}

#[test]
fn s2_1_the_old_signals_have_no_effect() {
    // 9218-2.1-5
    server(|s| {
        s.peer(headers(1, hpack::get("/")).with_priority(0, false, 0).end_stream().end_headers());
        s.peer(headers(3, hpack::get("/")).with_priority(0, true, 255).end_stream().end_headers());
        s.peer(priority(1, 3, 0));
        assert_eq!(s.take_events().len(), 2);
        for id in [1, 3] {
            let stream = s.stream(id);
            s.respond(stream);
        }
        // As without any signal they alternate: the stream that has waited longer sends first.
        assert_eq!(order_of_service(s, &[3, 1]), [3, 1]);
    });
}

/// Sends more on the streams than the window allows, in this order, and returns the order in which
/// `poll_writable` returns them.
fn order_of_service(s: &mut Scene<thalweg::Server>, ids: &[u32]) -> Vec<u32> {
    for id in ids {
        let stream = s.stream(*id);
        s.call(|core| core.send_data(stream, &[0; 100_000], true)).unwrap();
    }
    s.frames();
    s.peer(thalweg_testkit::frames::window_update(0, 1 << 24));
    for id in ids {
        s.peer(thalweg_testkit::frames::window_update(*id, 1 << 24));
    }
    s.nothing();
    std::iter::from_fn(|| s.call(thalweg::Connection::poll_writable))
        .map(|stream| stream.id().as_u32())
        .collect()
}

// §2.1.1: what a client signals.

#[test]
fn s2_1_1_a_client_sends_none_of_the_old_signals() {
    // 9218-2.1.1-1, 9218-2.1.1-2: not before the server's SETTINGS, and not after it
    let says_nothing_old = |s: &mut Scene<thalweg::Client>| {
        let stream = s.post();
        s.call(|core| core.set_priority(stream, Priority::new(0, true))).unwrap();
        let request = thalweg::Request::get("https", "example.org", "/");
        s.call(|core| core.send_request(&request, [thalweg::Field::new(b"priority", b"u=1")], true)).unwrap();
        let frames = s.frames();
        let kinds: Vec<u8> = frames.iter().map(|frame| frame.kind).collect();
        assert_eq!(kinds, [kind::PRIORITY_UPDATE, kind::HEADERS]);
        assert!(frames.iter().all(|frame| frame.dependency.is_none()));
    };
    new_client(|s| {
        assert!(s.frames().iter().all(|frame| frame.kind != kind::PRIORITY));
        says_nothing_old(s);
    });
    client_with(goes_by_rfc_9218, says_nothing_old);
}

#[test]
fn s2_1_1_a_server_that_does_not_go_by_them_is_sent_no_updates() {
    // 9218-2.1.1-3
    client(|s| {
        let stream = s.post();
        let refused = s.call(|core| core.set_priority(stream, Priority::new(0, true)));
        assert_eq!(refused, Err(SendError::NotAllowedByPeer));
        s.nothing();
    });
    new_client(|s| {
        s.frames();
        let stream = s.post();
        assert_eq!(s.call(|core| core.set_priority(stream, Priority::new(0, true))), Ok(()), "not known yet");
        s.output(["PRIORITY_UPDATE prioritized=1 \"u=0, i\""]);
    });
}

// §4: parameters, as a server reads them from the field and from PRIORITY_UPDATE.

#[test]
fn s4_unknown_and_invalid_parameters_are_ignored() {
    // 9218-4-1, 9218-4-2, 9218-4-3, 9218-4-4, 9218-7-1
    let cases = [
        ("u=1, i", "u=1, i"),
        ("", "u=3"),
        ("u=1", "u=1"),
        ("i", "u=3, i"),
        ("i=?0", "u=3"),
        ("x=1, u=2;y=?1, z", "u=2"),
        ("u=8", "u=3"),
        ("u=-1, i", "u=3, i"),
        ("u=1.5", "u=3"),
        ("u=\"1\"", "u=3"),
        ("u=?1", "u=3"),
        ("u, i", "u=3, i"),
        ("i=1", "u=3"),
        ("i=\"yes\", u=5", "u=5"),
        ("u=1, u=2", "u=2"),
        ("no dictionary at all", "u=3"),
    ];
    server(|s| {
        s.get(1);
        for (text, meant) in cases {
            s.peer(priority_update(1, text));
            s.events([format!("PRIORITY stream=1 {meant}")]);
        }
    });
}

#[test]
fn s4_the_field_sets_the_first_priority() {
    // 9218-4-1, 9218-4-2
    server(|s| {
        for (id, value) in [(1, "u=6"), (3, "u=5, i"), (5, ""), (7, "u=9"), (9, "u=0")] {
            let block = Block::new().raw(hpack::get("/")).literal("priority", value).bytes();
            s.peer(headers(id, block).end_stream().end_headers());
            assert_eq!(s.take_events().len(), 1);
            let stream = s.stream(id);
            s.respond(stream);
        }
        assert_eq!(order_of_service(s, &[1, 3, 5, 7, 9]), [9, 5, 7, 3, 1]);
    });
}

// §7: PRIORITY_UPDATE.

#[test]
fn s7_an_update_before_the_request_is_kept() {
    // 9218-7-2
    server(|s| {
        s.peer(priority_update(3, "u=7"));
        s.peer(priority_update(3, "u=1"));
        s.nothing();
        for id in [1, 3] {
            let block = Block::new().raw(hpack::get("/")).literal("priority", "u=2").bytes();
            s.peer(headers(id, block).end_stream().end_headers());
            s.events([format!("HEADERS stream={id} request end [{GET}, priority: u=2]")]);
            let stream = s.stream(id);
            s.respond(stream);
        }
        assert_eq!(order_of_service(s, &[1, 3]), [3, 1]);
    });
}

#[test]
fn s7_1_an_update_on_a_stream_ends_the_connection() {
    // 9218-7.1-2
    server(|s| {
        s.get(1);
        s.peer(raw(kind::PRIORITY_UPDATE, 0, 1, b"\0\0\0\x01u=1"));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PriorityUpdateOnStream, 1);
    });
}

#[test]
fn s7_1_an_update_for_no_stream_ends_the_connection() {
    // 9218-7.1-8, 9218-7.1-9
    for id in [0, 2] {
        server(|s| {
            s.get(1);
            s.peer(priority_update(id, "u=1"));
            s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PriorityUpdateIdInvalid, 1);
        });
    }
    server(|s| {
        let parent = s.get(1);
        s.promise(parent);
        s.peer(priority_update(2, "u=1"));
        s.events(["PRIORITY stream=2 u=1"]);
        s.peer(priority_update(4, "u=1"));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PriorityUpdateIdInvalid, 1);
    });
}

#[test]
fn s7_1_updates_for_more_idle_streams_than_may_be_opened_end_the_connection() {
    // 9218-7.1-5
    let four_streams = |opening: &mut Opening| opening.config.concurrent_streams_max = 4;
    server_with(four_streams, |s| {
        let open = s.post(1);
        for (id, value) in [(3, "u=1"), (9, "u=2"), (5, "u=3"), (9, "u=4")] {
            s.peer(priority_update(id, value));
        }
        s.unmoved();
        // 3 is closed by 5, and 5 is idle no more.
        s.get(5);
        s.peer(priority_update(7, "u=1"));
        s.unmoved();
        // 1 and 5 are open, 7 and 9 idle.
        s.peer(priority_update(9, "u=2"));
        s.unmoved();
        s.call(|core| core.send_reset(open, ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=1 CANCEL"]);
        s.peer(priority_update(13, "u=1"));
        s.unmoved();
        s.peer(priority_update(11, "u=1"));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PriorityUpdateTooMany, 5);
    });
}

#[test]
fn s7_1_an_update_for_a_closed_stream_is_ignored() {
    // 9218-7.1-3
    server(|s| {
        let stream = s.post(1);
        s.call(|core| core.send_reset(stream, ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=1 CANCEL"]);
        s.peer(priority_update(1, "u=1"));
        s.unmoved();
    });
}

#[test]
fn s7_1_an_update_from_a_server_ends_the_connection() {
    // 9218-7.1-11
    client(|s| {
        s.get();
        s.peer(priority_update(1, "u=1"));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PriorityUpdateFromServer, 0);
    });
}

#[test]
fn s7_1_a_client_updates_streams_that_will_still_be_served() {
    // 9218-7.1-1, 9218-7.1-3, 9218-7.1-4, 9218-7.1-6, 9218-7.1-7
    client_with(goes_by_rfc_9218, |s| {
        let (open, half_closed) = (s.post(), s.get());
        let reserved = s.promised(3, 2);
        let priority = Priority::new(1, true);
        for stream in [open, half_closed, reserved] {
            assert_eq!(s.call(|core| core.set_priority(stream, priority)), Ok(()));
            let frame: &Frame = &s.frames()[0];
            assert_eq!((frame.kind, frame.stream), (kind::PRIORITY_UPDATE, 0));
            assert_eq!(frame.to_string(), format!("PRIORITY_UPDATE prioritized={stream} \"u=1, i\""));
        }
        s.peer(headers(1, hpack::response(200)).end_stream().end_headers());
        s.events(["HEADERS stream=1 response end [:status: 200]"]);
        assert_eq!(
            s.call(|core| core.set_priority(open, priority)),
            Ok(()),
            "half-closed (remote): sends nothing"
        );
        s.call(|core| core.send_reset(half_closed, ErrorCode::CANCEL));
        s.output(["RST_STREAM stream=3 CANCEL"]);
        assert_eq!(s.call(|core| core.set_priority(half_closed, priority)), Err(SendError::StreamClosed));
        s.nothing();
    });
}

#[test]
fn s7_1_a_server_changes_priorities_without_an_update() {
    // 9218-7.1-10
    server(|s| {
        let (first, second) = (s.get(1), s.get(3));
        s.respond(first);
        s.respond(second);
        s.call(|core| core.set_priority(second, Priority::new(0, false))).unwrap();
        s.nothing();
        assert_eq!(order_of_service(s, &[1, 3]), [3, 1]);
    });
}
