//! Removes what has outlived its retention, jobs and inputs that were to go before them, and makes the partitions of the days ahead.

use raincheck_shared::lifecycle::{Next, Nudge, Reconciler, ReconcilerHealth, Shutdown};
use raincheck_shared::store::StoreError;

use super::Parts;

/// Inputs that one call looks at.
const INPUTS_AT_ONCE: u32 = 500;

/// Two loops, so that an input goes when it should also while a partition cannot be dropped, say because somebody reads it.
pub(super) fn start(parts: &Parts, shutdown: &Shutdown) -> [ReconcilerHealth; 2] {
    let period = parts.settings.upkeep.retention;
    let (of_jobs, of_inputs) = (parts.clone(), parts.clone());
    [
        Reconciler { name: "retention", period, nudge: Nudge::default() }
            .start(shutdown, move || tidy(of_jobs.clone())),
        Reconciler { name: "input-retention", period, nudge: Nudge::default() }
            .start(shutdown, move || erase_inputs(of_inputs.clone())),
    ]
}

/// Each step is taken, whatever became of the others.
async fn tidy(parts: Parts) -> Result<Next, StoreError> {
    let prepared = parts.store.upkeep.prepare_partitions().await;
    // First: the starts of jobs that go count for their rates all the same.
    let forgot = parts.store.permits.forget_permits().await;
    let more = parts.store.upkeep.remove_expired().await?;
    prepared.and(forgot)?;
    Ok(if more { Next::Again } else { Next::Idle })
}

async fn erase_inputs(parts: Parts) -> Result<Next, StoreError> {
    let more = parts.store.erasures.erase_due_inputs(INPUTS_AT_ONCE).await?;
    Ok(if more { Next::Again } else { Next::Idle })
}
