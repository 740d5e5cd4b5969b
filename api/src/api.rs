//! The API on a socket, from its start to the last request in flight.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use raincheck_shared::blobs::Blobs;
use raincheck_shared::broker::Broker;
use raincheck_shared::config::Settings;
use raincheck_shared::lifecycle::{Clock, Shutdown};
use raincheck_shared::store::Store;

use crate::engine::{Backends, Desk, Links, schedule_problems};
use crate::http::{Front, listen};
use crate::webhooks::{self, WebhookError};

/// How much longer than its own timeout the server may take to stop.
const LEFTOVERS: Duration = Duration::from_secs(5);

/// Why the API cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Anybody on the network could submit.
    #[error(
        "http.listen = {0} is not a loopback address, and nobody has to show a key: \
         set auth.required = true, or http.listen_without_keys = true to allow that"
    )]
    OpenToAll(SocketAddr),
    /// The address is taken, or not ours.
    #[error("cannot listen on {addr}")]
    Listen {
        /// `http.listen`
        addr: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A schedule of the configuration asks for what would be refused.
    #[error("schedules.{name} cannot be: {problem}")]
    Schedule {
        /// Its name.
        name: String,
        /// What is wrong, by fields.
        problem: String,
    },
    /// Webhooks cannot be sent as configured.
    #[error("webhooks cannot be sent")]
    Webhooks(#[source] WebhookError),
    /// The server broke.
    #[error("the HTTP server stopped")]
    Server(#[source] std::io::Error),
}

/// The API, bound to its socket.
pub struct Api {
    server: Server,
    addr: SocketAddr,
    drain: Duration,
    shutdown: Shutdown,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Api {
    /// Binds the socket (port 0: any free one) and starts what requests need, on the runtime of the caller. Nothing is
    /// answered before [`Api::run`].
    pub fn build(
        settings: Arc<Settings>,
        store: Store,
        blobs: Blobs,
        broker: Broker,
        clock: Arc<dyn Clock>,
        shutdown: Shutdown,
        mut links: Links,
    ) -> Result<Self, ApiError> {
        let addr = settings.http.listen;
        if !addr.ip().is_loopback() && !settings.http.listen_without_keys && !settings.auth.required {
            return Err(ApiError::OpenToAll(addr));
        }
        if let Some((schedule, problem)) = schedule_problems(&settings, clock.now()).next() {
            return Err(ApiError::Schedule { name: schedule.to_string(), problem });
        }
        let http = settings.http.clone();
        let (webhooks, loop_health) =
            webhooks::start(&settings, &store, &clock, &broker, &shutdown).map_err(ApiError::Webhooks)?;
        links.loops.push(loop_health);
        let backends = Backends { store, blobs, broker };
        let desk = Desk::start(settings, backends, clock, links, webhooks, &shutdown);
        let (server, addr) = listen(&http, Front::new(desk)).map_err(|source| ApiError::Listen { addr, source })?;
        Ok(Self { server, addr, drain: http.drain_timeout, shutdown })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `shutdown` begins, then accepts no connection, answers held long polls at once, and ends when the
    /// requests in flight have, or `http.drain_timeout` has passed.
    pub async fn run(self) -> Result<(), ApiError> {
        let Self { server, addr, drain, shutdown } = self;
        tracing::info!(%addr, "listening");
        let handle = server.handle();
        let served = async {
            let mut server = std::pin::pin!(server);
            tokio::select! {
                ended = &mut server => return ended,
                () = shutdown.begun() => tracing::info!("draining: no new connections"),
            }
            // The server must be polled for its stop to come about.
            futures_util::future::join(server, handle.stop(true)).await.0
        };
        let served = tokio::select! {
            served = served => served,
            () = shutdown.forced() => return Ok(()),
            // The server keeps to its own timeout; this is for when it does not.
            () = overdue(&shutdown, drain + LEFTOVERS) => Ok(()),
        };
        served.map_err(ApiError::Server)
    }
}

async fn overdue(shutdown: &Shutdown, patience: Duration) {
    shutdown.begun().await;
    tokio::time::sleep(patience).await;
}
