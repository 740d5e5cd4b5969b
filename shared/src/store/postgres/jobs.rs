//! What the HTTP API asks.

use std::cmp::Reverse;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::accept::accept;
use super::database::{Database, Lane};
use super::rows::{Cells, change, id_range, job};
use crate::domain::{Content, FailureCode, Fingerprint, Job, JobId, KindName, NewJob, QueueName, Status, TenantName};
use crate::store::jobs::{metadata_text, page_of_batch};
use crate::store::{
    AcceptedBatch, Canceled, Change, Cursor, Glimpse, JobFilter, JobPage, Jobs, StoreError, StoredResult,
};

/// Jobs that one page looks at when it looks for something.
const SEEN_AT_ONCE: i64 = 2_000;

/// No result is that short.
const NO_RESULTS: i64 = -1;

/// What one look for jobs has found.
#[derive(Default)]
struct Step {
    ids: Vec<JobId>,
    /// Where it stopped, unless there was nothing more.
    more: Option<JobId>,
}

impl Database {
    async fn jobs_by_id(&self, ids: &[JobId], inline_limit: i64) -> Result<Vec<Job>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        let (first, last) = id_range(&ids);
        let query = sqlx::query(include_str!("sql/find_jobs.sql")).bind(ids).bind(first).bind(last).bind(inline_limit);
        self.fetch(Lane::Relaxed, query).await?.iter().map(job).collect()
    }

    /// Looks at `to_see` jobs for those that a list is about, `wanted` at most.
    async fn look_for_jobs(
        &self,
        filter: &JobFilter,
        after: Option<Cursor>,
        to_see: i64,
        wanted: i64,
    ) -> Result<Step, StoreError> {
        let before = [after, filter.until.map(JobId::least_of)].into_iter().flatten().min();
        let since = filter.since.map_or(Uuid::nil(), |since| JobId::least_of(since).as_uuid());
        let statuses: Vec<&str> = filter.statuses.iter().map(|status| status.as_str()).collect();
        let query = sqlx::query(include_str!("sql/list_job_ids.sql"))
            .bind(before.map_or(Uuid::max(), JobId::as_uuid))
            .bind(to_see)
            .bind(wanted)
            .bind(statuses)
            .bind(filter.kind.as_ref().map(KindName::as_str))
            .bind(filter.queue.as_ref().map(QueueName::as_str))
            .bind(&filter.tags)
            .bind((!filter.metadata.is_empty()).then(|| metadata_text(&filter.metadata)))
            .bind(filter.tenant.as_str())
            .bind(since)
            .bind(filter.error_code.map(FailureCode::as_str))
            .bind(filter.not_retried);
        let rows = self.fetch(Lane::Relaxed, query).await?;
        let Some(row) = rows.first() else { return Ok(Step::default()) };
        let cells = Cells::of("jobs", row);
        let more = cells.get::<i64>("seen")? == to_see;
        let last = cells.get::<Option<Uuid>>("last")?.map(JobId::new);
        Ok(Step { ids: cells.job_ids("ids")?, more: last.filter(|_| more) })
    }

    /// The page of the one job that holds a key.
    async fn job_of_key(&self, key: &str, filter: &JobFilter, after: Option<Cursor>) -> Result<JobPage, StoreError> {
        let query = sqlx::query(include_str!("sql/find_keys.sql")).bind(vec![key]).bind(vec![filter.tenant.as_str()]);
        let found = self.fetch(Lane::Relaxed, query).await?;
        let ids: Vec<JobId> = found
            .iter()
            .map(|row| Cells::of("idempotency_keys", row).get("job_id").map(JobId::new))
            .collect::<Result<_, _>>()?;
        let mut jobs = self.jobs_by_id(&ids, NO_RESULTS).await?;
        jobs.retain(|job| after.is_none_or(|after| job.id < after) && filter.takes(job));
        Ok(JobPage { jobs, next: None })
    }
}

#[async_trait]
impl Jobs for Database {
    async fn accept(&self, batch: Vec<NewJob>) -> AcceptedBatch {
        accept(self, &batch).await
    }

    async fn find_jobs(&self, ids: &[JobId], inline_limit: u64) -> Result<Vec<Job>, StoreError> {
        self.jobs_by_id(ids, i64::try_from(inline_limit).unwrap_or(i64::MAX)).await
    }

    async fn find_key_holder(
        &self,
        tenant: &TenantName,
        key: &str,
    ) -> Result<Option<(JobId, Fingerprint)>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_keys.sql")).bind(vec![key]).bind(vec![tenant.as_str()]);
        let found = self.fetch(Lane::Relaxed, query).await?;
        let Some(cells) = found.first().map(|row| Cells::of("idempotency_keys", row)) else { return Ok(None) };
        let holder = (JobId::new(cells.get("job_id")?), Fingerprint(cells.digest("fingerprint")?));
        Ok((!cells.get::<bool>("stale")?).then_some(holder))
    }

    async fn find_glimpses(&self, ids: &[JobId]) -> Result<Vec<Glimpse>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        let (first, last) = id_range(&ids);
        let query = sqlx::query(include_str!("sql/find_glimpses.sql")).bind(ids).bind(first).bind(last);
        self.fetch(Lane::Relaxed, query).await?.iter().map(change).collect()
    }

    async fn find_result(&self, id: JobId) -> Result<Option<StoredResult>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_result.sql")).bind(id.as_uuid());
        let rows = self.fetch(Lane::Relaxed, query).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (cells, _) = Cells::of_job(row)?;
        Ok(Some(StoredResult {
            content_type: cells.get("result_type")?,
            digest: cells.digest("result_digest")?,
            body: cells.body("result", "result_blob")?,
        }))
    }

    async fn find_input(&self, id: JobId) -> Result<Option<Content>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_input.sql")).bind(id.as_uuid());
        let rows = self.fetch(Lane::Relaxed, query).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (cells, _) = Cells::of_job(row)?;
        Ok(Some(Content { content_type: cells.get("input_type")?, body: cells.body("input", "input_blob")? }))
    }

    async fn list_jobs(&self, filter: &JobFilter, after: Option<Cursor>, limit: u32) -> Result<JobPage, StoreError> {
        if let Some(batch) = filter.batch {
            return page_of_batch(self, batch, filter, after, limit).await;
        }
        if let Some(key) = &filter.idempotency_key {
            return self.job_of_key(key, filter, after).await;
        }
        // One more than the page holds tells whether there is another page.
        let wanted = i64::from(limit) + 1;
        let everything = JobFilter { tenant: filter.tenant.clone(), ..JobFilter::default() };
        let to_see = if *filter == everything { wanted } else { SEEN_AT_ONCE.max(wanted) };
        let page = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut step = self.look_for_jobs(filter, after, to_see, wanted).await?;
        // Other tenants' jobs stand in between: look further than a page.
        if to_see == wanted && step.more.is_some() && step.ids.len() <= page {
            step = self.look_for_jobs(filter, after, SEEN_AT_ONCE.max(wanted), wanted).await?;
        }
        let Step { mut ids, more } = step;
        let next = if ids.len() > page {
            ids.truncate(page);
            ids.last().copied()
        } else {
            more
        };
        let mut jobs = self.jobs_by_id(&ids, NO_RESULTS).await?;
        jobs.sort_unstable_by_key(|job| Reverse(job.id));
        Ok(JobPage { jobs, next })
    }

    async fn note_retried(&self, old: JobId, new: JobId) -> Result<(), StoreError> {
        let query = sqlx::query(include_str!("sql/note_retried.sql")).bind(old.as_uuid()).bind(new.as_uuid());
        self.fetch(Lane::Relaxed, query).await.map(drop)
    }

    async fn cancel_job(
        &self,
        tenant: &TenantName,
        id: JobId,
        reason: Option<&str>,
        grace: Duration,
    ) -> Result<Canceled, StoreError> {
        let query = sqlx::query(include_str!("sql/cancel_job.sql"))
            .bind(id.as_uuid())
            .bind(reason)
            .bind(grace.as_secs_f64())
            .bind(tenant.as_str());
        let rows = self.fetch(Lane::Durable, query).await?;
        let Some(row) = rows.first() else { return Ok(Canceled::Unknown) };
        let (cells, id) = Cells::of_job(row)?;
        let version = cells.get("version")?;
        Ok(match cells.parse("found")? {
            Status::Scheduled | Status::Queued | Status::Retrying => {
                Canceled::Now(Change { id, version, status: Status::Canceled })
            }
            Status::InProgress => Canceled::Asked(Change { id, version, status: Status::InProgress }),
            Status::Canceled => Canceled::Already,
            Status::Succeeded | Status::Failed | Status::Expired => Canceled::TooLate,
        })
    }
}
