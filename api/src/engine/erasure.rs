//! Erases what a job was given and made.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::broker::Signal;
use raincheck_shared::domain::{Job, JobId, Status, TenantName};
use raincheck_shared::store::Erased;

use super::cancel::CancelAnswer;
use super::desk::Desk;
use super::{Followed, Refusal};

/// What became of a request to erase.
#[derive(Debug)]
pub(crate) enum Erasure {
    /// It is gone, now or before.
    Done,
    /// The job was canceled, and its handler has not stopped yet: nothing is erased under its hands.
    Stopping(Arc<Job>),
    /// The job is live, and was left alone.
    Live(Status),
}

impl Desk {
    /// Erases input, output and logs of a tenant's job. `cancel`: cancels it first if it is live, and waits so long for its
    /// handler to stop.
    pub(crate) async fn erase(
        &self,
        tenant: &TenantName,
        id: JobId,
        cancel: Option<Duration>,
    ) -> Result<Erasure, Refusal> {
        // Whose it is, is seen by the read: the store erases whatever it is told to.
        let mut follower = self.follower(tenant, id);
        self.job(tenant, id).await?;
        let mut outcome = self.try_erase(id).await?;
        if let (Erasure::Live(_), Some(patience)) = (&outcome, cancel) {
            if let CancelAnswer::Asked(job) = self.cancel(tenant, id, Some("to be erased".to_owned())).await?
                && !matches!(follower.moved(None, patience).await, Followed::Moved(_))
            {
                return Ok(Erasure::Stopping(job));
            }
            outcome = self.try_erase(id).await?;
        }
        Ok(outcome)
    }

    async fn try_erase(&self, id: JobId) -> Result<Erasure, Refusal> {
        match self.calls.ask(move |store| async move { store.erasures.erase_job(id).await }).await? {
            Erased::Now(change) => {
                self.wakeups.announce(Signal::Changed(vec![change]));
                // After the commit: no row names a blob that is gone. Asked again, whoever was refused here is answered.
                self.blobs.remove_job(id).await?;
                Ok(Erasure::Done)
            }
            Erased::Already => {
                self.blobs.remove_job(id).await?;
                Ok(Erasure::Done)
            }
            Erased::Live(status) => Ok(Erasure::Live(status)),
            Erased::Unknown => Err(self.missing(id)),
        }
    }
}
