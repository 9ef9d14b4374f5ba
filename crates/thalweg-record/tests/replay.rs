//! What was recorded is replayed to the same events and the same bytes, and what differs is found;
//! without its secrets it still replays, to the same frames.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use thalweg::frame::SettingId;
use thalweg::{Client, Config, ErrorCode, Event, Field, Instant, Request, Server, Status};
use thalweg_record::{Call, RecordOptions, Recorder, Recording, ReplayEvent, replay};
use thalweg_testkit::endpoint::Endpoint;
use thalweg_testkit::sim::{self, Script};

/// Both ends of a conversation, and the report of each.
#[derive(Default)]
struct Received {
    output: Vec<u8>,
    events: Vec<String>,
}

/// A conversation in memory: the files of the client and of the server, and their reports when it
/// happened.
fn conversation(bytes_max: usize) -> [(Vec<u8>, Received); 2] {
    let mut config = Config::default();
    config.hash_seed = 0x5eed;
    let mut client = Recorder::<Client>::new(config, RecordOptions::max_bytes(bytes_max)).unwrap();
    let mut server = Recorder::<Server>::new(config, RecordOptions::max_bytes(bytes_max)).unwrap();
    let (mut asked, mut answered) = (Received::default(), Received::default());
    let mut now = Instant::from_nanos(1_000);
    for turn in 0..20u8 {
        let path = format!("/{turn}");
        let request = Request::new("POST", "https", "example.org", path.as_str());
        let fields = [Field::new(b"authorization", b"Bearer t0ps3cret").sensitive()];
        let stream = client.send_request(&request, fields, false).unwrap();
        assert_eq!(client.send_data(stream, &[turn; 300], turn % 3 == 0), Ok(300));
        if turn % 3 != 0 {
            client.send_trailers(stream, [Field::new(b"x-sum", &[b'a' + turn])]).unwrap();
        }
        client.send_ping([turn + 1; 8]).unwrap();
        client.send_extension_settings(&[(SettingId(0xfe00), turn.into())]).unwrap();
        for _ in 0..3 {
            now = now + std::time::Duration::from_micros(137);
            carry(&mut client, &mut asked, |piece| receive_at_server(&mut server, &mut answered, piece, now));
            carry(&mut server, &mut answered, |piece| receive_at_client(&mut client, &mut asked, piece, now));
        }
    }
    client.shutdown();
    carry(&mut client, &mut asked, |piece| receive_at_server(&mut server, &mut answered, piece, now));
    [(client.finish().unwrap(), asked), (server.finish().unwrap(), answered)]
}

fn carry<R: thalweg::Role>(from: &mut Recorder<R>, received: &mut Received, mut to: impl FnMut(&[u8])) {
    let mut wire = Vec::new();
    if from.poll_transmit(&mut wire) {
        received.output.extend_from_slice(&wire);
        wire.chunks(251).for_each(&mut to);
    }
}

fn receive_at_server(server: &mut Recorder<Server>, received: &mut Received, mut input: &[u8], now: Instant) {
    while let Some(event) = server.receive(&mut input, now).unwrap() {
        received.events.push(format!("{event:?}"));
        match event {
            Event::Headers { stream, end: false, .. } => {
                let fields = [Field::new(b"set-cookie", b"session=t0ps3cret-t0ps3cret")];
                server.send_response(stream, Status::OK, fields, false).unwrap();
            }
            Event::Data { stream, data, .. } => {
                assert_eq!(server.send_data(stream, data, false), Ok(data.len()));
                match stream.id().as_u32() % 4 {
                    1 => server.release(stream, data.len()),
                    _ => server.discard(stream, data.len()),
                }
            }
            _ => {}
        }
        if let Some(stream) = server.poll_writable() {
            server.send_reset(stream, ErrorCode::CANCEL);
        }
    }
}

fn receive_at_client(client: &mut Recorder<Client>, received: &mut Received, mut input: &[u8], now: Instant) {
    while let Some(event) = client.receive(&mut input, now).unwrap() {
        received.events.push(format!("{event:?}"));
        if let Event::Data { stream, data, .. } = event {
            client.release(stream, data.len());
        }
    }
}

fn received_in_replay(recording: &Recording<'_>) -> Received {
    let mut received = Received::default();
    let replayed = replay(recording, |event| match event {
        ReplayEvent::Event(event) => received.events.push(format!("{event:?}")),
        ReplayEvent::Output(bytes) => received.output.extend_from_slice(bytes),
        _ => {}
    });
    assert_eq!(replayed.unwrap().difference, None);
    received
}

#[test]
fn a_replay_yields_the_same_events_and_bytes() {
    for (file, received) in conversation(1 << 20) {
        let recording = Recording::parse(&file).unwrap();
        assert!(!recording.is_truncated && received.events.len() > 60, "{}", received.events.len());
        assert_eq!(recording.output_bytes, received.output.len() as u64);
        let again = received_in_replay(&recording);
        assert!(again.output == received.output);
        assert_eq!(again.events, received.events);
    }
}

#[test]
fn simulated_conversations_replay() {
    let mut steps = 0;
    for seed in 0..150 {
        let script = sim::script(seed);
        for file in record(&script) {
            let recording = Recording::parse(&file).unwrap();
            let replayed = replay(&recording, |_| {}).unwrap();
            assert_eq!(replayed.difference, None, "seed {seed}");
            assert_eq!(
                (replayed.steps, replayed.output_bytes),
                (recording.steps.len(), recording.output_bytes)
            );
            steps += replayed.steps;
        }
    }
    assert!(steps > 10_000, "{steps}");
}

/// The recordings of both ends of a simulator's script.
fn record(script: &Script) -> Vec<Vec<u8>> {
    let files = Arc::new(Mutex::new(Vec::new()));
    let record_options = || {
        let files = Arc::clone(&files);
        RecordOptions::max_bytes(64 << 20).to_sink(move |file, _| files.lock().unwrap().push(file))
    };
    let endpoints = || {
        [
            Endpoint::recorded_client(script.client.config(), record_options()).unwrap(),
            Endpoint::recorded_server(script.server.config(), record_options()).unwrap(),
        ]
    };
    sim::run_with(script, endpoints).unwrap();
    let files = std::mem::take(&mut *files.lock().unwrap());
    assert_eq!(files.len(), 2);
    files
}

#[test]
fn a_difference_is_found_where_it_begins() {
    let [(file, _), _] = conversation(1 << 20);
    let mut recording = Recording::parse(&file).unwrap();
    let is_data = |call: &Call<'_>| matches!(call, Call::SendData { .. });
    let at = recording.steps.iter().rposition(|step| is_data(&step.call)).unwrap();
    let Call::SendData { data, .. } = &mut recording.steps[at].call else { unreachable!() };
    // One byte less is seen at once, another byte when it is written.
    let (shorter, other) = (&data[1..], vec![0xee; data.len()]);
    *data = shorter;
    let difference = replay(&recording, |_| {}).unwrap().difference.unwrap();
    assert_eq!((difference.step, difference.call), (at, "send_data"));
    assert_eq!(difference.offset, recording.steps[at].offset);
    let Call::SendData { data, .. } = &mut recording.steps[at].call else { unreachable!() };
    *data = &other;
    let difference = replay(&recording, |_| {}).unwrap().difference.unwrap();
    assert_eq!(difference.call, "poll_transmit");
    assert!(difference.step > at);
}

#[test]
fn a_difference_that_no_check_detects_is_found_at_the_end() {
    let [(file, _), _] = conversation(1 << 20);
    let mut recording = Recording::parse(&file).unwrap();
    recording.digest ^= 1 << 63;
    let replayed = replay(&recording, |_| {}).unwrap();
    assert_eq!(replayed.difference.unwrap().step, recording.steps.len());
}

#[test]
fn an_unknown_stream_is_a_difference() {
    let [_, (file, _)] = conversation(1 << 20);
    let mut recording = Recording::parse(&file).unwrap();
    assert!(recording.steps.iter().any(|step| matches!(step.call, Call::Discard { .. })));
    let release = recording.steps.iter_mut().find_map(|step| match &mut step.call {
        Call::Release { stream, .. } => Some(stream),
        _ => None,
    });
    *release.unwrap() = thalweg::StreamId::new(99);
    let difference = replay(&recording, |_| {}).unwrap().difference.unwrap();
    assert_eq!(difference.unknown_stream, Some(thalweg::StreamId::new(99)));
    assert!(difference.to_string().ends_with("release: there is no stream 99"), "{difference}");
}

#[test]
fn an_upgraded_connection_replays() {
    let settings = thalweg::Connection::<Client>::upgrade_settings(&Config::default());
    let record_options = || RecordOptions::max_bytes(1 << 20);
    let (mut client, asked) =
        Recorder::<Client>::from_upgrade(Config::default(), b"GET", record_options()).unwrap();
    let (mut server, answered) =
        Recorder::<Server>::from_upgrade(Config::default(), &settings, b"GET", record_options()).unwrap();
    server.send_response(answered, Status::OK, [], true).unwrap();
    let (mut received, mut client_received) = (Received::default(), Received::default());
    carry(&mut server, &mut received, |piece| {
        receive_at_client(&mut client, &mut client_received, piece, Instant::ZERO);
    });
    client.release(asked, 0);
    for file in [client.finish(), server.finish()] {
        received_in_replay(&Recording::parse(&file.unwrap()).unwrap());
    }
    assert!(
        client_received.events.iter().any(|event| event.starts_with("Headers")),
        "{:?}",
        client_received.events
    );
}

/// The input may be the same buffer with other bytes, and what was left of it may be dropped.
#[test]
fn input_is_recorded_as_it_was_consumed() {
    let mut client = Recorder::<Client>::new(Config::default(), RecordOptions::disabled()).unwrap();
    for path in ["/1", "/2", "/3"] {
        client.send_request(&Request::get("https", "example.org", path), [], true).unwrap();
    }
    let mut wire = Vec::new();
    let _ = client.poll_transmit(&mut wire);
    // How far each event reaches.
    let mut plain = Recorder::<Server>::new(Config::default(), RecordOptions::disabled()).unwrap();
    let (mut ends, mut input) = (Vec::new(), &wire[..]);
    while plain.receive(&mut input, Instant::ZERO).unwrap().is_some() {
        ends.push(wire.len() - input.len());
    }
    let mut server = Recorder::<Server>::new(Config::default(), RecordOptions::max_bytes(1 << 20)).unwrap();
    let mut received = Received::default();
    let (mut buffer, mut at) = (wire.clone(), 0);
    // In one place, one event at a time; what lies behind it is rubbish until it is its turn.
    for end in ends {
        buffer.copy_from_slice(&wire);
        buffer[end..].fill(0xff);
        let mut input = &buffer[at..];
        if let Some(event) = server.receive(&mut input, Instant::ZERO).unwrap() {
            received.events.push(format!("{event:?}"));
        }
        at = buffer.len() - input.len();
        assert_eq!(at, end);
    }
    carry(&mut server, &mut received, |_| {});
    let file = server.finish().unwrap();
    assert!(received.events.len() > 3);
    assert_eq!(received_in_replay(&Recording::parse(&file).unwrap()).events, received.events);
}

#[test]
fn a_file_never_exceeds_its_bound_and_what_fits_replays() {
    let [(_, _), (whole, _)] = conversation(1 << 20);
    let mut cut = 0;
    for bound in (400..whole.len() + 500).step_by(97) {
        let [_, (file, _)] = conversation(bound);
        assert!(file.len() <= bound, "{} of {bound}", file.len());
        let recording = Recording::parse(&file).unwrap();
        cut += usize::from(recording.is_truncated);
        assert!(recording.is_truncated || file == whole);
        received_in_replay(&recording);
    }
    assert!(cut > 50);
    // The beginning and the end are there whatever the bound.
    let [(file, _), _] = conversation(0);
    assert!(
        Recording::parse(&file).is_ok_and(|recording| recording.is_truncated && recording.steps.is_empty())
    );
}

/// Every public value of a replay.
fn values(recording: &Recording<'_>) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    let replayed = replay(recording, |event| match event {
        ReplayEvent::Event(Event::Headers { headers, .. }) => {
            values.extend(headers.fields().map(|field| field.value.to_vec()));
            values.extend([headers.authority(), headers.path()].into_iter().flatten().map(<[u8]>::to_vec));
        }
        ReplayEvent::Event(Event::Data { data, .. }) => values.push(data.to_vec()),
        ReplayEvent::Call(step) => match &step.call {
            Call::SendRequest { request, fields, .. } => {
                values.extend(fields.iter().map(|field| field.value.to_vec()));
                values.extend([request.authority, request.path].into_iter().flatten().map(<[u8]>::to_vec));
            }
            Call::SendResponse { fields, .. } | Call::SendTrailers { fields, .. } => {
                values.extend(fields.iter().map(|field| field.value.to_vec()));
            }
            Call::SendData { data, .. } => values.push(data.to_vec()),
            _ => {}
        },
        _ => {}
    });
    assert_eq!(replayed.unwrap().difference, None);
    values
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_redacted_recording_keeps_lengths_and_hides_values() {
    for (file, received) in conversation(1 << 20) {
        let recording = Recording::parse(&file).unwrap();
        let secrets: &[&[u8]] = &[b"t0ps3cret", b"Bearer", b"session", b"example.org", b"/17", &[7; 30]];
        let clear = values(&recording);
        for secret in secrets {
            assert!(clear.iter().any(|value| holds(value, secret)), "{secret:?}");
        }
        let redacted = recording.redacted([0x0123, 0x4567]).unwrap();
        assert!(redacted.is_same_shape);
        let hidden = Recording::parse(&redacted.file).unwrap();
        for secret in secrets {
            assert!(!holds(&redacted.file, secret), "{secret:?}");
            assert!(!values(&hidden).iter().any(|value| holds(value, secret)), "{secret:?}");
        }
        // Each call is there, each value as long as it was, and equal where it was equal.
        assert_eq!(hidden.steps.len(), recording.steps.len());
        assert_eq!(hidden.output_bytes, recording.output_bytes);
        let veiled = values(&hidden);
        assert!(veiled.iter().map(Vec::len).eq(clear.iter().map(Vec::len)));
        for (at, value) in clear.iter().enumerate() {
            let twin = clear.iter().position(|other| other == value).unwrap();
            assert_eq!(veiled[at], veiled[twin]);
        }
        let again = received_in_replay(&hidden);
        assert_eq!(frame_heads(&again.output), frame_heads(&received.output));
        assert!(again.output != received.output);
    }
}

/// The heads of all frames in an output.
fn frame_heads(mut output: &[u8]) -> Vec<[u8; 9]> {
    output = output.strip_prefix(thalweg::frame::PREFACE).unwrap_or(output);
    let mut heads = Vec::new();
    while let Some(head) = output.first_chunk::<9>() {
        let len = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        heads.push(*head);
        output = &output[9 + len..];
    }
    heads
}

#[test]
fn simulated_conversations_keep_their_shape_without_secrets() {
    let (mut count, mut same) = (0, 0);
    for seed in 0..100 {
        for file in record(&sim::script(seed)) {
            let recording = Recording::parse(&file).unwrap();
            let redacted = recording.redacted([seed, 7]).unwrap();
            received_in_replay(&Recording::parse(&redacted.file).unwrap());
            count += 1;
            same += u32::from(redacted.is_same_shape);
        }
    }
    // Where the wire was tampered with, what cannot be read is not kept.
    assert!(same * 100 >= count * 95, "{same} of {count}");
}

#[test]
fn other_protocols_and_undecodable_blocks_are_overwritten() {
    let preface = thalweg::frame::PREFACE.as_slice();
    let settings = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    // A literal whose value ends behind the block, and one with padding that is no padding.
    let cut_off = b"\0\0\x0d\x01\x05\0\0\0\x01\0\x01a\x20t0ps3cret";
    let no_huffman = b"\0\0\x0d\x01\x05\0\0\0\x01\0\x01a\x89t0ps3cret";
    for input in [
        b"GET /t0ps3cret HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        [preface, settings, cut_off].concat(),
        [preface, settings, no_huffman].concat(),
        [preface, settings, b"\0\0\x0c\xfa\0\0\0\0\0t0ps3cret..."].concat(),
        [preface, settings, b"\0\0\x11\x07\0\0\0\0\0\0\0\0\0\0\0\0\0t0ps3cret"].concat(),
    ] {
        let mut server =
            Recorder::<Server>::new(Config::default(), RecordOptions::max_bytes(1 << 20)).unwrap();
        let mut rest = &input[..];
        while matches!(server.receive(&mut rest, Instant::ZERO), Ok(Some(_))) {}
        server.shutdown();
        let error = server.report().error;
        let file = server.finish().unwrap();
        assert!(holds(&file, b"t0ps3cret"));
        let redacted = Recording::parse(&file).unwrap().redacted([1, 2]).unwrap();
        assert!(!holds(&redacted.file, b"t0ps3cret"));
        assert!(redacted.is_same_shape, "{error:?}");
        let hidden = Recording::parse(&redacted.file).unwrap();
        assert_eq!(replay(&hidden, |_| {}).unwrap().report.error, error);
    }
}
