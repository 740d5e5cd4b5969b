//! The repair loops of the API.

use raincheck_shared::domain::{Command, Status};

use crate::flaw::Flaw;
use crate::scene::Scene;
use crate::step::Due;
use crate::world::{Cut, Id, Jobs, Note, Timers, World};

impl World {
    /// `fire_timers.sql`. A timer that no longer applies just goes.
    pub(crate) fn fire(&mut self, scene: &Scene, job: usize, due: Due) -> Option<()> {
        let row = self.rows[job].as_mut()?;
        let set = row.timers;
        if scene.has(Flaw::NoTimers)
            || (due.enqueue && !set.enqueue)
            || (due.expire && !set.expire)
            || (due.revoke && !set.revoke)
        {
            return None;
        }
        row.timers = Timers {
            enqueue: set.enqueue && !due.enqueue,
            expire: set.expire && !due.expire,
            revoke: set.revoke && !due.revoke,
        };
        let ended = due.revoke && self.change(job, Command::Revoke).is_some()
            || due.expire && self.change(job, Command::Expire { past_deadline: false }).is_some();
        if !ended && due.enqueue && self.change(job, Command::Enqueue).is_some() {
            let mut waiting = Jobs::default();
            waiting.insert(job);
            self.enqueue(waiting);
        }
        Some(())
    }

    /// `rescue_dead_worker.sql`.
    pub(crate) fn rescue(&mut self, scene: &Scene, incarnation: Id) -> Option<()> {
        if scene.has(Flaw::NoRescue) || !self.is_registered(incarnation) || !self.seems_dead(scene, incarnation) {
            return None;
        }
        self.registered &= !(1 << incarnation);
        let mut waiting = Jobs::default();
        for lease in &mut self.leases {
            if lease.is_some_and(|lease| lease.worker == incarnation)
                && let Some(dropped) = lease.take()
            {
                waiting.0 |= dropped.jobs.0;
            }
        }
        let command = Command::Lose { max_crashes: scene.max_crashes };
        self.give_back(incarnation, waiting, command);
        Some(())
    }

    /// Gives back those of the jobs that the incarnation runs.
    pub(crate) fn give_back(&mut self, incarnation: Id, jobs: Jobs, command: Command) {
        let mut waiting = Jobs::default();
        for job in jobs.iter() {
            let held = self.rows[job].and_then(|row| row.held);
            if held.is_some_and(|held| held.worker == incarnation) && self.change(job, command) == Some(Status::Queued)
            {
                waiting.insert(job);
            }
        }
        self.enqueue(waiting);
    }

    /// What the table can see of a worker: that its session lock is free, or that it missed its whole lease. One that is
    /// cut off silently and lives has stopped its handlers by then.
    fn seems_dead(&self, scene: &Scene, incarnation: Id) -> bool {
        let process = self.workers.iter().find(|worker| worker.alive && worker.incarnation == Some(incarnation));
        process.is_none_or(|worker| match worker.cut {
            _ if worker.frozen => true,
            Some(Cut::Severed) => true,
            Some(Cut::Silent) => !worker.sure || scene.has(Flaw::HandlersRunOn),
            None => false,
        })
    }

    /// `take_lost_dispatches.sql`: the broker shows fewer messages than dispatches are noted as published. Which of them it
    /// lost, nobody knows. `mistaken`: what it does not show may be with workers.
    pub(crate) fn find_lost(&mut self, scene: &Scene, id: Id, mistaken: bool) -> Option<()> {
        let published = self.dispatches.iter().filter(|dispatch| dispatch.row == Some(Note::Published)).count();
        let ready: usize = self.dispatches.iter().map(|dispatch| usize::from(dispatch.ready)).sum();
        let held = self.workers.iter().filter(|worker| !worker.frozen && worker.hand.is_some()).count();
        let missing = published > ready + if mistaken { 0 } else { held };
        let certain = published > ready + held;
        let dispatch = &mut self.dispatches[usize::from(id)];
        if scene.has(Flaw::NoFinder)
            || !self.broker_up
            || !missing
            || mistaken && certain
            || dispatch.row != Some(Note::Published)
        {
            return None;
        }
        dispatch.row = Some(Note::Unpublished);
        Some(())
    }
}
