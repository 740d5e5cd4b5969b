//! The one TLS of the process: rustls, with ring for its arithmetic.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

/// Why no TLS can be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of authorities is not what it should be.
    #[error("its file of authorities cannot be read")]
    CaFile(#[source] pem::Error),
    /// There is no certificate in it.
    #[error("its file of authorities holds no certificate in PEM")]
    NoCertificate,
    /// One of its certificates is not.
    #[error("its file of authorities holds what is no authority's certificate")]
    Certificate(#[source] rustls::Error),
    /// No protocol version is left.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// How a client speaks TLS to servers over HTTP/1: it trusts the authorities that browsers trust, and those of a PEM file.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut config = trusting(ca_file)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The same to servers that speak something else.
pub fn trusting(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = ca_file {
        let before = roots.len();
        for certificate in CertificateDer::pem_file_iter(file).map_err(TlsError::CaFile)? {
            roots.add(certificate.map_err(TlsError::CaFile)?).map_err(TlsError::Certificate)?;
        }
        if roots.len() == before {
            return Err(TlsError::NoCertificate);
        }
    }
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Setup)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Makes it what clients use. To be called before the first of them is made; more often does no harm.
pub fn install() {
    if CryptoProvider::get_default().is_none() {
        // An error means that another thread was faster.
        let _ = ring::default_provider().install_default();
    }
}

/// The same, for a client that is put together by hand.
pub fn provider() -> Arc<CryptoProvider> {
    install();
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()))
}
