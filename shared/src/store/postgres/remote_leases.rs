//! Jobs that are leased over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::database::{Database, Lane};
use super::rows::{Cells, id_range};
use crate::domain::{Blob, Fence, JobId, KindName, LeaseId, QueueName, TenantName, WorkerId};
use crate::store::{HandOver, LeaseOrder, LeasedJob, OverdueRun, RemoteLeases, RenewedLease, StoreError};

/// Nothing is stored for the default tenant.
fn stored(tenant: &TenantName) -> Option<&str> {
    (*tenant != TenantName::default()).then(|| tenant.as_str())
}

fn fence(cells: &Cells<'_>, job: JobId) -> Result<Fence, StoreError> {
    Ok(Fence { job, attempt: cells.get("attempt")?, token: cells.get("token")? })
}

fn leased(row: &PgRow) -> Result<LeasedJob, StoreError> {
    let (cells, job) = Cells::of_job(row)?;
    let is_blob = cells.get::<Option<&str>>("input_blob")?.is_some();
    let blob: Option<Blob> = is_blob.then(|| cells.parse("input_blob")).transpose()?;
    Ok(LeasedJob {
        fence: fence(&cells, job)?,
        worker: WorkerId::new(cells.get("worker")?),
        kind: cells.parse("kind")?,
        queue: cells.parse("queue")?,
        version: cells.get("version")?,
        input_type: cells.get("input_type")?,
        input_size: blob.map_or_else(|| cells.number("input_size"), |blob| Ok(blob.size))?,
        input: cells.get::<Option<Vec<u8>>>("input")?.map(Bytes::from),
        max_attempts: cells.get("max_attempts")?,
        deadline: cells.get("deadline")?,
        traceparent: cells.get("traceparent")?,
        lease_until: cells.get("lease_until")?,
        run_until: cells.get("run_until")?,
    })
}

fn overdue(row: &PgRow) -> Result<OverdueRun, StoreError> {
    let (cells, job) = Cells::of_job(row)?;
    Ok(OverdueRun {
        fence: fence(&cells, job)?,
        worker: WorkerId::new(cells.get("worker")?),
        kind: cells.parse("kind")?,
        max_attempts: cells.get("max_attempts")?,
        run_timeout: Duration::from_millis(cells.number("run_timeout_ms")?),
        deadline: cells.get("deadline")?,
    })
}

#[async_trait]
impl RemoteLeases for Database {
    async fn lease_waiting(&self, order: LeaseOrder) -> Result<Vec<LeasedJob>, StoreError> {
        let limit = i64::try_from(order.incarnations.len()).unwrap_or(i64::MAX).min(10_000);
        if order.queues.is_empty() || order.kinds.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let query = sqlx::query(include_str!("sql/lease_jobs.sql"))
            .bind(order.queues.iter().map(QueueName::as_str).collect::<Vec<_>>())
            .bind(order.kinds.iter().map(KindName::as_str).collect::<Vec<_>>())
            .bind(stored(&order.tenant))
            .bind(limit)
            .bind(order.incarnations.iter().map(|worker| worker.as_uuid()).collect::<Vec<_>>())
            .bind(&order.name)
            .bind(order.ttl.as_secs_f64())
            .bind(i64::try_from(order.inline_limit).unwrap_or(i64::MAX));
        // As any claim: one that a crash of the server forgot would be made again beside the first.
        let mut jobs =
            self.fetch(Lane::Durable, query).await?.iter().map(leased).collect::<Result<Vec<_>, StoreError>>()?;
        jobs.sort_unstable_by_key(|job| job.fence.job);
        Ok(jobs)
    }

    async fn renew_lease(
        &self,
        tenant: &TenantName,
        job: JobId,
        token: Uuid,
    ) -> Result<Option<RenewedLease>, StoreError> {
        let query = sqlx::query(include_str!("sql/renew_lease.sql"))
            .bind(job.as_uuid())
            .bind(token)
            .bind(tenant.as_str().to_owned());
        let rows = self.fetch(Lane::Relaxed, query).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (cells, job) = Cells::of_job(row)?;
        Ok(Some(RenewedLease {
            fence: Fence { job, attempt: cells.get("attempt")?, token },
            worker: WorkerId::new(cells.get("worker")?),
            lease_until: cells.get("lease_until")?,
            run_until: cells.get("run_until")?,
            cancel_requested: cells.get("cancel_requested")?,
            cancel_reason: cells.get("cancel_reason")?,
        }))
    }

    async fn find_waiting_kinds(
        &self,
        wanted: &[(TenantName, KindName)],
        queues: &[QueueName],
    ) -> Result<Vec<(TenantName, KindName)>, StoreError> {
        if wanted.is_empty() || queues.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query(include_str!("sql/find_waiting_kinds.sql"))
            .bind(wanted.iter().map(|(tenant, _)| stored(tenant)).collect::<Vec<_>>())
            .bind(wanted.iter().map(|(_, kind)| kind.as_str()).collect::<Vec<_>>())
            .bind(queues.iter().map(QueueName::as_str).collect::<Vec<_>>());
        let waiting = |row: &PgRow| {
            let cells = Cells::of("dispatches", row);
            Ok((cells.tenant()?, cells.parse("kind")?))
        };
        self.fetch(Lane::Relaxed, query).await?.iter().map(waiting).collect()
    }

    async fn hand_over(&self, attempts: &[HandOver]) -> Result<Vec<JobId>, StoreError> {
        if attempts.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = attempts.iter().map(|one| one.fence.job.as_uuid()).collect();
        let (first, last) = id_range(&ids);
        let query = sqlx::query(include_str!("sql/hand_over_jobs.sql"))
            .bind(ids)
            .bind(attempts.iter().map(|one| one.fence.attempt).collect::<Vec<_>>())
            .bind(attempts.iter().map(|one| one.fence.token).collect::<Vec<_>>())
            .bind(attempts.iter().map(|one| one.worker.as_uuid()).collect::<Vec<_>>())
            .bind(attempts.iter().map(|one| one.to.as_uuid()).collect::<Vec<_>>())
            .bind(attempts.iter().filter_map(|one| one.lease_done.map(LeaseId::as_uuid)).collect::<Vec<_>>())
            .bind(first)
            .bind(last);
        // One that a crash of the server forgot would belong to a worker that knows nothing of it any more.
        let rows = self.fetch(Lane::Durable, query).await?;
        rows.iter().map(|row| Ok(Cells::of_job(row)?.1)).collect()
    }

    async fn list_overdue_runs(&self, limit: u32) -> Result<Vec<OverdueRun>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_overdue_runs.sql")).bind(i64::from(limit));
        self.fetch(Lane::Relaxed, query).await?.iter().map(overdue).collect()
    }

    async fn forget_leases(&self, incarnations: &[WorkerId]) -> Result<(), StoreError> {
        if incarnations.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(include_str!("sql/forget_leases.sql"))
            .bind(incarnations.iter().map(|worker| worker.as_uuid()).collect::<Vec<_>>());
        // One that a crash brings back is buried once its lease has run out.
        self.fetch(Lane::Relaxed, query).await.map(drop)
    }
}
