//! What the HTTP API asks.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::Sqlite;
use super::accept::check_texts;
use super::file::failed;
use super::moves::{Along, CancelRequest, Movable, drop_timers, lock_jobs, move_job, set_timer};
use super::rows::{self, Cell};
use crate::domain::{
    Command, Content, FailureCode, Fingerprint, Job, JobId, KindName, NewJob, QueueName, Status, TenantName, Timestamp,
    apply,
};
use crate::store::jobs::{metadata_text, page_of_batch};
use crate::store::{
    Accepted, AcceptedBatch, Canceled, Change, Cursor, Glimpse, JobFilter, JobPage, Jobs, StoreError, StoredResult,
};

/// How many jobs one step of a filtered list looks at.
const LIST_STEP: i64 = 5000;

#[async_trait]
impl Jobs for Sqlite {
    async fn accept(&self, batch: Vec<NewJob>) -> AcceptedBatch {
        self.accept_batch(batch).await
    }

    async fn find_jobs(&self, ids: &[JobId], inline_limit: u64) -> Result<Vec<Job>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_jobs.sql"))
            .bind(rows::id_list(ids.iter().copied()))
            .bind(rows::whole(inline_limit))
            .bind(self.now());
        let found = query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)?;
        found.iter().map(rows::job).collect()
    }

    async fn find_key_holder(
        &self,
        tenant: &TenantName,
        key: &str,
    ) -> Result<Option<(JobId, Fingerprint)>, StoreError> {
        let mut reader = self.file.reader().await?;
        let found = super::accept::find_keys(&mut reader, vec![(tenant.as_str(), key)], self.now()).await?;
        Ok(found.into_values().find_map(|accepted| match accepted {
            Accepted::Known { first, fingerprint } => Some((first, fingerprint)),
            Accepted::New { .. } => None,
        }))
    }

    async fn find_glimpses(&self, ids: &[JobId]) -> Result<Vec<Glimpse>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_glimpses.sql"))
            .bind(rows::id_list(ids.iter().copied()))
            .bind(self.now());
        let found = query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)?;
        let glimpse = |row| {
            let id = rows::id_of(row)?;
            let row = Cell::of_job(row, id);
            Ok(Change { id, version: row.number("version")?, status: row.parse("status")? })
        };
        found.iter().map(glimpse).collect()
    }

    async fn find_result(&self, id: JobId) -> Result<Option<StoredResult>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_result.sql")).bind(id.as_uuid()).bind(self.now());
        let found = query.fetch_optional(&mut *self.file.reader().await?).await.map_err(failed)?;
        let Some(row) = found else { return Ok(None) };
        let row = Cell::of_job(&row, id);
        Ok(Some(StoredResult {
            content_type: row.get("result_type")?,
            digest: row.digest("result_digest")?,
            body: row.body("result", "result_blob")?,
        }))
    }

    async fn find_input(&self, id: JobId) -> Result<Option<Content>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_input.sql")).bind(id.as_uuid()).bind(self.now());
        let found = query.fetch_optional(&mut *self.file.reader().await?).await.map_err(failed)?;
        let Some(row) = found else { return Ok(None) };
        let row = Cell::of_job(&row, id);
        Ok(Some(Content { content_type: row.get("input_type")?, body: row.body("input", "input_blob")? }))
    }

    async fn list_jobs(&self, filter: &JobFilter, after: Option<Cursor>, limit: u32) -> Result<JobPage, StoreError> {
        match filter.batch {
            Some(batch) => page_of_batch(self, batch, filter, after, limit).await,
            None => self.list_page(filter, after, limit).await,
        }
    }

    async fn note_retried(&self, old: JobId, new: JobId) -> Result<(), StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/note_retried.sql")).bind(old.as_uuid()).bind(new.as_uuid());
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await
    }

    async fn cancel_job(
        &self,
        tenant: &TenantName,
        id: JobId,
        reason: Option<&str>,
        grace: Duration,
    ) -> Result<Canceled, StoreError> {
        check_texts(reason)?;
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.clock.now();
        let mut found = lock_jobs(&mut write, [id]).await?;
        let Some(job) = found.get_mut(&id).filter(|job| job.is_of(tenant)) else { return Ok(Canceled::Unknown) };
        let answer = cancel(&mut write, job, reason, grace, now).await?;
        write.commit().await?;
        Ok(answer)
    }
}

/// Cancels a job that waits, or notes that its handler is to be asked.
pub(super) async fn cancel(
    connection: &mut SqliteConnection,
    job: &mut Movable,
    reason: Option<&str>,
    grace: Duration,
    at: Timestamp,
) -> Result<Canceled, StoreError> {
    let now = rows::micros(at);
    if job.expires_at.is_some_and(|at| rows::micros(at) <= now) {
        return Ok(Canceled::Unknown);
    }
    let Ok(to) = apply(&job.state, Command::Cancel, at) else {
        return Ok(if job.state.status == Status::Canceled { Canceled::Already } else { Canceled::TooLate });
    };
    if to == job.state {
        // Asked before: the timer of the first time keeps telling the worker, and keeps its grace.
        return Ok(Canceled::Asked(job.change()));
    }
    // What waits runs nowhere, so its end needs no handler's word.
    let ends = to.status.is_done();
    let along = Along { cancel: Some(CancelRequest { reason }), cancel_acknowledged: ends, ..Along::default() };
    let change = move_job(connection, job, to, now, along).await?;
    if ends {
        drop_timers(connection, job.id).await?;
        Ok(Canceled::Now(change))
    } else {
        set_timer(connection, job.id, "revoke", rows::later(now, grace), job.worker).await?;
        let query = sqlx::query(include_str!("sql/end_awaiting.sql")).bind(job.worker);
        query.execute(connection).await.map_err(failed)?;
        Ok(Canceled::Asked(change))
    }
}

impl Sqlite {
    async fn list_page(&self, filter: &JobFilter, after: Option<Cursor>, limit: u32) -> Result<JobPage, StoreError> {
        let mut reader = self.file.reader().await?;
        let until = filter.until.map(JobId::least_of);
        let before = [after, until].into_iter().flatten().min().map_or(Uuid::max(), JobId::as_uuid);
        let since = filter.since.map(|since| JobId::least_of(since).as_uuid());
        let only = match &filter.idempotency_key {
            Some(key) => {
                let query = sqlx::query_scalar::<_, Uuid>(include_str!("sql/find_key_holder.sql"))
                    .bind(key)
                    .bind(filter.tenant.as_str());
                let holder = query.fetch_optional(&mut *reader).await.map_err(failed)?;
                let Some(holder) = holder else { return Ok(JobPage { jobs: Vec::new(), next: None }) };
                Some(holder)
            }
            None => None,
        };
        // What is rare is answered in bounded steps.
        let floor: Option<Uuid> = if only.is_some() {
            None
        } else {
            let query = sqlx::query_scalar(include_str!("sql/find_list_floor.sql")).bind(before).bind(LIST_STEP - 1);
            query.fetch_optional(&mut *reader).await.map_err(failed)?
        };
        let statuses = filter.statuses.iter().map(|status| status.as_str());
        let query = sqlx::query(include_str!("sql/list_jobs.sql"))
            .bind(before)
            .bind(floor.or(only).unwrap_or(Uuid::nil()))
            .bind(only)
            .bind((!filter.statuses.is_empty()).then(|| rows::text_list(statuses)))
            .bind(filter.kind.as_ref().map(KindName::as_str))
            .bind(filter.queue.as_ref().map(QueueName::as_str))
            .bind((!filter.tags.is_empty()).then(|| rows::text_list(filter.tags.iter().map(String::as_str))))
            .bind(self.now())
            .bind(i64::from(limit) + 1)
            .bind((!filter.metadata.is_empty()).then(|| metadata_text(&filter.metadata)))
            .bind(filter.tenant.as_str())
            .bind(filter.error_code.map(FailureCode::as_str))
            .bind(filter.not_retried)
            .bind(since);
        let found = query.fetch_all(&mut *reader).await.map_err(failed)?;
        let mut jobs = found.iter().map(rows::job).collect::<Result<Vec<_>, _>>()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let next = if jobs.len() > limit {
            jobs.truncate(limit);
            jobs.last().map(|job| job.id)
        } else {
            // Nothing older than `since` is asked for.
            floor.filter(|floor| since.is_none_or(|since| *floor > since)).map(JobId::new)
        };
        Ok(JobPage { jobs, next })
    }
}
