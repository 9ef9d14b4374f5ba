//! The builders and the reader against public vectors, and against each other.
#![allow(clippy::unwrap_used)]

mod shared;

use serde_json::Value;
use thalweg::ErrorCode;
use thalweg_testkit::frames::*;
use thalweg_testkit::hpack;

fn read(wire: &[u8]) -> Result<Frame, String> {
    let mut reader = Reader::default();
    reader.push(wire);
    match reader.next_frame() {
        Ok(Some(frame)) if reader.rest().is_empty() => Ok(frame),
        Ok(_) => Err("not one whole frame".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn public_vectors_are_read_and_written() {
    let Some(root) = shared::data("http2-frame-test-case") else { return };
    let mut seen = 0;
    for path in shared::files(&root, "json") {
        let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let wire = shared::unhex(json["wire"].as_str().unwrap());
        let expected = &json["frame"];
        if expected.is_null() {
            assert!(read(&wire).is_err(), "{} should be rejected", path.display());
        } else {
            let built = build(expected);
            assert_eq!(built.bytes(), wire, "{}", path.display());
            assert_reads_as(&wire, &built);
        }
        seen += 1;
    }
    assert!(seen > 30, "only {seen} vectors");
}

/// The vectors have padding of text, and CONTINUATION without HEADERS. A strict reader rejects the
/// first, and the test prepares it for the second.
fn assert_reads_as(wire: &[u8], built: &Frame) {
    if built.kind == kind::CONTINUATION {
        let mut before = headers(built.stream, b"").bytes();
        before.extend_from_slice(wire);
        let mut reader = Reader::default();
        reader.push(&before);
        reader.next_frame().unwrap();
        assert_eq!(reader.next_frame().unwrap().as_ref(), Some(built));
    } else if built.padding().is_some() {
        assert!(read(wire).unwrap_err().starts_with("padding is not zero"));
    } else {
        assert_eq!(read(wire).as_ref(), Ok(built));
    }
}

fn build(frame: &Value) -> Frame {
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    let payload = &frame["frame_payload"];
    let field = |name: &str| number(&payload[name]);
    let text = |name: &str| payload[name].as_str().unwrap();
    let stream = number(&frame["stream_identifier"]);
    let mut built = match u8::try_from(number(&frame["type"])).unwrap() {
        kind::DATA => data(stream, text("data")),
        kind::HEADERS => headers(stream, text("header_block_fragment")),
        kind::PRIORITY => priority(stream, field("stream_dependency"), weight(payload)),
        kind::RST_STREAM => rst_stream(stream, ErrorCode(field("error_code"))),
        kind::SETTINGS => {
            let entries = payload["settings"].as_array().unwrap();
            entries.iter().fold(settings(), |frame, entry| {
                frame.entry(u16::try_from(number(&entry[0])).unwrap(), number(&entry[1]))
            })
        }
        kind::PUSH_PROMISE => {
            push_promise(stream, field("promised_stream_id"), text("header_block_fragment"))
        }
        kind::PING => ping(text("opaque_data").as_bytes().try_into().unwrap()),
        kind::GOAWAY => goaway(field("last_stream_id"), ErrorCode(field("error_code")))
            .debug(text("additional_debug_data")),
        kind::WINDOW_UPDATE => window_update(stream, field("window_size_increment")),
        kind::CONTINUATION => continuation(stream, text("header_block_fragment")),
        other => panic!("no vector has type {other}"),
    };
    if built.kind == kind::HEADERS && !payload["weight"].is_null() {
        built = built.with_priority(field("stream_dependency"), false, weight(payload));
    }
    if payload["exclusive"] == Value::Bool(true) {
        built = built.exclusive();
    }
    if let Some(padding) = payload["padding"].as_str() {
        built = built.padded_with(padding);
    }
    built.flags(u8::try_from(number(&frame["flags"])).unwrap())
}

/// The vectors count weights from 1.
fn weight(payload: &Value) -> u8 {
    u8::try_from(payload["weight"].as_u64().unwrap() - 1).unwrap()
}

#[test]
fn each_frame_is_read_as_it_was_built() {
    let all = [
        settings().entry(setting::MAX_FRAME_SIZE, 20_000).entry(0x99, 7),
        settings_ack(),
        headers(1, b"12345").end_stream().end_headers(),
        headers(3, b"12345").padded(3).with_priority(1, true, 15),
        continuation(3, b"678"),
        continuation(3, b"").end_headers(),
        data(3, b"payload"),
        data(3, b"").padded(0).end_stream(),
        priority(5, 3, 255).exclusive(),
        rst_stream(3, ErrorCode::CANCEL),
        push_promise(1, 2, b"abc").padded(1).end_headers(),
        ping(*b"12345678"),
        ping_ack(*b"12345678"),
        window_update(0, 1),
        window_update(3, (1 << 31) - 1),
        priority_update(3, "u=1, i"),
        origin(["https://a.example", ""]),
        altsvc(0, "https://a.example", "h2=\":443\""),
        raw(0x77, 0xff, 9, b"anything"),
        goaway(1, ErrorCode::NO_ERROR).debug("bye"),
    ];
    let bytes: Vec<u8> = all.iter().flat_map(Frame::bytes).collect();
    assert_eq!(read_all(&bytes), all);
    // One byte at a time gives the same frames.
    let mut reader = Reader::default();
    let mut slowly = Vec::new();
    for byte in &bytes {
        reader.push(&[*byte]);
        slowly.extend(reader.next_frame().unwrap());
    }
    assert_eq!(slowly, all);
    let shown: Vec<String> = all.iter().map(Frame::to_string).collect();
    let expected = [
        "SETTINGS MAX_FRAME_SIZE=20000 0x99=7",
        "SETTINGS ACK",
        "HEADERS stream=1 END_STREAM|END_HEADERS 5 bytes",
        "HEADERS stream=3 PADDED|PRIORITY on=1 exclusive weight=16 5 bytes pad=3",
        "CONTINUATION stream=3 3 bytes",
        "CONTINUATION stream=3 END_HEADERS 0 bytes",
        "DATA stream=3 7 bytes",
        "DATA stream=3 END_STREAM|PADDED 0 bytes pad=0",
        "PRIORITY stream=5 on=3 exclusive weight=256",
        "RST_STREAM stream=3 CANCEL",
        "PUSH_PROMISE stream=1 END_HEADERS|PADDED promised=2 3 bytes pad=1",
        "PING 12345678",
        "PING ACK 12345678",
        "WINDOW_UPDATE increment=1",
        "WINDOW_UPDATE stream=3 increment=2147483647",
        "PRIORITY_UPDATE prioritized=3 \"u=1, i\"",
        "ORIGIN \"\\x00\\x11https://a.example\\x00\\x00\"",
        "ALTSVC \"\\x00\\x11https://a.exampleh2=\\\":443\\\"\"",
        "TYPE 0x77 stream=9 0xff 8 bytes",
        "GOAWAY last=1 NO_ERROR \"bye\"",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn wrong_lengths_are_written_and_refused() {
    let lies: [(Frame, &str); 19] = [
        (data(1, b"12345").length(3), "not one whole frame"),
        (data(1, b"12").pad_length(3), "more padding than payload"),
        (data(1, b"").pad_length(0).length(0), "no room for the Pad Length"),
        (data(1, b"12").padded_with(b"x"), "padding is not zero"),
        (data(0, b"12"), "belongs on a stream"),
        (data(1, b"12").flags(flag::END_HEADERS), "a flag without a meaning is set"),
        (data(1, b"12").reserved_bit(), "the reserved bit is set"),
        (data(1, vec![0; 16_385]), "longer than the receiver allows"),
        (headers(1, b"").with_priority(1, false, 0), "depends on itself"),
        (raw(kind::PRIORITY, 0, 1, b"1234"), "no room for the priority fields"),
        (raw(kind::RST_STREAM, 0, 1, b"12345"), "wrong length for its type"),
        (raw(kind::SETTINGS, 0, 0, b"1"), "wrong length for its type"),
        (settings_ack().entry(1, 1), "wrong length for its type"),
        (raw(kind::PING, 0, 1, b"12345678"), "belongs on stream 0"),
        (raw(kind::GOAWAY, 0, 0, b"1234567"), "wrong length for its type"),
        (push_promise(1, 3, b""), "a promised stream has an even identifier"),
        (window_update(1, 0), "an increment of 0"),
        (window_update(1, 1 << 31), "the reserved bit in the payload is set"),
        (continuation(1, b""), "continues no header block"),
    ];
    for (lie, reason) in lies {
        let refused = read(&lie.bytes()).unwrap_err();
        assert!(refused.starts_with(reason), "{lie}: {refused}");
    }
}

#[test]
fn nothing_may_interrupt_a_header_block() {
    for between in [data(1, b""), continuation(3, b""), headers(1, b"").end_headers()] {
        let mut reader = Reader::default();
        reader.push(&wire([&headers(1, b""), &between]));
        reader.next_frame().unwrap();
        assert_eq!(reader.next_frame().unwrap_err().reason, "inside a header block");
    }
}

#[test]
#[should_panic(expected = "the wire ends inside a frame")]
fn a_cut_wire_is_refused() {
    read_all(&ping([0; 8]).bytes()[..16]);
}

#[test]
fn our_codec_reads_what_the_other_writes_and_back() {
    use thalweg_hpack::{Decoder, Encoder, Field, ListLimits, SinkAction};
    let fields: Vec<(Vec<u8>, Vec<u8>)> = (0..=255_u8)
        .map(|byte| (format!("x-{}", byte % 7).into_bytes(), vec![byte; usize::from(byte)]))
        .collect();
    let mut decoder = Decoder::new(4096);
    let mut seen = Vec::new();
    decoder
        .decode(&hpack::block(&fields), ListLimits::NONE, |decoded| {
            seen.push((decoded.field().name().to_vec(), decoded.field().value.to_vec()));
            SinkAction::Unchecked
        })
        .unwrap();
    assert_eq!(seen, fields);

    let mut encoder = Encoder::new(4096, 7);
    let mut ours = hpack::Decoder::default();
    for _ in 0..3 {
        let mut block = Vec::new();
        encoder.start_block(&mut block);
        for (name, value) in &fields {
            encoder.encode(Field::new(name, value), &mut block);
        }
        let read: Vec<_> =
            ours.decode(&block).unwrap().into_iter().map(|header| (header.name, header.value)).collect();
        assert_eq!(read, fields);
    }
}
