//! Takes jobs: one claim for whatever messages are at hand, or from the store while the broker is away.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::broker::Delivery;
use raincheck_shared::domain::{KindName, LeaseId, QueueName, WorkerId};
use raincheck_shared::lifecycle::failpoint::{self, Step};
use raincheck_shared::store::{Attempts, Claim, ClaimedJob, StoreError};
use tokio::sync::mpsc;

use crate::slots::Reserved;

/// What a claim was made from.
pub(crate) enum Source {
    /// Messages; their slots are reserved.
    Messages(Vec<Delivery>),
    /// The store itself; `limit` slots are reserved, of any of the kinds.
    Store { queues: Vec<QueueName>, kinds: Vec<KindName>, limit: usize },
}

/// What became of a claim.
pub(crate) struct Claimed {
    pub(crate) worker: WorkerId,
    pub(crate) lease: LeaseId,
    /// Slots to give back before those of the claimed jobs are taken.
    pub(crate) reserved: Reserved,
    pub(crate) jobs: Result<Vec<ClaimedJob>, StoreError>,
}

/// Makes one claim and says what became of it. Messages are acknowledged once the claim is committed, since from then on
/// the lease covers the run; when it failed they are given back, after a moment, so that an outage of the store does not
/// become a loop of deliveries.
pub(crate) async fn claim(
    attempts: Arc<dyn Attempts>,
    worker: WorkerId,
    lease: LeaseId,
    source: Source,
    say: mpsc::UnboundedSender<Claimed>,
) {
    let mut claim = Claim { worker, lease, dispatches: Vec::new() };
    let mut receipts = Vec::new();
    let (jobs, reserved) = match source {
        Source::Messages(deliveries) => {
            let mut reserved = Vec::new();
            for Delivery { dispatch, receipt } in deliveries {
                reserved.push((dispatch.kind.clone(), dispatch.jobs.len()));
                receipts.push(receipt);
                claim.dispatches.push(dispatch);
            }
            #[cfg(feature = "proof")]
            if raincheck_shared::lifecycle::Mutation::EarlyAck.is_on() {
                receipts.drain(..).for_each(|receipt: Box<dyn raincheck_shared::broker::Receipt>| receipt.ack());
            }
            (attempts.claim(claim).await, Reserved::Each(reserved))
        }
        Source::Store { queues, kinds, limit } => {
            let jobs = attempts.claim_waiting(claim, &queues, &kinds, limit).await;
            (jobs, Reserved::Any(kinds, limit))
        }
    };
    if jobs.is_ok() {
        failpoint::passed(Step::Claimed).await;
    } else {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let claimed = jobs.is_ok();
    // First the jobs: they wait for nothing but this. Without a pipeline the process ends, and the lease with it.
    let _ = say.send(Claimed { worker, lease, reserved, jobs });
    for receipt in receipts {
        if claimed { receipt.ack() } else { receipt.give_back() }
    }
}
