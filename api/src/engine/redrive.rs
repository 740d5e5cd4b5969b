//! Jobs that failed for good, tried once more by the many.
//!
//! Each is retried as by hand, under a key that stands for its redrive: whoever asks for the same one again, or at the same time,
//! finds the job that was made. What was retried already, by hand or so, is noted on the old job and passed over.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use raincheck_shared::domain::{IdempotencyKey, Job, JobId, Status, TenantName};
use raincheck_shared::telemetry::Chain;

use super::desk::Desk;
use super::{Cursor, JobFilter, JobOptions, Refusal, Retry, SubmitError};

/// Retried at the same time.
const AT_ONCE: usize = 16;
/// Steps of a rare filter in one request.
const STEPS: usize = 20;

/// What a redrive came to.
#[derive(Debug, Default)]
pub(crate) struct Redriven {
    /// The failed jobs, each with the new one; `None` in a dry run.
    pub(crate) jobs: Vec<(JobId, Option<Arc<Job>>)>,
    /// Those that cannot be tried once more, or not now.
    pub(crate) refused: Vec<(JobId, SubmitError)>,
    /// Where to go on; `None`: all have been looked at.
    pub(crate) next: Option<Cursor>,
}

/// What became of one.
enum Once {
    Made(Arc<Job>),
    /// Somebody else was quicker.
    Passed,
}

impl Desk {
    /// Tries up to `limit` failed jobs of a tenant once more, newest first, that `filter` takes and that nobody has retried.
    /// `dry_run`: only says which.
    pub(crate) async fn redrive(
        &self,
        filter: JobFilter,
        after: Option<Cursor>,
        limit: u32,
        dry_run: bool,
    ) -> Result<Redriven, Refusal> {
        let filter = JobFilter { statuses: vec![Status::Failed], not_retried: true, ..filter };
        let (found, next) = self.find_failed(&filter, after, limit).await?;
        if dry_run {
            return Ok(Redriven {
                jobs: found.into_iter().map(|id| (id, None)).collect(),
                next,
                ..Redriven::default()
            });
        }
        let tenant = &filter.tenant;
        let tries = found.into_iter().map(|id| async move { (id, self.try_once_more(tenant.clone(), id).await) });
        let tries: Vec<_> = stream::iter(tries).buffered(AT_ONCE).collect().await;
        let mut redriven = Redriven { next, ..Redriven::default() };
        for (id, tried) in tries {
            match tried {
                Ok(Once::Made(job)) => redriven.jobs.push((id, Some(job))),
                Ok(Once::Passed) => {}
                Err(error) => redriven.refused.push((id, error)),
            }
        }
        Ok(redriven)
    }

    async fn find_failed(
        &self,
        filter: &JobFilter,
        mut after: Option<Cursor>,
        limit: u32,
    ) -> Result<(Vec<JobId>, Option<Cursor>), Refusal> {
        let mut found = Vec::new();
        for _ in 0..STEPS {
            let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
            let page = self.list(filter.clone(), after, left).await?;
            found.extend(page.jobs.iter().map(|job| job.id));
            after = page.next;
            if after.is_none() || found.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                break;
            }
        }
        Ok((found, after))
    }

    async fn try_once_more(&self, tenant: TenantName, id: JobId) -> Result<Once, SubmitError> {
        let key = Some(IdempotencyKey::of_redrive(id));
        match self.retry(tenant, id, JobOptions::default(), key, None).await? {
            Retry::Submission(submission) => {
                let submitted = self.submit(&submission, std::time::Duration::ZERO).await?;
                if submitted.replayed {
                    self.note_retried(Some(id), submitted.job.id).await;
                    return Ok(Once::Passed);
                }
                Ok(Once::Made(submitted.job))
            }
            Retry::Repeated(first) => {
                self.note_retried(Some(id), first).await;
                Ok(Once::Passed)
            }
        }
    }

    /// Notes on a job that another repeats it.
    pub(super) async fn note_retried(&self, old: Option<JobId>, new: JobId) {
        let Some(old) = old else { return };
        let noted = self.calls.ask(move |store| async move { store.jobs.note_retried(old, new).await }).await;
        if let Err(error) = noted {
            tracing::debug!(error = %Chain(&error), job.id = %old, "it was not noted that the job was retried");
        }
    }
}
