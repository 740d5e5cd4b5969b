//! A worker's life: its incarnations, its doubts, its ends.

use crate::flaw::Flaw;
use crate::scene::{MOST, Scene};
use crate::step::Outcome;
use crate::world::{Cut, Jobs, Worker, World};

impl Worker {
    /// From now on its handlers may run beside others without its knowing.
    pub(crate) fn excuse(&mut self) {
        for run in self.runs.iter_mut().flatten() {
            run.excused = true;
        }
    }

    /// Whether it is out of reach, for the time being or for ever.
    fn is_away(&self) -> bool {
        self.frozen || self.cut.is_some()
    }
}

impl World {
    /// `register_worker.sql`. Nobody else can tell a worker that has not registered yet from one that does nothing.
    fn register(&mut self, worker: usize) {
        let incarnation = self.fresh_incarnation();
        self.registered |= 1 << incarnation;
        self.workers[worker].incarnation = Some(incarnation);
        self.workers[worker].sure = true;
    }

    /// `renew_worker.sql` when it finds its row.
    pub(crate) fn renew(&mut self, worker: usize) -> Option<()> {
        let Worker { alive, incarnation, sure, .. } = self.workers[worker];
        let found = incarnation.is_some_and(|id| self.is_registered(id));
        let doubts = alive && !self.workers[worker].is_away() && !sure;
        (found && doubts).then(|| self.workers[worker].sure = true)
    }

    /// `renew_worker.sql` when it does not: handlers are stopped without a word.
    pub(crate) fn learn_loss(&mut self, worker: usize) -> Option<()> {
        let Worker { alive, incarnation, .. } = self.workers[worker];
        let lost = incarnation.is_some_and(|id| !self.is_registered(id));
        if !alive || self.workers[worker].is_away() || !lost {
            return None;
        }
        let own = &mut self.workers[worker];
        own.incarnation = None;
        own.sure = false;
        own.strays = false;
        own.runs = [None; MOST];
        if !own.draining {
            self.register(worker);
        }
        Some(())
    }

    /// Before its lease can end: jobs go back, should the table be reached again in time.
    pub(crate) fn stop_handlers(&mut self, scene: &Scene, worker: usize) -> Option<()> {
        let Worker { alive, frozen, cut, sure, .. } = self.workers[worker];
        if !alive || frozen || cut.is_none() || !sure || scene.has(Flaw::HandlersRunOn) {
            return None;
        }
        self.workers[worker].sure = false;
        for job in 0..MOST {
            self.conclude(worker, job, Outcome::Released);
        }
        Some(())
    }

    pub(crate) fn die(&mut self, worker: usize) -> Option<()> {
        if !self.workers[worker].alive {
            return None;
        }
        self.take_back(worker);
        self.workers[worker] = Worker::default();
        Some(())
    }

    pub(crate) fn start_anew(&mut self, worker: usize) -> Option<()> {
        if self.workers[worker].alive {
            return None;
        }
        self.workers[worker] = Worker { alive: true, ..Worker::default() };
        self.register(worker);
        Some(())
    }

    /// One worker at a time is away: with nobody left nothing goes on, and there is nothing to see in that.
    pub(crate) fn freeze(&mut self, worker: usize) -> Option<()> {
        let own = self.one_that_may_go_away(worker)?;
        own.frozen = true;
        own.excuse();
        Some(())
    }

    pub(crate) fn cut_off(&mut self, worker: usize, how: Cut) -> Option<()> {
        let own = self.one_that_may_go_away(worker)?;
        own.cut = Some(how);
        if how == Cut::Severed {
            own.excuse();
        }
        Some(())
    }

    pub(crate) fn thaw(&mut self, worker: usize) -> Option<()> {
        self.workers[worker].frozen.then(|| self.workers[worker].frozen = false)
    }

    pub(crate) fn reconnect(&mut self, worker: usize) -> Option<()> {
        self.workers[worker].cut.take().map(|_| ())
    }

    pub(crate) fn drain(&mut self, worker: usize) -> Option<()> {
        let own = &mut self.workers[worker];
        (own.alive && !own.draining).then(|| own.draining = true)
    }

    /// `end_worker.sql`, once nothing runs and nothing is on its way. One that cannot reach the table just ends.
    pub(crate) fn exit(&mut self, worker: usize) -> Option<()> {
        let Worker { alive, frozen, cut, draining, incarnation, hand, runs, lane, .. } = self.workers[worker];
        let idle = hand.is_none() && runs.iter().all(Option::is_none) && lane.iter().all(Option::is_none);
        if !alive || frozen || !draining || !idle {
            return None;
        }
        if let Some(incarnation) = incarnation.filter(|_| cut.is_none()) {
            let runs_here =
                |job: usize| self.rows[job].is_some_and(|row| row.held.is_some_and(|held| held.worker == incarnation));
            let is_busy = |jobs: Jobs| jobs.iter().any(runs_here);
            let mut busy = false;
            let mut leases = self.leases;
            for lease in &mut leases {
                if lease.is_some_and(|lease| lease.worker == incarnation) {
                    let keep = lease.is_some_and(|lease| is_busy(lease.jobs));
                    busy |= keep;
                    *lease = lease.filter(|_| keep);
                }
            }
            self.leases = leases;
            if !busy {
                self.registered &= !(1 << incarnation);
            }
        }
        self.workers[worker] = Worker::default();
        Some(())
    }

    fn one_that_may_go_away(&mut self, worker: usize) -> Option<&mut Worker> {
        let nobody_is = !self.workers.iter().any(Worker::is_away);
        let own = &mut self.workers[worker];
        (own.alive && nobody_is).then_some(own)
    }
}
