//! Keeping new jobs.
//!
//! A batch is at most two statements that run side by side, so that jobs without a key never wait for a key. When one
//! fails for what may be a single row's fault, each of its rows is tried alone.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::accept_statement::statement;
use super::database::{Database, Lane, Statement};
use super::refusal::{is_lock_timeout, may_be_one_row, refusal};
use super::rows::Cells;
use crate::domain::{Dispatch, Fingerprint, JobId, NewJob};
use crate::store::{Accepted, AcceptedBatch, StoreError};

/// How long a submit waits for the first one with its key to be decided.
pub(super) const KEY_WAIT: Duration = Duration::from_secs(2);

/// The same within a batch: its neighbours have not asked for the wait.
pub(super) const BATCH_KEY_WAIT: Duration = Duration::from_millis(200);

/// The same for each of many jobs that go one after the other.
const APART_KEY_WAIT: Duration = Duration::from_millis(20);

/// Rows of a failed batch that are tried at the same time.
const ALONE_AT_ONCE: usize = 4;

type Answer = Result<Accepted, StoreError>;

/// What became of some jobs of a batch, by their place in it.
#[derive(Default)]
struct Outcome {
    answers: Vec<(usize, Answer)>,
    dispatches: Vec<Dispatch>,
}

/// Where statements go.
enum Road<'a> {
    /// Each on a connection of the pool, and a commit of its own.
    Pool(&'a Database, Instant),
    /// Into a transaction that the caller ends, one after the other.
    Transaction(Mutex<&'a mut PgConnection>),
}

/// Some jobs on their way.
pub(super) struct Acceptance<'a> {
    road: Road<'a>,
    jobs: &'a [NewJob],
    timeout: Duration,
}

pub(super) async fn accept(database: &Database, jobs: &[NewJob]) -> AcceptedBatch {
    let road = Road::Pool(database, database.deadline());
    let acceptance = Acceptance { road, jobs, timeout: database.timeout() };
    let (firsts, repeats) = acceptance.split_repeats();
    let (keyed, plain): (Vec<usize>, Vec<usize>) = firsts.into_iter().partition(|&i| jobs[i].idempotency.is_some());
    let (keyed, plain) = tokio::join!(acceptance.keep(keyed), acceptance.keep(plain));

    let mut dispatches = plain.dispatches;
    dispatches.extend(keyed.dispatches);
    let mut answers: HashMap<usize, Answer> = plain.answers.into_iter().chain(keyed.answers).collect();
    for (repeat, first) in repeats {
        let answer = match &answers[&first] {
            Ok(accepted) => Ok(acceptance.known_through(first, accepted)),
            // What was wrong with the first need not be wrong with this one.
            Err(StoreError::Rejected(_)) => {
                let mut alone = acceptance.keep(vec![repeat]).await;
                dispatches.append(&mut alone.dispatches);
                alone.answers.pop().map_or_else(|| Err(unanswered()), |(_, answer)| answer)
            }
            Err(error) => Err(error.clone()),
        };
        answers.insert(repeat, answer);
    }
    let answers = (0..jobs.len()).map(|i| answers.remove(&i).unwrap_or_else(|| Err(unanswered()))).collect();
    AcceptedBatch { answers, dispatches }
}

fn unanswered() -> StoreError {
    StoreError::unavailable(sqlx::Error::RowNotFound)
}

impl<'a> Acceptance<'a> {
    /// Jobs that are kept in a transaction of the caller's.
    pub(super) fn within(connection: &'a mut PgConnection, jobs: &'a [NewJob], timeout: Duration) -> Self {
        Self { road: Road::Transaction(Mutex::new(connection)), jobs, timeout }
    }

    async fn fetch(&self, lane: Lane, statement: Statement<'_>) -> Result<Vec<PgRow>, sqlx::Error> {
        match &self.road {
            Road::Pool(database, deadline) => database.fetch_until(*deadline, lane, statement).await,
            Road::Transaction(connection) => statement.fetch_all(&mut **connection.lock().await).await,
        }
    }

    /// Keeps all jobs in the caller's transaction; on an error nothing more can be done in it.
    pub(super) async fn keep_in_transaction(&self, key_wait: Duration) -> Result<AcceptedBatch, sqlx::Error> {
        let (firsts, repeats) = self.split_repeats();
        let outcome = if firsts.is_empty() { Outcome::default() } else { self.insert(&firsts, key_wait).await? };
        Ok(self.answered(outcome, repeats))
    }

    /// Keeps each job that can be in the caller's transaction. One that cannot leaves nothing behind.
    pub(super) async fn keep_apart(&self) -> Result<AcceptedBatch, sqlx::Error> {
        let (firsts, repeats) = self.split_repeats();
        let mut all = Outcome::default();
        for row in firsts {
            self.fetch(Lane::Durable, sqlx::query("SAVEPOINT one")).await?;
            match self.insert(&[row], APART_KEY_WAIT).await {
                Ok(one) => {
                    self.fetch(Lane::Durable, sqlx::query("RELEASE SAVEPOINT one")).await?;
                    all.answers.extend(one.answers);
                    all.dispatches.extend(one.dispatches);
                }
                // Of a connection that is gone this fails as well, and the whole with it.
                Err(error) => {
                    self.fetch(Lane::Durable, sqlx::query("ROLLBACK TO SAVEPOINT one")).await?;
                    all.answers.push((row, Err(self.refused(row, error))));
                }
            }
        }
        Ok(self.answered(all, repeats))
    }

    fn answered(&self, outcome: Outcome, repeats: Vec<(usize, usize)>) -> AcceptedBatch {
        let mut answers: HashMap<usize, Answer> = outcome.answers.into_iter().collect();
        for (repeat, first) in repeats {
            let answer = match answers.get(&first) {
                Some(Ok(accepted)) => Ok(self.known_through(first, accepted)),
                Some(Err(error)) => Err(error.clone()),
                None => Err(unanswered()),
            };
            answers.insert(repeat, answer);
        }
        let answers = (0..self.jobs.len()).map(|i| answers.remove(&i).unwrap_or_else(|| Err(unanswered()))).collect();
        AcceptedBatch { answers, dispatches: outcome.dispatches }
    }

    fn refused(&self, row: usize, error: sqlx::Error) -> StoreError {
        let in_flight = self.jobs[row].idempotency.is_some() && is_lock_timeout(&error);
        if in_flight { StoreError::KeyInFlight } else { refusal(error) }
    }

    /// The first job of each key and all without one; and the others, each with its first.
    fn split_repeats(&self) -> (Vec<usize>, Vec<(usize, usize)>) {
        let mut first_of: HashMap<(&str, &str), usize> = HashMap::new();
        let (mut firsts, mut repeats) = (Vec::new(), Vec::new());
        for (i, job) in self.jobs.iter().enumerate() {
            match scoped_key(job).map(|key| *first_of.entry(key).or_insert(i)) {
                Some(first) if first != i => repeats.push((i, first)),
                _ => firsts.push(i),
            }
        }
        (firsts, repeats)
    }

    fn known_through(&self, first: usize, accepted: &Accepted) -> Accepted {
        match (accepted, &self.jobs[first].idempotency) {
            (Accepted::New { id, .. }, Some(idempotency)) => {
                Accepted::Known { first: *id, fingerprint: idempotency.fingerprint }
            }
            _ => accepted.clone(),
        }
    }

    async fn keep(&self, rows: Vec<usize>) -> Outcome {
        if rows.len() < 2 {
            return match rows.first() {
                Some(&row) => self.keep_alone(row).await,
                None => Outcome::default(),
            };
        }
        match self.insert(&rows, BATCH_KEY_WAIT).await {
            Ok(outcome) => outcome,
            Err(error) if may_be_one_row(&error) => {
                tracing::debug!(%error, jobs = rows.len(), "a batch of new jobs failed, trying each alone");
                let alone = stream::iter(rows).map(|row| self.keep_alone(row)).buffer_unordered(ALONE_AT_ONCE);
                alone
                    .fold(Outcome::default(), |mut all, one| async move {
                        all.answers.extend(one.answers);
                        all.dispatches.extend(one.dispatches);
                        all
                    })
                    .await
            }
            // The commit may have happened. To try again would be to accept twice.
            Err(error) => {
                let error = refusal(error);
                Outcome { answers: rows.into_iter().map(|i| (i, Err(error.clone()))).collect(), ..Outcome::default() }
            }
        }
    }

    async fn keep_alone(&self, row: usize) -> Outcome {
        self.insert(&[row], KEY_WAIT).await.unwrap_or_else(|error| Outcome {
            answers: vec![(row, Err(self.refused(row, error)))],
            ..Outcome::default()
        })
    }

    async fn insert(&self, rows: &[usize], key_wait: Duration) -> Result<Outcome, sqlx::Error> {
        let (mut outcome, lost) = self.insert_fresh(rows, key_wait).await?;
        if lost.is_empty() {
            return Ok(outcome);
        }
        let freed = self.look_up(&lost, &mut outcome).await?;
        if !freed.is_empty() {
            let (fresh, lost) = self.insert_fresh(&freed, key_wait).await?;
            outcome.answers.extend(fresh.answers);
            outcome.dispatches.extend(fresh.dispatches);
            // Somebody was quicker twice.
            let undecided = self.look_up(&lost, &mut outcome).await?;
            outcome.answers.extend(undecided.into_iter().map(|i| (i, Err(StoreError::KeyInFlight))));
        }
        Ok(outcome)
    }

    /// Inserts what can be; answers which rows lost their keys to jobs that came first.
    async fn insert_fresh(&self, rows: &[usize], wait: Duration) -> Result<(Outcome, Vec<usize>), sqlx::Error> {
        let jobs: Vec<&NewJob> = rows.iter().map(|&i| &self.jobs[i]).collect();
        let wait = wait.min(self.timeout / 2).as_millis().to_string();
        let found = self.fetch(Lane::Durable, statement(&jobs, &wait)).await?;

        let by_id: HashMap<JobId, usize> = rows.iter().map(|&i| (self.jobs[i].id, i)).collect();
        let mut outcome = Outcome::default();
        let mut new = HashSet::new();
        for row in &found {
            let cells = Cells::of("dispatches", row);
            let read = || {
                Ok::<_, StoreError>((cells.get::<Option<i64>>("id")?, cells.job_ids("jobs")?, cells.parse("status")?))
            };
            let (dispatch, ids, status) = read().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            for id in &ids {
                if let Some(&i) = by_id.get(id) {
                    new.insert(i);
                    outcome.answers.push((i, Ok(Accepted::New { id: *id, status })));
                }
            }
            let first = ids.first().and_then(|id| by_id.get(id)).map(|&i| &self.jobs[i]);
            if let (Some(id), Some(job)) = (dispatch, first) {
                let (queue, kind) = (job.queue.clone(), job.kind.clone());
                outcome.dispatches.push(Dispatch { id, queue, band: job.band(), kind, jobs: ids });
            }
        }
        let lost = rows.iter().copied().filter(|i| !new.contains(i)).collect();
        Ok((outcome, lost))
    }

    /// Answers for jobs whose keys others hold, and says whose keys turned out to be free: the job that held it is
    /// gone, or past its retention.
    async fn look_up(&self, lost: &[usize], outcome: &mut Outcome) -> Result<Vec<usize>, sqlx::Error> {
        let by_key: HashMap<(&str, &str), usize> =
            lost.iter().filter_map(|&i| scoped_key(&self.jobs[i]).map(|key| (key, i))).collect();
        if by_key.is_empty() {
            return Ok(Vec::new());
        }
        let (tenants, keys): (Vec<&str>, Vec<&str>) = by_key.keys().copied().unzip();
        let query = sqlx::query(include_str!("sql/find_keys.sql")).bind(keys).bind(tenants);
        // Not a replica's and not an older snapshot's view: the transaction that won has committed.
        let found = self.fetch(Lane::Relaxed, query).await?;
        let mut freed: HashSet<usize> = by_key.values().copied().collect();
        let mut stale: (Vec<String>, Vec<Uuid>) = Default::default();
        for row in &found {
            let cells = Cells::of("idempotency_keys", row);
            let read = || {
                let holder = (cells.get::<&str>("tenant")?, cells.get::<&str>("key")?, cells.get::<Uuid>("job_id")?);
                Ok::<_, StoreError>((holder, Fingerprint(cells.digest("fingerprint")?), cells.get::<bool>("stale")?))
            };
            let ((tenant, key, holder), fingerprint, is_stale) =
                read().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            let Some(&i) = by_key.get(&(tenant, key)) else { continue };
            if is_stale {
                stale.0.push(key.to_owned());
                stale.1.push(holder);
            } else {
                freed.remove(&i);
                outcome.answers.push((i, Ok(Accepted::Known { first: JobId::new(holder), fingerprint })));
            }
        }
        if !stale.0.is_empty() {
            let query = sqlx::query(include_str!("sql/delete_stale_keys.sql")).bind(stale.0).bind(stale.1);
            self.fetch(Lane::Durable, query).await?;
        }
        Ok(freed.into_iter().collect())
    }
}

/// A key and whose it is: the same key of another tenant is another.
fn scoped_key(job: &NewJob) -> Option<(&str, &str)> {
    job.idempotency.as_ref().map(|idempotency| (job.tenant.as_str(), idempotency.key.as_str()))
}
