//! The bytes to RabbitMQ and back: over TCP, and inside TLS where the URL says `amqps`.
//!
//! lapin could do TLS itself, with 36 more crates, most of them for certificates of clients. It also takes a stream that
//! somebody else has made; the reactor here is how it is told of that stream's type.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use lapin::uri::{AMQPScheme, AMQPUri};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error as Refusal};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::config::RabbitmqSettings;
use crate::telemetry::Chain;
use crate::tls;

/// A connection, whatever is in between.
pub(super) type Wire = Box<dyn Duplex>;

/// Bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects to the server of a URL. `dialled` is shown the socket before anything is said over it. The file of authorities
/// is read each time, so that a new one needs no restart. There is no time limit: the caller has one for all of it.
pub(super) async fn connect(
    settings: &RabbitmqSettings,
    uri: &AMQPUri,
    dialled: impl FnOnce(&TcpStream) -> io::Result<()>,
) -> io::Result<Wire> {
    let host = uri.authority.host.as_str();
    let socket = TcpStream::connect((host, uri.authority.port)).await?;
    socket.set_nodelay(true)?;
    dialled(&socket)?;
    match uri.scheme {
        AMQPScheme::AMQP => Ok(Box::new(socket)),
        AMQPScheme::AMQPS => {
            let failed = |error: &dyn std::error::Error| io::Error::other(format!("TLS with {host}: {}", Chain(error)));
            let config = tls::trusting(settings.ca_file.as_deref()).map_err(|error| failed(&error))?;
            let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&error))?;
            let secured = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
            Ok(Box::new(secured.map_err(|error| refused(host, &error))?))
        }
    }
}

/// Why there is no TLS, and what to do about it.
fn refused(host: &str, error: &io::Error) -> io::Error {
    let advice = match error.get_ref().and_then(|inner| inner.downcast_ref::<Refusal>()) {
        // The second: by one that has the name of one that is.
        Some(Refusal::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            ": signed by no authority that is trusted here; `broker.ca_file` adds those of a file"
        }
        Some(Refusal::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => ": `broker.url` has to name the server as its certificate does",
        Some(Refusal::InvalidMessage(_)) => ": no TLS is spoken there; `amqps` has a port of its own, 5671 by default",
        _ => "",
    };
    io::Error::new(error.kind(), format!("TLS with {host}: {error}{advice}"))
}

/// What lapin runs on: the tokio runtime of the caller, with sockets that may be inside TLS.
pub(super) type Kit = RuntimeParts<Tokio, Sockets>;

pub(super) fn runtime() -> Runtime<Kit> {
    Runtime::new(RuntimeParts::new(Tokio::current(), Sockets(Tokio::current())))
}

/// tokio's reactor, with [`Wire`] as its sockets.
#[derive(Debug, Clone)]
pub(super) struct Sockets(Tokio);

impl Reactor for Sockets {
    type TcpStream = Compat<Wire>;
    type Sleep = tokio::time::Sleep;

    #[expect(refining_impl_trait, reason = "there is nothing to hide: no socket of anybody else's is taken")]
    fn register<H>(&self, _socket: H) -> io::Result<Compat<Wire>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, period: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(period)
    }

    fn tcp_connect_addr(
        &self,
        address: std::net::SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let dialled = TcpStream::connect(address);
        async move {
            let wire: Wire = Box::new(dialled.await?);
            Ok(wire.compat())
        }
    }
}
