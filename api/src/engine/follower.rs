//! Follows one job for one client: what long polls and streams of events have in common.
//!
//! Nothing of the job is kept between two looks: only its newest state matters, so who reads slowly costs no memory.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::domain::{Job, JobId, TenantName, Version};
use raincheck_shared::lifecycle::Shutdown;

use super::reads::Reads;
use super::waits::Interest;

/// A pause before a job is read again that seemed to have moved and had not, or could not be read.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// What came of waiting for a job to move.
#[derive(Debug)]
pub(crate) enum Followed {
    /// It has passed the version that was seen, or ended.
    Moved(Arc<Job>),
    /// It is past its retention, or was never the client's to see.
    Gone,
    /// The patience is over, and nothing that could be read has moved.
    Unmoved,
    /// This server drains: whoever waits should go on elsewhere.
    Draining,
}

/// One client's look at one job. It hears of whatever happens after it was made.
#[derive(Debug)]
pub(crate) struct Follower {
    tenant: TenantName,
    id: JobId,
    interest: Interest,
    reads: Reads,
    shutdown: Shutdown,
}

impl Follower {
    /// Follows the job that `interest` is in, if it is this tenant's. To be made before the job is read.
    pub(super) fn new(tenant: TenantName, id: JobId, interest: Interest, reads: Reads, shutdown: Shutdown) -> Self {
        Self { tenant, id, interest, reads, shutdown }
    }

    /// Waits until the job has passed version `seen` (`None`: until it has ended), at most for `patience`. While the store
    /// is away it waits for the store, too.
    pub(crate) async fn moved(&mut self, seen: Option<Version>, patience: Duration) -> Followed {
        let Self { tenant, id, interest, reads, shutdown } = self;
        let moving = async {
            loop {
                interest.moved(seen).await;
                match reads.find(*id).await {
                    Ok(Some(job)) if job.tenant != *tenant => return Followed::Gone,
                    Ok(Some(job)) if has_passed(&job, seen) => return Followed::Moved(job),
                    Ok(None) => return Followed::Gone,
                    Ok(Some(_)) | Err(_) => tokio::time::sleep(SECOND_LOOK).await,
                }
            }
        };
        tokio::select! {
            biased;
            () = shutdown.begun() => Followed::Draining,
            followed = moving => followed,
            () = tokio::time::sleep(patience) => Followed::Unmoved,
        }
    }
}

/// Whether a client that has seen `seen` (`None`: waits for the end) has waited long enough.
pub(super) fn has_passed(job: &Job, seen: Option<Version>) -> bool {
    job.status.is_done() || seen.is_some_and(|seen| job.version > seen)
}
