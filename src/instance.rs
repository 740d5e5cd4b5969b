//! A running raincheck: the parts that one process is made of, started in order and stopped in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raincheck_api::upkeep;
use raincheck_shared::backends::{open_broker, open_store};
use raincheck_shared::config::{BrokerSettings, Settings};
use raincheck_shared::lifecycle::{Clock, Shutdown, SystemClock, signals};
use raincheck_shared::store::Store;
use raincheck_shared::telemetry::Chain;
use raincheck_worker::registry::{CustomHandlers, Registry};
use raincheck_worker::{Parts, Worker};

use crate::failure::Failure;
use crate::schema_gate;

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roles {
    /// API and repair loops.
    Api,
    /// A worker.
    Worker,
    /// Both, and the schema is brought up to date first.
    All,
}

impl Roles {
    fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::All => "up",
        }
    }
}

/// A running raincheck. It ends with [`Instance::stop`].
#[derive(Debug)]
pub(crate) struct Instance {
    settings: Arc<Settings>,
    roles: Roles,
    store: Store,
    shutdown: Shutdown,
    address: Option<SocketAddr>,
}

/// A role on its own needs a broker that reaches other processes.
pub(crate) fn needs_rabbitmq(role: &str, settings: &Settings) -> Result<(), Failure> {
    match settings.broker {
        BrokerSettings::Rabbitmq(_) => Ok(()),
        BrokerSettings::InProcess => Err(Failure::Usage(format!(
            "`raincheck {role}` needs RabbitMQ, and `broker.url` is \"in-process\". Set `broker.url = \"amqp://…\"` \
             (or AMQP_URL) and a PostgreSQL in `store.url` (or DATABASE_URL), or run everything in one process with \
             `raincheck up`"
        ))),
    }
}

/// Runs until SIGTERM or SIGINT. `ready` is called once a request can be taken.
pub(crate) async fn run(settings: Arc<Settings>, roles: Roles, ready: impl FnOnce(&Instance)) -> Result<(), Failure> {
    let shutdown = Shutdown::new();
    let heard = shutdown.clone();
    shutdown.spawn_service(async move {
        if let Err(error) = signals(heard).await {
            tracing::error!(error = %Chain(&error), "signals cannot be heard");
        }
    });
    let Some(instance) = Instance::start(settings, roles, shutdown.clone()).await? else { return Ok(()) };
    ready(&instance);
    shutdown.begun().await;
    tracing::info!(role = roles.name(), "stopping");
    instance.stop().await;
    Ok(())
}

impl Instance {
    /// Starts the parts. `None`: it was asked to stop before they ran.
    pub(crate) async fn start(
        settings: Arc<Settings>,
        roles: Roles,
        shutdown: Shutdown,
    ) -> Result<Option<Self>, Failure> {
        let clock = SystemClock::shared();
        // What cannot work is said before anything is opened.
        let registry = match roles {
            Roles::Api => None,
            Roles::Worker | Roles::All => Some(
                Registry::from_kinds(&settings, &CustomHandlers::new())
                    .map_err(|error| Failure::Usage(Chain(&error).to_string()))?,
            ),
        };
        let store = open_store(&settings.store, Arc::clone(&clock))
            .await
            .map_err(|error| Failure::store("the store could not be opened", error))?;
        if roles == Roles::All && !schema_gate::migrate(&*store.schema, &*clock, &shutdown).await?
            || !schema_gate::pass(&*store.schema, &*clock, &shutdown).await?
        {
            store.schema.close().await;
            return Ok(None);
        }
        let broker = open_broker(&settings.broker, roles.name(), &shutdown);
        let mut instance = Self { settings, roles, store, shutdown, address: None };
        let started = instance.start_parts(registry, broker, &clock).await;
        match started {
            Ok(()) => Ok(Some(instance)),
            Err(failure) => {
                instance.stop().await;
                Err(failure)
            }
        }
    }
}
