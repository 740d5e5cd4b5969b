//! What the statements of the store have in common: rows change through [`apply`], and what waits gets its dispatch.

use raincheck_shared::domain::{Command, State, Status, Timestamp, apply};

use crate::world::{Broken, Dispatch, Id, Jobs, Note, Row, Timers, World};

/// Nothing in the model depends on the time of day.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

impl World {
    /// Does `command` to a job, as the statement of the store would. `None`: the state machine refuses, no row changes.
    pub(crate) fn change(&mut self, job: usize, command: Command) -> Option<Status> {
        let row = self.rows[job].as_mut()?;
        row.state = apply(&row.state, command, NOW).ok()?;
        row.version += 1;
        if row.state.status != Status::InProgress {
            row.held = None;
        }
        match row.state.status {
            Status::Retrying => row.timers.enqueue = true,
            status if status.is_done() => row.timers = Timers::default(),
            _ => {}
        }
        Some(row.state.status)
    }

    /// A dispatch for jobs that wait from now on.
    pub(crate) fn enqueue(&mut self, jobs: Jobs) {
        if jobs.count() > 0 {
            let at = self.dispatches.iter().position(|known| *known == Dispatch::default());
            let at = at.unwrap_or_else(|| panic!("no room for another dispatch: {self:?}"));
            self.dispatches[at] = Dispatch { jobs, row: Some(Note::Unpublished), ..Dispatch::default() };
        }
    }

    /// A new job's row.
    pub(crate) fn insert(&mut self, job: usize, state: State, timers: Timers) {
        self.rows[job] = Some(Row { state, version: 1, held: None, timers });
    }

    /// A token that nobody knows.
    pub(crate) fn fresh_token(&self) -> Id {
        let known = |token: Id| {
            self.rows.iter().flatten().any(|row| row.held.is_some_and(|held| held.token == token))
                || self.workers.iter().any(|worker| {
                    worker.runs.iter().flatten().any(|run| run.token == token)
                        || worker.lane.iter().flatten().any(|finish| finish.token == token)
                })
        };
        (0..Id::MAX).find(|token| !known(*token)).unwrap_or(Id::MAX)
    }

    /// An incarnation that nobody knows.
    pub(crate) fn fresh_incarnation(&self) -> Id {
        let known = |id: Id| {
            self.is_registered(id)
                || self.rows.iter().flatten().any(|row| row.held.is_some_and(|held| held.worker == id))
                || self.leases.iter().flatten().any(|lease| lease.worker == id)
                || self.workers.iter().any(|worker| {
                    worker.incarnation == Some(id) || worker.lane.iter().flatten().any(|finish| finish.worker == id)
                })
        };
        (0..16).find(|id| !known(*id)).unwrap_or_else(|| panic!("no room for another incarnation: {self:?}"))
    }

    /// A lease that nobody knows.
    pub(crate) fn fresh_lease(&self) -> Id {
        let known = |lease: usize| {
            self.leases[lease].is_some()
                || self.workers.iter().any(|worker| {
                    worker.runs.iter().flatten().any(|run| usize::from(run.lease) == lease)
                        || worker.lane.iter().flatten().any(|finish| usize::from(finish.lease) == lease)
                })
        };
        let free = (0..self.leases.len()).find(|lease| !known(*lease));
        free.and_then(|lease| Id::try_from(lease).ok()).unwrap_or_else(|| panic!("no room for another lease: {self:?}"))
    }

    /// Compares with the moment before, notes a promise that the step broke, and forgets what nobody can know any more,
    /// so that moments that differ in nothing but that are the same.
    pub(crate) fn settle(&mut self, before: &Self) {
        for (now, before) in self.rows.iter_mut().zip(before.rows) {
            let broken = match (before, now.as_ref()) {
                (Some(_), None) => Some(Broken::Forgotten),
                (Some(before), Some(now)) if before.state.status.is_done() => {
                    (before != *now).then_some(Broken::FinalChanged)
                }
                (Some(before), Some(now)) => {
                    let changed = before.state != now.state;
                    (now.version != before.version + u8::from(changed)).then_some(Broken::Version)
                }
                (None, _) => None,
            };
            self.broken = self.broken.or(broken);
            if let Some(row) = now {
                row.version = 1;
                if row.state.status.is_done() {
                    row.state = State { attempt: 0, started: false, cancel_requested: false, crashes: 0, ..row.state };
                }
            }
        }
        for id in 0..self.dispatches.len() {
            let Dispatch { row, relay, ready, .. } = self.dispatches[id];
            if row.is_none() && relay.is_none() && ready == 0 && !self.in_hand(id).any(|_| true) {
                self.dispatches[id] = Dispatch::default();
            }
        }
    }
}
