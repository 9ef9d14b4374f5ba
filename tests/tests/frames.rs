//! The public frame layer: public vectors, `emit` as the inverse of `parse`, and both against the
//! test kit's builders, which share no code with it.
#![expect(clippy::unwrap_used, reason = "these are tests, their own functions included")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use serde_json::Value;
use thalweg::frame::{
    Dependency, Flags, Frame, FrameHeader, FrameType, HEADER_LEN, OriginEntries, SettingEntries, SettingId,
};
use thalweg::{ErrorCode, StreamId, Violation};
use thalweg_testkit::frames as kit;

/// Parses the first frame of a wire.
fn parse(wire: &[u8]) -> Result<Frame<'_>, Violation> {
    let (head, payload) = wire.split_first_chunk::<HEADER_LEN>().unwrap();
    Frame::parse(FrameHeader::parse(head), payload)
}

fn emit(frame: &Frame<'_>) -> Vec<u8> {
    let mut wire = Vec::new();
    frame.emit(&mut wire);
    wire
}

// Vectors of http2jp/http2-frame-test-case.

/// Returns the vectors beside the project, or below `THALWEG_SHARED`. Without them the test prints
/// that it skips.
fn vectors() -> Option<Vec<(PathBuf, Value)>> {
    let shared = std::env::var_os("THALWEG_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let root = shared.join("data/http2-frame-test-case");
    if !root.is_dir() {
        println!("skipped: {} is absent", root.display());
        return None;
    }
    let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut vectors: Vec<(PathBuf, Value)> = files
        .map(|entry| {
            let path = entry.unwrap().path();
            let json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (path, json)
        })
        .collect();
    vectors.sort_by(|(one, _), (other, _)| one.cmp(other));
    Some(vectors)
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

#[test]
fn public_vectors_parse_to_their_fields_or_their_error() {
    let Some(vectors) = vectors() else { return };
    assert!(vectors.len() >= 33, "only {} vectors", vectors.len());
    for (path, json) in vectors {
        let name = path.display();
        let wire = unhex(json["wire"].as_str().unwrap());
        match parse(&wire) {
            Ok(frame) => {
                assert_eq!(fields_of(&wire, &frame), fields(&json["frame"]), "{name}");
                // RFC 9113 §6.1: padding is sent as zeros, also after other padding was received.
                let pad_len = json["frame"]["frame_payload"]["padding_length"].as_u64().unwrap_or(0) as usize;
                let content = wire.len() - pad_len;
                let emitted = emit(&frame);
                assert_eq!(emitted[..content], wire[..content], "{name}");
                assert_eq!(emitted[content..], vec![0; pad_len], "{name}");
            }
            Err(violation) => {
                let codes: Vec<u64> =
                    json["error"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
                assert!(
                    codes.contains(&u64::from(violation.code().0)),
                    "{name}: {violation:?}, not {codes:?}"
                );
            }
        }
    }
}

/// Returns the fields of a vector that are not null, sorted by name.
fn fields(frame: &Value) -> Vec<(String, String)> {
    let payload = frame["frame_payload"].as_object().unwrap();
    let head =
        ["length", "type", "flags", "stream_identifier"].map(|name| (name.to_owned(), frame[name].clone()));
    let payload = payload.iter().map(|(name, value)| (name.clone(), value.clone()));
    let known = |(name, value): &(String, Value)| !value.is_null() && name != "padding";
    let mut fields: Vec<_> = head
        .into_iter()
        .chain(payload)
        .filter(known)
        .map(|(name, value)| (name, value.to_string()))
        .collect();
    fields.sort();
    fields
}

/// Returns what the frame layer read, by the names of the vectors.
fn fields_of(wire: &[u8], frame: &Frame<'_>) -> Vec<(String, String)> {
    let head = FrameHeader::parse(wire.first_chunk().unwrap());
    let mut fields = vec![
        ("length", head.len.to_string()),
        ("type", head.kind.0.to_string()),
        ("flags", head.flags.0.to_string()),
        ("stream_identifier", head.stream.to_string()),
    ];
    let text = |bytes: &[u8]| format!("\"{}\"", std::str::from_utf8(bytes).unwrap());
    let pad = |padding: Option<u8>| padding.map(|len| ("padding_length", len.to_string()));
    let depends = |on: Dependency| {
        // The vectors give the value of the weight, one more than on the wire.
        [
            ("stream_dependency", on.stream.to_string()),
            ("exclusive", on.exclusive.to_string()),
            ("weight", (u16::from(on.weight) + 1).to_string()),
        ]
    };
    match *frame {
        Frame::Data { data, padding, .. } => {
            fields.push(("data", text(data)));
            fields.extend(pad(padding));
        }
        Frame::Headers { fragment, dependency, padding, .. } => {
            fields.push(("header_block_fragment", text(fragment)));
            fields.extend(dependency.into_iter().flat_map(depends));
            fields.extend(pad(padding));
        }
        Frame::Priority { dependency, .. } => fields.extend(depends(dependency)),
        Frame::Reset { code, .. } => fields.push(("error_code", code.0.to_string())),
        Frame::Settings { entries, .. } => {
            let entries: Vec<String> = entries.map(|(id, value)| format!("[{},{value}]", id.0)).collect();
            fields.push(("settings", format!("[{}]", entries.join(","))));
        }
        Frame::PushPromise { promised, fragment, padding, .. } => {
            fields.push(("promised_stream_id", promised.to_string()));
            fields.push(("header_block_fragment", text(fragment)));
            fields.extend(pad(padding));
        }
        Frame::Ping { payload, .. } => fields.push(("opaque_data", text(&payload))),
        Frame::GoAway { last_stream, code, debug } => {
            fields.push(("last_stream_id", last_stream.to_string()));
            fields.push(("error_code", code.0.to_string()));
            fields.push(("additional_debug_data", text(debug)));
        }
        Frame::WindowUpdate { increment, .. } => {
            fields.push(("window_size_increment", increment.to_string()));
        }
        Frame::Continuation { fragment, .. } => fields.push(("header_block_fragment", text(fragment))),
        other => panic!("{other:?} is in no vector"),
    }
    let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    fields.sort();
    fields
}

// Properties.

fn runs() -> ProptestConfig {
    Config { cases: 2000, rng_seed: RngSeed::Fixed(9113), failure_persistence: None, ..Config::default() }
}

/// Returns a stream other than the connection.
fn stream() -> impl Strategy<Value = u32> {
    prop_oneof![1..20_u32, Just(0x7fff_ffff), 1..0x7fff_ffff_u32]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

/// Returns the same frame built by the test kit.
fn kit_frame() -> impl Strategy<Value = kit::Frame> {
    let code = any::<u32>().prop_map(ErrorCode);
    let entry = (any::<u16>(), any::<u32>());
    let promised = (1..0x4000_0000_u32).prop_map(|half| half * 2);
    let plain = prop_oneof![
        (stream(), bytes()).prop_map(|(stream, data)| kit::data(stream, data)),
        (stream(), bytes()).prop_map(|(stream, block)| kit::headers(stream, block)),
        (stream(), bytes()).prop_map(|(stream, block)| kit::continuation(stream, block)),
        (stream(), promised, bytes()).prop_map(|(stream, id, block)| kit::push_promise(stream, id, block)),
        (stream(), any::<u8>()).prop_map(|(stream, weight)| kit::priority(stream, stream ^ 1, weight)),
        (stream(), code.clone()).prop_map(|(stream, code)| kit::rst_stream(stream, code)),
        prop::collection::vec(entry, 0..9).prop_map(|entries| {
            entries.into_iter().fold(kit::settings(), |frame, (id, value)| frame.entry(id, value))
        }),
        Just(kit::settings_ack()),
        any::<[u8; 8]>().prop_map(kit::ping),
        any::<[u8; 8]>().prop_map(kit::ping_ack),
        (0..0x8000_0000_u32, code, bytes())
            .prop_map(|(last, code, debug)| kit::goaway(last, code).debug(debug)),
        (0..0x8000_0000_u32, 1..0x8000_0000_u32).prop_map(|(stream, more)| kit::window_update(stream, more)),
        (stream(), bytes()).prop_map(|(stream, value)| kit::priority_update(stream, value)),
        (0..9_u32, bytes(), bytes()).prop_map(|(stream, origin, value)| kit::altsvc(stream, origin, value)),
        prop::collection::vec(bytes(), 0..4).prop_map(kit::origin),
        (0x11..=0xff_u8, any::<u8>(), 0..0x8000_0000_u32, bytes())
            .prop_map(|(kind, flags, stream, payload)| kit::raw(kind, flags, stream, payload)),
    ];
    (plain, any::<[bool; 4]>(), any::<(u8, bool, u8)>()).prop_map(
        |(mut frame, [end_stream, end_headers, padded, depends], (pad_len, exclusive, weight))| {
            let kind = frame.kind;
            if end_stream && matches!(kind, kit::kind::DATA | kit::kind::HEADERS) {
                frame = frame.end_stream();
            }
            if end_headers
                && matches!(kind, kit::kind::HEADERS | kit::kind::PUSH_PROMISE | kit::kind::CONTINUATION)
            {
                frame = frame.end_headers();
            }
            if depends && kind == kit::kind::HEADERS {
                let on = frame.stream ^ 1;
                frame = frame.with_priority(on, exclusive, weight);
            }
            if padded && matches!(kind, kit::kind::DATA | kit::kind::HEADERS | kit::kind::PUSH_PROMISE) {
                frame = frame.padded(pad_len);
            }
            frame
        },
    )
}

proptest! {
    #![proptest_config(runs())]

    /// A frame that the test kit builds is parsed, and emitted as the same bytes.
    #[test]
    fn frames_of_the_kit_are_parsed_and_emitted_unchanged(frame in kit_frame()) {
        let wire = frame.bytes();
        let parsed = parse(&wire).unwrap();
        prop_assert_eq!(emit(&parsed), wire.clone());
        let head = FrameHeader::parse(wire.first_chunk().unwrap());
        prop_assert_eq!((head.kind.0, head.flags.0, head.stream.as_u32()), (frame.kind, frame.flags, frame.stream));
        prop_assert_eq!(head.len as usize, wire.len() - HEADER_LEN);
        prop_assert_eq!(&head.to_bytes()[..], &wire[..HEADER_LEN]);
    }

    /// Emitted frames pass the strict reader of the test kit.
    #[test]
    fn what_is_emitted_passes_the_strict_reader(frame in kit_frame()) {
        let wire = frame.bytes();
        let mut reader = kit::Reader::default();
        if frame.kind == kit::kind::CONTINUATION {
            reader.push(&kit::headers(frame.stream, []).bytes());
            reader.next_frame().unwrap();
        }
        reader.push(&emit(&parse(&wire).unwrap()));
        prop_assert_eq!(reader.next_frame(), Ok(Some(frame)));
    }

    /// Any bytes are a frame or a violation; a frame that is emitted parses to the same frame.
    #[test]
    fn whatever_parses_survives_the_round_trip(kind in 0..=0x11_u8, flags: u8, stream in 0..4_u32, payload in bytes()) {
        let wire = kit::raw(kind, flags, stream, &payload).reserved_bit().bytes();
        match parse(&wire) {
            Ok(frame) => {
                let emitted = emit(&frame);
                prop_assert_eq!(emitted.len(), wire.len(), "{:?}", frame);
                prop_assert_eq!(parse(&emitted), Ok(frame));
            }
            Err(violation) => prop_assert!(violation.code() != ErrorCode::NO_ERROR),
        }
    }
}

#[test]
fn a_payload_of_another_length_than_announced_is_no_frame() {
    for announced in [0, 7, 9] {
        let head = FrameHeader {
            len: announced,
            kind: FrameType::PING,
            flags: Flags(0),
            stream: StreamId::CONNECTION,
        };
        assert_eq!(Frame::parse(head, &[0; 8]), Err(Violation::FrameTooLarge));
    }
}

#[test]
fn views_of_lists_show_whole_entries() {
    let settings = [0, 1, 0, 0, 16, 0, 0, 4, 0, 0, 0, 9, 0, 5];
    let entries: Vec<_> = SettingEntries::new(&settings).map(|(id, value)| (id.0, value)).collect();
    assert_eq!((entries, SettingEntries::new(&settings).remaining()), (vec![(1, 4096), (4, 9)], 2));
    let origins = b"\0\x08http://a\0\0\0\x03bad\0\x0ahttps://b:1\0\x09http";
    let shown: Vec<_> = OriginEntries::new(origins).collect();
    assert_eq!(shown, [&b"http://a"[..], b"https://b:"]);
}

// Frame headers, and the small types.

#[test]
fn a_frame_header_alone_shows_a_length_that_its_type_cannot_have() {
    // 9113-4.2-3, 9113-4.2-4
    let impossible = [
        (FrameType::PRIORITY, 1, [4, 6], Violation::PriorityLength),
        (FrameType::RST_STREAM, 1, [3, 5], Violation::ResetLength),
        (FrameType::SETTINGS, 0, [5, 7], Violation::SettingsLength),
        (FrameType::PING, 0, [7, 9], Violation::PingLength),
        (FrameType::GOAWAY, 0, [0, 7], Violation::GoAwayLength),
        (FrameType::WINDOW_UPDATE, 0, [3, 5], Violation::WindowUpdateLength),
        (FrameType::WINDOW_UPDATE, 1, [3, 5], Violation::WindowUpdateLength),
        (FrameType::PRIORITY_UPDATE, 0, [0, 3], Violation::PriorityUpdateLength),
    ];
    for (kind, stream, lens, violation) in impossible {
        for len in lens {
            let head = FrameHeader { len, kind, flags: Flags::default(), stream: StreamId::new(stream) };
            assert_eq!(head.check(), Err(violation), "{head:?}");
        }
    }
    for (kind, stream, len) in [
        (FrameType::PRIORITY, 1, 5),
        (FrameType::RST_STREAM, 1, 4),
        (FrameType::SETTINGS, 0, 12),
        (FrameType::PING, 0, 8),
        (FrameType::GOAWAY, 0, 8),
        (FrameType::WINDOW_UPDATE, 0, 4),
        (FrameType::PRIORITY_UPDATE, 0, 4),
    ] {
        let head = FrameHeader { len, kind, flags: Flags::default(), stream: StreamId::new(stream) };
        assert_eq!(head.check(), Ok(()), "{head:?}");
    }
}

#[test]
fn a_window_update_of_0_is_distinguished_by_its_stream() {
    // 9113-6.9-2, 9113-6.9-3
    assert_eq!(parse(&kit::window_update(0, 0).bytes()), Err(Violation::WindowUpdateZeroOnConnection));
    assert_eq!(parse(&kit::window_update(1, 0).bytes()), Err(Violation::WindowUpdateZero));
}

#[test]
fn settings_are_counted_and_named_as_the_registry_names_them() {
    let registry = [
        (1, "HEADER_TABLE_SIZE"),
        (2, "ENABLE_PUSH"),
        (3, "MAX_CONCURRENT_STREAMS"),
        (4, "INITIAL_WINDOW_SIZE"),
        (5, "MAX_FRAME_SIZE"),
        (6, "MAX_HEADER_LIST_SIZE"),
        (8, "ENABLE_CONNECT_PROTOCOL"),
        (9, "NO_RFC7540_PRIORITIES"),
    ];
    let payload = registry.map(|(id, _)| kit::settings().entry(id, 0).payload()).concat();
    let mut entries = SettingEntries::new(&payload);
    for (at, (id, name)) in registry.into_iter().enumerate() {
        assert_eq!(entries.remaining(), registry.len() - at);
        let (read, _) = entries.next().unwrap();
        assert_eq!((read.0, read.name()), (id, Some(name)));
    }
    assert_eq!((entries.remaining(), entries.next()), (0, None));
    assert_eq!(SettingId(7).name(), None);
}

#[test]
fn a_flag_that_is_set_stays_set() {
    let flags = Flags::ACK.with(Flags::ACK, true).with(Flags::PADDED, true).with(Flags::PADDED, false);
    assert_eq!(flags, Flags(0x9));
}
