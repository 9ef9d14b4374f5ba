//! The table of transport states in `docs/io-layer.md` is what `thalweg-http` returns.

use thalweg_http::Role;
use thalweg_http::transport::{
    Close, Duties, Exchanges, InputState, OutputState, Read, TransportState, Write,
};

const INPUTS: [InputState; 4] =
    [InputState::Open, InputState::Ended, InputState::EndedWithoutNotify, InputState::Failed];

fn transport(input: InputState, output: OutputState) -> TransportState {
    let mut transport = TransportState::default();
    match input {
        InputState::Open => {}
        InputState::Ended => transport.end_input(true),
        InputState::EndedWithoutNotify => transport.end_input(false),
        InputState::Failed => transport.fail_input(),
    }
    if output == OutputState::Failed {
        transport.fail_output();
    }
    assert_eq!((transport.input(), transport.output()), (input, output));
    transport
}

fn row(input: InputState, output: OutputState, role: &str, duties: Duties) -> String {
    let input = match input {
        InputState::Open => "open",
        InputState::Ended => "ended",
        InputState::EndedWithoutNotify => "ended without close_notify",
        InputState::Failed => "failed",
    };
    let output = match output {
        OutputState::Open => "open",
        OutputState::Failed => "failed",
    };
    let read = match duties.read {
        Read::Yes => "yes",
        Read::ToEnd => "to the end of input, within 1 s",
        Read::Watch => "watch for an error or a hangup",
        Read::No => "no",
    };
    let write = match duties.write {
        Write::Yes => "yes",
        Write::Once => "once, without waiting",
        Write::Discard => "discard",
    };
    let eof = if duties.is_eof { "yes" } else { "no" };
    let exchanges = match duties.exchanges {
        Exchanges::Continue => "continue",
        Exchanges::InputEnded => "InputEnded",
        Exchanges::ReceiveOnly => "receive only",
        Exchanges::Lost => "ConnectionLost",
    };
    let close = match duties.close {
        Close::WhenFinished => "when the core is finished",
        Close::AfterInput => "at the end of input",
        Close::AfterWrite => "after the write",
        Close::Now => "now",
    };
    format!("| {input} | {output} | {role} | {read} | {write} | {eof} | {exchanges} | {close} |")
}

#[test]
fn the_guide_shows_what_the_function_returns() {
    assert_eq!(thalweg_http::transport::READ_TIME_MAX.as_secs(), 1);
    let mut rows = Vec::new();
    for input in INPUTS {
        for output in [OutputState::Open, OutputState::Failed] {
            let transport = transport(input, output);
            let (client, server) = (transport.duties(Role::Client), transport.duties(Role::Server));
            if client == server {
                rows.push(row(input, output, "both", client));
            } else {
                rows.push(row(input, output, "client", client));
                rows.push(row(input, output, "server", server));
            }
        }
    }
    let guide = include_str!("../../docs/io-layer.md");
    let (_, table) = guide.split_once("| Input | Output | Role |").expect("the table is there");
    let shown: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(shown, rows);
}
