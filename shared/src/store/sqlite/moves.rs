//! Moving a job: read as much of it as decides, ask the state machine, write what it says.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::announcements::announce;
use super::batches::count_end;
use super::dispatches::Place;
use super::file::{failed, failed_or_rejected};
use super::rows::{self, Cell, Pieces};
use crate::domain::{
    Band, Content, Event, FailedAttempt, Failure, JobId, Output, State, Status, TenantName, Timestamp, Webhook,
    WorkerId,
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
    pub(super) deadline: Option<Timestamp>,
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

    /// Whether it has started once, and has not ended.
    pub(super) fn is_started_and_live(&self) -> bool {
        self.state.started && !self.state.status.is_done()
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

    /// Until when it is kept if it ends then.
    fn kept_until(&self, end: i64) -> i64 {
        rows::later(end, Duration::from_secs(u64::try_from(self.kept_seconds).unwrap_or(0)))
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
        deadline: row.instant("deadline")?,
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
    let expires_at = finished_at.map(|end| job.kept_until(end));
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
    check_moved(job.id, moved, 1)?;
    if along.unfence {
        job.token = None;
    }
    note_move(connection, job, to, expires_at, now).await
}

/// What follows from a move that is written.
async fn note_move(
    connection: &mut SqliteConnection,
    job: &mut Movable,
    to: State,
    expires_at: Option<i64>,
    now: i64,
) -> Result<Change, StoreError> {
    if let Some(batch) = job.batch.filter(|_| to.status.is_done()) {
        count_end(connection, batch, to.status, now).await?;
    }
    // Claimed, it left nothing behind that would wait for its deadline.
    let waits_again = job.state.status == Status::InProgress && matches!(to.status, Status::Queued | Status::Retrying);
    if let Some(deadline) = job.deadline.filter(|_| waits_again) {
        set_timer(connection, job.id, "expire", rows::micros(deadline), None).await?;
    }
    job.version += 1;
    job.state = to;
    job.expires_at = expires_at.map(instant).transpose()?;
    if let Some(event) = Event::of_end(job.state.status) {
        announce(connection, job.id, job.version, event, job.webhook.as_ref(), now).await?;
    }
    Ok(job.change())
}

/// Writes that attempts ended well, of each job one, all at once. A refusal leaves nothing of any.
pub(super) async fn move_to_success(
    connection: &mut SqliteConnection,
    jobs: &mut HashMap<JobId, Movable>,
    ends: &[(JobId, State, &Output)],
    now: i64,
) -> Result<Vec<Change>, StoreError> {
    let mut results = Pieces::default();
    let mut digests = Vec::with_capacity(32 * ends.len());
    let mut each = Vec::with_capacity(ends.len());
    for (id, _, output) in ends {
        let Some(job) = jobs.get(id) else { continue };
        let Content { content_type, body } = &output.content;
        let (begin, length) = results.add(body.inline().map_or(&[][..], |bytes| bytes));
        digests.extend_from_slice(&output.digest);
        let blob = body.blob().map(ToString::to_string);
        each.push((
            id.as_uuid().simple().to_string(),
            job.version,
            job.kept_until(now),
            content_type,
            blob,
            begin,
            length,
        ));
    }
    let query = sqlx::query(include_str!("sql/finish_jobs.sql"))
        .bind(rows::json(&each)?)
        .bind(now)
        .bind(digests)
        .bind(results.bytes());
    let moved = query.execute(&mut *connection).await.map_err(failed_or_rejected)?.rows_affected();
    check_moved(ends.first().map(|(id, ..)| *id), moved, rows::whole(ends.len()))?;
    let mut changes = Vec::with_capacity(ends.len());
    for (id, to, _) in ends {
        let Some(job) = jobs.get_mut(id) else { continue };
        let expires_at = job.kept_until(now);
        changes.push(note_move(connection, job, *to, Some(expires_at), now).await?);
    }
    Ok(changes)
}

/// Only the writer moves jobs, so each that it has read is as it was.
fn check_moved(job: impl Into<Option<JobId>>, moved: u64, expected: i64) -> Result<(), StoreError> {
    if rows::whole(moved) == expected {
        return Ok(());
    }
    Err(StoreError::Inconsistent {
        table: "jobs",
        column: "version",
        row: job.into(),
        problem: "changed while it was being moved".to_owned(),
    })
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
