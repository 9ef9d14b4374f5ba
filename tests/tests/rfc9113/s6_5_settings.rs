//! RFC 9113 §6.5: SETTINGS, their values, and their acknowledgement.

use std::time::Duration;

use thalweg::{
    CloseCause, Config, Connection, ErrorCode, Field, SendError, Server, Status, Timeout, Violation,
};
use thalweg_testkit::frames::{
    data, flag, headers, kind, ping, preface, push_promise, raw, setting, settings, settings_ack,
};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{
    GET, Opening, client, client_with, new_client, new_server, server, server_with,
};

#[test]
fn s6_5_every_setting_is_announced_that_differs_from_its_default() {
    // 9113-6.5-1, 9113-6.5-2, 9113-6.5-6
    let mut config = Config::default();
    config.header_table_bytes_max = 1;
    config.concurrent_streams_max = 3;
    config.stream_window_bytes = 4;
    config.frame_bytes_max = 16_385;
    config.header_list_bytes_max = 1006;
    config.enable_connect_protocol = true;
    let mut wire = Vec::new();
    let _ = Connection::<Server>::new(config).unwrap().poll_transmit(&mut wire);
    let first = &thalweg_testkit::frames::read_all(&wire)[0];
    assert_eq!(
        first.to_string(),
        "SETTINGS HEADER_TABLE_SIZE=1 MAX_CONCURRENT_STREAMS=3 INITIAL_WINDOW_SIZE=4 MAX_FRAME_SIZE=16385 \
         MAX_HEADER_LIST_SIZE=1006 ENABLE_CONNECT_PROTOCOL=1 NO_RFC7540_PRIORITIES=1"
    );
}

#[test]
fn s6_5_every_setting_of_the_peer_has_its_effect() {
    // 9113-6.5-2, 9113-6.5.3-1
    let all = settings()
        .entry(setting::HEADER_TABLE_SIZE, 0)
        .entry(setting::ENABLE_PUSH, 0)
        .entry(setting::MAX_CONCURRENT_STREAMS, 3)
        .entry(setting::INITIAL_WINDOW_SIZE, 4)
        .entry(setting::MAX_FRAME_SIZE, 20_000)
        .entry(setting::MAX_HEADER_LIST_SIZE, 100);
    server(|s| {
        s.peer_settings(all.clone());
        let remote = *s.core().remote_settings();
        assert_eq!((remote.header_table_size, remote.enable_push), (0, false));
        assert_eq!((remote.max_concurrent_streams, remote.initial_window_size), (3, 4));
        assert_eq!((remote.max_frame_size, remote.max_header_list_size), (20_000, 100));
        let stream = s.get(1);
        assert_eq!(s.core().send_capacity(stream).map(|c| (c.stream, c.connection)), Some((4, 65_535)));
        let too_large = Field::new(b"x-large", &[b'a'; 20]);
        let refused = s.call(|core| core.send_response(stream, Status::OK, [too_large], true));
        // 32 + 7 + 3 for the status, 32 + 7 + 20 for the field.
        assert_eq!(refused, Err(SendError::HeaderListTooLarge { bytes: 101, limit: 100 }));
        s.nothing();
        let large = Field::new(b"x-large", &[b'a'; 19]);
        assert_eq!(s.call(|core| core.send_response(stream, Status::OK, [large], true)), Ok(()));
        s.frames();
    });
}

#[test]
fn s6_5_the_last_of_several_values_holds() {
    // 9113-6.5-3, 9113-6.5.3-2
    server(|s| {
        s.peer_settings(
            settings()
                .entry(setting::INITIAL_WINDOW_SIZE, 5)
                .entry(setting::ENABLE_PUSH, 0)
                .entry(setting::INITIAL_WINDOW_SIZE, 7)
                .entry(setting::ENABLE_PUSH, 1),
        );
        let stream = s.get(1);
        assert_eq!(s.core().send_capacity(stream).map(|c| (c.stream, c.connection)), Some((7, 65_535)));
        s.promise(stream);
    });
}

#[test]
fn s6_5_an_acknowledgement_is_empty() {
    // 9113-6.5-4, 9113-6.5.3-4
    server(|s| {
        s.peer(settings().entry(setting::ENABLE_PUSH, 0));
        s.peer(settings());
        s.peer(ping(*b"afterwrd"));
        s.events(["SETTINGS ENABLE_PUSH=0", "SETTINGS"]);
        let frames = s.frames();
        let shapes: Vec<_> = frames.iter().map(|frame| (frame.kind, frame.flags, frame.stream)).collect();
        let ack = (kind::SETTINGS, flag::ACK, 0);
        assert_eq!(shapes, [ack, ack, (kind::PING, flag::ACK, 0)]);
        assert!(frames[0].body.is_empty() && frames[1].body.is_empty());
    });
}

#[test]
fn s6_5_an_acknowledgement_with_a_payload_ends_the_connection() {
    // 9113-6.5-5
    for len in [1, 6] {
        server(|s| {
            s.peer(raw(kind::SETTINGS, flag::ACK, 0, vec![0; len]));
            s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::SettingsAckLength, 0);
        });
    }
}

#[test]
fn s6_5_settings_of_a_wrong_length_end_the_connection() {
    // 9113-6.5-9
    for len in [1, 5, 7, 17] {
        client(|s| {
            s.peer(raw(kind::SETTINGS, 0, 0, vec![0; len]));
            s.connection_error(ErrorCode::FRAME_SIZE_ERROR, Violation::SettingsLength, 0);
        });
    }
}

// §6.5.2: the values.

#[test]
fn s6_5_2_values_outside_their_range_end_the_connection() {
    // 9113-6.5-8, 9113-6.5.2-3, 9113-6.5.2-9, 9113-6.5.2-11, 9113-6.5.2-12
    let cases = [
        (setting::ENABLE_PUSH, 2, Violation::SettingsEnablePush, ErrorCode::PROTOCOL_ERROR),
        (setting::ENABLE_PUSH, u32::MAX, Violation::SettingsEnablePush, ErrorCode::PROTOCOL_ERROR),
        (
            setting::INITIAL_WINDOW_SIZE,
            1 << 31,
            Violation::SettingsInitialWindowSize,
            ErrorCode::FLOW_CONTROL_ERROR,
        ),
        (setting::MAX_FRAME_SIZE, 16_383, Violation::SettingsMaxFrameSize, ErrorCode::PROTOCOL_ERROR),
        (setting::MAX_FRAME_SIZE, 0, Violation::SettingsMaxFrameSize, ErrorCode::PROTOCOL_ERROR),
        (setting::MAX_FRAME_SIZE, 1 << 24, Violation::SettingsMaxFrameSize, ErrorCode::PROTOCOL_ERROR),
    ];
    for (id, value, violation, code) in cases {
        server(|s| {
            s.peer(settings().entry(id, value));
            s.connection_error(code, violation, 0);
        });
        client(|s| {
            s.peer(settings().entry(id, value));
            s.connection_error(code, violation, 0);
        });
    }
}

#[test]
fn s6_5_2_values_at_the_ends_of_their_range_are_taken() {
    // 9113-6.5.2-9, 9113-6.5.2-11, 9113-6.5.2-12, 9113-6.5.2-3
    server(|s| {
        for (id, value) in [
            (setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff),
            (setting::INITIAL_WINDOW_SIZE, 0),
            (setting::MAX_FRAME_SIZE, 0x00ff_ffff),
            (setting::MAX_FRAME_SIZE, 16_384),
            (setting::ENABLE_PUSH, 0),
            (setting::ENABLE_PUSH, 1),
            (setting::HEADER_TABLE_SIZE, u32::MAX),
            (setting::MAX_CONCURRENT_STREAMS, u32::MAX),
            (setting::MAX_HEADER_LIST_SIZE, u32::MAX),
        ] {
            s.peer_settings(settings().entry(id, value));
        }
    });
}

#[test]
fn s6_5_2_a_server_sends_no_enable_push_and_a_client_0_or_1() {
    // 9113-6.5.2-4, 9113-6.5.2-5
    for (enable_push, announced) in [(false, Some(0)), (true, None)] {
        let mut config = Config::default();
        config.enable_push = enable_push;
        let push = |wire: &[u8]| {
            let entries = thalweg_testkit::frames::read_all(wire)[0].entries();
            entries.into_iter().find(|(id, _)| *id == setting::ENABLE_PUSH).map(|(_, value)| value)
        };
        let mut wire = Vec::new();
        let _ = Connection::<Server>::new(config).unwrap().poll_transmit(&mut wire);
        assert_eq!(push(&wire), None, "1 is the default");
        let mut wire = Vec::new();
        let _ = Connection::<thalweg::Client>::new(config).unwrap().poll_transmit(&mut wire);
        assert_eq!(push(thalweg_testkit::frames::after_preface(&wire)), announced);
    }
    server(|s| {
        let refused = s.call(|core| core.send_settings(|settings| settings.enable_push ^= true));
        assert_eq!(refused, Err(SendError::OutOfRange));
        s.nothing();
    });
}

#[test]
fn s6_5_2_send_settings_has_the_ranges_of_the_configuration() {
    type Set = (fn(&mut Config, u32), fn(&mut thalweg::Settings, u32), [(u32, bool); 4]);
    let cases: [Set; 4] = [
        (
            |config, value| *config = config.header_table_bytes_max(value),
            |settings, value| settings.header_table_size = value,
            [(0, true), (1, true), (1 << 20, true), ((1 << 20) + 1, false)],
        ),
        (
            |config, value| *config = config.stream_window(value),
            |settings, value| settings.initial_window_size = value,
            [(0, true), (1, true), ((1 << 31) - 1, true), (1 << 31, false)],
        ),
        (
            |config, value| *config = config.frame_bytes_max(value),
            |settings, value| settings.max_frame_size = value,
            [(16_383, false), (16_384, true), ((1 << 24) - 1, true), (1 << 24, false)],
        ),
        (
            |config, value| *config = config.header_list_bytes_max(value),
            |settings, value| settings.max_header_list_size = value,
            [(255, false), (256, true), (16 << 20, true), ((16 << 20) + 1, false)],
        ),
    ];
    for (configure, change, values) in cases {
        for (value, is_valid) in values {
            let mut config = Config::default();
            configure(&mut config, value);
            assert_eq!(config.validate().is_ok(), is_valid, "{config:?}");
            let mut core = Connection::<Server>::new(Config::default()).unwrap();
            let sent = core.send_settings(|settings| change(settings, value));
            assert_eq!(sent, if is_valid { Ok(()) } else { Err(SendError::OutOfRange) }, "{value}");
        }
    }
}

#[test]
fn s6_5_2_a_server_that_enables_push_is_disconnected() {
    // 9113-6.5.2-6
    client_with(
        |opening| opening.config.enable_push = true,
        |s| {
            s.peer_settings(settings().entry(setting::ENABLE_PUSH, 0));
            s.peer(settings().entry(setting::ENABLE_PUSH, 1));
            s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::SettingsEnablePush, 0);
        },
    );
}

#[test]
fn s6_5_2_our_frame_size_stays_in_its_range() {
    // 9113-6.5.2-10
    for size in [0, 16_383, 1 << 24] {
        let mut config = Config::default();
        config.frame_bytes_max = size;
        assert_eq!(Connection::<Server>::new(config).unwrap_err().field(), "frame_bytes_max");
        server(|s| {
            let refused = s.call(|core| core.send_settings(|settings| settings.max_frame_size = size));
            assert_eq!(refused, Err(SendError::OutOfRange));
            s.nothing();
        });
    }
}

#[test]
fn s6_5_2_a_field_section_is_counted_with_32_bytes_for_each_line() {
    // 9113-6.5.2-13
    let lines = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("x-filler", "")];
    let sum: usize = lines.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    let limit = |opening: &mut Opening| opening.config.header_list_bytes_max = 1000;
    for over in [0, 1] {
        server_with(limit, |s| {
            let mut lines = lines;
            let filler = "a".repeat(1000 - sum + over);
            lines[3].1 = &filler;
            s.peer(headers(1, hpack::block(&lines)).end_stream().end_headers());
            if over == 0 {
                let shown = lines.map(|(name, value)| format!("{name}: {value}")).join(", ");
                s.events([format!("HEADERS stream=1 request end [{shown}]")]);
            } else {
                s.output(["HEADERS stream=1 end [:status: 431]"]);
            }
        });
    }
}

// §6.5.3: synchronization.

#[test]
fn s6_5_3_settings_bind_the_peer_from_their_acknowledgement_on() {
    // 9113-6.5.3-5
    let opening = |opening: &mut Opening| opening.config.frame_bytes_max = 30_000;
    server_with(opening, |s| {
        s.post(1);
        s.peer(data(1, [0; 30_000]));
        s.events(["DATA stream=1 30000 bytes"]);
        s.call(|core| core.send_settings(|settings| settings.max_frame_size = 20_000)).unwrap();
        s.output(["SETTINGS MAX_FRAME_SIZE=20000"]);
        s.peer(data(1, [0; 30_000]));
        s.events(["DATA stream=1 30000 bytes"]);
        s.peer(settings_ack());
        s.events(["SETTINGS ACK"]);
        s.peer(data(1, [0; 20_001]));
        s.stream_error(1, ErrorCode::FRAME_SIZE_ERROR, Violation::DataTooLarge);
    });
}

#[test]
fn s6_5_3_each_acknowledgement_is_of_the_oldest_settings() {
    // 9113-6.5.3-5
    server(|s| {
        for size in [17_000, 18_000] {
            s.call(|core| core.send_settings(|settings| settings.max_frame_size = size)).unwrap();
        }
        s.output(["SETTINGS MAX_FRAME_SIZE=17000", "SETTINGS MAX_FRAME_SIZE=18000"]);
        s.peer(settings_ack());
        s.events(["SETTINGS ACK"]);
        assert_eq!(s.core().local_settings().max_frame_size, 17_000);
        s.peer(settings_ack());
        s.events(["SETTINGS ACK"]);
        assert_eq!(s.core().local_settings().max_frame_size, 18_000);
    });
}

#[test]
fn s6_5_3_an_acknowledgement_of_nothing_ends_the_connection() {
    // 9113-6.5-8
    server(|s| {
        s.peer(settings_ack());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::SettingsAckUnexpected, 0);
    });
}

#[test]
fn s6_5_3_a_push_before_our_0_is_acknowledged_is_only_refused() {
    // 9113-6.5.3-5, 9113-6.5.2-2
    new_client(|s| {
        s.frames();
        s.peer_settings(settings());
        s.get();
        let block = Block::new().raw(hpack::get("/")).literal_indexed("x-kept", "yes").bytes();
        s.peer(push_promise(1, 2, block).end_headers());
        s.refused(2, ErrorCode::CANCEL);
        s.peer(settings_ack());
        s.peer(headers(1, Block::new().indexed(8).indexed(62).bytes()).end_headers());
        s.events(["SETTINGS ACK", "HEADERS stream=1 response [:status: 200, x-kept: yes]"]);
    });
}

#[test]
fn s6_5_3_settings_that_are_never_acknowledged_end_the_connection() {
    // 9113-6.5.3-5: RFC 9113 §6.5.3 allows it, with this code
    new_server(|s| {
        s.frames();
        s.peer(preface());
        s.peer_settings(settings());
        s.peer(headers(1, hpack::get("/")).end_stream().end_headers());
        s.events([format!("HEADERS stream=1 request end [{GET}]")]);
        s.pass(Duration::from_millis(9999));
        s.nothing();
        s.pass(Duration::from_millis(1));
        s.ends(ErrorCode::SETTINGS_TIMEOUT, CloseCause::Timeout(Timeout::SettingsAck), 1);
    });
}

#[test]
fn s6_5_3_each_announcement_must_be_acknowledged_in_time() {
    // The first acknowledgement of two does not end the wait.
    server(|s| {
        for bytes in [1000, 2000] {
            s.call(|core| core.send_settings(|settings| settings.max_header_list_size = bytes)).unwrap();
        }
        s.frames();
        s.peer(settings_ack());
        s.events(["SETTINGS ACK"]);
        s.pass(Duration::from_secs(10));
        s.ends(ErrorCode::SETTINGS_TIMEOUT, CloseCause::Timeout(Timeout::SettingsAck), 0);
    });
}

#[test]
fn s6_5_only_so_many_announcements_wait() {
    let announce = |s: &mut thalweg_testkit::scenario::Scene<Server>, bytes| {
        s.call(|core| core.send_settings(|settings| settings.max_header_list_size = bytes))
    };
    server(|s| {
        for bytes in 1001..=1008 {
            assert_eq!(announce(s, bytes), Ok(()));
        }
        assert_eq!(announce(s, 1009), Err(SendError::TooManyPending));
        assert_eq!(s.frames().len(), 8);
        s.peer(settings_ack());
        s.events(["SETTINGS ACK"]);
        assert_eq!(announce(s, 1009), Ok(()));
        s.output(["SETTINGS MAX_HEADER_LIST_SIZE=1009"]);
    });
}
