//! Moving a job: read as much of it as decides, ask the state machine, write what it says.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::announcements::announce;
use super::batches::count_end;
use super::dispatches::Place;
use super::file::{failed, failed_or_rejected};
use super::rows::{self, Cell};
use crate::domain::{
    Band, Event, FailedAttempt, Failure, JobId, Output, State, Status, TenantName, Timestamp, Webhook, WorkerId,
};
use crate::store::{Change, StoreError};

/// An idempotency key outlives its job's end by this much.
const KEY_RETENTION_SECONDS: i64 = 24 * 60 * 60;

/// As much of a job as decides what may happen to it.
pub(super) struct Movable {
    pub(super) id: JobId,
    pub(super) version: i32,
    pub(super) state: State,
    pub(super) worker: Option<Uuid>,
    pub(super) token: Option<Uuid>,
    batch: Option<Uuid>,
    pub(super) expires_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    place: Place,
    kept_seconds: i64,
    webhook: Option<Webhook>,
}

impl Movable {
    /// What there is to tell of it.
    pub(super) fn change(&self) -> Change {
        Change { id: self.id, version: self.version, status: self.state.status }
    }

    /// Whether it is this tenant's.
    pub(super) fn is_of(&self, tenant: &TenantName) -> bool {
        self.place.tenant == *tenant
    }

    /// Whether this incarnation runs it.
    pub(super) fn is_run_by(&self, worker: WorkerId) -> bool {
        self.state.status == Status::InProgress && self.worker == Some(worker.as_uuid())
    }

    /// Whether the latest claim's token is one of these.
    pub(super) fn is_under_any(&self, tokens: &HashSet<Uuid>) -> bool {
        self.token.is_some_and(|token| tokens.contains(&token))
    }

    /// Where it waits, when it does.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// The running attempt as one that failed, for the history.
    pub(super) fn failed_attempt(&self, error: Failure, now: i64) -> Result<FailedAttempt, StoreError> {
        Ok(FailedAttempt { started_at: self.started_at, ended_at: instant(now)?, worker: self.worker, error })
    }
}

fn instant(at: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_unix_timestamp_nanos(i128::from(at) * 1000).map_err(StoreError::unavailable)
}

/// Reads jobs that are to be moved. Unknown ones are left out.
pub(super) async fn lock_jobs(
    connection: &mut SqliteConnection,
    ids: impl IntoIterator<Item = JobId>,
) -> Result<HashMap<JobId, Movable>, StoreError> {
    let query = sqlx::query(include_str!("sql/lock_jobs.sql")).bind(rows::id_list(ids));
    let rows = query.fetch_all(connection).await.map_err(failed)?;
    rows.iter().map(|row| movable(row).map(|job| (job.id, job))).collect()
}

fn movable(row: &sqlx::sqlite::SqliteRow) -> Result<Movable, StoreError> {
    let id = rows::id_of(row)?;
    let row = Cell::of_job(row, id);
    let started_at = row.instant("started_at")?;
    let retention: i64 = row.get("retention_seconds")?;
    let has_key: bool = row.get("has_key")?;
    Ok(Movable {
        id,
        version: row.number("version")?,
        state: State {
            status: row.parse("status")?,
            attempt: row.number("attempt")?,
            started: started_at.is_some(),
            cancel_requested: row.get("cancel_requested")?,
            crashes: row.number("crashes")?,
            max_attempts: row.number("max_attempts")?,
            finished_at: row.instant("finished_at")?,
        },
        worker: row.get("worker")?,
        token: row.get("token")?,
        batch: row.get("batch_id")?,
        expires_at: row.instant("expires_at")?,
        started_at,
        place: Place {
            tenant: rows::tenant(&row)?,
            queue: row.parse("queue")?,
            band: Band::of(row.number("priority")?, row.get("express")?),
            kind: row.parse("kind")?,
            width: row.number::<usize>("dispatch_width")?.max(1),
            line: row.get("line")?,
        },
        webhook: rows::wish(&row)?,
        kept_seconds: if has_key { retention.max(KEY_RETENTION_SECONDS) } else { retention },
    })
}

/// A cancel that is asked for now.
pub(super) struct CancelRequest<'a> {
    pub(super) reason: Option<&'a str>,
}

/// What goes along with a move. By default nothing does, and the fence stays, so that a repeated end is recognised.
#[derive(Default)]
pub(super) struct Along<'a> {
    /// Whoever holds the fence must not end the job any more.
    pub(super) unfence: bool,
    /// While it is `retrying`.
    pub(super) next_attempt_at: Option<i64>,
    /// A cancel that is asked for now.
    pub(super) cancel: Option<CancelRequest<'a>>,
    /// The handler is known not to run any more.
    pub(super) cancel_acknowledged: bool,
    /// Why it failed.
    pub(super) error: Option<&'a Failure>,
    /// What goes into its history.
    pub(super) failed_attempt: Option<FailedAttempt>,
    /// What it made.
    pub(super) output: Option<&'a Output>,
}

/// Writes what the state machine made of a job, and keeps `job` true. An end is announced to whoever wants to hear of it.
pub(super) async fn move_job(
    connection: &mut SqliteConnection,
    job: &mut Movable,
    to: State,
    now: i64,
    along: Along<'_>,
) -> Result<Change, StoreError> {
    let finished_at = to.finished_at.map(|_| now);
    let kept = Duration::from_secs(u64::try_from(job.kept_seconds).unwrap_or(0));
    let expires_at = finished_at.map(|end| rows::later(end, kept));
    let json =
        |text: serde_json::Result<String>| text.map_err(|error| StoreError::Rejected(std::sync::Arc::new(error)));
    let error = along.error.map(|error| json(serde_json::to_string(error))).transpose()?;
    let failed_attempt = along.failed_attempt.map(|attempt| json(serde_json::to_string(&attempt))).transpose()?;
    let query = sqlx::query(include_str!("sql/move_job.sql"))
        .bind(job.id.as_uuid())
        .bind(job.version)
        .bind(to.status.as_str())
        .bind(to.attempt)
        .bind(to.crashes)
        .bind(along.unfence)
        .bind(along.next_attempt_at)
        .bind(finished_at)
        .bind(expires_at)
        .bind(along.cancel.as_ref().map(|_| now))
        .bind(along.cancel.and_then(|cancel| cancel.reason))
        .bind(along.cancel_acknowledged.then_some(now))
        .bind(error)
        .bind(failed_attempt)
        .bind(along.output.map(|output| output.content.content_type.as_str()))
        .bind(along.output.map(|output| &output.digest[..]))
        .bind(along.output.map(|output| output.content.body.inline().map_or(&[][..], |bytes| bytes)))
        .bind(along.output.and_then(|output| output.content.body.blob()).map(ToString::to_string));
    let moved = query.execute(&mut *connection).await.map_err(failed_or_rejected)?.rows_affected();
    if moved != 1 {
        return Err(StoreError::Inconsistent {
            table: "jobs",
            column: "version",
            row: Some(job.id),
            problem: "changed while it was being moved".to_owned(),
        });
    }
    if let Some(batch) = job.batch.filter(|_| to.status.is_done()) {
        count_end(connection, batch, to.status, now).await?;
    }
    job.version += 1;
    job.state = to;
    job.expires_at = expires_at.map(instant).transpose()?;
    if along.unfence {
        job.token = None;
    }
    if let Some(event) = Event::of_end(job.state.status) {
        announce(connection, job.id, job.version, event, job.webhook.as_ref(), now).await?;
    }
    Ok(job.change())
}

/// Lets something become due.
pub(super) async fn set_timer(
    connection: &mut SqliteConnection,
    job: JobId,
    purpose: &'static str,
    due_at: i64,
    worker: Option<Uuid>,
) -> Result<(), StoreError> {
    let query =
        sqlx::query(include_str!("sql/set_timer.sql")).bind(job.as_uuid()).bind(purpose).bind(due_at).bind(worker);
    query.execute(connection).await.map(drop).map_err(failed)
}

/// Lets nothing become due for a job any more.
pub(super) async fn drop_timers(connection: &mut SqliteConnection, job: JobId) -> Result<(), StoreError> {
    let query = sqlx::query(include_str!("sql/drop_timers.sql")).bind(job.as_uuid());
    query.execute(connection).await.map(drop).map_err(failed)
}
