//! Finds dead workers and gives their jobs back: within two seconds of a crash, within the lease after a power loss.
//!
//! After an outage of the *store* every heartbeat looks old and every session lock is free. So it counts from when the
//! store came back: only a worker that has missed a whole lease since then is dead. Remote workers show their life to the
//! API only, so for them it also counts from when this replica began to listen.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use raincheck_shared::broker::Signal;
use raincheck_shared::domain::Status;
use raincheck_shared::lifecycle::{Next, Nudge, Reconciler, ReconcilerHealth, Shutdown};
use raincheck_shared::store::StoreError;

use super::Parts;

/// What this replica has seen of the store.
#[derive(Debug, Clone, Copy, Default)]
enum Seen {
    /// It answered ever since this process asked first.
    #[default]
    Always,
    /// It did not answer the last time.
    Away,
    /// It came back then.
    Since(Instant),
}

pub(super) fn start(parts: &Parts, shutdown: &Shutdown) -> ReconcilerHealth {
    let parts = parts.clone();
    let period = parts.settings.upkeep.workers;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let listening_since = parts.clock.monotonic();
    Reconciler { name: "worker-reaper", period, nudge: Nudge::default() }
        .start(shutdown, move || rescue(parts.clone(), Arc::clone(&seen), listening_since))
}

async fn rescue(parts: Parts, seen: Arc<Mutex<Seen>>, listening_since: Instant) -> Result<Next, StoreError> {
    let set = |now: Seen| *seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
    let before = *seen.lock().unwrap_or_else(PoisonError::into_inner);
    let now = parts.clock.monotonic();
    let since = match before {
        Seen::Always => None,
        Seen::Away => Some(now),
        Seen::Since(at) => Some(at),
    };
    let up_for = since.map(|at| now.saturating_duration_since(at));
    let listening_for = now.saturating_duration_since(listening_since);
    let rescued = parts.store.upkeep.rescue_dead_worker(parts.settings.jobs.max_crashes, up_for, listening_for).await;
    match rescued {
        Ok(rescued) => {
            set(since.map_or(Seen::Always, Seen::Since));
            let Some(moved) = rescued else { return Ok(Next::Idle) };
            let jobs = moved.changes.len();
            if jobs > 0 && moved.changes.iter().all(|change| change.status == Status::Canceled) {
                tracing::info!(jobs, "whoever ran these is gone, and they were to be canceled");
            } else {
                tracing::warn!(jobs, "a worker died: its jobs run again");
            }
            parts.spread(moved);
            parts.broker.wakeups.announce(Signal::WorkerDied);
            Ok(Next::Again)
        }
        Err(error) => {
            set(Seen::Away);
            Err(error)
        }
    }
}
