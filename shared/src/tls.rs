//! The one TLS of the process: rustls, with ring for its arithmetic, and the certificates that the system trusts.

/// Makes it what clients use. To be called before the first of them is made; more often does no harm.
pub fn install() {
    // An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
