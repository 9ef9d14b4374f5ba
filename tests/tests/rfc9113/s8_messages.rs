//! RFC 9113 §8.1, §8.2: messages as frames, and the fields in them. The same rules hold for
//! received and for sent messages.

use thalweg::{ErrorCode, Field, Request, SendError, Status, Violation, check_field};
use thalweg_testkit::frames::{data, headers, push_promise, rst_stream};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{GET, Opening, Scene, client, client_with, server};

type Lines<'a> = &'a [(&'a str, &'a str)];

/// Returns a GET with more fields.
fn get_with(fields: Lines<'_>) -> Vec<u8> {
    Block::new().raw(hpack::get("/")).raw(hpack::block(fields)).bytes()
}

/// Returns a POST with a content-length.
fn post_of(length: &str) -> Vec<u8> {
    Block::new().raw(hpack::request("POST", "/")).literal("content-length", length).bytes()
}

// §8.1: framing.

#[test]
fn s8_1_an_informational_response_with_end_is_malformed() {
    // 9113-8.1-1, 9110-15.2-4
    client(|s| {
        s.get();
        s.peer(headers(1, hpack::response(103)).end_headers());
        s.events(["HEADERS stream=1 informational [:status: 103]"]);
        s.peer(headers(1, hpack::response(100)).end_stream().end_headers());
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::InformationalWithEnd);
    });
}

#[test]
fn s8_1_trailers_are_sent_with_end() {
    // 9113-8.1-3, 9113-8.1-4
    server(|s| {
        let stream = s.get(1);
        s.respond(stream);
        let pseudo = s.call(|core| core.send_trailers(stream, [Field::new(b":status", b"200")]));
        assert_eq!(pseudo, Err(SendError::Malformed(Violation::PseudoAfterField)));
        s.call(|core| core.send_trailers(stream, [Field::new(b"x-sum", b"1")])).unwrap();
        s.output(["HEADERS stream=1 end [x-sum: 1]"]);
    });
}

#[test]
fn s8_1_trailers_with_a_pseudo_header_field_are_malformed() {
    // 9113-8.1-5
    for (name, value) in [(":method", "GET"), (":path", "/"), (":status", "200"), (":other", "")] {
        let violation = if name == ":other" { Violation::PseudoUnknown } else { Violation::PseudoInTrailers };
        server(|s| {
            s.post(1);
            s.peer(headers(1, hpack::block(&[(name, value)])).end_stream().end_headers());
            s.stream_error(1, ErrorCode::PROTOCOL_ERROR, violation);
        });
        client(|s| {
            s.get();
            s.response(1);
            s.peer(headers(1, hpack::block(&[("x-sum", "1"), (name, value)])).end_stream().end_headers());
            s.stream_error(1, ErrorCode::PROTOCOL_ERROR, violation);
        });
    }
}

#[test]
fn s8_1_a_second_block_without_end_is_malformed() {
    // 9113-8.1-6, 9113-8.1-7
    let trailers = || headers(1, hpack::block(&[("x-sum", "1")])).end_headers();
    server(|s| {
        s.post(1);
        s.peer(trailers());
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::TrailersWithoutEnd);
    });
    client(|s| {
        s.get();
        s.response(1);
        s.peer(trailers());
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::TrailersWithoutEnd);
    });
}

#[test]
fn s8_1_a_complete_response_survives_the_reset_that_follows_it() {
    // 9113-8.1-8
    client(|s| {
        s.post();
        s.peer(headers(1, hpack::response(200)).end_headers());
        s.peer(data(1, "enough").end_stream());
        s.peer(rst_stream(1, ErrorCode::NO_ERROR));
        s.events([
            "HEADERS stream=1 response [:status: 200]",
            "DATA stream=1 \"enough\" end",
            "RESET stream=1 NO_ERROR by the peer",
        ]);
    });
}

// §8.1.1: malformed messages.

#[test]
fn s8_1_1_data_before_the_final_response_is_malformed() {
    // 9113-8.1.1-1, 9110-15.2-4
    client(|s| {
        s.get();
        s.peer(data(1, "x"));
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::DataBeforeHeaders);
    });
    client(|s| {
        s.get();
        s.peer(headers(1, hpack::response(103)).end_headers());
        s.events(["HEADERS stream=1 informational [:status: 103]"]);
        s.peer(data(1, "x"));
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::DataBeforeHeaders);
    });
}

#[test]
fn s8_1_1_content_that_fits_its_length_passes() {
    // 9113-8.1.1-2, 9110-5.1-2
    server(|s| {
        s.peer(headers(1, post_of("5")).end_headers());
        s.peer(data(1, "he").padded(9));
        s.peer(data(1, "llo"));
        s.peer(data(1, "").end_stream());
        assert_eq!(s.take_events()[1..], ["DATA stream=1 \"hello\" end"]);
        s.peer(headers(3, post_of("2")).end_headers());
        s.peer(data(3, "ok"));
        s.peer(headers(3, hpack::block(&[("x-sum", "1")])).end_stream().end_headers());
        assert_eq!(
            s.take_events()[1..],
            ["DATA stream=3 \"ok\"", "HEADERS stream=3 trailers end [x-sum: 1]"]
        );
        s.peer(headers(5, post_of("0")).end_stream().end_headers());
        assert_eq!(s.take_events().len(), 1);
        s.output(["WINDOW_UPDATE"; 0]);
    });
}

#[test]
fn s8_1_1_content_that_differs_from_its_length_is_malformed() {
    // 9113-8.1.1-2, 9113-8.1.1-5, 9110-6.1-1
    let trailers = || headers(1, hpack::block(&[("x-sum", "1")])).end_stream().end_headers();
    let excesses = [data(1, "hello!"), data(1, "hell").end_stream(), data(1, "hello!").padded(3), trailers()];
    for frame in excesses {
        server(|s| {
            s.peer(headers(1, post_of("5")).end_headers());
            assert_eq!(s.take_events().len(), 1);
            s.peer(frame.clone());
            s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::ContentLengthMismatch);
        });
        client(|s| {
            s.get();
            let block = hpack::block(&[(":status", "200"), ("content-length", "5")]);
            s.peer(headers(1, block).end_headers());
            assert_eq!(s.take_events().len(), 1);
            s.peer(frame.clone());
            s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::ContentLengthMismatch);
        });
    }
    server(|s| {
        s.peer(headers(1, post_of("5")).end_stream().end_headers());
        s.refused(1, ErrorCode::PROTOCOL_ERROR);
    });
    client(|s| {
        s.get();
        let block = hpack::block(&[(":status", "200"), ("content-length", "5")]);
        s.peer(headers(1, block).end_stream().end_headers());
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::ContentLengthMismatch);
    });
}

#[test]
fn s8_1_1_a_content_length_that_is_no_number_is_malformed() {
    // 9113-8.1.1-2, 9113-8.1.1-5, 9110-8.6-8
    for value in ["", "+5", "-5", "5 ", "5, 5", "0x5", "5.0", "5:", "/5", "9999999999999999999"] {
        server(|s| {
            s.peer(headers(1, post_of(value)).end_headers());
            s.refused(1, ErrorCode::PROTOCOL_ERROR);
        });
    }
    server(|s| {
        s.peer(headers(1, post_of("999999999999999999")).end_headers());
        assert_eq!(s.take_events().len(), 1, "eighteen digits are read");
    });
    server(|s| {
        let block = Block::new().raw(post_of("5")).literal("content-length", "6").bytes();
        s.peer(headers(1, block).end_headers());
        s.refused(1, ErrorCode::PROTOCOL_ERROR);
    });
}

#[test]
fn s8_1_1_responses_without_content_may_have_a_content_length() {
    // 9113-8.1.1-3, 9110-6-1, 9110-6.4.1-2
    for (method, status) in [("HEAD", "200"), ("GET", "204"), ("GET", "304")] {
        for end in [true, false] {
            client(|s| {
                let request = Request::new(method, "https", "example.org", "/");
                s.call(|core| core.send_request(&request, [], true)).unwrap();
                s.frames();
                let block = hpack::block(&[(":status", status), ("content-length", "5")]);
                let response = headers(1, block).end_headers();
                s.peer(if end { response.end_stream() } else { response });
                let ends = if end { " end" } else { "" };
                s.events([format!("HEADERS stream=1 response{ends} [:status: {status}, content-length: 5]")]);
                if !end {
                    s.peer(data(1, "").end_stream());
                    s.events(["DATA stream=1 \"\" end"]);
                }
            });
        }
        client(|s| {
            let request = Request::new(method, "https", "example.org", "/");
            s.call(|core| core.send_request(&request, [], true)).unwrap();
            s.frames();
            s.peer(headers(1, hpack::block(&[(":status", status)])).end_headers());
            s.events([format!("HEADERS stream=1 response [:status: {status}]")]);
            s.peer(data(1, "x"));
            s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::ContentLengthMismatch);
        });
    }
}

#[test]
fn s8_1_1_a_malformed_message_is_never_reported() {
    // 9113-8.1.1-5, 9113-8.1.1-6
    let bad: Lines<'_> = &[("x-bad", "a\nb")];
    client_with(with_push, |s| {
        s.get();
        s.peer(headers(1, Block::new().indexed(8).raw(hpack::block(bad)).bytes()).end_headers());
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::FieldValueInvalid);
        s.get();
        s.response(3);
        s.peer(headers(3, hpack::block(bad)).end_stream().end_headers());
        s.stream_error(3, ErrorCode::PROTOCOL_ERROR, Violation::FieldValueInvalid);
        s.get();
        s.peer(push_promise(5, 2, get_with(bad)).end_headers());
        s.refused(2, ErrorCode::PROTOCOL_ERROR);
    });
}

#[test]
fn s8_1_1_a_content_length_that_is_no_number_is_not_sent() {
    // 9113-8.1.1-2, 9110-8.6-10
    let lengths = |values: &'static [&str]| {
        values.iter().map(|value| Field::new(b"content-length", value.as_bytes())).collect::<Vec<_>>()
    };
    for values in [&["five"][..], &[""], &["-1"], &["1, 1"], &["5", "6"], &["5", "five"]] {
        client(|s| {
            let request = Request::new("POST", "https", "example.org", "/");
            let refused = s.call(|core| core.send_request(&request, lengths(values), false));
            let malformed = SendError::Malformed(Violation::ContentLengthInvalid);
            assert_eq!(refused, Err(malformed.into()), "{values:?}");
        });
    }
    client(|s| {
        let request = Request::new("POST", "https", "example.org", "/");
        let stream = s.call(|core| core.send_request(&request, lengths(&["5", "5"]), false)).unwrap();
        s.frames();
        assert_eq!(s.call(|core| core.send_data(stream, b"hello", true)), Ok(5));
        s.frames();
    });
}

#[test]
fn s8_1_1_what_does_not_fit_the_content_length_is_not_sent() {
    // 9113-8.1.1-2, 9110-8.6-9
    let five = || [Field::new(b"content-length", b"5")];
    server(|s| {
        let stream = s.get(1);
        let hidden = [Field::with_unlisted_name(five()[0].name(), five()[0].value)];
        let refused = s.call(|core| core.send_response(stream, Status::OK, hidden, false));
        assert_eq!(refused, Err(SendError::Malformed(Violation::ContentLengthInvalid)));
        let early = s.call(|core| core.send_response(stream, Status::OK, five(), true));
        assert_eq!(early, Err(SendError::ContentLength { left: 5, given: 0 }));
        s.call(|core| core.send_response(stream, Status::OK, five(), false)).unwrap();
        s.output(["HEADERS stream=1 [:status: 200, content-length: 5]"]);
        let send = |s: &mut Scene<_>, data: &[u8], end| s.call(|core| core.send_data(stream, data, end));
        assert_eq!(send(s, b"hello!", false), Err(SendError::ContentLength { left: 5, given: 6 }));
        assert_eq!(send(s, b"hell", true), Err(SendError::ContentLength { left: 5, given: 4 }));
        assert_eq!(send(s, b"hel", false), Ok(3));
        let early = s.call(|core| core.send_trailers(stream, []));
        assert_eq!(early, Err(SendError::ContentLength { left: 2, given: 0 }));
        let spliced = s.call(|core| core.splice_data(stream, 3, true));
        assert_eq!(spliced, Err(SendError::ContentLength { left: 2, given: 3 }));
        assert_eq!(send(s, b"lo", true), Ok(2));
        s.output(["DATA stream=1 \"hel\"", "DATA stream=1 \"lo\" end"]);
    });
    client(|s| {
        let request = Request::new("POST", "https", "example.org", "/");
        let early = s.call(|core| core.send_request(&request, five(), true));
        assert_eq!(early, Err(SendError::ContentLength { left: 5, given: 0 }.into()));
        s.nothing();
    });
}

#[test]
fn s8_1_1_content_of_responses_that_have_none_is_not_sent() {
    // 9113-8.1.1-2, 9113-8.1.1-3, 9110-6.4.1-1, 9110-9.3.2-1, 9110-8.6-4, 9110-15.3.5-1,
    // 9110-15.4.5-4
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        server(|s| {
            s.peer(headers(1, hpack::request(method, "/")).end_stream().end_headers());
            assert_eq!(s.take_events().len(), 1);
            let stream = s.stream(1);
            let five = [Field::new(b"content-length", b"5")];
            let status = Status::new(status).unwrap();
            s.call(|core| core.send_response(stream, status, five, false)).unwrap();
            let content = s.call(|core| core.send_data(stream, b"hello", true));
            assert_eq!(content, Err(SendError::ContentLength { left: 0, given: 5 }));
            assert_eq!(s.call(|core| core.send_data(stream, b"", true)), Ok(0));
            s.output([
                format!("HEADERS stream=1 [:status: {status}, content-length: 5]"),
                "DATA stream=1 \"\" end".to_owned(),
            ]);
        });
    }
}

fn with_push(opening: &mut Opening) {
    opening.config.enable_push = true;
}

// §8.2.1: names and values.

/// Names that no field may have, in either direction.
fn bad_names() -> Vec<Vec<u8>> {
    let mut names = vec![b"".to_vec(), b"Upper".to_vec(), b"x-camelCase".to_vec(), b"with:colon".to_vec()];
    let forbidden = (0..=0x20).chain(0x41..=0x5a).chain(0x7f..=0xff).chain(*b"\"(),/:;<=>?@[\\]{}");
    names.extend(forbidden.map(|byte| vec![b'a', byte, b'b']));
    names
}

fn bad_values() -> Vec<Vec<u8>> {
    let inside = [0, b'\r', b'\n'].map(|byte| vec![b'a', byte, b'b']);
    let ends = [&b" a"[..], b"a ", b"\ta", b"a\t", b" ", b"\t", b"\0", b"\r\n"].map(<[u8]>::to_vec);
    inside.into_iter().chain(ends).collect()
}

#[test]
fn s8_2_1_names_that_are_no_tokens_are_malformed() {
    // 9113-8.2.1-1, 9113-8.2.1-3, 9113-8.2.1-4, 9113-8.2.1-5, 9113-8.2.1-8, 9113-8.2.1-10,
    // 9110-15.5-1
    server(|s| {
        for (n, name) in (0..).zip(bad_names()) {
            let stream = 1 + 2 * n;
            let block = Block::new().raw(hpack::get("/")).literal(&name, "x").bytes();
            s.peer(headers(stream, block).end_stream().end_headers());
            s.output([
                format!("HEADERS stream={stream} [:status: 400]"),
                format!("RST_STREAM stream={stream} PROTOCOL_ERROR"),
            ]);
        }
        s.answers();
    });
    client(|s| {
        for name in bad_names() {
            let stream = s.get().id().as_u32();
            s.peer(headers(stream, Block::new().indexed(8).literal(&name, "x").bytes()).end_headers());
            s.stream_error(stream, ErrorCode::PROTOCOL_ERROR, Violation::FieldNameInvalid);
        }
    });
}

#[test]
fn s8_2_1_values_with_forbidden_bytes_are_malformed() {
    // 9113-8.2.1-2, 9113-8.2.1-3, 9113-8.2.1-6, 9113-8.2.1-7, 9113-8.2.1-8, 9113-8.2.1-10,
    // 9110-5.5-4
    server(|s| {
        for (n, value) in (0..).zip(bad_values()) {
            let stream = 1 + 2 * n;
            let block = Block::new().raw(hpack::get("/")).literal("x-bad", &value).bytes();
            s.peer(headers(stream, block).end_stream().end_headers());
            s.output([
                format!("HEADERS stream={stream} [:status: 400]"),
                format!("RST_STREAM stream={stream} PROTOCOL_ERROR"),
            ]);
        }
        s.answers();
    });
    client(|s| {
        for value in bad_values() {
            let stream = s.get().id().as_u32();
            s.peer(headers(stream, Block::new().indexed(8).literal("x-bad", &value).bytes()).end_headers());
            s.stream_error(stream, ErrorCode::PROTOCOL_ERROR, Violation::FieldValueInvalid);
        }
    });
}

#[test]
fn s8_2_1_other_bytes_pass() {
    // 9113-8.2.1-1, 9113-8.2.1-2, 9110-5.1-1, 9110-5.1-2, 9110-5.5-3
    let token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
    let value: Vec<u8> = (0x21..=0xff).filter(|byte| *byte != 0x7f).chain(*b" \t.").collect();
    server(|s| {
        let block = Block::new().raw(hpack::get("/")).literal(token, &value).literal("x-empty", "").bytes();
        s.peer(headers(1, block).end_stream().end_headers());
        let (name, shown) = (token.as_bytes().escape_ascii(), value.escape_ascii());
        s.events([format!("HEADERS stream=1 request end [{GET}, {name}: {shown}, x-empty: ]")]);
        let stream = s.stream(1);
        let field = Field::new(token.as_bytes(), &value);
        s.call(|core| core.send_response(stream, Status::OK, [field], true)).unwrap();
        s.output([format!("HEADERS stream=1 end [:status: 200, {name}: {shown}]")]);
    });
}

#[test]
fn s8_2_1_trailers_and_promises_are_checked_too() {
    // 9113-8.2.1-3, 9113-8.2.1-8, 9110-5.5-4
    for (bad, violation) in
        [(("X-Bad", "1"), Violation::FieldNameInvalid), (("x-bad", "1\r"), Violation::FieldValueInvalid)]
    {
        server(|s| {
            s.post(1);
            s.peer(headers(1, hpack::block(&[bad])).end_stream().end_headers());
            s.stream_error(1, ErrorCode::PROTOCOL_ERROR, violation);
        });
        client_with(with_push, |s| {
            s.get();
            s.peer(push_promise(1, 2, get_with(&[bad])).end_headers());
            s.refused(2, ErrorCode::PROTOCOL_ERROR);
        });
    }
}

/// The decoder records which entries of its table were validated; an entry that was not must not
/// count as valid.
#[test]
fn s8_2_1_a_bad_field_stays_bad_when_it_is_indexed() {
    // 9113-8.2.1-8
    for (name, value) in [("X-Bad", "1"), ("x-bad", "a\nb"), ("connection", "close"), ("te", "gzip")] {
        server(|s| {
            for (stream, block) in [
                (1, Block::new().raw(hpack::get("/")).literal_indexed(name, value)),
                (3, Block::new().raw(hpack::get("/")).indexed(62)),
                (5, Block::new().raw(hpack::get("/")).literal("no\nname", "").indexed(62)),
                (7, Block::new().raw(hpack::get("/")).indexed(62)),
            ] {
                s.peer(headers(stream, block.bytes()).end_stream().end_headers());
                s.events::<&str>([]);
                let output = s.take_output();
                assert_eq!(output.last(), Some(&format!("RST_STREAM stream={stream} PROTOCOL_ERROR")));
            }
        });
    }
}

/// Tries a field in each kind of block that we send; nothing may be sent.
fn is_refused(name: &[u8], value: &[u8], violation: Violation) {
    let field = || [Field::with_unlisted_name(name, value)];
    let known = || [Field::new(name, value)];
    let refused = SendError::Malformed(violation);
    assert_eq!(check_field(&Field::new(name, value)), Err(violation), "{}", name.escape_ascii());
    server(|s| {
        let stream = s.get(1);
        for fields in [field(), known()] {
            let result = s.call(|core| core.send_informational(stream, Status::EARLY_HINTS, fields));
            assert_eq!(result, Err(refused), "{}", name.escape_ascii());
            assert_eq!(s.call(|core| core.send_response(stream, Status::OK, fields, true)), Err(refused));
            let request = Request::get("https", "example.org", "/");
            assert_eq!(s.call(|core| core.send_push(stream, &request, fields)), Err(refused.into()));
        }
        s.nothing();
    });
    client(|s| {
        let stream = s.post();
        let request = Request::get("https", "example.org", "/");
        for fields in [field(), known()] {
            assert_eq!(s.call(|core| core.send_request(&request, fields, true)), Err(refused.into()));
            assert_eq!(s.call(|core| core.send_trailers(stream, fields)), Err(refused));
        }
        s.nothing();
        assert_eq!(s.call(|core| core.send_data(stream, b"x", true)), Ok(1), "a refusal changes nothing");
        s.output(["DATA stream=1 \"x\" end"]);
    });
}

#[test]
fn s8_2_1_bad_names_and_values_are_not_sent() {
    // 9113-8.2-1, 9113-8.2.1-4, 9113-8.2.1-5, 9113-8.2.1-6, 9113-8.2.1-7, 9110-2.2-1
    for name in bad_names() {
        is_refused(&name, b"x", Violation::FieldNameInvalid);
    }
    for value in bad_values() {
        is_refused(b"x-bad", &value, Violation::FieldValueInvalid);
        is_refused(b"user-agent", &value, Violation::FieldValueInvalid);
    }
}

// §8.2.2: connection-specific fields.

const CONNECTION_SPECIFIC: [(&str, &str); 5] = [
    ("connection", "keep-alive"),
    ("proxy-connection", "keep-alive"),
    ("keep-alive", "timeout=5"),
    ("transfer-encoding", "chunked"),
    ("upgrade", "h2c"),
];

#[test]
fn s8_2_2_connection_specific_fields_are_not_sent() {
    // 9113-8.2.2-1, 8441-5-4, 9110-9.3.6-6
    for (name, value) in CONNECTION_SPECIFIC {
        is_refused(name.as_bytes(), value.as_bytes(), Violation::FieldConnectionSpecific);
    }
}

#[test]
fn s8_2_2_messages_with_connection_specific_fields_are_malformed() {
    // 9113-8.2.2-2, 9110-7.6-1
    for field in CONNECTION_SPECIFIC {
        server(|s| {
            s.peer(headers(1, get_with(&[field])).end_stream().end_headers());
            s.refused(1, ErrorCode::PROTOCOL_ERROR);
            s.post(3);
            s.peer(headers(3, hpack::block(&[field])).end_stream().end_headers());
            s.stream_error(3, ErrorCode::PROTOCOL_ERROR, Violation::FieldConnectionSpecific);
        });
        client(|s| {
            s.get();
            s.peer(headers(1, hpack::block(&[(":status", "200"), field])).end_headers());
            s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::FieldConnectionSpecific);
        });
    }
}

#[test]
fn s8_2_2_te_is_trailers_or_absent() {
    // 9113-8.2.2-3, 9113-8.2.2-4
    for value in ["gzip", "trailers, gzip", "", "trailers;q=1"] {
        is_refused(b"te", value.as_bytes(), Violation::FieldTeInvalid);
        server(|s| {
            s.peer(headers(1, get_with(&[("te", value)])).end_stream().end_headers());
            s.refused(1, ErrorCode::PROTOCOL_ERROR);
        });
    }
    server(|s| {
        s.peer(headers(1, get_with(&[("te", "trailers")])).end_stream().end_headers());
        s.events([format!("HEADERS stream=1 request end [{GET}, te: trailers]")]);
    });
    client(|s| {
        let request = Request::get("https", "example.org", "/");
        s.call(|core| core.send_request(&request, [Field::new(b"te", b"trailers")], true)).unwrap();
        s.output([format!("HEADERS stream=1 end [{GET}, te: trailers]")]);
    });
}

// §8.2.3: cookies.

#[test]
fn s8_2_3_cookie_fields_are_joined() {
    // 9113-8.2.3-1
    let mut server = thalweg::Connection::<thalweg::Server>::new(thalweg::Config::default()).unwrap();
    let cookies = get_with(&[("cookie", "a=b"), ("accept", "*/*"), ("cookie", "c=d"), ("cookie", "e=f")]);
    let wire = thalweg_testkit::frames::wire([
        &thalweg_testkit::frames::preface(),
        &thalweg_testkit::frames::settings(),
        &headers(1, cookies).end_stream().end_headers(),
    ]);
    let mut input = &wire[..];
    server.receive(&mut input, thalweg::Instant::ZERO).unwrap();
    let Some(thalweg::Event::Headers { headers, .. }) =
        server.receive(&mut input, thalweg::Instant::ZERO).unwrap()
    else {
        panic!("a request");
    };
    assert_eq!(headers.joined_cookies().as_deref(), Some(&b"a=b; c=d; e=f"[..]));
    let map = headers.to_header_map().unwrap();
    let cookies: Vec<_> = map.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=b; c=d; e=f"]);
    assert_eq!(map.get("accept").unwrap(), "*/*");
}

#[test]
fn s8_2_3_cookie_fields_are_joined_without_other_fields() {
    // 9113-8.2.3-1
    let mut server = thalweg::Connection::<thalweg::Server>::new(thalweg::Config::default()).unwrap();
    let cookies = Block::new().literal("cookie", "a=b").literal("cookie", "c=d").bytes();
    let wire = thalweg_testkit::frames::wire([
        &thalweg_testkit::frames::preface(),
        &thalweg_testkit::frames::settings(),
        &headers(1, hpack::request("POST", "/")).end_headers(),
        &headers(1, cookies).end_stream().end_headers(),
    ]);
    let mut input = &wire[..];
    let map = loop {
        match server.receive(&mut input, thalweg::Instant::ZERO).unwrap() {
            Some(thalweg::Event::Headers { kind: thalweg::HeadersKind::Trailers, headers, .. }) => {
                break headers.to_header_map().unwrap();
            }
            Some(_) => {}
            None => panic!("trailers"),
        }
    };
    let cookies: Vec<_> = map.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=b; c=d"]);
}

#[test]
fn what_is_never_indexed_is_sensitive_in_a_map() {
    let block = Block::new()
        .raw(hpack::get("/"))
        .literal_never("cookie", "secret=1")
        .literal_never("x-secret", "2")
        .literal("x-open", "3")
        .bytes();
    let is_sensitive = |block: Vec<u8>, name: &str| {
        let mut server = thalweg::Connection::<thalweg::Server>::new(thalweg::Config::default()).unwrap();
        let wire = thalweg_testkit::frames::wire([
            &thalweg_testkit::frames::preface(),
            &thalweg_testkit::frames::settings(),
            &headers(1, block).end_stream().end_headers(),
        ]);
        let mut input = &wire[..];
        server.receive(&mut input, thalweg::Instant::ZERO).unwrap();
        match server.receive(&mut input, thalweg::Instant::ZERO).unwrap() {
            Some(thalweg::Event::Headers { headers, .. }) => {
                headers.to_header_map().unwrap().get(name).map(http::HeaderValue::is_sensitive)
            }
            _ => panic!("a request"),
        }
    };
    assert_eq!(is_sensitive(block.clone(), "cookie"), Some(true));
    assert_eq!(is_sensitive(block.clone(), "x-secret"), Some(true));
    assert_eq!(is_sensitive(block, "x-open"), Some(false));
    assert_eq!(is_sensitive(get_with(&[("cookie", "a=b")]), "cookie"), Some(false));
}
