//! A running raincheck: the parts that one process is made of, started in order and stopped in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raincheck_api::engine::Links;
use raincheck_api::{Api, ApiError, upkeep};
use raincheck_shared::backends::{open_blobs, open_broker, open_store};
use raincheck_shared::blobs::Blobs;
use raincheck_shared::broker::Broker;
use raincheck_shared::config::{BrokerSettings, Settings};
use raincheck_shared::lifecycle::{Clock, Shutdown, SystemClock, signals};
use raincheck_shared::store::{Store, StoreClock};
use raincheck_shared::telemetry::Chain;
use raincheck_worker::registry::{CustomHandlers, Registry};
use raincheck_worker::{Parts, Worker};
use tokio::task::JoinHandle;

use crate::client::{base_url, is_ready};
use crate::failure::Failure;
use crate::schema_gate;

/// What parts may take beyond the drain times to put things in order.
const LEFTOVERS: Duration = Duration::from_secs(10);
/// How long a probe of the own API may take, and the pause before the next.
const PROBE: Duration = Duration::from_secs(4);
const PROBE_AGAIN: Duration = Duration::from_millis(50);

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
    blobs: Blobs,
    shutdown: Shutdown,
    api: Option<RunningApi>,
}

#[derive(Debug)]
struct RunningApi {
    address: SocketAddr,
    served: JoinHandle<Option<Result<(), ApiError>>>,
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
    instance.stop().await
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
        let blobs = open_blobs(&settings.blobs, &shutdown)
            .map_err(|error| Failure::because("the blob store could not be opened", error))?;
        let mut instance = Self { settings, roles, store, blobs, shutdown, api: None };
        let started = match instance.pass_gate(&*clock).await {
            Ok(true) => {
                // From here on what counts is the store's time, not this machine's.
                let schema = Arc::clone(&instance.store.schema);
                let clock: Arc<dyn Clock> = StoreClock::start(schema, &instance.shutdown).await;
                instance.start_parts(registry, &clock).await.map(|()| true)
            }
            other => other,
        };
        match started {
            Ok(true) => Ok(Some(instance)),
            Ok(false) => {
                instance.stop().await?;
                Ok(None)
            }
            Err(failure) => {
                // What went wrong first is what is told.
                let _ = instance.stop().await;
                Err(failure)
            }
        }
    }

    async fn pass_gate(&self, clock: &dyn Clock) -> Result<bool, Failure> {
        let schema = &*self.store.schema;
        if self.roles == Roles::All && schema_gate::migrate(schema, clock, None, &self.shutdown).await?.is_none() {
            return Ok(false);
        }
        schema_gate::pass(schema, clock, &self.shutdown).await
    }

    async fn start_parts(&mut self, registry: Option<Registry>, clock: &Arc<dyn Clock>) -> Result<(), Failure> {
        let broker = open_broker(&self.settings.broker, self.roles.name(), &self.shutdown);
        if let Some(registry) = registry {
            let parts = Parts {
                settings: Arc::clone(&self.settings),
                store: self.store.clone(),
                blobs: self.blobs.clone(),
                broker: broker.clone(),
                registry,
                clock: Arc::clone(clock),
            };
            Worker::start(parts, &self.shutdown)
                .await
                .map_err(|error| Failure::because("the worker could not be started", error))?;
        }
        if self.roles != Roles::Worker {
            self.start_api(&broker, clock)?;
            self.wait_until_ready().await?;
        }
        Ok(())
    }

    fn start_api(&mut self, broker: &Broker, clock: &Arc<dyn Clock>) -> Result<(), Failure> {
        let upkeep = upkeep::start(&self.settings, &self.store, &self.blobs, broker, clock, &self.shutdown);
        let upkeep::Upkeep { relay, parked, depths, ticks, publishing, health } = upkeep;
        let links = Links { relay, parked, depths, ticks, publishing, loops: health };
        let api = Api::build(
            Arc::clone(&self.settings),
            self.store.clone(),
            self.blobs.clone(),
            broker.clone(),
            Arc::clone(clock),
            self.shutdown.clone(),
            links,
        )
        .map_err(|error| Failure::because("the API could not be started", error))?;
        let address = api.addr();
        let shutdown = self.shutdown.clone();
        let served = self.shutdown.spawn(async move {
            let served = api.run().await;
            // Without its API the process is of no use, however it came to that.
            shutdown.begin();
            served
        });
        self.api = Some(RunningApi { address, served });
        Ok(())
    }

    /// Until a request would be accepted: who starts this next to something else need not guess.
    async fn wait_until_ready(&self) -> Result<(), Failure> {
        let Some(address) = self.address() else { return Ok(()) };
        let base = base_url(address);
        while !self.shutdown.has_begun() {
            if is_ready(&base, PROBE).await {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(PROBE_AGAIN) => {}
                () = self.shutdown.begun() => {}
            }
        }
        Ok(())
    }

    /// Where the API listens; `None` for a worker.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.api.as_ref().map(|api| api.address)
    }

    /// Takes nothing new, finishes what runs within the drain times, then closes the store.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let patience = self.settings.worker.drain_timeout.max(self.settings.http.drain_timeout) + LEFTOVERS;
        if !self.shutdown.finish(patience).await {
            tracing::warn!("stopped before everything had ended");
        }
        self.store.schema.close().await;
        let Some(api) = self.api else { return Ok(()) };
        match api.served.await {
            Ok(Some(Err(error))) => Err(Failure::because("the API stopped", error)),
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::because("the API broke", error)),
        }
    }
}
