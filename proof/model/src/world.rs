//! One moment: what is in the table, at the broker, and in the memory of each process.
//!
//! Ids are small numbers. A number is used again only when nobody knows it any more, so that it is as good as a new one.

use raincheck_shared::domain::State;

use crate::scene::MOST;
use crate::step::Outcome;

/// A small number that stands for a dispatch, a lease, a token or an incarnation.
pub(crate) type Id = u8;

/// The first `count` of them.
pub(crate) fn ids(count: usize) -> impl Iterator<Item = Id> {
    (0..Id::MAX).take(count)
}

/// Dispatches that may be known to somebody at the same time.
pub(crate) const DISPATCHES: usize = 8;
/// Leases in the table at the same time.
pub(crate) const LEASES: usize = 6;
/// Ends on their way to the table from one worker.
pub(crate) const LANE: usize = 4;

/// A set of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jobs(pub(crate) u8);

impl Jobs {
    pub(crate) fn has(self, job: usize) -> bool {
        self.0 & (1 << job) != 0
    }

    pub(crate) fn insert(&mut self, job: usize) {
        self.0 |= 1 << job;
    }

    pub(crate) fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..MOST).filter(move |job| self.has(*job))
    }
}

/// A row of `jobs`, with its rows in `timers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) state: State,
    /// 1, but within a step that changes it.
    pub(crate) version: u8,
    /// Who runs it, and under which token.
    pub(crate) held: Option<Hold>,
    pub(crate) timers: Timers,
}

/// The part of the fence that is in the row beside the number of the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Hold {
    pub(crate) worker: Id,
    pub(crate) token: Id,
}

/// What is due for a job one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Timers {
    pub(crate) enqueue: bool,
    pub(crate) expire: bool,
    pub(crate) revoke: bool,
}

/// A dispatch, wherever anything of it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Dispatch {
    pub(crate) jobs: Jobs,
    /// Its row in `dispatches`.
    pub(crate) row: Option<Note>,
    /// Where the relay is with it.
    pub(crate) relay: Option<Relay>,
    /// Its messages that wait at the broker.
    pub(crate) ready: u8,
    /// The broker has lost a message of it.
    pub(crate) lost: bool,
}

/// What a dispatch's row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Note {
    Unpublished,
    Published,
}

/// What the relay remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Relay {
    /// On its way to the broker.
    Sent,
    /// Confirmed, and to be noted.
    Confirmed,
}

/// A row of `leases`: the jobs of one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lease {
    pub(crate) worker: Id,
    pub(crate) jobs: Jobs,
}

/// The process of a worker.
#[expect(clippy::struct_excessive_bools, reason = "they are independent: all that is possible is to be tried")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Worker {
    pub(crate) alive: bool,
    /// Stopped, and does not know it.
    pub(crate) frozen: bool,
    /// Cut off from the table.
    pub(crate) cut: Option<Cut>,
    /// Whether its lease was renewed lately.
    pub(crate) sure: bool,
    pub(crate) draining: bool,
    /// The incarnation that it takes itself for.
    pub(crate) incarnation: Option<Id>,
    pub(crate) hand: Option<Hand>,
    pub(crate) runs: [Option<Run>; MOST],
    /// Ends on their way to the table, in order.
    pub(crate) lane: [Option<Finish>; LANE],
    /// A claim was left without an answer.
    pub(crate) strays: bool,
}

/// How a worker is cut off from the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Cut {
    /// Nothing gets through, and no socket closes.
    Silent,
    /// Its connections are closed: its session lock is free.
    Severed,
}

/// A message with a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Hand {
    pub(crate) dispatch: Id,
    /// Whether the broker still waits for it to be acknowledged.
    pub(crate) receipt: bool,
    /// Its claim is committed.
    pub(crate) claimed: bool,
}

/// A handler that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) token: Id,
    pub(crate) attempt: u8,
    pub(crate) lease: Id,
    /// Its worker was frozen or severed meanwhile, so it may run beside another without knowing.
    pub(crate) excused: bool,
}

/// An end on its way to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Finish {
    pub(crate) job: u8,
    pub(crate) outcome: Outcome,
    pub(crate) worker: Id,
    pub(crate) token: Id,
    pub(crate) attempt: u8,
    pub(crate) lease: Id,
    /// The last of its claim.
    pub(crate) last: bool,
}

/// A promise that a single step broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    /// A job that was in the table is not.
    Forgotten,
    /// What was final has changed.
    FinalChanged,
    /// A change without a version of its own, or a version without a change.
    Version,
    /// An end was recorded by an attempt that did not hold the fence.
    Usurped,
}

/// One moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) rows: [Option<Row>; MOST],
    pub(crate) dispatches: [Dispatch; DISPATCHES],
    pub(crate) leases: [Option<Lease>; LEASES],
    /// The rows of `workers`, a bit for each incarnation.
    pub(crate) registered: u16,
    pub(crate) broker_up: bool,
    pub(crate) workers: [Worker; MOST],
    /// Jobs whose submit was answered with 202.
    pub(crate) answered: Jobs,
    /// Surprises still to come.
    pub(crate) surprises: u8,
    pub(crate) broken: Option<Broken>,
}

impl World {
    /// Before anything was submitted: both workers have just started.
    pub(crate) fn new(surprises: u8) -> Self {
        let mut world = Self {
            rows: [None; MOST],
            dispatches: [Dispatch::default(); DISPATCHES],
            leases: [None; LEASES],
            registered: 0,
            broker_up: true,
            workers: [Worker::default(); MOST],
            answered: Jobs::default(),
            surprises,
            broken: None,
        };
        for worker in 0..MOST {
            world.start_anew(worker);
        }
        world.rename(false);
        world
    }

    pub(crate) fn is_registered(&self, incarnation: Id) -> bool {
        self.registered & (1 << incarnation) != 0
    }

    /// Whether a job is committed whose submit was not answered. That comes next: nothing else depends on it, so any
    /// other order leads to the same. (A client that got no answer sends again with its key, and gets this one.)
    pub(crate) fn owes_an_answer(&self) -> bool {
        self.rows.iter().enumerate().any(|(job, row)| row.is_some() && !self.answered.has(job))
    }

    /// Whether nothing of any job is left in the side tables.
    pub(crate) fn is_tidy(&self) -> bool {
        let waits = self.dispatches.iter().any(|dispatch| dispatch.row.is_some());
        let due = self.rows.iter().flatten().any(|row| row.timers != Timers::default());
        !waits && !due && self.leases.iter().all(Option::is_none)
    }

    /// Whether every one of the first `jobs` jobs was accepted, answered for, and has ended.
    pub fn is_over(&self, jobs: usize) -> bool {
        let ended = |row: &Option<Row>| row.is_some_and(|row| row.state.status.is_done());
        self.rows[..jobs].iter().all(ended) && self.answered.count() == jobs
    }
}
