//! The same over TLS, with authorities of the tests' own.

use std::path::PathBuf;
use std::sync::Arc;

use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::telemetry::Chain;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::*;

/// An authority of the test's own, in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
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

/// A server that says yes to everybody who speaks TLS with it, and what it was asked.
async fn served(acceptor: TlsAcceptor) -> (String, mpsc::UnboundedReceiver<Request>, Shutdown) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}/work", listener.local_addr().unwrap().port());
    let (seen, requests) = mpsc::unbounded_channel();
    let shutdown = Shutdown::new();
    shutdown.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = seen.send(read(&mut stream).await);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes").await;
        }
    });
    (url, requests, shutdown)
}

#[tokio::test]
async fn an_upstream_shows_over_tls_that_it_is_who_it_should_be() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let call = async |url: &str, ca_file: Option<&PathBuf>| {
        let upstream = config::Upstream { ca_file: ca_file.cloned(), ..upstream(url, BTreeMap::new()) };
        let handler = Http::new(&upstream, SystemClock::shared()).unwrap();
        handler.run(input("x"), attempt().0).await
    };
    let (url, mut requests, good) = served(ours.server("127.0.0.1")).await;
    let Outcome::Complete(output) = call(&url, Some(&ours.file)).await else { panic!("not trusted") };
    assert_eq!(output.bytes, "yes");
    let request = requests.recv().await.unwrap();
    assert!(request.head.starts_with("POST /work HTTP/1.1"), "{}", request.head);
    assert_eq!(request.body, b"x");

    let (misnamed, mut unheard, other) = served(ours.server("other.example")).await;
    for (what, url, ca_file) in [
        ("another name", &misnamed, Some(&ours.file)),
        ("an unknown authority", &url, Some(&foreign.file)),
        ("no authority but the public ones", &url, None),
    ] {
        let (error, _) = to_retry(call(url, ca_file).await);
        assert!(error.message.starts_with("upstream could not be reached"), "{what}: {error:?}");
    }
    assert!(requests.try_recv().is_err() && unheard.try_recv().is_err(), "nothing was said to any of them");
    good.force();
    other.force();
}

#[test]
fn a_file_that_holds_no_authority_is_refused_when_the_worker_starts() {
    let refused = |file: &str| {
        let upstream = config::Upstream { ca_file: Some(file.into()), ..upstream("https://host", BTreeMap::new()) };
        Http::new(&upstream, SystemClock::shared()).err().map(|error| Chain(&error).to_string()).unwrap()
    };
    let said = refused("/does/not/exist");
    assert!(said.starts_with("`ca_file` cannot be used: its file of authorities cannot be read: "), "{said}");
    assert_eq!(
        refused(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")),
        "`ca_file` cannot be used: its file of authorities holds no certificate in PEM"
    );
}
