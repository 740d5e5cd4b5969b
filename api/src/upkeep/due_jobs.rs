//! Fires timers: jobs whose `run_at` or next attempt has come, jobs that were not started in time, cancels whose grace
//! is over. Sleeps until the earliest and is nudged when an earlier one is set.

use std::time::Duration;

use raincheck_shared::lifecycle::{Next, Nudge, Reconciler, ReconcilerHealth, Shutdown};
use raincheck_shared::store::StoreError;

use super::Parts;

/// Timers fired in one commit.
const BATCH: u32 = 500;
/// The shortest pause between two looks.
const SPIN: Duration = Duration::from_millis(10);

pub(super) fn start(parts: &Parts, nudge: Nudge, shutdown: &Shutdown) -> ReconcilerHealth {
    let parts = parts.clone();
    let period = parts.settings.upkeep.timers;
    Reconciler { name: "due-jobs", period, nudge }.start(shutdown, move || fire(parts.clone()))
}

async fn fire(parts: Parts) -> Result<Next, StoreError> {
    // Asked first: most looks find nothing that is due.
    match parts.store.upkeep.next_timer().await? {
        None => return Ok(Next::Idle),
        Some(wait) if !wait.is_zero() => return Ok(Next::Within(wait.max(SPIN))),
        Some(_) => {}
    }
    let moved = parts.store.upkeep.fire_timers(BATCH).await?;
    let fired = moved.more || !moved.changes.is_empty();
    parts.spread(moved);
    // An overdue timer that was not fired is in another replica's hands: do not spin while it fires.
    Ok(if fired { Next::Again } else { Next::Within(SPIN) })
}
