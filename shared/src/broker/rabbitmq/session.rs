//! One connection, from its handshake to its end. It is never repaired: whoever loses it waits for the next one.

use std::net::Shutdown as Direction;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use lapin::uri::AMQPUri;
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncReadCompatExt;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::refusal::refusal;
use super::topology::Declarations;
use super::wire;
use crate::broker::BrokerError;
use crate::config::RabbitmqSettings;

/// How long a clean close may take; the end of the socket says the same, less politely.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A second handle on the connection's socket. A lapin connection that is closed, or dropped, while the broker does not
/// read keeps its thread and its socket until the kernel gives up; only ending the socket ends them.
#[derive(Debug, Default, Clone)]
struct Cord(Arc<OnceLock<std::net::TcpStream>>);

impl Cord {
    fn tie(&self, socket: &TcpStream) -> std::io::Result<()> {
        // Set once: every session makes one connection.
        let _ = self.0.set(socket.as_fd().try_clone_to_owned()?.into());
        Ok(())
    }

    fn cut(&self) {
        if let Some(socket) = self.0.get() {
            // It may be closed already.
            let _ = socket.shutdown(Direction::Both);
        }
    }
}

/// An open connection.
pub(super) struct Session {
    connection: Connection,
    cord: Cord,
    /// Why it should be replaced, if somebody found that out.
    failed_by: OnceLock<&'static str>,
    failed: CancellationToken,
    lost: CancellationToken,
    idle_publish_channels: Mutex<Vec<Channel>>,
    plain_channel: tokio::sync::Mutex<Option<Channel>>,
    /// What has been declared over this connection.
    pub(super) declarations: Declarations,
}

impl Session {
    /// Connects, within the connect timeout. `name` is what the broker's operator sees.
    pub(super) async fn open(settings: &RabbitmqSettings, name: &str) -> Result<Self, BrokerError> {
        let uri = address(settings)?;
        let properties = ConnectionProperties::default()
            .with_connection_name(name.into())
            .with_client_property("product".into(), "raincheck".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        let cord = Cord::default();
        let tied = cord.clone();
        let timeout = settings.connect_timeout;
        let dialling = settings.clone();
        let connected = Connection::connector(
            uri,
            wire::runtime(),
            async move |uri: AMQPUri, _| {
                let wire = wire::connect(&dialling, &uri, |socket| tied.tie(socket));
                let wire = tokio::time::timeout(timeout, wire)
                    .await
                    .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))?;
                Ok(AsyncTcpStream::Plain(wire.compat()))
            },
            properties,
        );
        match tokio::time::timeout(timeout, connected).await {
            Ok(Ok(connection)) => Ok(Self {
                connection,
                cord,
                failed_by: OnceLock::new(),
                failed: CancellationToken::new(),
                lost: CancellationToken::new(),
                idle_publish_channels: Mutex::default(),
                plain_channel: tokio::sync::Mutex::default(),
                declarations: Declarations::new(settings.publish_timeout),
            }),
            Ok(Err(error)) => {
                cord.cut();
                Err(refusal(error))
            }
            Err(_) => {
                cord.cut();
                Err(BrokerError::Unavailable("it did not answer within the connect timeout"))
            }
        }
    }

    /// lapin's side of it, for its status and events.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A new channel.
    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        self.connection.create_channel().await.map_err(refusal)
    }

    /// A channel in confirm mode that nobody else uses: an idle one, or a new one. lapin attaches a returned message to
    /// whichever confirm comes next on the channel, so that one channel must carry one batch at a time.
    pub(super) async fn publish_channel(&self) -> Result<Channel, BrokerError> {
        let idle = self.idle_publish_channels().pop();
        if let Some(channel) = idle.filter(|channel| channel.status().connected()) {
            return Ok(channel);
        }
        let channel = self.channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(refusal)?;
        Ok(channel)
    }

    /// Takes a publish channel back on which nothing is outstanding.
    pub(super) fn reuse_publish_channel(&self, channel: Channel) {
        self.idle_publish_channels().push(channel);
    }

    /// The channel of whoever publishes without confirms.
    pub(super) async fn plain_channel(&self) -> Result<Channel, BrokerError> {
        let mut kept = self.plain_channel.lock().await;
        match kept.as_ref().filter(|channel| channel.status().connected()) {
            Some(channel) => Ok(channel.clone()),
            None => Ok(kept.insert(self.channel().await?).clone()),
        }
    }

    fn idle_publish_channels(&self) -> std::sync::MutexGuard<'_, Vec<Channel>> {
        self.idle_publish_channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that this connection is of no use any more; its supervisor replaces it.
    pub(super) fn fail(&self, cause: &'static str) {
        let _ = self.failed_by.set(cause);
        self.failed.cancel();
    }

    /// Resolves, with the cause, when somebody said so.
    pub(super) async fn failed(&self) -> &'static str {
        self.failed.cancelled().await;
        self.failed_by.get().copied().unwrap_or("it failed")
    }

    /// Resolves when the connection is gone.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Ends it at once: whatever was written and not yet sent stays unsent.
    pub(super) fn cut(&self) {
        self.lost.cancel();
        self.cord.cut();
    }

    /// Ends it in the way the protocol asks for, and then in any case.
    pub(super) async fn close(&self) {
        self.lost.cancel();
        // An error means that it is closed already.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.connection.close(200, "OK".into())).await;
        self.cord.cut();
    }
}

/// Bytes of a frame at most. A connection buffers 32 of them in each direction, written over at once: with RabbitMQ's 128 KiB
/// that is 8 MiB for messages of a few hundred bytes.
const FRAME: u32 = 32 << 10;

/// The broker's address from the URL, with the heartbeat as configured.
pub(super) fn address(settings: &RabbitmqSettings) -> Result<AMQPUri, BrokerError> {
    // The parser's own words could repeat the password.
    let parsed = settings.url.expose().parse::<AMQPUri>();
    let mut uri = parsed.map_err(|_| BrokerError::Unavailable("`broker.url` is not an AMQP URL"))?;
    // lapin's parser takes an IPv6 address for no host at all, and would have gone to localhost.
    if let Ok(Some(Host::Ipv6(address))) = Url::parse(settings.url.expose()).as_ref().map(Url::host) {
        uri.authority.host = address.to_string();
    }
    uri.query.frame_max = uri.query.frame_max.or(Some(FRAME));
    uri.query.heartbeat = Some(u16::try_from(settings.heartbeat.as_secs().max(1)).unwrap_or(u16::MAX));
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn a_url_names_host_port_and_virtual_host() {
        for (url, host, port, virtual_host) in [
            ("amqp://me:pa55@broker", "broker", 5672, "/"),
            ("amqps://me:pa55@broker/shop", "broker", 5671, "shop"),
            ("amqps://me:pa55@10.0.0.1:443/%2f", "10.0.0.1", 443, "/"),
            ("amqps://me:pa55@[fd00::1]", "fd00::1", 5671, "/"),
        ] {
            let uri = address(&RabbitmqSettings {
                url: Secret::new(url),
                ca_file: None,
                prefix: String::new(),
                publish_timeout: Duration::ZERO,
                connect_timeout: Duration::ZERO,
                heartbeat: Duration::from_secs(10),
                max_backoff: Duration::ZERO,
            })
            .unwrap();
            let named = (uri.authority.host.as_str(), uri.authority.port, uri.vhost.as_str());
            assert_eq!(named, (host, port, virtual_host), "{url}");
        }
    }
}
