//! Our clients over TLS: trusted and untrusted certificates, and peers that do not speak HTTP/2.
//! Certificates are made on the spot; `SSL_CERT_FILE` is where the clients look for the system's.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::fixtures::{self, BYTES_PATH, DOWNLOAD_PATH, Fixtures, PAGE, PAGE_PATH};
use super::server::{Server, Subject};
use super::{Need, Row, scripted};
use crate::{external_tools, process};

const CLIENTS: &[&str] = &["get", "blocking_get"];
const LIMIT: Duration = Duration::from_secs(60);

/// A certificate that is its own issuer, and its key.
struct Identity {
    certificate: String,
    key: String,
}

#[derive(Clone, Copy)]
enum Flaw {
    None,
    Expired,
    OtherHost,
}

impl Identity {
    fn make(fixtures: &Fixtures, flaw: Flaw) -> anyhow::Result<Self> {
        let names = match flaw {
            Flaw::None | Flaw::Expired => ["localhost", "127.0.0.1"].as_slice(),
            Flaw::OtherHost => &["elsewhere.example"],
        };
        let mut parameters =
            CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())?;
        if let Flaw::Expired = flaw {
            parameters.not_before = date_time_ymd(2020, 1, 1);
            parameters.not_after = date_time_ymd(2020, 2, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?.pem();
        let write = |name: &str, text: String| -> anyhow::Result<String> {
            let file = fixtures.root().with_file_name(name);
            fs::write(&file, text)?;
            Ok(file.to_str().context("a path without UTF-8")?.to_owned())
        };
        Ok(Self { certificate: write("cert.pem", certificate)?, key: write("key.pem", key.serialize_pem())? })
    }

    fn files(&self) -> [&str; 2] {
        [&self.certificate, &self.key]
    }
}

const SERVE: Need = Need::Example("serve");
/// The fault of a certificate as text, and what a client prints about it.
const FLAWS: &[(Flaw, &str, &str)] =
    &[(Flaw::Expired, "expired", "expired"), (Flaw::OtherHost, "for another host", "not valid for name")];

type Start = fn(&Fixtures, &Identity) -> anyhow::Result<Server>;

const SERVERS: &[(&str, Need, Start)] = &[
    ("Node", Need::Program("node"), |fixtures, identity| {
        Server::start_listening(
            external_tools::node_script("server.mjs")?.arg(fixtures.root()).args(identity.files()),
        )
    }),
    ("Go", Need::Go("golang.org/x/net/http2"), |fixtures, _| {
        Server::start_listening(external_tools::go_program("server.go")?.arg(fixtures.root()).arg("tls"))
    }),
];

/// A peer that the client refuses: its name, how it is started, the scheme of the URL, and what the
/// client prints.
struct Refused {
    what: &'static str,
    start: Start,
    scheme: &'static str,
    words: &'static str,
}

const REFUSED: &[Refused] = &[
    Refused {
        what: "an HTTP/1.1 server over TLS",
        start: |_, identity| {
            Server::start_listening(external_tools::python_script("http1_server.py")?.args(identity.files()))
        },
        scheme: "https",
        words: "h2",
    },
    Refused {
        what: "an HTTP/1.1 server in cleartext",
        start: |_, _| Server::start_listening(&mut external_tools::python_script("http1_server.py")?),
        scheme: "http",
        words: "does not speak HTTP/2",
    },
    Refused {
        what: "a cleartext server that is asked over TLS",
        start: |fixtures, _| Server::start(fixtures, Subject::Node),
        scheme: "https",
        words: "does not speak TLS",
    },
    Refused {
        what: "a TLS server that is asked in cleartext",
        start: |fixtures, identity| (SERVERS[0].2)(fixtures, identity),
        scheme: "http",
        words: "speaks TLS on this port",
    },
];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for client in CLIENTS {
        let own = Need::Example(client);
        for (server, need, start) in SERVERS {
            let name = format!(
                "{client} -k: gets a page, a large file and bytes by contract from {server} over TLS"
            );
            rows.push(Row::new(name, &[own, *need], |fixtures| fetch_all(fixtures, client, *start)));
        }
        let name = format!("{client} -k: gets all from an h2 over TLS that sends 103 before the response");
        rows.push(Row::new(name, &[own, Need::Python("h2")], |fixtures| {
            let identity = Identity::make(fixtures, Flaw::None)?;
            scripted::gets_all_over_tls(fixtures, client, identity.files())
        }));
        let trusts = format!("{client}: trusts a certificate that the system trusts");
        rows.push(Row::new(trusts, &[own, SERVE], |fixtures| {
            let text = ask(fixtures, client, Flaw::None)?.into_text(client)?;
            fixtures::compare(text.as_bytes(), PAGE.as_bytes())
        }));
        for (flaw, what, words) in FLAWS {
            let name = format!("{client}: reports that a certificate is {what}");
            rows.push(Row::new(name, &[own, SERVE], |fixtures| check(&ask(fixtures, client, *flaw)?, words)));
        }
        for peer in REFUSED {
            let name = format!("{client}: refuses {} with a clear message", peer.what);
            let needs = [own, Need::Python("h2"), Need::Program("node")];
            rows.push(Row::new(name, &needs, |fixtures| {
                let server = (peer.start)(fixtures, &Identity::make(fixtures, Flaw::None)?)?;
                let url = format!("{}://{}/page.html", peer.scheme, server.address);
                let finished =
                    process::run(Command::new(fixtures.example(client)?).args(["-k", &url]), LIMIT)?;
                check(&finished, peer.words)
            }));
        }
    }
    rows
}

fn fetch_all(fixtures: &Fixtures, client: &str, start: Start) -> anyhow::Result<()> {
    let server = start(fixtures, &Identity::make(fixtures, Flaw::None)?)?;
    for (path, expected) in [
        (PAGE_PATH, PAGE.as_bytes().to_vec()),
        (DOWNLOAD_PATH, fs::read(fixtures.root().join("download.bin"))?),
        (BYTES_PATH, fixtures::contract_bytes(1_000_000, 7)),
    ] {
        let url = format!("https://{}{path}", server.address);
        let finished = process::run(Command::new(fixtures.example(client)?).args(["-k", &url]), LIMIT)?;
        ensure!(finished.is_success(), "{path}: {}", String::from_utf8_lossy(&finished.stderr));
        fixtures::compare(&finished.stdout, &expected).context(path)?;
    }
    Ok(())
}

/// Fetches from `serve`, whose certificate is the only one that the system trusts.
fn ask(fixtures: &Fixtures, client: &str, flaw: Flaw) -> anyhow::Result<process::Finished> {
    let identity = Identity::make(fixtures, flaw)?;
    let mut command = Subject::Example("serve").example_command(fixtures, "127.0.0.1:0")?;
    let server = Server::start_listening(command.arg("--tls").args(identity.files()))?;
    let url = format!("https://{}{PAGE_PATH}", server.address);
    let mut get = Command::new(fixtures.example(client)?);
    process::run(get.arg(url).env("SSL_CERT_FILE", &identity.certificate).env_remove("SSL_CERT_DIR"), LIMIT)
}

fn check(finished: &process::Finished, expected: &str) -> anyhow::Result<()> {
    ensure!(finished.stdout.is_empty(), "it gets something");
    let words = String::from_utf8_lossy(&finished.stderr);
    scripted::check_failure(finished.status.and_then(|status| status.code()), &words, expected)
}
