//! One POST to one receiver: looked at, dialled, spoken to, and left as soon as its answer is known.
//!
//! A connection is made for each delivery, to an address that was just looked at. No redirect is followed, no proxy asked,
//! and of an answer its status, one header and its first kibibyte are read, whatever else the receiver sends.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use raincheck_shared::config::WebhookSettings;
use raincheck_shared::domain::{CallbackHost, CallbackUrl, DeliveryAttempt, TenantName, Timestamp};
use raincheck_shared::lifecycle::Clock;
use raincheck_shared::telemetry::Chain;
use raincheck_shared::tls::{self, TlsError};
use time::format_description::well_known::Rfc2822;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::destinations::{DestinationError, Destinations, Visit};

/// How much of the head of an answer is held, in bytes and in headers.
const LONGEST_HEAD: usize = 32 * 1024;
const MOST_HEADERS: usize = 100;
/// How long an answer's body is waited for once its status is known: the status decides, the body is for people.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// It may not be called.
    #[error("the URL {0}")]
    Destination(#[from] DestinationError),
    /// Nobody is there.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// It does not show that it is who it should be.
    #[error("TLS failed")]
    Tls(#[source] std::io::Error),
    /// What it says is not HTTP, or it hung up.
    #[error("no answer")]
    Http(#[source] hyper::Error),
    /// The request cannot be written down.
    #[error("the request cannot be made")]
    Request(#[source] hyper::http::Error),
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
}

/// What a receiver said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `Retry-After`, if it can be read.
    pub(crate) retry_after: Option<Duration>,
    /// Its first [`DeliveryAttempt::RESPONSE_LIMIT`] bytes.
    pub(crate) body: Vec<u8>,
}

/// Makes the calls.
pub(crate) struct Dialer {
    destinations: Destinations,
    tls: TlsConnector,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl Dialer {
    pub(crate) fn new(
        settings: &WebhookSettings,
        destinations: Destinations,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let config = tls::client_config(settings.ca_file.as_deref())?;
        Ok(Self { destinations, tls: TlsConnector::from(Arc::new(config)), timeout: settings.timeout, clock })
    }

    /// Sends a body for a tenant; `headers` are those of Standard Webhooks.
    pub(crate) async fn post(
        &self,
        url: &CallbackUrl,
        tenant: &TenantName,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, DialError> {
        // Its time begins once it is its turn.
        let visit = self.destinations.visit(url, tenant).await?;
        let call = self.call(visit, url, headers, body);
        timeout(self.timeout, call).await.unwrap_or(Err(DialError::Timeout(self.timeout)))
    }

    async fn call(
        &self,
        visit: Visit<'_>,
        url: &CallbackUrl,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, DialError> {
        let addresses = self.destinations.addresses(visit).await?;
        let request = request(url, headers, body).map_err(DialError::Request)?;
        let socket = self.connect(&addresses).await.map_err(DialError::Connect)?;
        if url.is_plain() {
            return self.exchange(socket, request).await;
        }
        let name = match url.host() {
            CallbackHost::Address(address) => ServerName::IpAddress((*address).into()),
            CallbackHost::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|error| DialError::Tls(std::io::Error::other(error)))?
            }
        };
        let socket = self.tls.connect(name, socket).await.map_err(DialError::Tls)?;
        self.exchange(socket, request).await
    }

    /// Tries one address after another, each for its share of the time.
    async fn connect(&self, addresses: &[SocketAddr]) -> std::io::Result<TcpStream> {
        let share = self.timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut failed = std::io::Error::from(std::io::ErrorKind::NotFound);
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => {
                    // Written whole: waiting for more would only delay it.
                    let _ = socket.set_nodelay(true);
                    return Ok(socket);
                }
                Ok(Err(error)) => failed = error,
                Err(_) => failed = std::io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failed)
    }

    async fn exchange<S>(&self, socket: S, request: Request<Full<Bytes>>) -> Result<Answer, DialError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(LONGEST_HEAD).max_headers(MOST_HEADERS);
        let (mut sender, connection) = builder.handshake(TokioIo::new(socket)).await.map_err(DialError::Http)?;
        let talk = async {
            let response = sender.send_request(request).await.map_err(DialError::Http)?;
            Ok(self.read(response).await)
        };
        alongside(talk, connection).await
    }

    async fn read(&self, mut response: Response<Incoming>) -> Answer {
        let mut body = Vec::new();
        let limit = DeliveryAttempt::RESPONSE_LIMIT;
        let read = async {
            while body.len() < limit {
                // What breaks off in the middle has said enough.
                let Some(Ok(frame)) = response.body_mut().frame().await else { return };
                let data = frame.into_data().unwrap_or_default();
                body.extend_from_slice(&data[..data.len().min(limit - body.len())]);
            }
        };
        let _ = timeout(BODY_PATIENCE, read).await;
        let retry_after = response.headers().get(RETRY_AFTER);
        Answer {
            status: response.status().as_u16(),
            retry_after: retry_after.and_then(|value| retry_after_of(value, self.clock.now())),
            body,
        }
    }
}

/// What comes of `talk`, while the connection that it needs is driven.
async fn alongside<T>(talk: impl Future<Output = T>, connection: impl Future) -> T {
    let (mut talk, connection) = (pin!(talk), pin!(connection));
    tokio::select! {
        biased;
        said = &mut talk => return said,
        _ = connection => {}
    }
    // It has ended, well or not: what it had read is in the hands of `talk`.
    talk.await
}

fn request(url: &CallbackUrl, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(url.target())
        .header(HOST, url.authority())
        .header(USER_AGENT, concat!("raincheck/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        // The receiver is then the one to close, and to keep what is left of the connection.
        .header(CONNECTION, "close")
        .body(Full::new(body))?;
    request.headers_mut().extend(headers);
    Ok(request)
}

/// Seconds, or an instant.
pub(super) fn retry_after_of(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = Timestamp::parse(&text.replace(" GMT", " +0000"), &Rfc2822).ok()?;
    Some((at - now).try_into().unwrap_or_default())
}

/// The error with its causes, for the history.
pub(super) fn told(error: &DialError) -> String {
    Chain(error).to_string()
}
