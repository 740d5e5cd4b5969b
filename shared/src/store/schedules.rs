//! What is asked about schedules by those who make them, and what both stores decide about them in the same way.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Schedule, ScheduleDefinition, ScheduleName, ScheduleSource, TenantName, Timestamp};

/// A schedule that somebody wants.
#[derive(Debug, Clone)]
pub struct NewSchedule {
    /// Whose it is.
    pub tenant: TenantName,
    /// What it is called.
    pub name: ScheduleName,
    /// What it is.
    pub definition: ScheduleDefinition,
    /// Who says so.
    pub by: ScheduleOwner,
    /// The present.
    pub now: Timestamp,
    /// The first tick after the present.
    pub next_at: Option<Timestamp>,
}

/// Who wants a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleOwner {
    /// A client, whose tenant may have so many.
    Client {
        /// At least 1.
        most: u32,
    },
    /// A process in whose configuration it is.
    Process {
        /// When it started: of several with different configurations, the one that started last decides.
        started: Timestamp,
        /// A process that has not confirmed a schedule since then is gone, and so is its word.
        alive_since: Timestamp,
    },
}

/// What became of a wish for a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutSchedule {
    /// There was none of this name.
    Created(Box<Schedule>),
    /// There is another now.
    Changed(Box<Schedule>),
    /// It was the same already.
    Unchanged(Box<Schedule>),
    /// It is one of the configuration: a client cannot change it. Or one of another process's configuration, which decides.
    Configured,
    /// The tenant has as many as it may.
    Full,
}

/// Schedules, as those see them who make them.
#[async_trait]
pub trait Schedules: Send + Sync {
    /// Makes a schedule or replaces it, in one durable commit. One whose times stay the same keeps its next tick; one that is
    /// paused stays so. A schedule that a process configures takes the place of a client's of the same name.
    async fn put_schedule(&self, new: &NewSchedule) -> Result<PutSchedule, StoreError>;

    /// Reads one. `None`: there is none.
    async fn find_schedule(&self, tenant: &TenantName, name: &ScheduleName) -> Result<Option<Schedule>, StoreError>;

    /// Reads a tenant's schedules by name, those after a name, at most so many.
    async fn list_schedules(
        &self,
        tenant: &TenantName,
        after: Option<&ScheduleName>,
        limit: u32,
    ) -> Result<Vec<Schedule>, StoreError>;

    /// Lets a schedule make no jobs. One that is paused stays so since when it is.
    async fn pause_schedule(&self, tenant: &TenantName, name: &ScheduleName, now: Timestamp) -> Result<(), StoreError>;

    /// Lets a paused schedule make jobs again, from this tick on. False: it is not paused, or has another version by now.
    async fn resume_schedule(
        &self,
        schedule: &Schedule,
        next_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Deletes a client's schedule; jobs that it made stay. False: there is none that is a client's.
    async fn delete_schedule(&self, tenant: &TenantName, name: &ScheduleName) -> Result<bool, StoreError>;
}

/// A schedule as it is kept.
#[derive(Debug, Clone)]
pub(super) struct KeptSchedule {
    pub(super) schedule: Schedule,
    /// Of one in a configuration.
    pub(super) claim: Option<Claim>,
}

/// Whose configuration a schedule is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// When that process started.
    pub(super) configured_at: Timestamp,
    /// When it, or another with the same word, last said so.
    pub(super) confirmed_at: Timestamp,
}

/// What is to be done about a wish.
#[derive(Debug)]
pub(super) enum Decision {
    /// This is to be kept, and then answered.
    Keep(Box<KeptSchedule>, PutSchedule),
    /// Nothing.
    Leave(PutSchedule),
}

/// Decides about a wish. `others`: schedules that the tenant has, when there is none of this name.
pub(super) fn decide(kept: Option<KeptSchedule>, others: u64, new: &NewSchedule) -> Decision {
    let (source, claim) = match new.by {
        ScheduleOwner::Client { .. } => (ScheduleSource::Api, None),
        ScheduleOwner::Process { started, .. } => {
            (ScheduleSource::Config, Some(Claim { configured_at: started, confirmed_at: new.now }))
        }
    };
    let Some(kept) = kept else {
        if matches!(new.by, ScheduleOwner::Client { most } if others >= most.into()) {
            return Decision::Leave(PutSchedule::Full);
        }
        let schedule = fresh(new, source);
        let answer = PutSchedule::Created(Box::new(schedule.clone()));
        return Decision::Keep(Box::new(KeptSchedule { schedule, claim }), answer);
    };
    match (new.by, kept.claim) {
        (ScheduleOwner::Client { .. }, Some(_)) => return Decision::Leave(PutSchedule::Configured),
        (ScheduleOwner::Process { started, alive_since }, Some(claim))
            if claim.configured_at > started && claim.confirmed_at >= alive_since =>
        {
            return Decision::Leave(PutSchedule::Configured);
        }
        _ => {}
    }
    let before = kept.schedule;
    if before.definition == new.definition && before.source == source {
        let answer = PutSchedule::Unchanged(Box::new(before.clone()));
        return match claim {
            Some(_) => Decision::Keep(Box::new(KeptSchedule { schedule: before, claim }), answer),
            None => Decision::Leave(answer),
        };
    }
    let same_times = before.definition.cron == new.definition.cron;
    let schedule = Schedule {
        source,
        definition: new.definition.clone(),
        version: before.version.saturating_add(1),
        updated_at: new.now,
        next_at: match before.paused_at {
            Some(_) => None,
            None if same_times => before.next_at,
            None => new.next_at,
        },
        problem: None,
        ..before
    };
    let answer = PutSchedule::Changed(Box::new(schedule.clone()));
    Decision::Keep(Box::new(KeptSchedule { schedule, claim }), answer)
}

fn fresh(new: &NewSchedule, source: ScheduleSource) -> Schedule {
    Schedule {
        tenant: new.tenant.clone(),
        name: new.name.clone(),
        source,
        definition: new.definition.clone(),
        version: 1,
        created_at: new.now,
        updated_at: new.now,
        paused_at: None,
        next_at: new.next_at,
        last_at: None,
        last_job: None,
        missed: 0,
        problem: None,
    }
}
