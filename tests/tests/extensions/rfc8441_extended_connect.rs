//! RFC 8441: extended CONNECT, and the setting that allows it.

use thalweg::{ErrorCode, Field, OpenError, Request, SendError, Violation};
use thalweg_testkit::frames::{data, headers, setting, settings};
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::{Opening, client, client_with, server, server_with};

fn enabled(opening: &mut Opening) {
    opening.config.enable_connect_protocol = true;
}

fn allowed(opening: &mut Opening) {
    opening.peer_settings = settings().entry(setting::ENABLE_CONNECT_PROTOCOL, 1);
}

const WEBSOCKET: [(&str, &str); 5] = [
    (":method", "CONNECT"),
    (":scheme", "https"),
    (":authority", "example.org"),
    (":path", "/chat"),
    (":protocol", "websocket"),
];

fn websocket() -> Request<'static> {
    Request::get("https", "example.org", "/chat").with_protocol("websocket")
}

// §3: the setting.

#[test]
fn s3_the_setting_is_sent_as_1_or_not_at_all_and_not_taken_back() {
    // 8441-3-1, 8441-3-4
    server_with(enabled, |s| {
        assert!(s.core().local_settings().enable_connect_protocol);
        let back = s.call(|core| core.send_settings(|settings| settings.enable_connect_protocol = false));
        assert_eq!(back, Err(SendError::OutOfRange));
        s.nothing();
    });
    server(|s| {
        s.call(|core| core.send_settings(|settings| settings.enable_connect_protocol = true)).unwrap();
        s.output(["SETTINGS ENABLE_CONNECT_PROTOCOL=1"]);
    });
}

#[test]
fn s3_other_values_from_a_server_end_the_connection() {
    // 8441-3-2
    for value in [2, u32::MAX] {
        client(|s| {
            s.peer(settings().entry(setting::ENABLE_CONNECT_PROTOCOL, value));
            s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::SettingsConnectProtocol, 0);
        });
    }
    client(|s| {
        s.peer_settings(settings().entry(setting::ENABLE_CONNECT_PROTOCOL, 0));
        s.answers();
    });
    client_with(allowed, |s| {
        s.peer(settings().entry(setting::ENABLE_CONNECT_PROTOCOL, 0));
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::SettingsConnectProtocol, 0);
    });
}

#[test]
fn s3_the_setting_from_a_client_changes_nothing() {
    // 8441-3-3
    server(|s| {
        for value in [1, 0, 7] {
            s.peer_settings(settings().entry(setting::ENABLE_CONNECT_PROTOCOL, value));
        }
        assert!(!s.core().remote_settings().enable_connect_protocol);
        s.peer(headers(1, hpack::block(&WEBSOCKET)).end_headers());
        s.refused(1, ErrorCode::PROTOCOL_ERROR);
    });
}

#[test]
fn s3_a_client_waits_for_the_setting() {
    // 8441-3-5
    client(|s| {
        let refused = s.call(|core| core.send_request(&websocket(), [], false));
        assert_eq!(refused, Err(OpenError::Send(SendError::NotAllowedByPeer)));
        s.nothing();
        s.peer_settings(settings().entry(setting::ENABLE_CONNECT_PROTOCOL, 1));
        s.call(|core| core.send_request(&websocket(), [], false)).unwrap();
        assert_eq!(s.take_output().len(), 1);
    });
}

#[test]
fn s3_without_the_setting_the_request_is_malformed() {
    // 8441-3-6
    server(|s| {
        s.peer(headers(1, hpack::block(&WEBSOCKET)).end_headers());
        s.refused(1, ErrorCode::PROTOCOL_ERROR);
    });
}

// §4: the request.

#[test]
fn s4_protocol_belongs_to_connect() {
    // 8441-4-1
    for method in ["GET", "POST", "connect"] {
        server_with(enabled, |s| {
            let mut lines = WEBSOCKET;
            lines[0].1 = method;
            s.peer(headers(1, hpack::block(&lines)).end_headers());
            s.refused(1, ErrorCode::PROTOCOL_ERROR);
        });
    }
    client_with(allowed, |s| {
        let mut request = websocket();
        request.method = b"GET";
        let refused = s.call(|core| core.send_request(&request, [], false));
        assert!(matches!(refused, Err(OpenError::Send(SendError::Malformed(_)))), "{refused:?}");
        s.nothing();
    });
}

#[test]
fn s4_extended_connect_is_sent_with_scheme_and_path() {
    // 8441-4-2
    client_with(allowed, |s| {
        let stream = s.call(|core| core.send_request(&websocket(), [], false)).unwrap();
        let fields: Vec<String> = WEBSOCKET.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        s.output([format!("HEADERS stream={stream} [{}]", fields.join(", "))]);
        for missing in [":scheme", ":path", ":authority"] {
            let mut request = websocket();
            match missing {
                ":scheme" => request.scheme = None,
                ":path" => request.path = None,
                _ => request.authority = None,
            }
            let refused = s.call(|core| core.send_request(&request, [], false));
            assert_eq!(refused, Err(SendError::Malformed(Violation::ConnectPseudo).into()), "{missing}");
        }
        s.nothing();
    });
}

#[test]
fn s4_extended_connect_without_scheme_path_or_authority_is_malformed() {
    // 8441-4-3
    for missing in [":scheme", ":path", ":authority"] {
        server_with(enabled, |s| {
            let lines: Vec<_> = WEBSOCKET.into_iter().filter(|(name, _)| *name != missing).collect();
            s.peer(headers(1, hpack::block(&lines)).end_headers());
            s.refused(1, ErrorCode::PROTOCOL_ERROR);
        });
    }
}

#[test]
fn s4_it_is_shown_with_its_protocol() {
    // 8441-4-4
    server_with(enabled, |s| {
        s.peer(headers(1, hpack::block(&WEBSOCKET)).end_headers());
        let fields: Vec<String> = WEBSOCKET.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        s.events([format!("HEADERS stream=1 request [{}]", fields.join(", "))]);
        let stream = s.stream(1);
        s.respond(stream);
        s.peer(data(1, "frames of the other protocol"));
        s.events(["DATA stream=1 28 bytes"]);
        s.peer(headers(1, hpack::block(&[("x-sum", "1")])).end_stream().end_headers());
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::FrameInTunnel);
    });
}

#[test]
fn s5_a_websocket_is_requested_without_connection_and_upgrade() {
    // 8441-5-4
    client_with(allowed, |s| {
        for (name, value) in [(&b"connection"[..], &b"upgrade"[..]), (b"upgrade", b"websocket")] {
            let fields = [Field::new(name, value)];
            let refused = s.call(|core| core.send_request(&websocket(), fields, false));
            assert_eq!(refused, Err(SendError::Malformed(Violation::FieldConnectionSpecific).into()));
        }
        s.nothing();
    });
}
