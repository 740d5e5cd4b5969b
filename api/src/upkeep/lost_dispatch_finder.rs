//! Publishes again what the broker seems to have lost: a wiped broker costs seconds.
//!
//! The store knows how many dispatches of a queue were published and not claimed; the broker knows how many messages it
//! has ready. If it has fewer, the difference is with workers or lost, and the oldest are published once more. Where they
//! were only with workers, the second message finds nothing to claim; the pause before a third one doubles.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use raincheck_shared::config::BrokerSettings;
use raincheck_shared::lifecycle::{Next, Nudge, Reconciler, ReconcilerHealth, Shutdown};
use raincheck_shared::store::{QueueDepth, StoreError};
use raincheck_shared::telemetry::Chain;

use super::Parts;
use super::depth_counter::DepthCounter;

/// Dispatches published again in one run.
const BATCH: u64 = 500;

pub(super) fn start(parts: &Parts, counter: DepthCounter, shutdown: &Shutdown) -> ReconcilerHealth {
    let parts = parts.clone();
    let period = parts.settings.upkeep.lost_dispatches;
    // A broker inside the process starts empty: whatever was published to the one before is lost for sure.
    let starts_empty = Arc::new(AtomicBool::new(matches!(parts.settings.broker, BrokerSettings::InProcess)));
    Reconciler { name: "lost-dispatch-finder", period, nudge: Nudge::default() }
        .start(shutdown, move || find(parts.clone(), counter.clone(), Arc::clone(&starts_empty)))
}

async fn find(parts: Parts, counter: DepthCounter, starts_empty: Arc<AtomicBool>) -> Result<Next, StoreError> {
    let depths = counter.count().await?;
    let all = starts_empty.load(Ordering::Relaxed);
    for depth in depths {
        publish_lost(&parts, &depth, all).await?;
    }
    starts_empty.store(false, Ordering::Relaxed);
    Ok(Next::Idle)
}

/// Publishes again what is missing in one queue and band. `all`: everything is known to be missing, however young.
async fn publish_lost(parts: &Parts, depth: &QueueDepth, all: bool) -> Result<(), StoreError> {
    let age = if all { Duration::ZERO } else { parts.settings.upkeep.lost_dispatches };
    if depth.oldest_published.is_none_or(|oldest| oldest < age) {
        return Ok(());
    }
    let ready = match parts.broker.publisher.ready_messages(&depth.queue, depth.band).await {
        Ok(ready) => ready,
        Err(error) => {
            tracing::debug!(error = %Chain(&error), queue = %depth.queue, "the broker could not be asked");
            return Ok(());
        }
    };
    let missing = if all { depth.published } else { depth.published.saturating_sub(ready).min(BATCH) };
    let limit = u32::try_from(missing).unwrap_or(u32::MAX);
    let lost = match limit {
        0 => Vec::new(),
        limit => parts.store.outbox.take_lost(&depth.queue, depth.band, age, limit, &parts.remote_kinds).await?,
    };
    if lost.is_empty() {
        return Ok(());
    }
    tracing::info!(
        queue = %depth.queue,
        band = depth.band.as_str(),
        dispatches = lost.len(),
        broker.ready = ready,
        "waiting for long while the broker shows less than it should: publishing again"
    );
    // Full: they keep, and are found again.
    let _ = parts.relay.try_send(lost);
    Ok(())
}
