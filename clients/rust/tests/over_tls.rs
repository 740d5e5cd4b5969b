//! `https`: whom the client trusts, and that a key goes to nobody else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops and says why")]

use std::sync::Arc;
use std::time::Duration;

use raincheck_client::{Client, ClientBuilder, Error, ErrorKind, Request};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

/// An authority of our own.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server that shows a certificate for `name`, and answers `{}`.
struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Server {
    async fn start(authority: &CertifiedIssuer<'static, KeyPair>, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, tls: TlsAcceptor::from(Arc::new(config)) }
    }

    /// A client for it, that does not try for long.
    fn client(&self) -> ClientBuilder {
        let port = self.listener.local_addr().unwrap().port();
        Client::builder(format!("https://localhost:{port}")).retry_budget(Duration::from_secs(20))
    }

    /// What comes of `GET /v1/kinds`, and all requests that arrived meanwhile. So many handshakes as come are served.
    async fn asked(&self, client: &Client) -> (Result<u16, Error>, Vec<String>) {
        let mut requests = Vec::new();
        let answer = tokio::select! {
            answer = async { client.call(&Request::get("/v1/kinds")).await } => answer,
            () = self.serve(&mut requests) => unreachable!("it serves for ever"),
        };
        (answer.map(|answer| answer.status), requests)
    }

    async fn serve(&self, requests: &mut Vec<String>) {
        loop {
            let (socket, _) = self.listener.accept().await.unwrap();
            // Who does not trust us hangs up here.
            let Ok(mut line) = self.tls.accept(socket).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = line.read_u8().await else { break };
                head.push(byte);
            }
            if head.is_empty() {
                continue;
            }
            requests.push(String::from_utf8(head).unwrap());
            let _ = line.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await;
            let _ = line.shutdown().await;
        }
    }
}

#[tokio::test]
async fn an_authority_of_our_own_is_trusted_once_it_is_named_and_the_key_goes_with_it() {
    let authority = authority();
    let server = Server::start(&authority, "localhost").await;
    let client = server.client().api_key("rk_secret").authority(authority.pem()).build().unwrap();
    let (status, requests) = server.asked(&client).await;
    assert_eq!(status.unwrap(), 200);
    assert!(requests[0].contains("authorization: Bearer rk_secret\r\n"), "{requests:?}");
}

#[tokio::test]
async fn whoever_cannot_show_who_it_is_gets_no_request_and_no_second_try() {
    let (ours, theirs) = (authority(), authority());
    for (server, trusted) in [
        (Server::start(&theirs, "localhost").await, Some(&ours)),
        (Server::start(&ours, "elsewhere.example").await, Some(&ours)),
        (Server::start(&ours, "localhost").await, None),
    ] {
        let client = server.client().api_key("rk_secret");
        let client = trusted.iter().fold(client, |client, authority| client.authority(authority.pem()));
        let client = client.on_trouble(|trouble| panic!("tried again: {trouble:?}")).build().unwrap();
        let (status, requests) = server.asked(&client).await;
        let error = status.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
        assert_eq!(requests, Vec::<String>::new());
    }
}

#[test]
fn what_is_no_certificate_is_told_when_the_client_is_made() {
    for bad in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = Client::builder("https://localhost").authority(bad).build().unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
