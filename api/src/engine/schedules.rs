//! Jobs that are made by a clock: what clients can ask about them. That they are made is the upkeep's doing.

use raincheck_shared::config::Settings;
use raincheck_shared::domain::{
    IdempotencyKey, Schedule, ScheduleDefinition, ScheduleName, ScheduleSource, TenantName, Timestamp,
};
use raincheck_shared::store::{NewSchedule, PutSchedule, ScheduleOwner};

use super::acceptance::as_kept;
use super::desk::{Desk, SubmitError};
use super::schedule_job::MARKS;
use super::{Examined, Fault, FaultKind, Field, Refusal, Rejection, Submission, examine, submission_of};

/// The largest input of a schedule, in bytes: it is read with each tick, and shown in lists.
pub(crate) const LARGEST_INPUT: usize = 64 * 1024;

/// Tries to change a schedule that others change as well.
const TRIES: usize = 5;

impl Desk {
    /// Looks at what would be a schedule, as if its next tick were now.
    pub(crate) async fn check_schedule(
        &self,
        tenant: &TenantName,
        name: &ScheduleName,
        definition: &ScheduleDefinition,
    ) -> Result<(), Rejection> {
        if definition.input.bytes.len() > LARGEST_INPUT {
            return Err(Rejection::TooLarge(LARGEST_INPUT as u64));
        }
        let submission = submission_of(tenant, name, definition, Some(self.clock.now()));
        let mut faults = own_faults(definition);
        match self.check(&submission).await {
            Ok(_) => {}
            Err(Rejection::Faults(found)) => faults.extend(found),
            Err(other) => return Err(other),
        }
        if faults.is_empty() { Ok(()) } else { Err(Rejection::Faults(faults)) }
    }

    /// Makes a schedule, or replaces it.
    pub(crate) async fn put_schedule(
        &self,
        tenant: &TenantName,
        name: &ScheduleName,
        definition: ScheduleDefinition,
    ) -> Result<PutSchedule, SubmitError> {
        self.check_schedule(tenant, name, &definition).await.map_err(SubmitError::Rejected)?;
        let (most, now) = (self.settings.jobs.max_schedules, as_kept(self.clock.now()));
        let next_at = definition.cron.next_after(now);
        let by = ScheduleOwner::Client { most };
        let new = NewSchedule { tenant: tenant.clone(), name: name.clone(), definition, by, now, next_at };
        match self.calls.ask(move |store| async move { store.schedules.put_schedule(&new).await }).await? {
            PutSchedule::Configured => Err(Refusal::ConfiguredSchedule(name.clone()).into()),
            PutSchedule::Full => Err(Refusal::TooManySchedules { most }.into()),
            put => {
                self.ticks.nudge();
                Ok(put)
            }
        }
    }

    /// Reads a tenant's schedule.
    pub(crate) async fn schedule(&self, tenant: &TenantName, name: &ScheduleName) -> Result<Schedule, Refusal> {
        let (whose, called) = (tenant.clone(), name.clone());
        let found = self.calls.ask(move |store| async move { store.schedules.find_schedule(&whose, &called).await });
        found.await?.ok_or_else(|| Refusal::UnknownSchedule(name.clone()))
    }

    /// Lists a tenant's schedules by name.
    pub(crate) async fn schedules(
        &self,
        tenant: &TenantName,
        after: Option<ScheduleName>,
        limit: u32,
    ) -> Result<Vec<Schedule>, Refusal> {
        let tenant = tenant.clone();
        let list = move |store: raincheck_shared::store::Store| async move {
            store.schedules.list_schedules(&tenant, after.as_ref(), limit).await
        };
        self.calls.ask(list).await
    }

    /// Lets a schedule make no jobs, or make them again: from the next tick on, those between are nobody's.
    pub(crate) async fn set_schedule_paused(
        &self,
        tenant: &TenantName,
        name: &ScheduleName,
        paused: bool,
    ) -> Result<Schedule, Refusal> {
        for _ in 0..TRIES {
            let schedule = self.schedule(tenant, name).await?;
            if schedule.paused_at.is_some() == paused {
                return Ok(schedule);
            }
            let now = self.clock.now();
            let set = move |store: raincheck_shared::store::Store| async move {
                if paused {
                    store.schedules.pause_schedule(&schedule.tenant, &schedule.name, now).await
                } else {
                    let next_at = schedule.definition.cron.next_after(now);
                    // If it has changed meanwhile, it is read and seen to once more.
                    store.schedules.resume_schedule(&schedule, next_at, now).await.map(drop)
                }
            };
            self.calls.ask(set).await?;
            self.ticks.nudge();
        }
        Err(Refusal::Busy)
    }

    /// Deletes a client's schedule. Jobs that it made stay.
    pub(crate) async fn delete_schedule(&self, tenant: &TenantName, name: &ScheduleName) -> Result<(), Refusal> {
        let (whose, called) = (tenant.clone(), name.clone());
        let delete = move |store: raincheck_shared::store::Store| async move {
            store.schedules.delete_schedule(&whose, &called).await
        };
        if self.calls.ask(delete).await? {
            return Ok(());
        }
        let schedule = self.schedule(tenant, name).await?;
        // A client's that was made in this very moment is a busy one.
        Err(match schedule.source {
            ScheduleSource::Config => Refusal::ConfiguredSchedule(name.clone()),
            ScheduleSource::Api => Refusal::Busy,
        })
    }

    /// What a schedule's job asks for that is wanted now, beside its ticks.
    pub(crate) async fn triggered(
        &self,
        tenant: &TenantName,
        name: &ScheduleName,
        key: Option<IdempotencyKey>,
        traceparent: Option<String>,
    ) -> Result<Submission, Refusal> {
        let schedule = self.schedule(tenant, name).await?;
        Ok(Submission { key, traceparent, ..submission_of(tenant, name, &schedule.definition, None) })
    }
}

/// What can be wrong with a schedule and not with a submission.
fn own_faults(definition: &ScheduleDefinition) -> Vec<Fault> {
    let taken = MARKS.into_iter().filter(|mark| definition.options.metadata.contains_key(*mark));
    taken
        .map(|mark| Fault {
            field: Field::MetadataPair(mark.to_owned()),
            kind: FaultKind::Invalid,
            detail: "is what the schedule itself says here".to_owned(),
        })
        .collect()
}

/// The schedules of the configuration that ask for what would be refused at `now`, and why, by fields.
pub fn schedule_problems(settings: &Settings, now: Timestamp) -> impl Iterator<Item = (ScheduleName, String)> {
    settings.schedules.iter().filter_map(move |schedule| {
        let definition = &schedule.definition;
        let submission = submission_of(&schedule.tenant, &schedule.name, definition, Some(now));
        let mut faults = own_faults(definition);
        let problem = match examine(&submission, settings, now) {
            _ if definition.input.bytes.len() > LARGEST_INPUT => {
                Some(format!("its input is larger than {LARGEST_INPUT} bytes"))
            }
            Ok(Examined { faults: found, .. }) => {
                faults.extend(found);
                let told: Vec<String> = faults.into_iter().map(|fault| fault.to_string()).collect();
                (!told.is_empty()).then(|| told.join("; "))
            }
            Err(rejection) => Some(rejection.to_string()),
        };
        problem.map(|problem| (schedule.name.clone(), problem))
    })
}
