//! From a message, or from the table, to handlers that run.

use raincheck_shared::domain::{Command, Status};

use crate::flaw::Flaw;
use crate::scene::{MOST, Scene};
use crate::step::Outcome;
use crate::world::{Finish, Hand, Hold, Id, Jobs, Lease, Run, Worker, World};

/// What becomes of a claim that is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The worker gets it.
    Heard,
    /// The worker does not, so its message goes back, and it will look for strays.
    Lost,
}

impl Worker {
    fn takes(&self, scene: &Scene, jobs: Jobs) -> bool {
        let busy = self.runs.iter().flatten().count() + self.lane.iter().flatten().count();
        let ready = self.alive && !self.frozen && self.cut.is_none() && self.sure && !self.draining;
        // Without the fence a job may wait again whose handler runs here, and a worker has one place for each job.
        let unfenced = scene.has(Flaw::NoFence) || scene.has(Flaw::NoToken);
        let full = unfenced && jobs.iter().any(|job| self.runs[job].is_some());
        ready && self.incarnation.is_some() && self.hand.is_none() && busy + jobs.count() <= MOST && !full
    }
}

impl World {
    pub(crate) fn receive(&mut self, scene: &Scene, worker: usize, id: Id) -> Option<()> {
        let dispatch = &mut self.dispatches[usize::from(id)];
        if !self.broker_up || dispatch.ready == 0 || !self.workers[worker].takes(scene, dispatch.jobs) {
            return None;
        }
        dispatch.ready -= 1;
        self.workers[worker].hand = Some(Hand { dispatch: id, receipt: true, claimed: false });
        Some(())
    }

    /// `claim_jobs.sql`. The statement may have been sent before the worker was frozen, was asked to stop or came to doubt
    /// its lease; then what it took is given back at once.
    pub(crate) fn claim(&mut self, scene: &Scene, worker: usize, answer: Answer) -> Option<()> {
        let Worker { alive, cut, incarnation, hand, .. } = self.workers[worker];
        let hand = hand.filter(|hand| !hand.claimed)?;
        if !alive || cut.is_some() && answer == Answer::Heard || scene.has(Flaw::AckBeforeClaim) && hand.receipt {
            return None;
        }
        let incarnation = incarnation?;
        if !self.is_registered(incarnation) {
            // A lease needs the row of its worker: refused.
            self.workers[worker].sure = false;
            self.put_back(worker);
            return Some(());
        }
        self.take(worker, incarnation, hand.dispatch, answer);
        if answer == Answer::Lost {
            self.put_back(worker);
            return Some(());
        }
        let done = Hand { claimed: true, ..hand };
        self.workers[worker].hand = Some(done).filter(|_| !scene.has(Flaw::AckBeforeClaim));
        Some(())
    }

    /// `claim_waiting_jobs.sql`.
    pub(crate) fn claim_waiting(&mut self, scene: &Scene, worker: usize, id: Id, answer: Answer) -> Option<()> {
        let dispatch = self.dispatches[usize::from(id)];
        let incarnation = self.workers[worker].incarnation?;
        if scene.has(Flaw::NoFallback)
            || self.broker_up
            || dispatch.row.is_none()
            || !self.workers[worker].takes(scene, dispatch.jobs)
        {
            return None;
        }
        if !self.is_registered(incarnation) {
            self.workers[worker].sure = false;
            return Some(());
        }
        self.take(worker, incarnation, id, answer);
        Some(())
    }

    pub(crate) fn ack(&mut self, scene: &Scene, worker: usize) -> Option<()> {
        let Worker { alive, frozen, hand, .. } = self.workers[worker];
        let hand = hand.filter(|_| alive && !frozen)?;
        if scene.has(Flaw::AckBeforeClaim) {
            self.workers[worker].hand = Some(Hand { receipt: false, ..hand });
            return hand.receipt.then_some(());
        }
        hand.claimed.then(|| self.workers[worker].hand = None)
    }

    pub(crate) fn give_message_back(&mut self, worker: usize) -> Option<()> {
        let Worker { alive, frozen, cut, draining, hand, .. } = self.workers[worker];
        let useless = alive && !frozen && (cut.is_some() || draining);
        hand.filter(|hand| useless && !hand.claimed)?;
        self.put_back(worker);
        Some(())
    }

    /// `drop_stray_leases.sql`.
    pub(crate) fn drop_strays(&mut self, scene: &Scene, worker: usize) -> Option<()> {
        let Worker { alive, frozen, cut, strays, incarnation, runs, lane, .. } = self.workers[worker];
        if !alive || frozen || cut.is_some() || !strays || scene.has(Flaw::NoStrayCheck) {
            return None;
        }
        let incarnation = incarnation?;
        self.workers[worker].strays = false;
        let ending = || lane.iter().flatten().filter(|finish| finish.worker == incarnation);
        let mut dropped = Jobs::default();
        for (id, lease) in self.leases.iter_mut().enumerate() {
            let kept = runs.iter().flatten().any(|run| usize::from(run.lease) == id)
                || ending().any(|finish| usize::from(finish.lease) == id);
            if !kept
                && lease.is_some_and(|lease| lease.worker == incarnation)
                && let Some(lease) = lease.take()
            {
                dropped.0 |= lease.jobs.0;
            }
        }
        let is_held = |job: usize| {
            let token = self.rows[job].and_then(|row| row.held).map(|held| held.token);
            runs[job].is_some_and(|run| Some(run.token) == token)
                || ending()
                    .filter(|finish| usize::from(finish.job) == job)
                    .any(|finish| Some(finish.token) == token || scene.has(Flaw::StraysByJob))
        };
        let mut strays = Jobs::default();
        dropped.iter().filter(|job| !is_held(*job)).for_each(|job| strays.insert(job));
        self.give_back(incarnation, strays, Command::Release);
        Some(())
    }

    fn put_back(&mut self, worker: usize) {
        self.take_back(worker);
        self.workers[worker].hand = None;
    }

    /// Claims those of a dispatch's jobs that wait.
    fn take(&mut self, worker: usize, incarnation: Id, id: Id, answer: Answer) {
        let dispatch = &mut self.dispatches[usize::from(id)];
        dispatch.row = None;
        let jobs = dispatch.jobs;
        let lease = self.fresh_lease();
        let mut taken = Jobs::default();
        for job in jobs.iter() {
            let fresh = self.fresh_token();
            if self.change(job, Command::Claim) == Some(Status::InProgress)
                && let Some(row) = self.rows[job].as_mut()
            {
                taken.insert(job);
                row.held = Some(Hold { worker: incarnation, token: fresh });
                let attempt = u8::try_from(row.state.attempt).unwrap_or(u8::MAX);
                if answer == Answer::Heard {
                    self.start(worker, job, Run { token: fresh, attempt, lease, excused: false });
                }
            }
        }
        if taken.count() > 0 {
            self.leases[usize::from(lease)] = Some(Lease { worker: incarnation, jobs: taken });
        }
        self.workers[worker].strays |= answer == Answer::Lost;
        let Worker { frozen, sure, draining, .. } = self.workers[worker];
        if draining || !sure {
            for job in taken.iter() {
                self.conclude(worker, job, Outcome::Released);
            }
        } else if frozen {
            self.workers[worker].excuse();
        }
    }

    fn start(&mut self, worker: usize, job: usize, run: Run) {
        let place = &mut self.workers[worker].runs[job];
        assert!(place.is_none(), "the same job runs twice in one worker");
        *place = Some(run);
    }

    /// A handler is over, one way or another: its end waits in the lane.
    pub(crate) fn conclude(&mut self, worker: usize, job: usize, outcome: Outcome) -> Option<()> {
        let Worker { incarnation, runs, lane, .. } = &mut self.workers[worker];
        let Run { token, attempt, lease, .. } = runs[job].take()?;
        let last = !runs.iter().flatten().any(|run| run.lease == lease);
        let free = lane.iter().position(Option::is_none);
        let free = free.unwrap_or_else(|| panic!("no room in the lane"));
        let job = u8::try_from(job).unwrap_or(u8::MAX);
        lane[free] = Some(Finish { job, outcome, worker: (*incarnation)?, token, attempt, lease, last });
        Some(())
    }
}
