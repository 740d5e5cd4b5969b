//! What is done for all jobs that were kept, however they came: their dispatches go to the relay, they are counted, those that wait
//! for permits are looked at, and their timers are heard of.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::broker::{Signal, Wakeups};
use raincheck_shared::domain::{Band, Dispatch, NewJob, QueueName, Status, TenantName, Timestamp};
use raincheck_shared::lifecycle::{Clock, Nudge};
use raincheck_shared::store::{Accepted, StoreError};
use tokio::sync::mpsc;

use super::admission::Admission;

/// Does it.
#[derive(Clone)]
pub(crate) struct AfterCommit {
    pub(crate) wakeups: Arc<dyn Wakeups>,
    pub(crate) admission: Admission,
    pub(crate) relay: mpsc::Sender<Vec<Dispatch>>,
    /// Has those looked at that wait for permits.
    pub(crate) parked: Nudge,
    pub(crate) clock: Arc<dyn Clock>,
}

impl AfterCommit {
    /// `facts` of the jobs that `answers` are about, in the same order.
    pub(crate) fn spread(&self, facts: &[Fact], answers: &[Result<Accepted, StoreError>], dispatches: Vec<Dispatch>) {
        // A full channel is no loss: the relay finds what nobody handed to it in the store.
        if !dispatches.is_empty() && self.relay.try_send(dispatches).is_err() {
            tracing::debug!("the relay is busy, it will find these dispatches in the store");
        }
        let mut first_due: Option<Timestamp> = None;
        let mut any_parked = false;
        for (answer, fact) in answers.iter().zip(facts) {
            if let Ok(Accepted::New { status, .. }) = answer {
                if *status == Status::Queued {
                    self.admission.accepted(&fact.queue, &fact.tenant, fact.band);
                    any_parked |= fact.needs_permits;
                }
                first_due = [first_due, fact.timer].into_iter().flatten().min();
            }
        }
        if any_parked {
            self.parked.nudge();
        }
        if let Some(due) = first_due {
            let within = Duration::try_from(due - self.clock.now()).unwrap_or_default();
            self.wakeups.announce(Signal::TimerSet(within));
        }
    }
}

/// What is to be known of a job once it is kept.
pub(crate) struct Fact {
    queue: QueueName,
    tenant: TenantName,
    band: Band,
    needs_permits: bool,
    timer: Option<Timestamp>,
}

impl Fact {
    pub(crate) fn of(job: &NewJob) -> Self {
        let (queue, tenant) = (job.queue.clone(), job.tenant.clone());
        Self { queue, tenant, band: job.band(), needs_permits: job.line.is_some(), timer: first_timer(job) }
    }
}

/// When the first thing happens to the job that a timer must see to.
fn first_timer(job: &NewJob) -> Option<Timestamp> {
    [job.run_at, job.expires_unstarted_at()].into_iter().flatten().min()
}
