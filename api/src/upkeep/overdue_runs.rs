//! Ends attempts of remote workers, and of upstreams that call back, that have run for longer than they may, as any worker does
//! with its own. Whoever runs one hears so at its next sign of life, or when it is done.

use raincheck_shared::config::format_duration;
use raincheck_shared::domain::{AttemptBounds, Ended, Failure, FailureCode};
use raincheck_shared::lifecycle::{IdSource, Next, Nudge, Reconciler, ReconcilerHealth, Shutdown};
use raincheck_shared::store::{Finish, OverdueRun, StoreError, lease_of};

use super::Parts;
use crate::engine::{UNKNOWN_KIND, record_ends};

/// Attempts ended in one commit.
const BATCH: u32 = 200;

pub(super) fn start(parts: &Parts, shutdown: &Shutdown) -> ReconcilerHealth {
    let parts = parts.clone();
    let period = parts.settings.upkeep.workers;
    Reconciler { name: "overdue-runs", period, nudge: Nudge::default() }
        .start(shutdown, move || end_overdue(parts.clone()))
}

async fn end_overdue(parts: Parts) -> Result<Next, StoreError> {
    let overdue = parts.store.remote_leases.list_overdue_runs(BATCH).await?;
    if overdue.is_empty() {
        return Ok(Next::Idle);
    }
    let full = u32::try_from(overdue.len()).unwrap_or(u32::MAX) >= BATCH;
    let ends: Vec<Finish> = overdue.iter().map(|run| end(&parts, run)).collect();
    tracing::info!(jobs = ends.len(), "remote workers or upstreams took longer than they may");
    record_ends(&parts.store, &*parts.broker.wakeups, &ends).await?;
    Ok(if full { Next::Again } else { Next::Idle })
}

fn end(parts: &Parts, run: &OverdueRun) -> Finish {
    let attempt = run.fence.attempt;
    let message = format!("ran longer than the {} it may", format_duration(run.run_timeout));
    let error = Failure::new(FailureCode::RunTimeout, message, true, attempt);
    let policy = parts.settings.kinds.get(&run.kind).map_or(UNKNOWN_KIND, |kind| kind.retry);
    let bounds = AttemptBounds { max_attempts: run.max_attempts, deadline: run.deadline, now: parts.clock.now() };
    let ended: Ended = bounds.retry(error, policy.delay_after(attempt, IdSource.fraction()));
    Finish { fence: run.fence, worker: run.worker, ended, lease_done: Some(lease_of(run.worker)) }
}
