//! Moments that differ in nothing but names are the same moment.
//!
//! Workers are alike, and ids are only ever compared: so each moment is brought into one form, workers in an order of
//! their own and ids numbered as they are met. Any order would be right; one that puts more moments together is better.

use raincheck_shared::domain::State;

use crate::scene::MOST;
use crate::world::{DISPATCHES, Dispatch, Id, Jobs, LEASES, Row, Worker, World, ids};

/// New names for old ones, given in the order of asking.
struct Names {
    new: [Option<Id>; 16],
    next: Id,
}

impl Names {
    fn new() -> Self {
        Self { new: [None; 16], next: 0 }
    }

    fn of(&mut self, old: Id) -> Id {
        let place = &mut self.new[usize::from(old)];
        *place.get_or_insert_with(|| {
            let name = self.next;
            self.next += 1;
            name
        })
    }
}

/// A worker without the ids that it knows.
fn nameless(worker: &Worker) -> Worker {
    let mut worker = *worker;
    worker.incarnation = worker.incarnation.map(|_| 0);
    if let Some(hand) = &mut worker.hand {
        hand.dispatch = 0;
    }
    for run in worker.runs.iter_mut().flatten() {
        (run.token, run.lease) = (0, 0);
    }
    for finish in worker.lane.iter_mut().flatten() {
        (finish.token, finish.lease, finish.worker) = (0, 0, 0);
    }
    worker
}

/// A job without the ids that it is held by.
fn job_key(row: Option<&Row>) -> impl Ord {
    row.map(|row| {
        let State { status, attempt, started, cancel_requested, crashes, .. } = row.state;
        (status, attempt, started, cancel_requested, crashes, row.held.is_some(), row.timers)
    })
}

impl World {
    /// The same moment in its one form.
    pub(crate) fn rename(&mut self, jobs_are_alike: bool) {
        if jobs_are_alike && job_key(self.rows[0].as_ref()) > job_key(self.rows[1].as_ref()) {
            self.swap_jobs();
        }
        self.workers.sort_by_cached_key(nameless);
        self.order_dispatches();
        self.name_incarnations();
        self.name_leases();
        self.name_tokens();
    }

    fn swap_jobs(&mut self) {
        let swap = |jobs: &mut Jobs| *jobs = Jobs(jobs.0 >> 1 & 1 | jobs.0 << 1 & 2);
        self.rows.swap(0, 1);
        swap(&mut self.answered);
        self.dispatches.iter_mut().for_each(|dispatch| swap(&mut dispatch.jobs));
        self.leases.iter_mut().flatten().for_each(|lease| swap(&mut lease.jobs));
        for worker in &mut self.workers {
            worker.runs.swap(0, 1);
            worker.lane.iter_mut().flatten().for_each(|finish| finish.job = 1 - finish.job);
        }
    }

    fn order_dispatches(&mut self) {
        let mut held = [[None; MOST]; DISPATCHES];
        for (at, worker) in self.workers.iter().enumerate() {
            if let Some(hand) = worker.hand {
                held[usize::from(hand.dispatch)][at] = Some(());
            }
        }
        let mut order: [usize; DISPATCHES] = std::array::from_fn(|id| id);
        order.sort_by_key(|id| std::cmp::Reverse((self.dispatches[*id], held[*id])));
        let old: [Dispatch; DISPATCHES] = self.dispatches;
        self.dispatches = order.map(|id| old[id]);
        for worker in &mut self.workers {
            if let Some(hand) = &mut worker.hand {
                let new = order.iter().position(|id| *id == usize::from(hand.dispatch)).unwrap_or_default();
                hand.dispatch = Id::try_from(new).unwrap_or_default();
            }
        }
    }

    fn name_incarnations(&mut self) {
        let mut names = Names::new();
        for worker in &mut self.workers {
            worker.incarnation = worker.incarnation.map(|id| names.of(id));
            for finish in worker.lane.iter_mut().flatten() {
                finish.worker = names.of(finish.worker);
            }
        }
        for held in self.rows.iter_mut().flatten().filter_map(|row| row.held.as_mut()) {
            held.worker = names.of(held.worker);
        }
        for lease in self.leases.iter_mut().flatten() {
            lease.worker = names.of(lease.worker);
        }
        let registered = (0..16).filter(|id| self.is_registered(*id));
        self.registered = registered.fold(0, |all, id| all | 1 << names.of(id));
    }

    fn name_leases(&mut self) {
        let mut names = Names::new();
        for worker in &mut self.workers {
            for run in worker.runs.iter_mut().flatten() {
                run.lease = names.of(run.lease);
            }
            for finish in worker.lane.iter_mut().flatten() {
                finish.lease = names.of(finish.lease);
            }
        }
        let old = self.leases;
        // Those that no process knows, in an order of their own.
        let mut rest: Vec<Id> = ids(LEASES).filter(|id| old[usize::from(*id)].is_some()).collect();
        rest.sort_by_key(|id| old[usize::from(*id)]);
        self.leases = [None; LEASES];
        for id in rest {
            self.leases[usize::from(names.of(id))] = old[usize::from(id)];
        }
    }

    fn name_tokens(&mut self) {
        let mut names = Names::new();
        for worker in &mut self.workers {
            for run in worker.runs.iter_mut().flatten() {
                run.token = names.of(run.token);
            }
            for finish in worker.lane.iter_mut().flatten() {
                finish.token = names.of(finish.token);
            }
        }
        for held in self.rows.iter_mut().flatten().filter_map(|row| row.held.as_mut()) {
            held.token = names.of(held.token);
        }
    }
}
