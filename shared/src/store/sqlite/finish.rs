//! Finishing: how attempts ended, recorded once and only for whoever holds them.

use std::collections::{HashMap, HashSet};

use sqlx::SqliteConnection;

use super::Sqlite;
use super::accept::check_texts;
use super::dispatches::Waiting;
use super::file::failed;
use super::moves::{Along, Movable, drop_timers, lock_jobs, move_job, move_to_success, set_timer};
use super::rows;
use crate::domain::{Command, Ended, Failure, JobId, State, Status, Timestamp, apply};
use crate::store::{Change, Finish, Finished, StoreError};

impl Sqlite {
    pub(super) async fn finish_batch(&self, batch: &[Finish]) -> Result<Vec<Result<Finished, StoreError>>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.clock.now();
        let mut jobs = lock_jobs(&mut write, batch.iter().map(|end| end.fence.job)).await?;
        let mut answers = Vec::with_capacity(batch.len());
        let mut waiting = Waiting::default();
        let mut recorded = record_successes(&mut write, &mut jobs, batch, now).await?;
        for (place, end) in batch.iter().enumerate() {
            let answer = match (recorded.remove(&place), jobs.get_mut(&end.fence.job)) {
                (Some(change), _) => Ok(Finished::Recorded(change)),
                (None, Some(job)) => record_end(&mut write, job, end, now, &mut waiting).await,
                (None, None) => Ok(Finished::Fenced),
            };
            match answer {
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                // An end that cannot be kept leaves its job running, and so its lease.
                Err(_) => {}
                Ok(_) => drop_lease(&mut write, end).await?,
            }
            answers.push(answer);
        }
        // Nobody is handed these, so whoever looks first publishes them.
        let now = rows::micros(now);
        waiting.dispatch(&mut write, now, now).await?;
        write.commit().await?;
        Ok(answers)
    }
}

async fn drop_lease(connection: &mut SqliteConnection, end: &Finish) -> Result<(), StoreError> {
    let Some(lease) = end.lease_done else { return Ok(()) };
    let query = sqlx::query(include_str!("sql/drop_lease.sql")).bind(lease.as_uuid()).bind(end.worker.as_uuid());
    query.execute(connection).await.map(drop).map_err(failed)
}

/// What an end makes of its job, or why it makes nothing of it.
fn decide(job: &Movable, end: &Finish, now: Timestamp) -> Result<State, Finished> {
    let theirs = job.token == Some(end.fence.token) && job.worker == Some(end.worker.as_uuid());
    if theirs && job.state.status != Status::InProgress {
        // Recorded before: the end keeps its token until the next claim draws another.
        return Err(Finished::Before(job.change()));
    }
    if !theirs || job.state.attempt != end.fence.attempt {
        return Err(Finished::Fenced);
    }
    apply(&job.state, command(&end.ended), now).map_err(|_| Finished::Fenced)
}

/// Records together those ends that make their jobs succeed, and answers what became of which. An end that is not its job's first is
/// left to its turn, and so are all of them if one is refused.
async fn record_successes(
    connection: &mut SqliteConnection,
    jobs: &mut HashMap<JobId, Movable>,
    batch: &[Finish],
    now: Timestamp,
) -> Result<HashMap<usize, Change>, StoreError> {
    let mut seen = HashSet::with_capacity(batch.len());
    let (mut places, mut ends) = (Vec::new(), Vec::new());
    for (place, end) in batch.iter().enumerate() {
        let id = end.fence.job;
        let is_first = seen.insert(id);
        let (Some(job), Some(output), true) = (jobs.get(&id), end.ended.output(), is_first) else { continue };
        let kept = check_texts([output.content.content_type.as_str()]).is_ok();
        if let Ok(to) = decide(job, end, now)
            && to.status == Status::Succeeded
            && kept
        {
            places.push(place);
            ends.push((id, to, output));
        }
    }
    if ends.is_empty() {
        return Ok(HashMap::new());
    }
    match move_to_success(connection, jobs, &ends, rows::micros(now)).await {
        Ok(changes) => Ok(places.into_iter().zip(changes).collect()),
        Err(StoreError::Rejected(_)) => Ok(HashMap::new()),
        Err(error) => Err(error),
    }
}

async fn record_end(
    connection: &mut SqliteConnection,
    job: &mut Movable,
    end: &Finish,
    now: Timestamp,
    waiting: &mut Waiting,
) -> Result<Finished, StoreError> {
    let to = match decide(job, end, now) {
        Ok(to) => to,
        Err(answer) => return Ok(answer),
    };
    if let Some(output) = end.ended.output() {
        check_texts([output.content.content_type.as_str()])?;
    }

    let now = rows::micros(now);
    let asked = job.state.cancel_requested;
    let next_attempt_at = (to.status == Status::Retrying).then(|| rows::later(now, delay(&end.ended)));
    let failure = failure(&end.ended);
    let along = Along {
        next_attempt_at,
        cancel_acknowledged: asked,
        error: failure.filter(|_| to.status == Status::Failed),
        failed_attempt: failure.map(|error| job.failed_attempt(error.clone(), now)).transpose()?,
        output: end.ended.output().filter(|_| to.status == Status::Succeeded),
        ..Along::default()
    };
    let change = move_job(connection, job, to, now, along).await?;
    if asked {
        drop_timers(connection, job.id).await?;
    }
    if let Some(due_at) = next_attempt_at {
        set_timer(connection, job.id, "enqueue", due_at, None).await?;
    }
    if to.status == Status::Queued {
        waiting.add(job.place(), job.id);
    }
    Ok(Finished::Recorded(change))
}

fn command(ended: &Ended) -> Command {
    match ended {
        Ended::Succeeded(_) => Command::Succeed,
        Ended::Retry { .. } => Command::Retry,
        Ended::Failed(_) => Command::Fail,
        Ended::Snoozed(_) => Command::Snooze,
        Ended::Released => Command::Release,
    }
}

fn failure(ended: &Ended) -> Option<&Failure> {
    match ended {
        Ended::Retry { error, .. } | Ended::Failed(error) => Some(error),
        Ended::Succeeded(_) | Ended::Snoozed(_) | Ended::Released => None,
    }
}

fn delay(ended: &Ended) -> std::time::Duration {
    match ended {
        Ended::Retry { delay, .. } | Ended::Snoozed(delay) => *delay,
        Ended::Succeeded(_) | Ended::Failed(_) | Ended::Released => std::time::Duration::ZERO,
    }
}
