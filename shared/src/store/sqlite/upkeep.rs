//! What the repair loops ask.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use uuid::Uuid;

use super::Sqlite;
use super::batches;
use super::dispatches::{PUBLISH_WITHIN, Waiting};
use super::file::{Write, failed};
use super::moves::{Along, Movable, drop_timers, lock_jobs, move_job, set_timer};
use super::rows::{self, Cell};
use crate::domain::{BlobOwner, Command, Dispatch, Failure, FailureCode, JobId, Status, Timestamp, WorkerId, apply};
use crate::store::{Change, Moved, StoreError, Upkeep};

/// Jobs that one call removes: a transaction that is over before anybody waits for it.
const REMOVED_AT_ONCE: i64 = 500;

#[async_trait]
impl Upkeep for Sqlite {
    async fn fire_timers(&self, limit: u32) -> Result<Moved, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.clock.now();
        let query = sqlx::query(include_str!("sql/find_due_timers.sql")).bind(rows::micros(now)).bind(i64::from(limit));
        let due = query.fetch_all(&mut *write).await.map_err(failed)?;
        let mut moved = Moved { more: due.len() == usize::try_from(limit).unwrap_or(usize::MAX), ..Moved::default() };
        let due: Vec<(JobId, String)> = due.iter().map(timer).collect::<Result<_, _>>()?;
        let mut jobs = lock_jobs(&mut write, due.iter().map(|(id, _)| *id)).await?;
        let mut queued = Vec::new();
        for (id, purpose) in due {
            if let Some(job) = jobs.get_mut(&id) {
                // Once it has started its start timeout means nothing any more, but its deadline does.
                let later = job.deadline.filter(|at| purpose == "expire" && *at > now && job.is_started_and_live());
                if let Some(deadline) = later {
                    set_timer(&mut write, id, "expire", rows::micros(deadline), None).await?;
                    continue;
                }
                fire(&mut write, job, &purpose, now, &mut moved).await?;
                if job.state.status == Status::Queued && purpose == "enqueue" {
                    queued.push(id);
                }
            }
            let query = sqlx::query(include_str!("sql/drop_timer.sql")).bind(id.as_uuid()).bind(purpose);
            query.execute(&mut *write).await.map_err(failed)?;
        }
        // What was queued and has expired since, both overdue, waits for nobody.
        let mut waiting = Waiting::default();
        for job in queued.iter().filter_map(|id| jobs.get(id)).filter(|job| job.state.status == Status::Queued) {
            waiting.add(job.place(), job.id);
        }
        moved.dispatches = hand_over(&mut write, waiting, now).await?;
        write.commit().await?;
        Ok(moved)
    }

    async fn next_timer(&self) -> Result<Option<Duration>, StoreError> {
        let query = sqlx::query_scalar(include_str!("sql/find_next_timer.sql"));
        let due: Option<i64> = query.fetch_one(&mut *self.file.reader().await?).await.map_err(failed)?;
        Ok(due.map(|due| rows::until(self.now(), due)))
    }

    async fn rescue_dead_worker(
        &self,
        max_crashes: i32,
        store_up_for: Option<Duration>,
        listening_for: Duration,
    ) -> Result<Option<Moved>, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.clock.now();
        let dead = self.find_dead(&mut write, rows::micros(now), store_up_for, listening_for).await?;
        let Some(dead) = dead else { return Ok(None) };

        let query = sqlx::query(include_str!("sql/list_leases.sql")).bind(dead.as_uuid());
        let leases = query.fetch_all(&mut *write).await.map_err(failed)?;
        let mut moved = Moved { more: true, ..Moved::default() };
        let mut waiting = Waiting::default();
        for lease in &leases {
            let ids = rows::ids_of(&Cell::of("leases", lease), "jobs")?;
            let mut jobs: Vec<Movable> = lock_jobs(&mut write, ids).await?.into_values().collect();
            jobs.sort_unstable_by_key(|job| job.id);
            for job in jobs.iter_mut().filter(|job| job.is_run_by(dead)) {
                moved.changes.extend(lose(&mut write, job, max_crashes, now).await?);
                if job.state.status == Status::Queued {
                    waiting.add(job.place(), job.id);
                }
            }
        }
        moved.dispatches = hand_over(&mut write, waiting, now).await?;
        for statement in [include_str!("sql/drop_leases.sql"), include_str!("sql/drop_worker.sql")] {
            sqlx::query(statement).bind(dead.as_uuid()).execute(&mut *write).await.map_err(failed)?;
        }
        write.commit().await?;
        self.living.forget(dead);
        Ok(Some(moved))
    }

    async fn remove_expired(&self) -> Result<bool, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/delete_expired_jobs.sql")).bind(self.now()).bind(REMOVED_AT_ONCE);
        let removed = query.fetch_all(&mut *write).await.map_err(failed)?;
        for row in &removed {
            let key: Option<String> = row.try_get("idempotency_key").map_err(failed)?;
            if let Some(key) = key {
                let query = sqlx::query(include_str!("sql/delete_key.sql")).bind(key).bind(rows::id_of(row)?.as_uuid());
                query.execute(&mut *write).await.map_err(failed)?;
            }
        }
        let gone = removed.iter().map(rows::id_of).collect::<Result<Vec<_>, _>>()?;
        let query =
            sqlx::query(include_str!("sql/delete_logs_of_gone_jobs.sql")).bind(rows::id_list(gone.iter().copied()));
        query.execute(&mut *write).await.map_err(failed)?;
        let query = sqlx::query(include_str!("sql/delete_deliveries.sql")).bind(rows::id_list(gone));
        query.execute(&mut *write).await.map_err(failed)?;
        let query = sqlx::query(include_str!("sql/delete_expired_batches.sql")).bind(self.now()).bind(REMOVED_AT_ONCE);
        let batches_gone = query.fetch_all(&mut *write).await.map_err(failed)?;
        batches::delete_deliveries(&mut write, &batches_gone).await?;
        write.commit().await?;
        Ok(rows::whole(removed.len().max(batches_gone.len())) == REMOVED_AT_ONCE)
    }

    async fn list_blob_owners(&self, jobs: &[JobId]) -> Result<Vec<BlobOwner>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_blob_owners.sql"))
            .bind(rows::id_list(jobs.iter().copied()))
            .bind(self.now());
        let owners = query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)?;
        owners.iter().map(rows::blob_owner).collect()
    }

    async fn find_blob_owner(&self) -> Result<Option<JobId>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_blob_owner.sql")).bind(self.now());
        let found = query.fetch_optional(&mut *self.file.reader().await?).await.map_err(failed)?;
        found.as_ref().map(rows::id_of).transpose()
    }

    async fn prepare_partitions(&self) -> Result<(), StoreError> {
        // SQLite has none: an index on the expiry finds what retention removes.
        Ok(())
    }
}

impl Sqlite {
    /// The first that is dead: on record, yet not living in this process, the only one there is; or silent for a whole
    /// lease, while the store was up. A remote one lives elsewhere, and is silent also while nobody listens.
    async fn find_dead(
        &self,
        write: &mut Write<'_>,
        now: i64,
        store_up_for: Option<Duration>,
        listening_for: Duration,
    ) -> Result<Option<WorkerId>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_workers.sql"));
        for row in query.fetch_all(&mut **write).await.map_err(failed)? {
            let row = Cell::of("workers", &row);
            let worker = WorkerId::new(row.get("id")?);
            let ttl = Duration::from_millis(row.number("ttl_ms")?);
            let store_was_up = store_up_for.is_none_or(|up_for| up_for >= ttl);
            let is_dead = if row.get("is_remote")? {
                let missed_its_lease = rows::later(row.get("heartbeat_at")?, ttl) <= now;
                missed_its_lease && store_was_up && listening_for >= ttl
            } else {
                let silent_for = self.living.silent_for(worker, self.clock.monotonic());
                silent_for.is_none_or(|silent_for| silent_for >= ttl && store_was_up)
            };
            if is_dead {
                return Ok(Some(worker));
            }
        }
        Ok(None)
    }
}

fn timer(row: &sqlx::sqlite::SqliteRow) -> Result<(JobId, String), StoreError> {
    let row = Cell::of("timers", row);
    Ok((JobId::new(row.get::<Uuid>("job_id")?), row.get("purpose")?))
}

/// Fires one timer. One that no longer applies changes nothing.
async fn fire(
    write: &mut Write<'_>,
    job: &mut Movable,
    purpose: &str,
    now: Timestamp,
    moved: &mut Moved,
) -> Result<(), StoreError> {
    let command = match purpose {
        "enqueue" => Command::Enqueue,
        "expire" => Command::Expire { past_deadline: job.deadline.is_some_and(|at| at <= now) },
        _ => Command::Revoke,
    };
    let Ok(to) = apply(&job.state, command, now) else { return Ok(()) };
    // A revoked handler may still run: it must not end the job any more, nor is it known to have stopped.
    let error = if to.status == Status::Failed { Some(last_error(write, job).await?) } else { None };
    let along = Along { unfence: command == Command::Revoke, error: error.as_ref(), ..Along::default() };
    moved.changes.push(move_job(write, job, to, rows::micros(now), along).await?);
    if to.status.is_done() {
        drop_timers(write, job.id).await?;
    }
    Ok(())
}

/// Why a job fails that is not tried again because its deadline has passed: for what its last failed attempt failed.
async fn last_error(write: &mut Write<'_>, job: &Movable) -> Result<Failure, StoreError> {
    const TOO_LATE: &str = "its deadline leaves no time for another attempt";
    let query = sqlx::query(include_str!("sql/find_last_failure.sql")).bind(job.id.as_uuid());
    let row = query.fetch_one(&mut **write).await.map_err(failed)?;
    if let Some(mut error) = Cell::of_job(&row, job.id).json::<Failure>("error")? {
        error.message = format!("{} ({TOO_LATE})", error.message);
        return Ok(error);
    }
    let (code, what) = if job.state.crashes > 0 {
        (FailureCode::WorkerLost, "the worker died while it ran this")
    } else {
        (FailureCode::HandlerError, "put off or given back")
    };
    Ok(Failure::new(code, format!("{what}, and {TOO_LATE}"), true, job.state.attempt + 1))
}

/// Takes a job from a dead worker.
async fn lose(
    write: &mut Write<'_>,
    job: &mut Movable,
    max_crashes: i32,
    now: Timestamp,
) -> Result<Option<Change>, StoreError> {
    let Ok(to) = apply(&job.state, Command::Lose { max_crashes }, now) else { return Ok(None) };
    let message = format!("the worker died while it ran this; deaths under this job: {}", to.crashes);
    let error = Failure::new(FailureCode::WorkerLost, message, false, job.state.attempt);
    let asked = job.state.cancel_requested;
    // A crash that costs no attempt is no failed attempt either: it is counted, and told once it ends the job.
    let fatal = (to.status == Status::Failed).then_some(&error);
    let failed_attempt = fatal.map(|error| job.failed_attempt(error.clone(), rows::micros(now))).transpose()?;
    let along = Along { unfence: true, error: fatal, failed_attempt, ..Along::default() };
    let change = move_job(write, job, to, rows::micros(now), along).await?;
    if asked {
        drop_timers(write, job.id).await?;
    }
    Ok(Some(change))
}

/// Records that jobs wait again; the caller is the one to publish them.
async fn hand_over(write: &mut Write<'_>, waiting: Waiting, now: Timestamp) -> Result<Vec<Dispatch>, StoreError> {
    let now = rows::micros(now);
    waiting.dispatch(write, now, rows::later(now, PUBLISH_WITHIN)).await
}
