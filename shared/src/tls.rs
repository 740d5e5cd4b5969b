//! The one TLS of the process: rustls, with ring for its arithmetic.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

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
