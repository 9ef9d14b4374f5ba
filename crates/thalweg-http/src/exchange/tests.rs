//! The cases of the table one by one, and every state with every input.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::*;

const NOW: Instant = Instant::ZERO;

fn status(code: u16) -> Status {
    Status::new(code).unwrap()
}

fn after(duration: Duration) -> Instant {
    NOW + duration
}

fn timeouts() -> Timeouts {
    Timeouts {
        unread_request: Duration::from_secs(1),
        tunnel_end: Duration::from_secs(2),
        half_closed: Duration::from_secs(3),
        upload: Duration::from_secs(4),
    }
}

/// Passes inputs at time zero. All but the last cause no action.
fn handle(exchange: &mut Exchange, inputs: &[Input]) -> Actions {
    let mut actions = Actions::NONE;
    for input in inputs {
        assert_eq!(actions, Actions::NONE, "before {input:?}");
        actions = exchange.handle(*input, NOW, &timeouts());
    }
    actions
}

fn reset(code: ErrorCode) -> Actions {
    Actions { send: Frame::Reset(code), end: Some(ExchangeEnd::LocalReset(code)), ..Actions::NONE }
}

const COMPLETED: Actions = Actions { end: Some(ExchangeEnd::Completed), ..Actions::NONE };
const OK: Input = Input::HeadersSent { status: Status::OK };

#[test]
fn a_response_after_its_request_completes_the_exchange() {
    let mut exchange = Exchange::server(Method::Get);
    let inputs = [Input::InboundEnded, Input::ReaderFinished, OK, Input::OutboundEnded];
    assert_eq!(handle(&mut exchange, &inputs), COMPLETED);
    let mut exchange = Exchange::client(Method::Get);
    assert_eq!(handle(&mut exchange, &[Input::OutboundEnded]), Actions::NONE);
    let headers = exchange.handle(Input::HeadersReceived { status: Status::OK }, NOW, &timeouts());
    assert_eq!(headers, Actions { deliver_headers: true, ..Actions::NONE });
    assert_eq!(handle(&mut exchange, &[Input::InboundEnded]), COMPLETED, "its content may still be unread");
}

#[test]
fn a_server_gives_the_client_time_after_an_early_final_response() {
    let early = [Input::ReaderDropped, OK, Input::OutboundEnded];
    let mut exchange = Exchange::server(Method::Post);
    assert_eq!(handle(&mut exchange, &early), Actions::NONE, "no reset follows the response");
    assert!(exchange.is_discarding());
    assert_eq!(exchange.deadline(), Some(after(timeouts().unread_request)));
    let mut finishes = exchange;
    assert_eq!(handle(&mut finishes, &[Input::InboundEnded]), COMPLETED);
    // A late frame does not extend the time.
    let early = NOW + Duration::from_millis(999);
    assert_eq!(exchange.handle(Input::OutboundProgress, early, &timeouts()), Actions::NONE);
    assert_eq!(exchange.handle(Input::Timeout, early, &timeouts()), Actions::NONE);
    let due = after(timeouts().unread_request);
    assert_eq!(exchange.deadline(), Some(due));
    assert_eq!(exchange.handle(Input::Timeout, due, &timeouts()), reset(ErrorCode::NO_ERROR));
    assert!(!exchange.is_discarding());
}

#[test]
fn a_server_whose_handler_reads_on_after_its_response_has_no_deadline() {
    let mut exchange = Exchange::server(Method::Post);
    assert_eq!(handle(&mut exchange, &[OK, Input::OutboundEnded]), Actions::NONE);
    assert_eq!((exchange.deadline(), exchange.is_discarding()), (None, false));
    assert_eq!(handle(&mut exchange, &[Input::InboundEnded]), COMPLETED);
}

#[test]
fn a_client_gets_an_early_response_and_its_upload_ends_with_the_reader() {
    let early = || {
        let mut exchange = Exchange::client(Method::Post);
        let actions = exchange.handle(Input::HeadersReceived { status: status(401) }, NOW, &timeouts());
        assert!(actions.deliver_headers, "immediately, whatever the upload does");
        assert_eq!(handle(&mut exchange, &[Input::InboundEnded]), Actions::NONE);
        exchange
    };
    let cancelled = Actions { drop_source: true, ..reset(ErrorCode::CANCEL) };
    for input in [Input::ReaderFinished, Input::ReaderDropped] {
        assert_eq!(handle(&mut early(), &[input]), cancelled, "{input:?}");
    }
    // The caller holds the response unread, and the upload makes no progress.
    let mut exchange = early();
    assert_eq!(exchange.deadline(), Some(after(timeouts().upload)));
    let later = NOW + Duration::from_secs(1);
    assert_eq!(exchange.handle(Input::OutboundProgress, later, &timeouts()), Actions::NONE);
    assert_eq!(exchange.deadline(), Some(later + timeouts().upload));
    assert_eq!(exchange.handle(Input::Timeout, later + timeouts().upload, &timeouts()), cancelled);
    // The upload may end first.
    assert_eq!(handle(&mut early(), &[Input::OutboundEnded]), COMPLETED);
}

#[test]
fn a_client_that_loses_interest_cancels_at_once() {
    let cancelled = Actions { drop_source: true, ..reset(ErrorCode::CANCEL) };
    assert_eq!(handle(&mut Exchange::client(Method::Post), &[Input::ReaderDropped]), cancelled);
    let mut sent = Exchange::client(Method::Get);
    let inputs = [Input::OutboundEnded, Input::ReaderDropped];
    assert_eq!(handle(&mut sent, &inputs), reset(ErrorCode::CANCEL));
    assert_eq!(handle(&mut Exchange::client_push(), &[Input::ReaderDropped]), reset(ErrorCode::CANCEL));
    let mut limited = Exchange::client(Method::Post);
    let code = ErrorCode::CANCEL;
    let expected = Actions { fail_reader: true, ..cancelled };
    assert_eq!(handle(&mut limited, &[Input::Cancelled { code }]), expected);
}

#[test]
fn a_source_that_fails_resets_the_stream_and_reports_it() {
    for input in [Input::SourceFailed, Input::SourceDropped] {
        let failed = |code| Actions { drop_source: true, fail_reader: true, ..reset(code) };
        let mut client = Exchange::client(Method::Post);
        assert_eq!(handle(&mut client, &[input]), failed(ErrorCode::CANCEL), "{input:?}");
        let mut server = Exchange::server(Method::Post);
        assert_eq!(handle(&mut server, &[input]), failed(ErrorCode::INTERNAL_ERROR), "{input:?}");
        let mut push = Exchange::server_push();
        let expected = Actions { fail_reader: false, ..failed(ErrorCode::INTERNAL_ERROR) };
        assert_eq!(handle(&mut push, &[OK, input]), expected, "{input:?}");
    }
}

#[test]
fn withheld_content_ends_with_the_response() {
    let mut exchange = Exchange::client(Method::Put);
    assert_eq!(handle(&mut exchange, &[Input::SourceWithheld]), Actions::NONE);
    assert!(!exchange.wants_source());
    assert_eq!(exchange.deadline(), None, "the response is still wanted");
    assert_eq!(handle(&mut exchange, &[Input::InboundEnded]), reset(ErrorCode::CANCEL));
}

#[test]
fn a_reset_fails_only_an_incomplete_message() {
    let code = ErrorCode::NO_ERROR;
    let over = Actions { drop_source: true, end: Some(ExchangeEnd::Reset(code)), ..Actions::NONE };
    let mut complete = Exchange::client(Method::Post);
    let inputs = [Input::InboundEnded, Input::StreamReset { code }];
    assert_eq!(handle(&mut complete, &inputs), over, "RFC 9113 §8.1: the response stands");
    let mut incomplete = Exchange::client(Method::Post);
    let expected = Actions { fail_reader: true, ..over };
    assert_eq!(handle(&mut incomplete, &[Input::StreamReset { code }]), expected);
    let mut handling = Exchange::server(Method::Get);
    assert_eq!(handle(&mut handling, &[Input::InboundEnded, Input::StreamReset { code }]), over);
}

#[test]
fn a_handler_whose_client_is_gone_is_dropped() {
    let lost = Actions { drop_source: true, end: Some(ExchangeEnd::Lost), ..Actions::NONE };
    let mut exchange = Exchange::server(Method::Get);
    let inputs = [Input::InboundEnded, Input::ReaderFinished, Input::InputEnded];
    assert_eq!(handle(&mut exchange, &inputs), Actions::NONE, "a client may only half-close");
    let mut gone = exchange;
    assert_eq!(handle(&mut gone, &[Input::ConnectionLost]), lost, "the transport shows it");
    let due = after(timeouts().half_closed);
    assert_eq!(exchange.deadline(), Some(due));
    let mut answers = exchange;
    assert_eq!(handle(&mut answers, &[OK, Input::OutboundEnded]), COMPLETED);
    let mut slow = exchange;
    let later = NOW + Duration::from_secs(2);
    assert_eq!(slow.handle(OK, later, &timeouts()), Actions::NONE);
    assert_eq!(slow.deadline(), Some(later + timeouts().half_closed), "its response makes progress");
    let dropped = Actions { drop_source: true, ..reset(ErrorCode::CANCEL) };
    assert_eq!(exchange.handle(Input::Timeout, due, &timeouts()), dropped);

    // An incomplete message is lost with the input.
    let failed = Actions { fail_reader: true, ..lost };
    assert_eq!(handle(&mut Exchange::server(Method::Post), &[Input::InputEnded]), failed);
    assert_eq!(handle(&mut Exchange::client(Method::Post), &[Input::InputEnded]), failed);
}

#[test]
fn a_tunnel_that_finishes_sends_end_stream_alone() {
    for (mut exchange, headers, code) in [
        (Exchange::server(Method::Connect), OK, ErrorCode::NO_ERROR),
        (Exchange::client(Method::Connect), Input::HeadersReceived { status: Status::OK }, ErrorCode::CANCEL),
    ] {
        let _ = exchange.handle(headers, NOW, &timeouts());
        assert!(exchange.is_tunnel());
        let ended = Actions { send: Frame::EndStream, ..Actions::NONE };
        assert_eq!(handle(&mut exchange, &[Input::ReaderDropped, Input::SourceDropped]), ended);
        let due = after(timeouts().tunnel_end);
        assert_eq!((exchange.deadline(), exchange.is_discarding()), (Some(due), true));
        let mut polite = exchange;
        assert_eq!(handle(&mut polite, &[Input::InboundEnded]), COMPLETED);
        assert_eq!(exchange.handle(Input::Timeout, due, &timeouts()), reset(code));
    }
}

#[test]
fn the_halves_of_a_tunnel_end_separately() {
    let mut exchange = Exchange::client(Method::Connect);
    let _ = exchange.handle(Input::HeadersReceived { status: Status::OK }, NOW, &timeouts());
    let inputs = [Input::InboundEnded, Input::ReaderFinished, Input::OutboundProgress];
    assert_eq!(handle(&mut exchange, &inputs), Actions::NONE, "the writer continues");
    assert_eq!((exchange.deadline(), exchange.wants_source()), (None, true));
    let completed = Actions { send: Frame::EndStream, ..COMPLETED };
    assert_eq!(handle(&mut exchange, &[Input::SourceDropped]), completed);

    let mut failed = Exchange::server(Method::Connect);
    let expected = Actions { drop_source: true, fail_reader: true, ..reset(ErrorCode::CONNECT_ERROR) };
    assert_eq!(handle(&mut failed, &[OK, Input::SourceFailed]), expected);
}

#[test]
fn a_refused_connect_is_a_message() {
    let mut exchange = Exchange::client(Method::Connect);
    let actions = exchange.handle(Input::HeadersReceived { status: status(403) }, NOW, &timeouts());
    assert_eq!(actions, Actions { deliver_headers: true, drop_source: true, ..Actions::NONE });
    assert_eq!(handle(&mut exchange, &[Input::InboundEnded]), reset(ErrorCode::CANCEL));
    let mut server = Exchange::server(Method::Connect);
    let inputs = [Input::HeadersSent { status: status(403) }, Input::OutboundEnded, Input::ReaderDropped];
    assert_eq!(handle(&mut server, &inputs), Actions::NONE);
    assert_eq!(server.deadline(), Some(after(timeouts().unread_request)));
}

/// What the peer and the application have done, kept apart from the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Model {
    reader_gone: bool,
    source_gone: bool,
    inbound_ended: bool,
    outbound_ended: bool,
    transport_ended: bool,
}

const INPUTS: [Input; 17] = [
    Input::HeadersReceived { status: Status::OK },
    Input::HeadersReceived { status: Status::NOT_FOUND },
    Input::InboundEnded,
    Input::StreamReset { code: ErrorCode::CANCEL },
    Input::InputEnded,
    Input::ConnectionLost,
    Input::ReaderFinished,
    Input::ReaderDropped,
    Input::HeadersSent { status: Status::OK },
    Input::HeadersSent { status: Status::NOT_FOUND },
    Input::OutboundProgress,
    Input::OutboundEnded,
    Input::SourceDropped,
    Input::SourceFailed,
    Input::SourceWithheld,
    Input::Cancelled { code: ErrorCode::CANCEL },
    Input::Timeout,
];

fn starts() -> Vec<(Exchange, Model)> {
    let model = Model::default();
    vec![
        (Exchange::client(Method::Post), model),
        (Exchange::client(Method::Connect), model),
        (Exchange::client_push(), Model { source_gone: true, outbound_ended: true, ..model }),
        (Exchange::server(Method::Post), model),
        (Exchange::server(Method::Connect), model),
        (Exchange::server_push(), Model { reader_gone: true, inbound_ended: true, ..model }),
    ]
}

/// Passes one input to both, and checks every promise of the module's documentation.
fn step(exchange: Exchange, model: Model, input: Input, now: Instant) -> (Exchange, Model) {
    let place = format!("{exchange:?} {model:?} {input:?}");
    let (mut next, mut after) = (exchange, model);
    let actions = next.handle(input, now, &timeouts());
    after.inbound_ended |= input == Input::InboundEnded;
    after.outbound_ended |= input == Input::OutboundEnded || actions.send == Frame::EndStream;
    after.transport_ended |= input == Input::InputEnded;
    after.reader_gone |= input == Input::ReaderDropped || actions.fail_reader;
    after.reader_gone |= input == Input::ReaderFinished && model.inbound_ended;
    let is_client_message = exchange.role == Role::Client && exchange.kind == Kind::Message;
    let withheld = is_client_message && input == Input::SourceWithheld;
    let dropped = matches!(input, Input::SourceDropped | Input::SourceFailed);
    after.source_gone |= after.outbound_ended || dropped || withheld || actions.drop_source;

    // It ends exactly once, and a reset is its end.
    assert_eq!(actions.end, next.end(), "{place}");
    if let Frame::Reset(code) = actions.send {
        assert_eq!(actions.end, Some(ExchangeEnd::LocalReset(code)), "{place}");
    }
    if actions.send == Frame::EndStream {
        assert!(!model.outbound_ended, "{place}");
        assert!(next.is_tunnel(), "a message must not look complete: {place}");
    }
    if actions.end == Some(ExchangeEnd::Completed) {
        assert!(after.inbound_ended && after.outbound_ended, "{place}");
    }
    // Each owner is told once.
    assert!(!(actions.fail_reader && (model.reader_gone || model.inbound_ended)), "{place}");
    assert!(!(actions.drop_source && model.source_gone), "{place}");
    if actions.end.is_some() {
        assert!(after.source_gone || input == Input::SourceWithheld, "{place}");
        assert!(after.reader_gone || after.inbound_ended, "{place}");
        assert_eq!((next.deadline(), next.is_discarding(), next.wants_source()), (None, false, false));
        for input in INPUTS {
            let mut ended = next;
            assert_eq!(ended.handle(input, Instant::from_nanos(u64::MAX), &timeouts()), Actions::NONE);
            assert_eq!(ended, next, "{place}");
        }
        return (next, after);
    }
    // Nothing unwanted lives without a deadline.
    assert!(!(after.reader_gone && after.source_gone) || next.deadline().is_some(), "{place}");
    let is_upload = exchange.role == Role::Client && after.inbound_ended && !next.is_tunnel();
    assert!(!is_upload || next.deadline().is_some(), "{place}");
    assert!(!after.transport_ended || next.deadline().is_some(), "{place}");
    // Nothing wanted has one, unless the other side has ended.
    let is_wanted = !after.reader_gone && !after.source_gone && !after.inbound_ended;
    assert!(!is_wanted || next.deadline().is_none(), "{place}");
    assert_eq!(next.is_discarding(), after.reader_gone && !after.inbound_ended, "{place}");
    assert_eq!(next.wants_source(), !after.source_gone, "{place}");
    (next, after)
}

#[test]
fn every_state_handles_every_input() {
    let mut seen = starts();
    let (mut index, mut cells) = (0, 0);
    while index < seen.len() {
        let (exchange, model) = seen[index];
        index += 1;
        for input in INPUTS {
            cells += 1;
            let next = step(exchange, model, input, NOW);
            if next.0.end().is_none() && !seen.contains(&next) {
                seen.push(next);
            }
        }
        // A deadline ends the exchange, and not before its time.
        if let Some(at) = exchange.deadline() {
            let early = Instant::from_nanos(at.as_nanos() - 1);
            assert_eq!(step(exchange, model, Input::Timeout, early), (exchange, model));
            let (ended, _) = step(exchange, model, Input::Timeout, at);
            assert!(matches!(ended.end(), Some(ExchangeEnd::LocalReset(_))), "{exchange:?}");
        }
        // When all handles are dropped, the exchange ends at its deadline at the latest.
        let (left, model) = step(exchange, model, Input::ReaderDropped, NOW);
        let (left, model) =
            if left.end().is_none() { step(left, model, Input::SourceDropped, NOW) } else { (left, model) };
        if left.end().is_none() {
            let at = left.deadline().unwrap_or_else(|| panic!("{exchange:?}"));
            assert!(step(left, model, Input::Timeout, at).0.end().is_some(), "{exchange:?}");
        }
    }
    assert_eq!((seen.len(), cells), (43, 731), "live states, and cells of the table");
}
