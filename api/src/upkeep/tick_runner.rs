//! Makes the jobs of schedules: sleeps until the next tick, makes its job, moves the schedule on. Both are one commit, so
//! however many replicas do this, and whoever dies over it, a tick has one job.
//!
//! What stands in the way of a job (a queue that is full, a kind that this configuration does not have) leaves its tick due,
//! and the schedule says why. When it can be made at last, the schedule's policy says what of the ticks since is run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use raincheck_shared::config::StoreSettings;
use raincheck_shared::domain::{Due, NewJob, Schedule, Timestamp};
use raincheck_shared::lifecycle::failpoint::{self, Step};
use raincheck_shared::lifecycle::{Next, Nudge, Reconciler, ReconcilerHealth, Shutdown};
use raincheck_shared::store::{Fired, Firing, NewSchedule, ScheduleOwner, StoreError};
use raincheck_shared::telemetry::Chain;

use super::{Depths, Parts};
use crate::engine::{Admission, AfterCommit, Examined, Fact, Rejection, examine, submission_of};

/// Schedules that are read at once.
const PAGE: u32 = 100;
/// Jobs of one schedule in one commit.
const AT_ONCE: usize = 100;
/// The pause after which a job is tried again that could not be made.
const AGAIN: Duration = Duration::from_secs(1);
/// The shortest pause between two looks.
const SPIN: Duration = Duration::from_millis(10);
/// How often a process says what its configuration has.
const CONFIRM: Duration = Duration::from_secs(30);
/// How long its word counts. During a rolling restart old and new processes differ: what only the old ones have goes once
/// none of them is left.
const WORD: Duration = Duration::from_mins(2);

struct TickRunner {
    parts: Parts,
    admission: Admission,
    after: AfterCommit,
    started: Timestamp,
    confirmed: Mutex<Option<Instant>>,
}

/// What became of a schedule that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ran {
    /// Its ticks have their jobs.
    Done,
    /// Some have, and there are more.
    More,
    /// Not now.
    Blocked,
}

pub(super) fn start(
    parts: &Parts,
    depths: Depths,
    (nudge, parked): (Nudge, Nudge),
    shutdown: &Shutdown,
) -> ReconcilerHealth {
    let admission = Admission::new(depths, Arc::clone(&parts.clock));
    let after = AfterCommit {
        wakeups: Arc::clone(&parts.broker.wakeups),
        admission: admission.clone(),
        relay: parts.relay.clone(),
        parked,
        clock: Arc::clone(&parts.clock),
    };
    let runner = Arc::new(TickRunner {
        parts: parts.clone(),
        admission,
        after,
        started: parts.clock.now(),
        confirmed: Mutex::default(),
    });
    let period = parts.settings.upkeep.schedules;
    Reconciler { name: "schedules", period, nudge }.start(shutdown, move || {
        let runner = Arc::clone(&runner);
        async move { runner.run().await }
    })
}

impl TickRunner {
    async fn run(&self) -> Result<Next, StoreError> {
        self.confirm().await?;
        let store = &self.parts.store;
        let (now, mut blocked) = (self.parts.clock.now(), false);
        let mut after = None;
        loop {
            let page = store.ticks.list_due_schedules(now, after.as_ref(), PAGE).await?;
            for schedule in &page {
                match self.fire(schedule, now).await? {
                    Ran::Done => {}
                    // It is read again with the next look, which comes at once.
                    Ran::More => return Ok(Next::Again),
                    Ran::Blocked => blocked = true,
                }
            }
            let is_last = page.len() < PAGE as usize;
            after = page.into_iter().last();
            if is_last || after.is_none() {
                break;
            }
        }
        let next = store.ticks.next_tick(now).await?;
        let until = next.map(|at| Duration::try_from(at - self.parts.clock.now()).unwrap_or_default().max(SPIN));
        Ok(match (until, blocked) {
            (Some(wait), true) => Next::Within(wait.min(AGAIN)),
            (None, true) => Next::Within(AGAIN),
            (Some(wait), false) => Next::Within(wait),
            (None, false) => Next::Idle,
        })
    }

    /// Makes the jobs of a schedule's ticks, as many as there is room for.
    async fn fire(&self, schedule: &Schedule, now: Timestamp) -> Result<Ran, StoreError> {
        let Some(first) = schedule.next_at else { return Ok(Ran::Done) };
        let definition = &schedule.definition;
        let Due { mut run, missed, mut next } = definition.catch_up.due(&definition.cron, first, now);
        let mut made = Vec::with_capacity(run.len().min(AT_ONCE));
        let mut obstacle = None;
        for tick in run.iter().take(AT_ONCE) {
            match self.job(schedule, *tick, made.len() as u64).await {
                Ok(job) => made.push(job),
                Err(problem) => {
                    obstacle = Some(problem);
                    break;
                }
            }
        }
        let left = run.split_off(made.len());
        next = left.first().copied().or(next);
        if made.is_empty()
            && let Some(problem) = &obstacle
        {
            return self.note(schedule, problem).await.map(|()| Ran::Blocked);
        }
        let last = run.last().copied().zip(made.last().map(|job| job.id));
        let firing = Firing { schedule: schedule.clone(), jobs: made, last, missed, next_at: next };
        match self.parts.store.ticks.fire_schedule(&firing).await {
            Ok(Fired::Made(accepted)) => {
                failpoint::passed(Step::Committed).await;
                let facts: Vec<_> = firing.jobs.iter().map(Fact::of).collect();
                self.after.spread(&facts, &accepted.answers, accepted.dispatches);
            }
            Ok(Fired::Elsewhere) => return Ok(Ran::Done),
            Err(error @ StoreError::Rejected(_)) => {
                tracing::warn!(error = %Chain(&error), schedule = %schedule.name, "the store refused the job of a schedule");
                return self.note(schedule, "the store cannot keep its job").await.map(|()| Ran::Blocked);
            }
            Err(error) => return Err(error),
        }
        if missed > 0 {
            tracing::info!(schedule = %schedule.name, tenant = %schedule.tenant, missed, "ticks of a schedule were passed over");
        }
        Ok(match (left.is_empty(), obstacle) {
            (true, _) => Ran::Done,
            (false, None) => Ran::More,
            (false, Some(_)) => Ran::Blocked,
        })
    }

    /// The job of a tick, unless something is in its way. `ahead`: jobs that go before it into the same queue.
    async fn job(&self, schedule: &Schedule, tick: Timestamp, ahead: u64) -> Result<NewJob, String> {
        let settings = &self.parts.settings;
        let submission = submission_of(&schedule.tenant, &schedule.name, &schedule.definition, Some(tick));
        let examined =
            examine(&submission, settings, self.parts.clock.now()).map_err(|rejection| rejection.to_string())?;
        let Examined { mut job, faults } = examined;
        if !faults.is_empty() {
            return Err(Rejection::Faults(faults).to_string());
        }
        self.admission
            .admit_behind(&job.queue, ahead, settings.jobs.max_queued)
            .await
            .map_err(|refusal| refusal.to_string())?;
        if let Some(most) = settings.quotas.of(&schedule.tenant).queued {
            let admitted = self.admission.admit_of(&schedule.tenant, ahead, most).await;
            admitted.map_err(|refusal| refusal.to_string())?;
        }
        job.express = self.admission.passes(&job.queue, &schedule.tenant);
        Ok(job)
    }

    async fn note(&self, schedule: &Schedule, problem: &str) -> Result<(), StoreError> {
        if schedule.problem.as_deref() == Some(problem) {
            return Ok(());
        }
        tracing::warn!(schedule = %schedule.name, tenant = %schedule.tenant, problem, "a tick waits for its job");
        self.parts.store.ticks.note_schedule_problem(schedule, Some(problem)).await
    }

    /// Says what the configuration has, now and then, and removes what no living process has any more.
    async fn confirm(&self) -> Result<(), StoreError> {
        let asked = self.parts.clock.monotonic();
        let last = *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| asked.saturating_duration_since(last) < CONFIRM) {
            return Ok(());
        }
        let now = self.parts.clock.now();
        let alive_since = match self.parts.settings.store {
            StoreSettings::Postgres { .. } => now - WORD,
            // There is no other process.
            StoreSettings::Sqlite { .. } => now,
        };
        let by = ScheduleOwner::Process { started: self.started, alive_since };
        for configured in &self.parts.settings.schedules {
            let (tenant, name) = (configured.tenant.clone(), configured.name.clone());
            let definition = configured.definition.clone();
            let next_at = definition.cron.next_after(now);
            let new = NewSchedule { tenant, name, definition, by, now, next_at };
            match self.parts.store.schedules.put_schedule(&new).await {
                Ok(_) => {}
                Err(error @ StoreError::Rejected(_)) => {
                    tracing::error!(error = %Chain(&error), schedule = %new.name, "the store cannot keep a schedule of the configuration");
                }
                Err(error) => return Err(error),
            }
        }
        for (tenant, name) in self.parts.store.ticks.remove_unconfirmed_schedules(alive_since).await? {
            tracing::info!(schedule = %name, %tenant, "a schedule that is in no configuration any more was removed");
        }
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        Ok(())
    }
}
