//! Texts for users: every error tells briefly what to do, and every frame has a line.

use std::collections::BTreeSet;
use std::error::Error;

use thalweg::inspect::{Direction, Inspector};
use thalweg::{
    Client, Config, Connection, ConnectionError, ErrorCode, Limit, OpenError, SendError, Server, Status,
    StreamError, Timeout, UpgradeError, Violation,
};
use thalweg_testkit::frames::{self, Piece, flag, kind};
use thalweg_testkit::hpack;

/// Texts of errors: lower case, without a full stop, and each for one thing.
fn read_well<T: ToString>(errors: impl IntoIterator<Item = T>) -> Vec<String> {
    let texts: Vec<String> = errors.into_iter().map(|error| error.to_string()).collect();
    for text in &texts {
        let first = text.chars().next().expect("a text");
        // Names of frames and settings are in capitals.
        let name: String = text.chars().take(2).collect();
        assert!(!first.is_uppercase() || name.chars().all(char::is_uppercase), "{text}");
        assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
    }
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len(), "{texts:#?}");
    texts
}

/// The text of the source, which the error's own text does not repeat.
fn cause(error: &dyn Error) -> String {
    let cause = error.source().expect("it has a cause").to_string();
    assert!(!error.to_string().contains(&cause), "{error}");
    cause
}

fn over() -> ConnectionError {
    let mut server = Connection::<Server>::new(Config::default()).expect("the default is valid");
    server.close(ErrorCode::INTERNAL_ERROR, b"");
    server.report().error.expect("it is closed")
}

#[test]
fn errors_of_refused_calls_name_the_remedy() {
    let errors = [
        SendError::StreamClosed,
        SendError::Connection(over()),
        SendError::AlreadyEnded,
        SendError::HeadersSent,
        SendError::HeadersNotSent,
        SendError::Malformed(Violation::PushDisabled),
        SendError::ContentLength { left: 3, given: 5 },
        SendError::HeaderListTooLarge { bytes: 70, limit: 60 },
        SendError::NotAllowedByPeer,
        SendError::OutOfRange,
        SendError::TooManyPending,
    ];
    let texts = read_well(errors);
    assert_eq!(texts[1], "the connection is over");
    assert_eq!(cause(&errors[1]), "closed by us with INTERNAL_ERROR");
    assert_eq!(cause(&errors[5]), Violation::PushDisabled.to_string());
    assert!(errors[6].source().is_none());
    assert_eq!(texts[6], "content-length leaves 3 bytes to send, this call ends with 5");
    assert_eq!(texts[7], "header list of 70 bytes, the peer accepts 60");
    let errors = [
        OpenError::TooManyStreams { limit: 7 },
        OpenError::GoingAway,
        OpenError::IdsExhausted,
        OpenError::from(SendError::TooManyPending),
    ];
    let texts = read_well(errors);
    assert_eq!(texts[0], "the peer allows 7 streams at once: wait for StreamAvailable");
    assert_eq!(texts[3], "the request was not sent");
    assert_eq!(cause(&errors[3]), SendError::TooManyPending.to_string());
}

#[test]
fn what_resets_a_stream_names_its_rule_or_its_limit() {
    let errors = [
        StreamError::Violation(Violation::ContentLengthMismatch),
        StreamError::Limit(Limit::HeaderListBytes),
        StreamError::Timeout(Timeout::Stall),
        StreamError::Eof,
    ];
    let texts = read_well(errors);
    assert_eq!(texts[1], "limit header_list_bytes_max of the configuration reached");
    assert_eq!(texts[2], "timeouts.stall passed");
    let codes = errors.map(StreamError::code);
    assert_eq!(codes[0], Violation::ContentLengthMismatch.code());
    assert_eq!(codes[1], Limit::HeaderListBytes.code());
    assert_eq!(codes[2..], [ErrorCode::CANCEL, ErrorCode::CANCEL]);
}

#[test]
fn an_upgrade_or_a_configuration_that_fails_names_the_setting() {
    let mut config = Config::default();
    config.frame_bytes_max = 16_383;
    let error = config.validate().expect_err("too small a frame");
    assert_eq!(error.field(), "frame_bytes_max");
    let text = error.to_string();
    assert_eq!(text, "Config::frame_bytes_max is 16383, it must be from 16384 to 16777215");
    let upgrade = UpgradeError::from(error);
    assert_eq!(upgrade.to_string(), "the configuration is invalid");
    assert_eq!(cause(&upgrade), text);
    let failed = Connection::<Server>::from_upgrade(Config::default(), &[0, 2, 0, 0, 0, 2], b"GET");
    let failed = failed.expect_err("ENABLE_PUSH of 2");
    assert_eq!(failed.to_string(), "the field http2-settings is invalid");
    assert_eq!(cause(&failed), Violation::SettingsEnablePush.to_string());
}

#[test]
fn every_error_code_and_every_timeout_has_its_name() {
    let names = read_well((0..=13).map(ErrorCode));
    assert!(
        names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || b"_1".contains(&byte)))
    );
    assert_eq!(format!("{:?}", ErrorCode::HTTP_1_1_REQUIRED), "HTTP_1_1_REQUIRED");
    assert_eq!(ErrorCode(14).to_string(), "error code 0xe");
    let timeouts =
        [Timeout::Preface, Timeout::SettingsAck, Timeout::HeaderBlock, Timeout::KeepAlive, Timeout::Ping];
    let fields = read_well(timeouts.map(Timeout::config_field));
    assert!(fields.iter().all(|field| field.starts_with("timeouts.")));
    assert_eq!(format!("{:?}", Status::NOT_FOUND), "404");
}

#[test]
fn snapshots_show_the_state_of_a_connection() {
    let client = Connection::<Client>::new(Config::default()).expect("the default is valid");
    let text = format!("{client:?}");
    assert!(text.starts_with("Connection { client: true, live_streams: 0, report: "), "{text}");
}

/// Returns the lines that an inspector prints for frames of a server.
fn lines(frames: &[&dyn Piece]) -> Vec<String> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.put(&mut bytes));
    let mut inspector = Inspector::default();
    let (mut rest, mut lines) = (bytes.as_slice(), Vec::new());
    while let Some(seen) = inspector.inspect(Direction::ToClient, &mut rest) {
        lines.push(seen.to_string());
    }
    lines
}

#[test]
fn every_frame_has_a_line() {
    let settings = (1..10).filter(|id| *id != 7).fold(frames::settings(), |frame, id| frame.entry(id, 1));
    let shown = lines(&[
        &settings.entry(0x99, 5),
        &frames::push_promise(1, 2, hpack::get("/")).end_headers(),
        &frames::rst_stream(1, ErrorCode::CANCEL),
        &frames::altsvc(0, "https://a", "h2=\":443\""),
        &frames::origin(["https://a", "https://b"]),
        &frames::priority_update(3, "u=1, i"),
        &frames::raw(0xbe, flag::ACK, 0, "?"),
    ]);
    let expected = [
        "< SETTINGS 54 bytes HEADER_TABLE_SIZE=1 ENABLE_PUSH=1 MAX_CONCURRENT_STREAMS=1 INITIAL_WINDOW_SIZE=1 \
         MAX_FRAME_SIZE=1 MAX_HEADER_LIST_SIZE=1 ENABLE_CONNECT_PROTOCOL=1 NO_RFC7540_PRIORITIES=1 0x99=5",
        "< PUSH_PROMISE stream 1, 65 bytes END_HEADERS promises stream 2 {:method: GET, :scheme: https, :authority: example.org, :path: /}",
        "< RST_STREAM stream 1, 4 bytes CANCEL",
        "< ALTSVC 20 bytes https://a h2=\\\":443\\\"",
        "< ORIGIN 22 bytes https://a https://b",
        "< PRIORITY_UPDATE 10 bytes for stream 3: u=1, i",
        "< type 0xbe 1 bytes",
    ];
    assert_eq!(shown, expected);
    let broken = lines(&[&frames::raw(kind::WINDOW_UPDATE, 0, 1, [0; 5])]);
    assert!(broken[0].starts_with("< WINDOW_UPDATE stream 1, 5 bytes MALFORMED: "), "{broken:?}");
}
