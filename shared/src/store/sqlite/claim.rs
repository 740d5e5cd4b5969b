//! Claiming: what waits becomes one worker's to run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::Sqlite;
use super::announcements::announce;
use super::file::{Write, failed};
use super::rows::{self, Cell};
use crate::domain::{Content, Event, Fence, JobId, KindName, LeaseId, QueueName, WorkerId};
use crate::store::attempts::{dispatch_ids, job_ids};
use crate::store::{Claim, ClaimedJob, StoreError};

/// The incarnation is not on record: it must take a new one.
#[derive(Debug, thiserror::Error)]
#[error("worker {0} was declared dead")]
struct DeclaredDead(WorkerId);

/// One job that is to be taken: by whom, and under which record.
pub(super) struct Taking {
    pub(super) job: JobId,
    pub(super) worker: WorkerId,
    pub(super) lease: LeaseId,
}

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
        let takings: Vec<Taking> =
            job_ids(claim).into_iter().map(|job| Taking { job, worker: claim.worker, lease: claim.lease }).collect();
        let claimed = self.claim_jobs(write, &takings, self.now()).await?;
        if !claim.dispatches.is_empty() {
            let ids = serde_json::Value::from(dispatch_ids(claim)).to_string();
            let query = sqlx::query(include_str!("sql/clear_dispatches.sql")).bind(ids);
            query.execute(&mut **write).await.map_err(failed)?;
        }
        if !claimed.is_empty() {
            let jobs: Vec<JobId> = claimed.iter().map(|job| job.fence.job).collect();
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

    /// Takes these jobs, in the order of their ids. The guard is in the statement: a job that does not wait is left out.
    pub(super) async fn claim_jobs(
        &self,
        connection: &mut SqliteConnection,
        takings: &[Taking],
        now: i64,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        if takings.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = |ids: &mut dyn Iterator<Item = Uuid>| ids.flat_map(Uuid::into_bytes).collect::<Vec<u8>>();
        let query = sqlx::query(include_str!("sql/claim_jobs.sql"))
            .bind(rows::id_list(takings.iter().map(|taking| taking.job)))
            .bind(bytes(&mut takings.iter().map(|taking| taking.worker.as_uuid())))
            .bind(bytes(&mut takings.iter().map(|_| self.ids.random())))
            .bind(now);
        let found = query.fetch_all(&mut *connection).await.map_err(failed)?;
        if found.len() < takings.len() {
            let jobs = rows::id_list(takings.iter().map(|taking| taking.job));
            let query = sqlx::query(include_str!("sql/set_late_timers.sql")).bind(jobs).bind(now);
            query.execute(&mut *connection).await.map_err(failed)?;
        }
        let leases: HashMap<JobId, LeaseId> = takings.iter().map(|taking| (taking.job, taking.lease)).collect();
        let mut claimed = Vec::with_capacity(found.len());
        for row in &found {
            let id = rows::id_of(row)?;
            // None but those that were given.
            let Some(lease) = leases.get(&id) else { continue };
            let row = Cell::of_job(row, id);
            let webhook = rows::wish(&row)?;
            announce(connection, id, row.number("version")?, Event::Started, webhook.as_ref(), now).await?;
            claimed.push(claimed_job(&row, id, *lease)?);
        }
        claimed.sort_unstable_by_key(|job| job.fence.job);
        Ok(claimed)
    }
}

fn claimed_job(row: &Cell<'_>, id: JobId, lease: LeaseId) -> Result<ClaimedJob, StoreError> {
    Ok(ClaimedJob {
        fence: Fence { job: id, attempt: row.number("attempt")?, token: row.get("token")? },
        lease,
        tenant: rows::tenant(row)?,
        kind: row.parse("kind")?,
        queue: row.parse("queue")?,
        version: row.number("version")?,
        input: Content { content_type: row.get("input_type")?, body: row.body("input", "input_blob")? },
        max_attempts: row.number("max_attempts")?,
        run_timeout: Duration::from_millis(row.number("run_timeout_ms")?),
        deadline: row.instant("deadline")?,
        crashes: row.number("crashes")?,
        traceparent: row.get("traceparent")?,
    })
}

async fn check_worker(connection: &mut SqliteConnection, worker: WorkerId) -> Result<(), StoreError> {
    let query = sqlx::query_scalar(include_str!("sql/find_worker.sql")).bind(worker.as_uuid());
    match query.fetch_one(connection).await.map_err(failed)? {
        0_i64 => Err(StoreError::Rejected(Arc::new(DeclaredDead(worker)))),
        _ => Ok(()),
    }
}
