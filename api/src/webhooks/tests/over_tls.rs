//! The same over TLS, with authorities of the tests' own.

use std::sync::Arc;

use raincheck_shared::lifecycle::IdSource;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::{DialError, LOOPBACK, Receiver, Reply, dialer, names, post};

/// An authority of the test's own, in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: std::path::PathBuf,
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = std::env::temp_dir().join(format!("raincheck-ca-{}.pem", IdSource.random()));
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file }
    }

    /// What a server of that name needs.
    fn server(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let builder = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
    }
}

#[tokio::test]
async fn a_receiver_shows_over_tls_that_it_is_who_it_should_be() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let file = ours.file.to_str().unwrap();
    let set = [LOOPBACK, ("ca_file", file)];
    let good = Receiver::replying(Reply::status("204 No Content"), Some(ours.server("hooks.example"))).await;
    let url = |receiver: &Receiver| format!("https://hooks.example:{}/", receiver.port);
    let call = async |set: &[(&str, &str)], receiver: &Receiver| {
        post(&dialer(set, names([&["127.0.0.1"]])), &url(receiver)).await
    };
    assert_eq!(call(&set, &good).await.unwrap().status, 204);
    assert!(good.heard.lock().unwrap().ends_with("{\"the\":\"body\"}"));

    let by_address = Receiver::replying(Reply::status("204 No Content"), Some(ours.server("127.0.0.1"))).await;
    let dialer = dialer(&set, names([&["127.0.0.1"]]));
    let answer = post(&dialer, &format!("https://127.0.0.1:{}/", by_address.port)).await;
    assert_eq!(answer.unwrap().status, 204);

    let misnamed = Receiver::replying(Reply::status("204 No Content"), Some(ours.server("other.example"))).await;
    let unknown = Receiver::replying(Reply::status("204 No Content"), Some(foreign.server("hooks.example"))).await;
    let clear = Receiver::plain(Reply::status("204 No Content")).await;
    for (what, receiver, set) in [
        ("another name", &misnamed, &set[..]),
        ("an unknown authority", &unknown, &set[..]),
        ("no authority but the public ones", &good, &set[..1]),
        ("no TLS", &clear, &[LOOPBACK, ("ca_file", file), ("timeout", "1s")][..]),
    ] {
        receiver.heard.lock().unwrap().clear();
        let answer = call(set, receiver).await;
        assert!(matches!(answer, Err(DialError::Tls(_) | DialError::Timeout(_))), "{what}: {answer:?}");
        assert_eq!(*receiver.heard.lock().unwrap(), "", "{what}: nothing was said to it");
    }
}
