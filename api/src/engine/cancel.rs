//! Asks that a job stop.

use std::sync::Arc;

use raincheck_shared::broker::Signal;
use raincheck_shared::domain::{Job, JobId, TenantName};
use raincheck_shared::store::Canceled;

use super::Refusal;
use super::desk::Desk;

/// What became of a request to cancel, and the job as it is now.
#[derive(Debug)]
pub(crate) enum CancelAnswer {
    /// It is canceled, now or already.
    Canceled(Arc<Job>),
    /// Its running handler is told.
    Asked(Arc<Job>),
    /// It has ended otherwise.
    TooLate(Arc<Job>),
}

impl Desk {
    /// Cancels a tenant's job, or has its running handler told.
    pub(crate) async fn cancel(
        &self,
        tenant: &TenantName,
        id: JobId,
        reason: Option<String>,
    ) -> Result<CancelAnswer, Refusal> {
        let (grace, whose) = (self.settings.jobs.cancel_grace, tenant.clone());
        let answer = self
            .calls
            .ask(move |store| async move { store.jobs.cancel_job(&whose, id, reason.as_deref(), grace).await })
            .await?;
        match answer {
            Canceled::Now(change) => {
                self.wakeups.announce(Signal::Changed(vec![change]));
                Ok(CancelAnswer::Canceled(self.job(tenant, id).await?))
            }
            Canceled::Already => Ok(CancelAnswer::Canceled(self.job(tenant, id).await?)),
            Canceled::Asked(change) => {
                self.wakeups.announce(Signal::CancelRequested(vec![id]));
                self.wakeups.announce(Signal::TimerSet(grace));
                self.wakeups.announce(Signal::Changed(vec![change]));
                Ok(CancelAnswer::Asked(self.job(tenant, id).await?))
            }
            Canceled::TooLate => Ok(CancelAnswer::TooLate(self.job(tenant, id).await?)),
            Canceled::Unknown => Err(self.missing(id)),
        }
    }
}
