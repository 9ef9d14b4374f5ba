//! Writes the initial corpora of the fuzz targets: `corpus FOLDER`, with a folder for each target.
//! They hold conversations of the simulator as each end received them, the choices that generated
//! them, and ways to start HTTP/2 over cleartext.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use thalweg_h2c::{Config, PREFACE, UpgradeRequest, Upgrader, responses};
use thalweg_testkit::random::{Random, Written};
use thalweg_testkit::sim::{self, Op, Script};
use thalweg_testkit::targets;

fn main() -> ExitCode {
    let Some(folder) = env::args().nth(1) else {
        eprintln!("usage: corpus FOLDER");
        return ExitCode::FAILURE;
    };
    match write_all(Path::new(&folder)) {
        Ok(bytes) => {
            println!("{bytes} bytes in {folder}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{folder}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_all(folder: &Path) -> io::Result<usize> {
    let mut bytes = 0;
    let mut written = [0; 4];
    for seed in 0.. {
        let mut choices = Written::new(Random::new(seed));
        let script = Script::generate(&mut choices);
        let opens = script.ops.iter().filter(|op| matches!(op, Op::Open(_))).count() as u8;
        let [client, server] = sim::received_input(&script).map(|reads| reads.concat());
        let inputs = [
            ("server_bytes", targets::input_of_bytes(seed as u8, 0, &server)),
            ("client_bytes", targets::input_of_bytes(seed as u8, opens, &client)),
            ("frame_roundtrip", server.strip_prefix(&PREFACE[..]).unwrap_or(&server).to_vec()),
            ("pair_ops", choices.into_bytes()),
        ];
        for ((target, input), written) in inputs.iter().zip(&mut written) {
            if *written < FILES && (LEN_MIN..LEN_MAX).contains(&input.len()) {
                *written += 1;
                bytes += write(folder, target, &format!("seed_{seed}"), input)?;
            }
        }
        if written == [FILES; 4] {
            break;
        }
    }
    for (index, input) in openings().iter().enumerate() {
        // The first bytes choose the limits: the usual ones.
        let input = [&[0, index as u8, 0, 0], input.as_slice()].concat();
        bytes += write(folder, "upgrade", &format!("opening_{index}"), &input)?;
    }
    Ok(bytes)
}

fn write(folder: &Path, target: &str, name: &str, input: &[u8]) -> io::Result<usize> {
    let folder = folder.join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), input)?;
    Ok(input.len())
}

/// The first bytes of clients, and the responses of servers.
fn openings() -> Vec<Vec<u8>> {
    let settings = [0, 3, 0, 0, 0, 100, 0, 4, 0, 1, 0, 0];
    let requests = [
        UpgradeRequest::new("GET", "example.org", "/"),
        UpgradeRequest::new("OPTIONS", "example.org:8080", "*").with_field("accept", "*/*"),
        UpgradeRequest::new("POST", "example.org", "/notes").with_body(b"hello".to_vec()),
        UpgradeRequest::new("HEAD", "example.org", "/?q=1").with_field("te", "trailers"),
    ];
    let asked = requests.iter().map(|request| {
        let upgrader = Upgrader::new(request, &settings, Config::default()).expect("a valid request");
        [upgrader.bytes(), PREFACE].concat()
    });
    let written: [&[u8]; 6] = [
        PREFACE,
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\
          Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n\x00",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ];
    let answered = [responses::SWITCHING_PROTOCOLS, responses::UPGRADE_REQUIRED, responses::BAD_REQUEST];
    asked.chain(written.iter().chain(&answered).map(|bytes| bytes.to_vec())).collect()
}

/// Files for each target.
const FILES: usize = 40;
/// Very short and very long conversations are of little use to a fuzzer.
const LEN_MIN: usize = 150;
const LEN_MAX: usize = 1500;
