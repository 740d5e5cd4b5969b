//! Jobs that are leased over HTTP.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::Sqlite;
use super::claim::Taking;
use super::file::{Write, failed};
use super::rows::{self, Cell};
use crate::domain::{
    Dispatch, Fence, JobId, KindName, QueueName, QueueReport, TenantName, Timestamp, WorkerId, WorkerReport,
};
use crate::store::{
    ClaimedJob, HandOver, LeaseOrder, LeasedJob, OverdueRun, RemoteLeases, RenewedLease, StoreError, lease_of,
};

fn instant(at: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_unix_timestamp_nanos(i128::from(at) * 1_000).map_err(StoreError::unavailable)
}

fn overdue(row: &SqliteRow) -> Result<OverdueRun, StoreError> {
    let job = rows::id_of(row)?;
    let row = Cell::of_job(row, job);
    Ok(OverdueRun {
        fence: Fence { job, attempt: row.number("attempt")?, token: row.get("token")? },
        worker: WorkerId::new(row.get("worker")?),
        kind: row.parse("kind")?,
        max_attempts: row.number("max_attempts")?,
        run_timeout: Duration::from_millis(row.number("run_timeout_ms")?),
        deadline: row.instant("deadline")?,
    })
}

/// What waits for an order, no more jobs than it has incarnations for; dispatches are cleared or shortened.
async fn take_dispatched(write: &mut Write<'_>, order: &LeaseOrder) -> Result<Vec<JobId>, StoreError> {
    let query = sqlx::query(include_str!("sql/find_leasable.sql"))
        .bind(rows::text_list(order.queues.iter().map(QueueName::as_str)))
        .bind(rows::text_list(order.kinds.iter().map(KindName::as_str)))
        .bind(rows::stored_tenant(&order.tenant))
        // A dispatch holds one job at least, so that many are always enough.
        .bind(rows::whole(order.incarnations.len()));
    let mut jobs = Vec::new();
    let mut cleared = Vec::new();
    for row in query.fetch_all(&mut **write).await.map_err(failed)? {
        let Dispatch { id, jobs: waiting, .. } = rows::dispatch(&row)?;
        let room = order.incarnations.len() - jobs.len();
        if room == 0 {
            break;
        }
        let (taken, rest) = waiting.split_at(room.min(waiting.len()));
        jobs.extend_from_slice(taken);
        if rest.is_empty() {
            cleared.push(id);
        } else {
            let query = sqlx::query(include_str!("sql/shorten_dispatch.sql")).bind(id).bind(rows::id_bytes(rest));
            query.execute(&mut **write).await.map_err(failed)?;
        }
    }
    if !cleared.is_empty() {
        let ids = serde_json::Value::from(cleared).to_string();
        let query = sqlx::query(include_str!("sql/clear_dispatches.sql")).bind(ids);
        query.execute(&mut **write).await.map_err(failed)?;
    }
    Ok(jobs)
}

/// How much longer than its run an incarnation lives that an upstream ends: for when nobody was there to see that end.
const PAST_ITS_RUN: Duration = Duration::from_mins(1);

/// Hands one attempt over; whether it is, now or since before.
async fn hand_over_one(write: &mut Write<'_>, one: &HandOver, now: i64) -> Result<bool, StoreError> {
    let query = sqlx::query(include_str!("sql/hand_over_job.sql"))
        .bind(one.fence.job.as_uuid())
        .bind(one.fence.attempt)
        .bind(one.fence.token)
        .bind(one.worker.as_uuid())
        .bind(one.to.as_uuid());
    let moved = query.fetch_optional(&mut **write).await.map_err(failed)?;
    if let Some(lease) = one.lease_done {
        let query = sqlx::query(include_str!("sql/drop_lease.sql")).bind(lease.as_uuid()).bind(one.worker.as_uuid());
        query.execute(&mut **write).await.map_err(failed)?;
    }
    let Some(row) = moved else {
        let query = sqlx::query_scalar::<_, i64>(include_str!("sql/find_handed_over.sql"))
            .bind(one.fence.job.as_uuid())
            .bind(one.fence.attempt)
            .bind(one.fence.token)
            .bind(one.to.as_uuid());
        return Ok(query.fetch_one(&mut **write).await.map_err(failed)? > 0);
    };
    let row = Cell::of_job(&row, one.fence.job);
    let run_until: i64 = row.get("run_until")?;
    let queue = QueueReport { queue: row.get("queue")?, running: 1, ..QueueReport::default() };
    let report = WorkerReport { awaits_upstream: true, queues: vec![queue], ..WorkerReport::default() };
    let ttl = rows::until(now, run_until).saturating_add(PAST_ITS_RUN);
    let query = sqlx::query(include_str!("sql/register_upstream.sql"))
        .bind(one.to.as_uuid())
        .bind(rows::whole(ttl.as_millis()))
        .bind(now)
        .bind(run_until)
        .bind(serde_json::to_string(&report).ok());
    query.execute(&mut **write).await.map_err(failed)?;
    insert_lease(write, one.to, one.fence.job).await?;
    Ok(true)
}

async fn insert_lease(write: &mut Write<'_>, worker: WorkerId, job: JobId) -> Result<(), StoreError> {
    let query = sqlx::query(include_str!("sql/insert_lease.sql"))
        .bind(lease_of(worker).as_uuid())
        .bind(worker.as_uuid())
        .bind(rows::id_bytes(&[job]));
    query.execute(&mut **write).await.map(drop).map_err(failed)
}

/// Records the incarnation that holds a job, and its one claim.
async fn record_lease(
    write: &mut Write<'_>,
    order: &LeaseOrder,
    worker: WorkerId,
    job: &ClaimedJob,
    now: i64,
) -> Result<LeasedJob, StoreError> {
    let run_until = rows::later(now, job.run_timeout);
    let queue = QueueReport { queue: job.queue.to_string(), running: 1, ..QueueReport::default() };
    let report = WorkerReport { slots: 1, queues: vec![queue], ..WorkerReport::default() };
    let query = sqlx::query(include_str!("sql/register_remote_worker.sql"))
        .bind(worker.as_uuid())
        .bind(&order.name)
        .bind(rows::whole(order.ttl.as_millis()))
        .bind(now)
        .bind(run_until)
        .bind(serde_json::to_string(&report).ok());
    query.execute(&mut **write).await.map_err(failed)?;
    insert_lease(write, worker, job.fence.job).await?;
    let input_size = job.input.body.size();
    Ok(LeasedJob {
        fence: job.fence,
        worker,
        kind: job.kind.clone(),
        queue: job.queue.clone(),
        version: job.version,
        input_type: job.input.content_type.clone(),
        input_size,
        input: job.input.body.inline().filter(|_| input_size <= order.inline_limit).cloned(),
        max_attempts: job.max_attempts,
        deadline: job.deadline,
        traceparent: job.traceparent.clone(),
        lease_until: instant(rows::later(now, order.ttl))?,
        run_until: instant(run_until)?,
    })
}

#[async_trait]
impl RemoteLeases for Sqlite {
    async fn lease_waiting(&self, order: LeaseOrder) -> Result<Vec<LeasedJob>, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.now();
        let jobs = take_dispatched(&mut write, &order).await?;
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let takings: Vec<Taking> = jobs
            .into_iter()
            .zip(order.incarnations.iter().copied())
            .map(|(job, worker)| Taking { job, worker, lease: lease_of(worker) })
            .collect();
        let workers: HashMap<JobId, WorkerId> = takings.iter().map(|taking| (taking.job, taking.worker)).collect();
        let mut leased = Vec::with_capacity(takings.len());
        for job in self.claim_jobs(&mut write, &takings, now).await? {
            let Some(worker) = workers.get(&job.fence.job) else { continue };
            leased.push(record_lease(&mut write, &order, *worker, &job, now).await?);
        }
        let jobs = rows::id_list(leased.iter().map(|job| job.fence.job));
        let query = sqlx::query(include_str!("sql/drop_expiries.sql")).bind(jobs);
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await?;
        leased.sort_unstable_by_key(|job| job.fence.job);
        Ok(leased)
    }

    async fn renew_lease(
        &self,
        tenant: &TenantName,
        job: JobId,
        token: Uuid,
    ) -> Result<Option<RenewedLease>, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.now();
        let query = sqlx::query(include_str!("sql/find_lease.sql"))
            .bind(job.as_uuid())
            .bind(token)
            .bind(tenant.as_str())
            .bind(now);
        let Some(row) = query.fetch_optional(&mut *write).await.map_err(failed)? else { return Ok(None) };
        let row = Cell::of_job(&row, job);
        let worker: Uuid = row.get("worker")?;
        let ttl = Duration::from_millis(row.number("ttl_ms")?);
        let query = sqlx::query(include_str!("sql/renew_lease.sql")).bind(worker).bind(now);
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await?;
        Ok(Some(RenewedLease {
            fence: Fence { job, attempt: row.number("attempt")?, token },
            worker: WorkerId::new(worker),
            lease_until: instant(rows::later(now, ttl))?,
            run_until: instant(row.get("run_until")?)?,
            cancel_requested: row.get("cancel_requested")?,
            cancel_reason: row.get("cancel_reason")?,
        }))
    }

    async fn find_waiting_kinds(
        &self,
        wanted: &[(TenantName, KindName)],
        queues: &[QueueName],
    ) -> Result<Vec<(TenantName, KindName)>, StoreError> {
        let queues = rows::text_list(queues.iter().map(QueueName::as_str));
        let mut reader = self.file.reader().await?;
        let mut waiting = Vec::new();
        for (tenant, kind) in wanted {
            let query = sqlx::query_scalar(include_str!("sql/find_waiting_of_kind.sql"))
                .bind(kind.as_str())
                .bind(rows::stored_tenant(tenant))
                .bind(queues.as_str());
            if query.fetch_one(&mut *reader).await.map_err(failed)? {
                waiting.push((tenant.clone(), kind.clone()));
            }
        }
        Ok(waiting)
    }

    async fn hand_over(&self, attempts: &[HandOver]) -> Result<Vec<JobId>, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.now();
        let mut handed_over = Vec::with_capacity(attempts.len());
        for one in attempts {
            if hand_over_one(&mut write, one, now).await? {
                handed_over.push(one.fence.job);
            }
        }
        write.commit().await?;
        Ok(handed_over)
    }

    async fn list_overdue_runs(&self, limit: u32) -> Result<Vec<OverdueRun>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_overdue_runs.sql")).bind(self.now()).bind(i64::from(limit));
        query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)?.iter().map(overdue).collect()
    }

    async fn forget_leases(&self, incarnations: &[WorkerId]) -> Result<(), StoreError> {
        if incarnations.is_empty() {
            return Ok(());
        }
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        for worker in incarnations {
            for statement in [include_str!("sql/drop_idle_lease.sql"), include_str!("sql/forget_remote_worker.sql")] {
                sqlx::query(statement).bind(worker.as_uuid()).execute(&mut *write).await.map_err(failed)?;
            }
        }
        write.commit().await
    }
}
