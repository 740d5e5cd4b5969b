//! Where raincheck is, and how to get there: HTTP/1.1 over TCP, or over TLS. Knows nothing of jobs.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Uri};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::legacy::{Client as Pool, Error as PoolError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, crypto};
use tower_service::Service;

use crate::error::Error;
use crate::fault::Fault;
use crate::request::{Answer, OpenAnswer, Request};
use crate::upload::Upload;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// Shorter than servers and proxies keep idle connections, so that few are taken up just when they are closed.
const IDLE: Duration = Duration::from_secs(4);

/// A place, and connections to it.
pub(crate) struct Transport {
    pool: Pool<Connector, Upload>,
    /// Without a slash at its end.
    base: String,
    headers: HeaderMap,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl Transport {
    /// `authorities`: certificates in PEM that are trusted besides those that browsers trust.
    pub(crate) fn new(
        base: &str,
        api_key: Option<&str>,
        user_agent: &str,
        authorities: &[Vec<u8>],
    ) -> Result<Self, Error> {
        let wrong =
            || Error::invalid(format!("{base:?} is not a URL such as http://127.0.0.1:8080 or https://host/path"));
        let url: Uri = base.parse().map_err(|_| wrong())?;
        let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else { return Err(wrong()) };
        let plain = scheme == "http";
        let host = authority.host();
        if !(plain || scheme == "https") || host.is_empty() || authority.as_str().contains('@') || url.query().is_some()
        {
            return Err(wrong());
        }
        let mut headers = HeaderMap::new();
        let user_agent = HeaderValue::from_str(user_agent);
        headers.insert(USER_AGENT, user_agent.map_err(|_| Error::invalid("the user agent cannot stand in a header"))?);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(key) = api_key {
            let value = HeaderValue::from_str(&format!("Bearer {key}"));
            let mut value = value.map_err(|_| Error::invalid("the API key has characters that no header can carry"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let tls = if plain { None } else { Some((tls(authorities)?, server_name(host)?)) };
        let pool = Pool::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(Connector { tcp, tls });
        Ok(Self { pool, base: base.trim_end_matches('/').to_owned(), headers })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request and reads the head of its answer. `patience`: the longest that nothing may move, up or down.
    pub(crate) async fn open(&self, request: &Request, patience: Duration) -> Result<OpenAnswer, Fault> {
        let (body, moved) = Upload::new(request.body.clone());
        let mut prepared = hyper::Request::builder()
            .method(request.method.clone())
            .uri(format!("{}{}", self.base, request.path))
            .body(body)
            .map_err(|error| Fault::Invalid(format!("{} cannot be asked for: {error}", request.path)))?;
        *prepared.headers_mut() = self.headers.clone();
        for (name, value) in &request.headers {
            let value = HeaderValue::from_str(value);
            let value = value.map_err(|_| Fault::Invalid(format!("the value of {name} cannot stand in a header")))?;
            prepared.headers_mut().insert(*name, value);
        }
        let sent = moved.watch(self.pool.request(prepared), patience, request.body.len()).await?;
        sent.map(OpenAnswer::new).map_err(fault)
    }

    /// Sends a request and reads all of its answer. A document has to be there within `patience` from its head on, of a
    /// result no pause may be longer.
    pub(crate) async fn send(&self, request: &Request, patience: Duration, size: Size) -> Result<Answer, Fault> {
        let opened = self.open(request, patience).await?;
        let whole = opened.all(size.largest(), patience);
        match size {
            Size::Document => timeout(patience, whole).await.map_err(|_| Fault::TimedOut(patience))?,
            Size::Any => whole.await,
        }
    }
}

/// How long an answer may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Size {
    /// As one about a job can be at most. It comes at once.
    Document,
    /// A result: as long as it is, and coming for as long as it comes.
    Any,
}

impl Size {
    fn largest(self) -> usize {
        match self {
            Self::Document => 64 << 20,
            Self::Any => usize::MAX,
        }
    }
}

fn fault(error: PoolError) -> Fault {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(below) = cause {
        let io = below.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(rustls::Error::InvalidCertificate(_)) = io.and_then(|inner| inner.downcast_ref()) {
            return Fault::Certificate(error.into());
        }
        cause = below.source();
    }
    Fault::Connection(error.into())
}

fn tls(authorities: &[Vec<u8>]) -> Result<TlsConnector, Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for pem in authorities {
        let wrong =
            |why: &dyn fmt::Display| Error::invalid(format!("an authority's certificate cannot be read: {why}"));
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
        if roots.len() == before {
            return Err(wrong(&"there is none in PEM"));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::invalid(format!("TLS cannot be set up: {error}")))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn server_name(host: &str) -> Result<ServerName<'static>, Error> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned())
        .map_err(|error| Error::invalid(format!("{host:?} is no name of a host: {error}")))
}

/// Makes connections.
#[derive(Clone)]
struct Connector {
    tcp: HttpConnector,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

type Connecting<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Service<Uri> for Connector {
    type Response = TokioIo<Line>;
    type Error = io::Error;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_ready(context).map_err(io::Error::other)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (tcp, tls) = (self.tcp.call(to), self.tls.clone());
        Box::pin(async move {
            let socket = tcp.await.map_err(io::Error::other)?.into_inner();
            Ok(TokioIo::new(match tls {
                None => Line::Plain(socket),
                Some((tls, name)) => {
                    let shaken = timeout(CONNECT, tls.connect(name, socket)).await;
                    Line::Sealed(Box::new(shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??))
                }
            }))
        })
    }
}

/// A connection.
enum Line {
    Plain(TcpStream),
    Sealed(Box<TlsStream<TcpStream>>),
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_read(cx, buffer),
            Self::Sealed(line) => Pin::new(line).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_write(cx, bytes),
            Self::Sealed(line) => Pin::new(line).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_flush(cx),
            Self::Sealed(line) => Pin::new(line).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(line) => Pin::new(line).poll_shutdown(cx),
            Self::Sealed(line) => Pin::new(line).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_http_and_https_without_a_query_or_a_user_are_taken() {
        let new = |base: &str| Transport::new(base, None, "x", &[]);
        for (good, base) in [
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("https://host/below/", "https://host/below"),
            ("https://[::1]:8443", "https://[::1]:8443"),
        ] {
            assert_eq!(new(good).unwrap().base(), base);
        }
        for bad in ["127.0.0.1:8080", "localhost", "ftp://host", "", "http://", "http://a:b@host", "http://host/?x=1"] {
            assert!(new(bad).is_err(), "{bad}");
        }
    }
}
