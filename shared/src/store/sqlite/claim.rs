//! Claiming: what waits becomes one worker's to run.

use std::sync::Arc;
use std::time::Duration;

use sqlx::SqliteConnection;

use super::Sqlite;
use super::announcements::announce;
use super::file::{Write, failed};
use super::rows::{self, Cell};
use crate::domain::{Content, Event, Fence, JobId, KindName, QueueName, WorkerId};
use crate::store::attempts::{dispatch_ids, job_ids};
use crate::store::{Claim, ClaimedJob, StoreError};

/// The incarnation is not on record: it must take a new one.
#[derive(Debug, thiserror::Error)]
#[error("worker {0} was declared dead")]
struct DeclaredDead(WorkerId);

impl Sqlite {
    pub(super) async fn claim_dispatched(&self, claim: Claim) -> Result<Vec<ClaimedJob>, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        check_worker(&mut write, claim.worker).await?;
        let claimed = self.take(&mut write, &claim).await?;
        write.commit().await?;
        Ok(claimed)
    }

    pub(super) async fn claim_longest_waiting(
        &self,
        mut claim: Claim,
        queues: &[QueueName],
        kinds: &[KindName],
        limit: usize,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        check_worker(&mut write, claim.worker).await?;
        // A dispatch holds one job at least, so `limit` dispatches are always enough.
        let query = sqlx::query(include_str!("sql/find_waiting.sql"))
            .bind(rows::text_list(queues.iter().map(QueueName::as_str)))
            .bind(rows::text_list(kinds.iter().map(KindName::as_str)))
            .bind(rows::whole(limit))
            .bind(self.ids.fraction())
            .bind(self.ids.fraction())
            .bind(self.ids.fraction())
            .bind(self.ids.fraction());
        let mut jobs = 0;
        for row in query.fetch_all(&mut *write).await.map_err(failed)? {
            if jobs >= limit {
                break;
            }
            let dispatch = rows::dispatch(&row)?;
            jobs += dispatch.jobs.len();
            claim.dispatches.push(dispatch);
        }
        let claimed = self.take(&mut write, &claim).await?;
        write.commit().await?;
        Ok(claimed)
    }

    async fn take(&self, write: &mut Write<'_>, claim: &Claim) -> Result<Vec<ClaimedJob>, StoreError> {
        let now = self.now();
        let mut claimed = Vec::new();
        for id in job_ids(claim) {
            claimed.extend(self.claim_job(write, claim, id, now).await?);
        }
        if !claim.dispatches.is_empty() {
            let ids = serde_json::Value::from(dispatch_ids(claim)).to_string();
            let query = sqlx::query(include_str!("sql/clear_dispatches.sql")).bind(ids);
            query.execute(&mut **write).await.map_err(failed)?;
        }
        if !claimed.is_empty() {
            let jobs: Vec<JobId> = claimed.iter().map(|job: &ClaimedJob| job.fence.job).collect();
            let query = sqlx::query(include_str!("sql/drop_expiries.sql")).bind(rows::id_list(jobs.iter().copied()));
            query.execute(&mut **write).await.map_err(failed)?;
            let query = sqlx::query(include_str!("sql/insert_lease.sql"))
                .bind(claim.lease.as_uuid())
                .bind(claim.worker.as_uuid())
                .bind(rows::id_bytes(&jobs));
            query.execute(&mut **write).await.map_err(failed)?;
        }
        Ok(claimed)
    }

    /// The guard is in the statement: a job that does not wait is left out.
    pub(super) async fn claim_job(
        &self,
        connection: &mut SqliteConnection,
        claim: &Claim,
        id: JobId,
        now: i64,
    ) -> Result<Option<ClaimedJob>, StoreError> {
        let token = self.ids.random();
        let query = sqlx::query(include_str!("sql/claim_job.sql"))
            .bind(id.as_uuid())
            .bind(claim.worker.as_uuid())
            .bind(token)
            .bind(now);
        let Some(row) = query.fetch_optional(&mut *connection).await.map_err(failed)? else { return Ok(None) };
        let row = Cell::of_job(&row, id);
        let webhook = rows::wish(&row)?;
        announce(connection, id, row.number("version")?, Event::Started, webhook.as_ref(), now).await?;
        Ok(Some(ClaimedJob {
            fence: Fence { job: id, attempt: row.number("attempt")?, token },
            lease: claim.lease,
            tenant: rows::tenant(&row)?,
            kind: row.parse("kind")?,
            queue: row.parse("queue")?,
            version: row.number("version")?,
            input: Content { content_type: row.get("input_type")?, body: row.body("input", "input_blob")? },
            max_attempts: row.number("max_attempts")?,
            run_timeout: Duration::from_millis(row.number("run_timeout_ms")?),
            deadline: row.instant("deadline")?,
            crashes: row.number("crashes")?,
            traceparent: row.get("traceparent")?,
        }))
    }
}

async fn check_worker(connection: &mut SqliteConnection, worker: WorkerId) -> Result<(), StoreError> {
    let query = sqlx::query_scalar(include_str!("sql/find_worker.sql")).bind(worker.as_uuid());
    match query.fetch_one(connection).await.map_err(failed)? {
        0_i64 => Err(StoreError::Rejected(Arc::new(DeclaredDead(worker)))),
        _ => Ok(()),
    }
}
