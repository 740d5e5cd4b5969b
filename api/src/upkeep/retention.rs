//! Removes what has outlived its retention, jobs and inputs that were to go before them, and makes the partitions of the days ahead.

use raincheck_shared::lifecycle::{Next, Nudge, Reconciler, ReconcilerHealth, Shutdown};
use raincheck_shared::store::StoreError;

use super::Parts;

/// Inputs that one call looks at.
const INPUTS_AT_ONCE: u32 = 500;

pub(super) fn start(parts: &Parts, shutdown: &Shutdown) -> ReconcilerHealth {
    let parts = parts.clone();
    let period = parts.settings.upkeep.retention;
    Reconciler { name: "retention", period, nudge: Nudge::default() }.start(shutdown, move || tidy(parts.clone()))
}

async fn tidy(parts: Parts) -> Result<Next, StoreError> {
    parts.store.upkeep.prepare_partitions().await?;
    let more = parts.store.upkeep.remove_expired().await?;
    parts.store.permits.forget_permits().await?;
    let more = parts.store.erasures.erase_due_inputs(INPUTS_AT_ONCE).await? || more;
    Ok(if more { Next::Again } else { Next::Idle })
}
