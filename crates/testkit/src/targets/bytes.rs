//! Arbitrary bytes for one endpoint.

use thalweg::{Config, Timeouts, WindowRelease};

use crate::frames::{preface, settings, wire};
use crate::properties::{self, InputScript, Reactions, Step};
use crate::random::{Choices, FromBytes, Random};

/// Runs a server on arbitrary bytes, splits, time and reactions.
///
/// The first eight bytes choose the configuration, the reactions, and a seed for splits and time;
/// the rest is the wire.
///
/// # Panics
/// On a finding.
pub fn server_bytes(input: &[u8]) {
    check_all_properties(&input_script(false, input));
}

/// Runs a client on arbitrary bytes, splits, time and reactions.
///
/// # Panics
/// On a finding.
pub fn client_bytes(input: &[u8]) {
    check_all_properties(&input_script(true, input));
}

fn check_all_properties(input_script: &InputScript) {
    if let Err(failure) = properties::all(input_script, || input_script.endpoint(), 1) {
        panic!("{failure}\n{input_script:#?}");
    }
}

/// Returns the input that passes a whole wire, preface included, to an endpoint. `seed` varies
/// configuration, reactions and time; `opens` is the number of streams that a client opens first.
pub fn input_of_bytes(seed: u8, opens: u8, wire: &[u8]) -> Vec<u8> {
    let mut random = Random::new(seed.into());
    let reactions = random.below(32) as u8;
    let mut input = vec![random.below(256) as u8 & !SMALL_LIMITS, reactions];
    if reactions & 1 != 0 {
        input.extend((random.size(3000) as u16).to_be_bytes());
    }
    if reactions & 4 != 0 {
        input.push(2 + random.below(6) as u8);
    }
    input.push(opens.min(7) | 0x40 | (random.below(256) as u8 & 0xa0));
    input.push(seed);
    input.resize(HEAD_LEN, 0);
    input.extend_from_slice(wire);
    input
}

/// Returns the script of an input.
pub fn input_script(is_client: bool, input: &[u8]) -> InputScript {
    let (head, rest) = input.split_at(input.len().min(HEAD_LEN));
    let mut choices = FromBytes::new(head);
    let (config, reactions) = (config(&mut choices), Reactions::random(&mut choices));
    let opens = choices.below(256);
    let mut random = Random::new(u64::from(choices.below(256)));
    let mut steps = vec![Step::Open; if is_client { (opens % 8) as usize } else { 0 }];
    if opens & 0x40 == 0 {
        // The usual start: without it few inputs get far.
        let start = if is_client { wire([&settings()]) } else { wire([&preface(), &settings()]) };
        steps.push(Step::Input(start));
    }
    let mut rest = rest;
    while !rest.is_empty() {
        let most = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let len = if opens & 0x80 == 0 { most } else { 1 + random.size(most - 1) };
        let (piece, after) = rest.split_at(len as usize);
        steps.push(Step::Input(piece.to_vec()));
        rest = after;
        if opens & 0x80 != 0 {
            steps.push(Step::random(&mut random));
        }
    }
    if opens & 0x20 != 0 {
        steps.push(Step::Eof);
    }
    InputScript { is_client, config, reactions, steps }
}

fn config(choices: &mut impl Choices) -> Config {
    let mut config = Config::default();
    let small = choices.below(256);
    if small & 1 != 0 {
        config.stream_window_bytes = 100;
        config.connection_window_bytes = 65_535;
    }
    if small & 2 != 0 {
        config.header_table_bytes_max = 100;
        config.header_list_bytes_max = 256;
        config.header_fields_max = 8;
        config.header_block_bytes_max = 256;
        config.oversized_block_bytes_max = 1000;
        config.continuations_max = 4;
    }
    if small & 4 != 0 {
        config.concurrent_streams_max = 2;
        config.closed_streams_max = 16;
    }
    if small & 8 != 0 {
        config.output_bytes_max = 1024;
        config.control_payload_bytes_max = 256;
        config.settings_entries_max = 8;
    }
    config.enable_push = small & 0x10 != 0;
    config.extension_frames = small & 0x20 != 0;
    config.enable_connect_protocol = small & 0x10 != 0;
    config.release = if small & 0x40 != 0 { WindowRelease::Automatic } else { WindowRelease::Explicit };
    if small & 0x80 != 0 {
        config.timeouts = Timeouts::OFF;
    }
    config
}

const HEAD_LEN: usize = 8;
/// Bits of the first byte that choose limits which most conversations keep.
const SMALL_LIMITS: u8 = 0x0e;
