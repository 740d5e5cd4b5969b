//! A worker, started.

use std::sync::Arc;

use raincheck_shared::blobs::Blobs;
use raincheck_shared::broker::Broker;
use raincheck_shared::config::Settings;
use raincheck_shared::domain::QueueName;
use raincheck_shared::lifecycle::{Clock, IdSource, Shutdown};
use raincheck_shared::store::Store;

use crate::counters::Counters;
use crate::heartbeat::Heartbeat;
use crate::pipeline::Pipeline;
use crate::registry::Registry;
use crate::tally::Tally;

/// What a worker works with. See [`Worker::start`].
pub struct Parts {
    /// The settings; `[worker]` above all.
    pub settings: Arc<Settings>,
    /// Where jobs are claimed and finished.
    pub store: Store,
    /// Where large inputs are, and large outputs go.
    pub blobs: Blobs,
    /// Where messages come from.
    pub broker: Broker,
    /// Which handler runs which kind.
    pub registry: Registry,
    /// For measuring; leases are timed by the store.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A running worker. It stops with the [`Shutdown`] it was started with: first it takes nothing more, then lets handlers
/// finish for `worker.drain_timeout`, then gives back what still runs; no attempt is burned.
#[derive(Debug)]
pub struct Worker {
    counters: Arc<Counters>,
}

impl Worker {
    /// Starts claiming and running. Returns at once: a store or broker that is away is waited for.
    pub async fn start(parts: Parts, shutdown: &Shutdown) -> std::io::Result<Self> {
        let Parts { settings, store, broker, clock, .. } = &parts;
        let queues = subscribed(settings);
        let prefetch = prefetch(settings.worker.concurrency);
        let counters = Arc::new(Counters::default());
        let tally = Arc::new(Tally::new(settings.worker.concurrency, &queues));
        let heartbeat = Heartbeat::start(
            Arc::clone(&store.leases),
            settings.worker.clone(),
            Arc::clone(clock),
            IdSource,
            Arc::clone(&tally),
        )?;
        let deliveries = broker.consumers.consume(&queues, prefetch).await;
        let pipeline = Pipeline::new(parts, Arc::clone(&counters), tally);
        pipeline.start(heartbeat, deliveries, shutdown);
        Ok(Self { counters })
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// The queues that a worker with these settings serves.
pub(crate) fn subscribed(settings: &Settings) -> Vec<QueueName> {
    if settings.worker.queues.is_empty() { settings.queues() } else { settings.worker.queues.clone() }
}

/// Messages that may wait here unclaimed. Few: they are out of other workers' reach. Enough that one claim can fill the free
/// slots, and that the next ones are at hand while it is written; a message may carry several jobs where slots are many.
fn prefetch(concurrency: usize) -> u16 {
    u16::try_from((concurrency / 4).clamp(concurrency.clamp(1, 16), 64)).unwrap_or(64)
}
