//! Removes blobs that no job names: what a crash left between a blob and its row, outputs of attempts that are no longer
//! theirs, and whatever belonged to jobs whose retention is over.
//!
//! It goes by names and rows, never by what it remembers. A blob is kept while its job's row names it. An output is kept
//! while its attempt runs, since that may record it any moment; after that the fence keeps it from being recorded. What has
//! no row at all may belong to a submit that is under way, and is kept until no submit can be that old.

use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt;
use raincheck_shared::blobs::{BlobError, Found};
use raincheck_shared::domain::{BlobOwner, JobId};
use raincheck_shared::lifecycle::failpoint::{self, Step};
use raincheck_shared::lifecycle::{Next, Nudge, Reconciler, ReconcilerHealth, Shutdown};
use raincheck_shared::store::StoreError;

use super::Parts;

/// Blobs that are judged in one go.
const BATCH: usize = 500;

/// Why a run came to nothing. The next one begins anew.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error("blobs could not be listed or removed")]
    Blobs(#[from] BlobError),
    #[error("jobs could not be asked for their blobs")]
    Store(#[from] StoreError),
}

pub(super) fn start(parts: &Parts, shutdown: &Shutdown) -> ReconcilerHealth {
    let parts = parts.clone();
    let period = parts.settings.upkeep.blobs;
    Reconciler { name: "blob-sweeper", period, nudge: Nudge::default() }.start(shutdown, move || sweep(parts.clone()))
}

async fn sweep(parts: Parts) -> Result<Next, SweepError> {
    let mut removed = 0;
    for day in parts.blobs.days().await? {
        let mut found = parts.blobs.of_day(&day).try_chunks(BATCH);
        while let Some(batch) = found.try_next().await.map_err(|error| error.1)? {
            removed += judge(&parts, batch).await?;
        }
        // No blob comes to a folder that has been empty for so long.
        let folders = parts.blobs.tidy_day(&day, parts.clock.now() - parts.settings.blobs.keep_orphans).await?;
        tracing::debug!(day, folders, "removed empty folders");
    }
    if removed > 0 {
        tracing::info!(blobs = removed, "removed blobs that no job names");
    }
    Ok(Next::Idle)
}

/// Removes what nobody needs; answers how much that was.
async fn judge(parts: &Parts, found: Vec<Found>) -> Result<usize, SweepError> {
    let jobs: HashSet<JobId> = found.iter().map(|found| found.name.job).collect();
    let jobs: Vec<JobId> = jobs.into_iter().collect();
    let owners = parts.store.upkeep.list_blob_owners(&jobs).await?;
    let owners: HashMap<JobId, BlobOwner> = owners.into_iter().map(|owner| (owner.job, owner)).collect();
    let garbage: Vec<Found> = found.into_iter().filter(|found| !is_needed(parts, found, &owners)).collect();
    if garbage.is_empty() {
        return Ok(0);
    }
    failpoint::passed(Step::Condemned).await;
    for found in &garbage {
        parts.blobs.remove(found).await?;
        tracing::debug!(blob = %found.name, "removed a blob");
    }
    Ok(garbage.len())
}

fn is_needed(parts: &Parts, found: &Found, owners: &HashMap<JobId, BlobOwner>) -> bool {
    let name = &found.name;
    match owners.get(&name.job) {
        Some(owner) => owner.needs(name),
        // A job's id is made before the first byte of its input. An output needs no such patience, since no attempt runs of
        // a job without a row; but it gives whoever started with another database by mistake a day to find out.
        None => parts.clock.now() - name.job.created_at() < parts.settings.blobs.keep_orphans,
    }
}
