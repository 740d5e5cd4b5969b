//! A worker of the trials: raincheck's own, with the handler that writes down what it does. A process of its own.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::backends::{open_blobs, open_broker, open_store};
use raincheck_shared::config::{Flags, load};
use raincheck_shared::lifecycle::{Shutdown, SystemClock, signals};
use raincheck_worker::registry::CustomHandlers;
use raincheck_worker::{Handler, Parts, Registry, Worker};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::handler::Journaled;

/// The kind that it runs.
pub const KIND: &str = "journaled";

/// Runs until SIGTERM, configured by `raincheck.toml` in the working directory and by the environment. What its handlers
/// do is written to the working directory, under the process's `name`.
pub async fn run(name: &str) -> Result<(), Box<dyn Error>> {
    let said: Targets = "info,raincheck_worker=debug,lapin=off".parse()?;
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(said).with(lines).init();
    let settings = Arc::new(load(&Flags::default(), &std::env::vars().collect::<BTreeMap<_, _>>())?);
    let handler = Arc::new(Journaled::open(Path::new("."), name)?) as Arc<dyn Handler>;
    let custom: CustomHandlers = [(KIND.parse()?, handler)].into();
    let registry = Registry::from_kinds(&settings, &custom)?;

    let clock = SystemClock::shared();
    let shutdown = Shutdown::new();
    let heard = shutdown.clone();
    shutdown.spawn_service(async move {
        if let Err(error) = signals(heard).await {
            tracing::error!(%error, "cannot listen for signals");
        }
    });
    let store = open_store(&settings.store, Arc::clone(&clock)).await?;
    let blobs = open_blobs(&settings.blobs, &shutdown)?;
    let broker = open_broker(&settings.broker, "worker", &shutdown);
    let drain_timeout = settings.worker.drain_timeout;
    Worker::start(Parts { settings, store, blobs, broker, registry, clock }, &shutdown).await?;
    shutdown.begun().await;
    shutdown.finish(drain_timeout + Duration::from_secs(5)).await;
    Ok(())
}
