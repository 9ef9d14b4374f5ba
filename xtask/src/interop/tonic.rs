//! tonic on our server and on our client, with gRPC's own programs at the other end: each kind of
//! call, statuses, timeouts, cancellations. A relay reads the frames in between.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::fixtures::Fixtures;
use super::relay::{Observed, Relay};
use super::server::Server;
use super::{Need, Row};
use crate::{external_tools, process};

const LIMIT: Duration = Duration::from_secs(120);
/// Of the connections, once the client has ended.
const END_LIMIT: Duration = Duration::from_secs(20);

/// The name of a check in the programs, its result, and how many calls it stops on the wire.
const CALLS: &[(&str, &str, u32)] = &[
    ("unary", "makes unary calls of 0 B, 5 B and 3 MB: each byte", 0),
    ("stream", "receives 500 messages of a server that streams", 0),
    ("collect", "streams messages and receives them joined", 0),
    ("chat", "streams both ways, each message an answer to the last", 0),
    ("refused", "is refused with UNIMPLEMENTED and INVALID_ARGUMENT", 0),
    ("deadline", "leaves an endless stream at its timeout, and the connection continues", 1),
    ("cancel", "cancels 20 chats midway, and the connection continues", 20),
];

struct End {
    name: &'static str,
    needs: &'static [Need],
    command: fn(&Fixtures) -> anyhow::Result<Command>,
}

const OURS: End = End {
    name: "tonic on our client",
    needs: &[Need::Example("tonic_calls")],
    command: |fixtures| Ok(Command::new(fixtures.example("tonic_calls")?)),
};

/// It is built without TLS.
const TONICS: &str = "tonic on its own client";

const CLIENTS: &[End] = &[
    End {
        name: TONICS,
        needs: &[Need::Example("tonic_calls")],
        command: |fixtures| {
            let mut command = Command::new(fixtures.example("tonic_calls")?);
            command.arg("--tonic");
            Ok(command)
        },
    },
    End {
        name: "grpc-go",
        needs: &[Need::Go("google.golang.org/grpc")],
        command: |_| external_tools::go_program("grpc_calls.go"),
    },
    End {
        name: "grpcio",
        needs: &[Need::Python("grpc")],
        command: |_| external_tools::python_script("grpc_calls.py"),
    },
    OURS,
];

const ECHO: End = End {
    name: "tonic_echo",
    needs: &[Need::Example("tonic_echo")],
    command: |fixtures| {
        let mut command = Command::new(fixtures.example("tonic_echo")?);
        command.args(["--h2c", "127.0.0.1:0"]);
        Ok(command)
    },
};

const SERVERS: &[End] = &[
    End {
        name: "tonic's own server",
        needs: &[Need::Example("tonic_echo")],
        command: |fixtures| {
            let mut command = (ECHO.command)(fixtures)?;
            command.arg("--tonic");
            Ok(command)
        },
    },
    End {
        name: "grpcio's server",
        needs: &[Need::Python("grpc")],
        command: |_| external_tools::python_script("grpc_server.py"),
    },
];

pub fn rows() -> Vec<Row> {
    let to_us = CLIENTS.iter().map(|client| (client, &ECHO));
    let by_us = SERVERS.iter().map(|server| (&OURS, server));
    let mut rows = Vec::new();
    for (client, server) in to_us.chain(by_us) {
        for (call, what, stopped) in CALLS {
            let name = format!("{}: {} {what}", server.name, client.name);
            let needs = [client.needs, server.needs].concat();
            rows.push(Row::new(name, &needs, |fixtures| make(fixtures, client, server, call, *stopped)));
        }
    }
    for client in CLIENTS.iter().filter(|client| client.name != TONICS) {
        for (call, what, _) in CALLS {
            let name = format!("tonic_echo --tls: {} {what}", client.name);
            let needs = [client.needs, ECHO.needs].concat();
            rows.push(Row::new(name, &needs, |fixtures| make_over_tls(fixtures, client, call)));
        }
    }
    let resets = "h2: tonic on our client maps ten reset codes to their gRPC statuses";
    rows.push(Row::new(resets, &[OURS.needs, &[Need::Python("h2")]].concat(), receive_resets));
    rows
}

fn make(fixtures: &Fixtures, client: &End, server: &End, call: &str, stopped: u32) -> anyhow::Result<()> {
    let running = Server::start_listening(&mut (server.command)(fixtures)?)?;
    let relay = Relay::start(running.address)?;
    let address = relay.address.to_string();
    let is_tonic = client.needs.contains(&Need::Example("tonic_calls"));
    let target = if is_tonic { format!("http://{address}") } else { address };
    let finished = process::run_merged((client.command)(fixtures)?.args([call, &target]), LIMIT)?;
    finished.into_text(client.name)?;
    let observed = relay.finish(END_LIMIT)?;
    check(&observed, stopped, server.name == ECHO.name).with_context(|| format!("{observed:?}"))
}

/// A relay cannot read this.
fn make_over_tls(fixtures: &Fixtures, client: &End, call: &str) -> anyhow::Result<()> {
    let server = Server::start_listening((ECHO.command)(fixtures)?.arg("--tls"))?;
    let mut command = (client.command)(fixtures)?;
    if client.name == OURS.name {
        command.args([call, &format!("https://{}", server.address)]);
    } else {
        command.args([call, &server.address.to_string(), "tls"]);
    }
    process::run_merged(&mut command, LIMIT)?.into_text(client.name).map(drop)
}

fn check(observed: &Observed, stopped: u32, is_ours: bool) -> anyhow::Result<()> {
    ensure!(observed.connections == 1, "{} connections in place of one", observed.connections);
    ensure!(observed.broken == 0, "{} frames break a rule", observed.broken);
    ensure!(observed.other_errors == 0, "{} GOAWAYs with an error", observed.other_errors);
    // A call that ends while its client is about to reset it has no reset.
    ensure!(observed.resets_by_client * 2 >= stopped, "{} calls were stopped", observed.resets_by_client);
    // The way in which another server ends is not checked.
    ensure!(!is_ours || observed.without_goaway == 0, "the server ends without a GOAWAY");
    ensure!(!is_ours || observed.within_frame == 0, "the server ends within a frame");
    Ok(())
}

/// A server in Python resets each call with the code in its path, and checks that the client closes
/// gracefully.
fn receive_resets(fixtures: &Fixtures) -> anyhow::Result<()> {
    let mut server = Server::start_listening(external_tools::python_script("h2_server.py")?.arg("resets"))?;
    let mut command = (OURS.command)(fixtures)?;
    process::run_merged(command.args(["resets", &server.url("")]), LIMIT)?.into_text(OURS.name)?;
    let end = server.wait(END_LIMIT)?.context("the script does not end")?;
    let reported = server.output().join("\n");
    ensure!(end.success() && reported.ends_with("well"), "the script: {end}\n{reported}");
    Ok(())
}
