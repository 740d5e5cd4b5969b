//! From the end of a handler to the table.

use raincheck_shared::domain::{Command, Status};

use crate::flaw::Flaw;
use crate::scene::Scene;
use crate::step::Outcome;
use crate::world::{Broken, Finish, Id, Jobs, Row, Worker, World};

impl World {
    pub(crate) fn end(&mut self, worker: usize, job: usize, outcome: Outcome) -> Option<()> {
        let Worker { alive, frozen, draining, .. } = self.workers[worker];
        // Handlers are given as long as they need, unless their worker drains.
        let possible = alive && !frozen && (draining || outcome != Outcome::Released);
        if possible { self.conclude(worker, job, outcome) } else { None }
    }

    /// `finish_jobs.sql`, for the next end in the lane.
    pub(crate) fn record(&mut self, scene: &Scene, worker: usize) -> Option<()> {
        let Worker { alive, frozen, cut, .. } = self.workers[worker];
        if !alive || frozen || cut.is_some() {
            return None;
        }
        self.finish(scene, worker)?;
        let lane = &mut self.workers[worker].lane;
        lane[0] = None;
        lane.rotate_left(1);
        Some(())
    }

    /// The statement may have been sent before the worker was frozen or cut off. It will be sent again.
    pub(crate) fn lose_record(&mut self, scene: &Scene, worker: usize) -> Option<()> {
        self.workers[worker].alive.then_some(())?;
        self.finish(scene, worker)
    }

    fn finish(&mut self, scene: &Scene, worker: usize) -> Option<()> {
        let lane = self.workers[worker].lane;
        let finish = lane[0]?;
        if finish.last || scene.has(Flaw::LeaseGoesEarly) {
            self.drop_lease(finish.lease, finish.worker);
        }
        let job = usize::from(finish.job);
        let row = self.rows[job]?;
        if !shows_the_fence(scene, &row, finish) {
            return Some(());
        }
        let rightful = row.held.is_some_and(|held| held.token == finish.token && held.worker == finish.worker);
        let command = match finish.outcome {
            Outcome::Succeeded => Command::Succeed,
            Outcome::Retry => Command::Retry,
            Outcome::Snoozed => Command::Snooze,
            Outcome::Released => Command::Release,
        };
        let status = self.change(job, command);
        if status.is_some() && !rightful {
            self.broken = self.broken.or(Some(Broken::Usurped));
        }
        if status == Some(Status::Queued) {
            let mut waiting = Jobs::default();
            waiting.insert(job);
            self.enqueue(waiting);
        }
        Some(())
    }

    /// Ids of leases are never used again, but the small numbers here are.
    fn drop_lease(&mut self, lease: Id, worker: Id) {
        let place = &mut self.leases[usize::from(lease)];
        *place = place.filter(|lease| lease.worker != worker);
    }
}

fn shows_the_fence(scene: &Scene, row: &Row, finish: Finish) -> bool {
    if row.state.status != Status::InProgress {
        return false;
    }
    let same_attempt = row.state.attempt == i32::from(finish.attempt);
    let same_token = row.held.is_some_and(|held| held.token == finish.token && held.worker == finish.worker);
    scene.has(Flaw::NoFence) || same_attempt && (same_token || scene.has(Flaw::NoToken))
}
