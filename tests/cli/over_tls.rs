//! An instance behind a proxy that speaks `https`, with an authority of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::Desk;
use crate::harness::served::Served;

/// Takes TLS off what comes, for ever.
async fn proxy(listener: TcpListener, tls: TlsAcceptor, to: SocketAddr) {
    let mut lines = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => lines.push(carry(accepted.unwrap().0, &tls, to)),
            Some(()) = lines.next() => {}
        }
    }
}

/// One connection. Either side may hang up as it likes, and who does not trust us does.
async fn carry(socket: TcpStream, tls: &TlsAcceptor, to: SocketAddr) {
    let Ok(mut line) = tls.accept(socket).await else { return };
    let mut server = TcpStream::connect(to).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut line, &mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn https_works_once_the_authority_is_named_and_not_before() {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();

    let served = Served::working().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let desk = Arc::new(Desk::new());
    std::fs::write(desk.path().join("ca.pem"), authority.pem()).unwrap();
    let commands = {
        let desk = Arc::clone(&desk);
        tokio::task::spawn_blocking(move || {
            let known = [("RAINCHECK_URL", url.as_str()), ("RAINCHECK_CA_FILE", "ca.pem")];
            let submit = ["submit", "takeaway", "--data", r#"{"dish": "ramen", "seconds": 1}"#, "--wait"];
            let meal = desk.run_with(&submit, &known);
            let unknown = desk.run_with(&["kinds", "--url", &url], &[]);
            (meal, unknown)
        })
    };
    let (meal, unknown) = tokio::select! {
        said = commands => said.unwrap(),
        () = proxy(listener, TlsAcceptor::from(Arc::new(config)), served.address) => unreachable!("it serves for ever"),
    };
    meal.assert_code(0);
    meal.assert_out_has("ramen");
    unknown.assert_code(8);
    unknown.assert_err_has("cannot show that it is who it should be");
}
