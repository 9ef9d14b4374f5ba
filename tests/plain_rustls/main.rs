//! Creates TLS configurations in the shortest way that rustls has, and passes them to both
//! adapters.
//!
//! `builder()` panics unless exactly one provider of cryptography is compiled into the program. The
//! test `plain_rustls` builds this package by itself, so that no feature of another program is in
//! it.

use std::error::Error;
use std::sync::Arc;

use rustls::server::ResolvesServerCertUsingSni;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    let client = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    // They are of the adapters' types only if all three are built with one rustls.
    drop(thalweg_threads::Server::builder().tls(server.clone()).bind("127.0.0.1:0")?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    drop(runtime.block_on(thalweg_tokio::Server::builder().tls(server).bind("127.0.0.1:0"))?);
    let tls = Arc::new(client);
    // Nothing listens on port 1: the test is that the types agree.
    let refused = thalweg_threads::Client::connect_tls("127.0.0.1:1", tls);
    if refused.is_ok() {
        return Err("there is a server at port 1".into());
    }
    println!("one provider of cryptography");
    Ok(())
}
