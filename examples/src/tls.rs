//! TLS configurations: a server's certificate and key, from files or generated, and the
//! certificates that a client trusts.

use std::sync::Arc;

use thalweg_tokio::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use thalweg_tokio::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use thalweg_tokio::rustls::pki_types::pem::{self, PemObject as _};
use thalweg_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use thalweg_tokio::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
};

/// Creates a server's configuration from the PEM files of the certificate chain and of its key;
/// without files, generates a self-signed certificate for `localhost`, which no client trusts.
///
/// # Errors
/// The error of reading or using the files.
pub fn server_config(files: &[String]) -> Result<ServerConfig, String> {
    let (chain, key) = match files {
        [] => self_made()?,
        [chain, key] => from_files(chain, key)?,
        _ => return Err("--tls takes the files of a certificate and its key, or nothing".into()),
    };
    let versions = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| format!("TLS: {error}"))?.with_no_client_auth();
    builder.with_single_cert(chain, key).map_err(|error| match (error, files) {
        (Error::InconsistentKeys(_), [chain, key]) => format!(
            "{key} is not the key of the certificate in {chain}: give the key for which that was issued"
        ),
        (error, _) => format!("certificate: {error}"),
    })
}

/// Adds advice to the text of a connection error, if the server's certificate is the reason.
pub fn with_advice(mut text: String) -> String {
    if text.contains("invalid peer certificate") {
        if text.contains("CaUsedAsEndEntity") {
            text.push_str(": it is the certificate of an authority, as self-signed ones often are");
        }
        text.push_str(" (-k accepts any certificate)");
    }
    text
}

/// Returns the provider that the process has installed, or the one that these programs are built
/// with. `builder()` would panic in a program that is built with more than one provider.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn self_made() -> Result<Identity, String> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| format!("certificate: {error}"))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    Ok((vec![made.cert.der().clone()], key))
}

fn from_files(chain: &str, key: &str) -> Result<Identity, String> {
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(|error| format!("{chain}: {error}"))?;
    let certificates: Vec<_> = certificates;
    if certificates.is_empty() {
        return Err(format!(
            "{chain} holds no certificate: --tls takes the file of the certificate, then that of its key"
        ));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            format!(
                "{key} holds no private key: --tls takes the file of the certificate, then that of its key"
            )
        }
        error => format!("{key}: {error}"),
    })?;
    Ok((certificates, key))
}

/// Creates a client's configuration, which trusts the system's certificates, or all.
///
/// # Errors
/// The system's certificates cannot be read.
pub fn client_config(trusts_all: bool) -> Result<ClientConfig, String> {
    let provider = provider();
    let versions =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| format!("TLS: {error}"))?;
    if trusts_all {
        let trust = Arc::new(TrustAll(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(trust).with_no_client_auth());
    }
    let found = rustls_native_certs::load_native_certs();
    if let ([], [error, ..]) = (&found.certs[..], &found.errors[..]) {
        return Err(format!("the system's certificates: {error}"));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Accepts any certificate for whose key the server has proof.
#[derive(Debug)]
struct TrustAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
