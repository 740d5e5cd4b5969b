//! What a worker asks on a job's way.

use std::collections::HashSet;

use async_trait::async_trait;
use uuid::Uuid;

use super::Sqlite;
use super::announcements::announce_progress;
use super::dispatches::Waiting;
use super::file::{failed, failed_or_rejected};
use super::moves::{Along, drop_timers, lock_jobs, move_job};
use super::rows::{self, Cell};
use crate::domain::{Command, Fence, JobId, KindName, LeaseId, QueueName, Status, WorkerId, apply};
use crate::store::{Attempts, Change, Claim, ClaimedJob, Finish, Finished, FoundAttempt, ProgressReport, StoreError};

#[async_trait]
impl Attempts for Sqlite {
    async fn claim(&self, claim: Claim) -> Result<Vec<ClaimedJob>, StoreError> {
        self.claim_dispatched(claim).await
    }

    async fn claim_waiting(
        &self,
        claim: Claim,
        queues: &[QueueName],
        kinds: &[KindName],
        limit: usize,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        self.claim_longest_waiting(claim, queues, kinds, limit).await
    }

    async fn finish(&self, batch: &[Finish]) -> Result<Vec<Result<Finished, StoreError>>, StoreError> {
        self.finish_batch(batch).await
    }

    async fn find_attempt(&self, job: JobId, token: Uuid) -> Result<Option<FoundAttempt>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_attempt.sql")).bind(job.as_uuid()).bind(token).bind(self.now());
        let found = query.fetch_optional(&mut *self.file.reader().await?).await.map_err(failed)?;
        let Some(row) = found else { return Ok(None) };
        let row = Cell::of_job(&row, job);
        let has_result = row.get::<Option<&[u8]>>("result_digest")?.is_some();
        Ok(Some(FoundAttempt {
            fence: Fence { job, attempt: row.number("attempt")?, token },
            worker: WorkerId::new(row.get("worker")?),
            tenant: rows::tenant(&row)?,
            kind: row.parse("kind")?,
            status: row.parse("status")?,
            max_attempts: row.number("max_attempts")?,
            deadline: row.instant("deadline")?,
            result_digest: has_result.then(|| row.digest("result_digest")).transpose()?,
        }))
    }

    async fn report_progress(&self, batch: &[ProgressReport]) -> Result<Vec<Change>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let mut changes = Vec::new();
        for report in batch {
            // A progress that is no number cannot be written down, nor is it worth failing its neighbours.
            let Ok(progress) = serde_json::to_string(&report.progress) else { continue };
            let query = sqlx::query(include_str!("sql/report_progress.sql"))
                .bind(report.fence.job.as_uuid())
                .bind(report.fence.attempt)
                .bind(report.fence.token)
                .bind(progress);
            let Some(row) = query.fetch_optional(&mut *write).await.map_err(failed_or_rejected)? else { continue };
            let id = report.fence.job;
            let row = Cell::of_job(&row, id);
            let version = row.number("version")?;
            announce_progress(&mut write, id, version, rows::wish(&row)?.as_ref(), self.now()).await?;
            changes.push(Change { id, version, status: Status::InProgress });
        }
        write.commit().await?;
        Ok(changes)
    }

    async fn drop_stray_leases(
        &self,
        worker: WorkerId,
        keep: &[LeaseId],
        held: &[Fence],
    ) -> Result<Vec<Change>, StoreError> {
        let keep: HashSet<Uuid> = keep.iter().map(|lease| lease.as_uuid()).collect();
        let held: HashSet<Uuid> = held.iter().map(|fence| fence.token).collect();
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.now();
        let query = sqlx::query(include_str!("sql/list_leases.sql")).bind(worker.as_uuid());
        let leases = query.fetch_all(&mut *write).await.map_err(failed)?;
        let mut changes = Vec::new();
        let mut waiting = Waiting::default();
        for lease in &leases {
            let lease = Cell::of("leases", lease);
            let id: Uuid = lease.get("id")?;
            if keep.contains(&id) {
                continue;
            }
            let query = sqlx::query(include_str!("sql/drop_lease.sql")).bind(id).bind(worker.as_uuid());
            query.execute(&mut *write).await.map_err(failed)?;
            let mut jobs = lock_jobs(&mut write, rows::ids_of(&lease, "jobs")?).await?;
            for job in jobs.values_mut().filter(|job| job.is_run_by(worker) && !job.is_under_any(&held)) {
                let Ok(to) = apply(&job.state, Command::Release, self.clock.now()) else { continue };
                let asked = job.state.cancel_requested;
                let along = Along { unfence: true, cancel_acknowledged: asked, ..Along::default() };
                changes.push(move_job(&mut write, job, to, now, along).await?);
                if asked {
                    drop_timers(&mut write, job.id).await?;
                }
                if to.status == Status::Queued {
                    waiting.add(job.place(), job.id);
                }
            }
        }
        // Nobody is handed these, so whoever looks first publishes them.
        waiting.dispatch(&mut write, now, now).await?;
        write.commit().await?;
        Ok(changes)
    }
}
