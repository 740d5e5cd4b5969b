//! What a worker asks on a job's way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::database::{Database, Lane, Statement};
use super::parts::Parts;
use super::refusal::{may_be_one_row, refusal};
use super::rows::{Cells, change, id_range, millis};
use crate::domain::{Content, Ended, Failure, Fence, JobId, KindName, LeaseId, QueueName, Status, WorkerId};
use crate::lifecycle::IdSource;
use crate::store::attempts::{dispatch_ids, job_ids};
use crate::store::{Attempts, Change, Claim, ClaimedJob, Finish, Finished, FoundAttempt, ProgressReport, StoreError};

/// Rows of a failed batch that are tried at the same time.
const ALONE_AT_ONCE: usize = 4;

static FINISH: Parts<2> = Parts::new(include_str!("sql/finish_jobs.sql"), ["mixed", "again"]);

fn claimed(row: &PgRow, lease: LeaseId) -> Result<ClaimedJob, StoreError> {
    let (cells, job) = Cells::of_job(row)?;
    Ok(ClaimedJob {
        fence: Fence { job, attempt: cells.get("attempt")?, token: cells.get("token")? },
        lease,
        tenant: cells.tenant()?,
        kind: cells.parse("kind")?,
        queue: cells.parse("queue")?,
        version: cells.get("version")?,
        input: Content { content_type: cells.get("input_type")?, body: cells.body("input", "input_blob")? },
        max_attempts: cells.get("max_attempts")?,
        run_timeout: Duration::from_millis(cells.number("run_timeout_ms")?),
        deadline: cells.get("deadline")?,
        crashes: cells.get("crashes")?,
        traceparent: cells.get("traceparent")?,
    })
}

/// The values of a finish that its variant has.
struct Ending<'f> {
    name: &'static str,
    content: Option<&'f Content>,
    digest: Option<&'f [u8]>,
    error: Option<String>,
    delay_ms: Option<i64>,
}

impl<'f> Ending<'f> {
    fn of(ended: &'f Ended) -> Result<Self, StoreError> {
        let json = |error: &Failure| {
            serde_json::to_string(error).map(Some).map_err(|error| StoreError::Rejected(Arc::new(error)))
        };
        let ending = |name| Self { name, content: None, digest: None, error: None, delay_ms: None };
        Ok(match ended {
            Ended::Succeeded(output) => {
                Self { content: Some(&output.content), digest: Some(&output.digest), ..ending("succeed") }
            }
            Ended::Retry { error, delay } => {
                Self { error: json(error)?, delay_ms: Some(millis(*delay)), ..ending("retry") }
            }
            Ended::Failed(error) => Self { error: json(error)?, ..ending("fail") },
            Ended::Snoozed(delay) => Self { delay_ms: Some(millis(*delay)), ..ending("snooze") },
            Ended::Released => ending("release"),
        })
    }

    /// What stands in the row: of a blob, no bytes.
    fn bytes(&self) -> Option<&'f [u8]> {
        self.content.map(|content| content.body.inline().map_or(&[][..], |bytes| bytes))
    }

    fn blob(&self) -> Option<String> {
        self.content.and_then(|content| content.body.blob()).map(ToString::to_string)
    }
}

fn finish_statement<'f>(batch: &[&'f Finish]) -> Result<Statement<'f>, StoreError> {
    // In order of id, as every statement that takes several jobs.
    let mut batch = batch.to_vec();
    batch.sort_unstable_by_key(|finish| finish.fence.job);
    let endings = batch.iter().map(|finish| Ending::of(&finish.ended)).collect::<Result<Vec<_>, _>>()?;
    let is_plain = |ended: &Ended| matches!(ended, Ended::Succeeded(output) if output.content.body.blob().is_none());
    let mixed = batch.iter().any(|finish| !is_plain(&finish.ended));
    let again = batch.iter().any(|finish| !matches!(finish.ended, Ended::Succeeded(_) | Ended::Failed(_)));
    // What a part that is left out would read, nobody has to write.
    let rare = if mixed { &endings[..] } else { &[] };
    let ids: Vec<Uuid> = batch.iter().map(|finish| finish.fence.job.as_uuid()).collect();
    let (first, last) = id_range(&ids);
    let done: Vec<Uuid> = batch.iter().filter_map(|finish| finish.lease_done.map(LeaseId::as_uuid)).collect();
    #[cfg(not(feature = "proof"))]
    let statement = sqlx::query(FINISH.with([mixed, again]));
    #[cfg(feature = "proof")]
    let statement = sqlx::query(sqlx::AssertSqlSafe(mutable(FINISH.with([mixed, again]))));
    Ok(statement
        .bind(ids)
        .bind(batch.iter().map(|finish| finish.fence.attempt).collect::<Vec<_>>())
        .bind(batch.iter().map(|finish| finish.fence.token).collect::<Vec<_>>())
        .bind(batch.iter().map(|finish| finish.worker.as_uuid()).collect::<Vec<_>>())
        .bind(endings.iter().map(Ending::bytes).collect::<Vec<_>>())
        .bind(endings.iter().map(|ending| ending.content.map(|c| c.content_type.as_str())).collect::<Vec<_>>())
        .bind(endings.iter().map(|ending| ending.digest).collect::<Vec<_>>())
        .bind(done)
        .bind(first)
        .bind(last)
        .bind(rare.iter().map(|ending| ending.name).collect::<Vec<_>>())
        .bind(rare.iter().map(|ending| ending.error.as_deref()).collect::<Vec<_>>())
        .bind(rare.iter().map(|ending| ending.delay_ms).collect::<Vec<_>>())
        .bind(rare.iter().map(Ending::blob).collect::<Vec<_>>()))
}

/// The statement, or the mutation of it that takes any end for the one that is due.
#[cfg(feature = "proof")]
fn mutable(sql: &str) -> String {
    const FENCE: &str = "AND j.attempt = b.attempt AND j.token = b.token AND j.worker = b.worker";
    assert!(sql.contains(FENCE), "the mutation does not know the fence any more");
    if crate::lifecycle::Mutation::NoFence.is_on() { sql.replace(FENCE, "") } else { sql.to_owned() }
}

impl Database {
    async fn finish_together(&self, batch: &[&Finish]) -> Result<Vec<Finished>, sqlx::Error> {
        let deadline = self.deadline();
        let unreadable = |error: StoreError| sqlx::Error::Decode(Box::new(error));
        let statement = finish_statement(batch).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        let rows = self.fetch_until(deadline, Lane::Durable, statement).await?;
        let ends = changes(&rows).map_err(unreadable)?;

        self.forget_revokes(&ends).await;

        // Sent before, and recorded then? Its token tells. Or the attempt was somebody else's by now.
        let mut before = HashMap::new();
        let rest: Vec<&&Finish> = batch.iter().filter(|finish| !ends.contains_key(&finish.fence.job)).collect();
        if !rest.is_empty() {
            let ids: Vec<Uuid> = rest.iter().map(|finish| finish.fence.job.as_uuid()).collect();
            let query = sqlx::query(include_str!("sql/find_ends.sql"))
                .bind(ids)
                .bind(rest.iter().map(|finish| finish.fence.token).collect::<Vec<_>>())
                .bind(rest.iter().map(|finish| finish.worker.as_uuid()).collect::<Vec<_>>());
            let rows = self.fetch_until(deadline, Lane::Durable, query).await?;
            before = changes(&rows).map_err(unreadable)?;
        }
        let answer = |finish: &&Finish| {
            let job = &finish.fence.job;
            let now = ends.get(job).map(|change| Finished::Recorded(*change));
            now.or_else(|| before.get(job).map(|change| Finished::Before(*change))).unwrap_or(Finished::Fenced)
        };
        Ok(batch.iter().map(answer).collect())
    }

    /// Removes the revokes of jobs that ended canceled. A statement of its own: the ends may have waited for the very
    /// cancels, and see the jobs as those left them, but not the timers. One that is left just goes when it is due.
    async fn forget_revokes(&self, ends: &HashMap<JobId, Change>) {
        let canceled: Vec<Uuid> =
            ends.values().filter(|end| end.status == Status::Canceled).map(|end| end.id.as_uuid()).collect();
        if canceled.is_empty() {
            return;
        }
        let query = sqlx::query(include_str!("sql/delete_revokes.sql")).bind(canceled);
        if let Err(error) = self.fetch(Lane::Relaxed, query).await {
            tracing::debug!(%error, "left timers of canceled jobs to go when they are due");
        }
    }

    /// Sees to it that what was not claimed because its deadline has passed is ended. What was claimed stands whatever becomes of
    /// this.
    async fn set_late_timers(&self, ids: &[Uuid]) {
        let (first, last) = id_range(ids);
        let query = sqlx::query(include_str!("sql/set_late_timers.sql")).bind(ids).bind(first).bind(last);
        if let Err(error) = self.fetch(CLAIMING, query).await {
            tracing::debug!(%error, "left jobs whose deadline has passed to the timers that they have");
        }
    }

    async fn finish_alone(&self, finish: &Finish) -> Result<Finished, StoreError> {
        let answers = self.finish_together(&[finish]).await.map_err(refusal)?;
        Ok(answers.into_iter().next().unwrap_or(Finished::Fenced))
    }
}

fn changes(rows: &[PgRow]) -> Result<HashMap<JobId, Change>, StoreError> {
    rows.iter().map(|row| change(row).map(|change| (change.id, change))).collect()
}

/// A claim waits for the disk. If it did not, a crash of the server would forget the claims of the last half second while
/// their handlers run, and those jobs would be claimed again beside them.
const CLAIMING: Lane = Lane::Durable;

#[async_trait]
impl Attempts for Database {
    async fn claim(&self, claim: Claim) -> Result<Vec<ClaimedJob>, StoreError> {
        let ids: Vec<Uuid> = job_ids(&claim).into_iter().map(JobId::as_uuid).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut dispatches = dispatch_ids(&claim);
        dispatches.sort_unstable();
        let (first, last) = id_range(&ids);
        let tokens: Vec<Uuid> = ids.iter().map(|_| IdSource.random()).collect();
        let query = sqlx::query(include_str!("sql/claim_jobs.sql"))
            .bind(dispatches)
            .bind(claim.worker.as_uuid())
            .bind(claim.lease.as_uuid())
            .bind(&ids)
            .bind(first)
            .bind(last)
            .bind(tokens);
        let rows = self.fetch(CLAIMING, query).await?;
        if rows.len() < ids.len() {
            self.set_late_timers(&ids).await;
        }
        rows.iter().map(|row| claimed(row, claim.lease)).collect()
    }

    async fn claim_waiting(
        &self,
        claim: Claim,
        queues: &[QueueName],
        kinds: &[KindName],
        limit: usize,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX).min(10_000);
        if queues.is_empty() || kinds.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let query = sqlx::query(include_str!("sql/claim_waiting_jobs.sql"))
            .bind(queues.iter().map(QueueName::as_str).collect::<Vec<_>>())
            .bind(kinds.iter().map(KindName::as_str).collect::<Vec<_>>())
            .bind(claim.worker.as_uuid())
            .bind(claim.lease.as_uuid())
            .bind(limit);
        self.fetch(CLAIMING, query).await?.iter().map(|row| claimed(row, claim.lease)).collect()
    }

    async fn finish(&self, batch: &[Finish]) -> Result<Vec<Result<Finished, StoreError>>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let all: Vec<&Finish> = batch.iter().collect();
        match self.finish_together(&all).await {
            Ok(answers) => Ok(answers.into_iter().map(Ok).collect()),
            Err(error) if may_be_one_row(&error) => {
                tracing::debug!(%error, jobs = all.len(), "a batch of ends failed, trying each alone");
                let alone: Vec<_> = all.into_iter().map(|finish| self.finish_alone(finish)).collect();
                Ok(stream::iter(alone).buffered(ALONE_AT_ONCE).collect().await)
            }
            Err(error) => Err(refusal(error)),
        }
    }

    async fn find_attempt(&self, job: JobId, token: Uuid) -> Result<Option<FoundAttempt>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_attempt.sql")).bind(job.as_uuid()).bind(token);
        let rows = self.fetch(Lane::Relaxed, query).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (cells, job) = Cells::of_job(row)?;
        let has_result = cells.get::<Option<&[u8]>>("result_digest")?.is_some();
        Ok(Some(FoundAttempt {
            fence: Fence { job, attempt: cells.get("attempt")?, token },
            worker: WorkerId::new(cells.get("worker")?),
            tenant: cells.tenant()?,
            kind: cells.parse("kind")?,
            status: cells.parse("status")?,
            max_attempts: cells.get("max_attempts")?,
            deadline: cells.get("deadline")?,
            result_digest: has_result.then(|| cells.digest("result_digest")).transpose()?,
        }))
    }

    async fn report_progress(&self, batch: &[ProgressReport]) -> Result<Vec<Change>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let texts = batch
            .iter()
            .map(|report| serde_json::to_string(&report.progress))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| StoreError::Rejected(Arc::new(error)))?;
        let ids: Vec<Uuid> = batch.iter().map(|report| report.fence.job.as_uuid()).collect();
        let (first, last) = id_range(&ids);
        let query = sqlx::query(include_str!("sql/report_progress.sql"))
            .bind(ids)
            .bind(batch.iter().map(|report| report.fence.attempt).collect::<Vec<_>>())
            .bind(batch.iter().map(|report| report.fence.token).collect::<Vec<_>>())
            .bind(texts)
            .bind(first)
            .bind(last);
        // It raises the version, and one that was shown must not be taken back by a crash and given to another state.
        self.fetch(Lane::Durable, query).await?.iter().map(change).collect()
    }

    async fn drop_stray_leases(
        &self,
        worker: WorkerId,
        keep: &[LeaseId],
        held: &[Fence],
    ) -> Result<Vec<Change>, StoreError> {
        let query = sqlx::query(include_str!("sql/drop_stray_leases.sql"))
            .bind(worker.as_uuid())
            .bind(keep.iter().map(|lease| lease.as_uuid()).collect::<Vec<_>>())
            .bind(held.iter().map(|fence| fence.token).collect::<Vec<_>>());
        self.fetch(Lane::Durable, query).await?.iter().map(change).collect()
    }
}
