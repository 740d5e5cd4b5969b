//! What holds at every moment.

use raincheck_shared::domain::Status;

use crate::scene::Scene;
use crate::world::{Broken, Lease, Note, World};

/// A promise, by name.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// A sentence.
    pub name: &'static str,
    pub(crate) holds: fn(&Scene, &World) -> bool,
}

/// All of them.
pub const PROMISES: [Promise; 8] = [
    Promise { name: "a job that was answered with 202 is in the table", holds: what_was_answered_is_kept },
    Promise { name: "nothing in the table is forgotten", holds: |_, world| world.broken != Some(Broken::Forgotten) },
    Promise { name: "what is final stays", holds: |_, world| world.broken != Some(Broken::FinalChanged) },
    Promise {
        name: "a version rises by one with each change",
        holds: |_, world| world.broken != Some(Broken::Version),
    },
    Promise {
        name: "an end is recorded by the attempt that holds the fence",
        holds: |_, world| world.broken != Some(Broken::Usurped),
    },
    Promise { name: "at most one attempt of a job is live", holds: one_live_attempt },
    Promise { name: "something stands ready to move every job on", holds: nothing_is_stranded },
    Promise { name: "what is noted as published is there, or the broker lost it", holds: published_is_there },
];

fn what_was_answered_is_kept(_: &Scene, world: &World) -> bool {
    world.answered.iter().all(|job| world.rows[job].is_some())
}

/// Handlers that run: those of a worker that is frozen do not, and those of one that was may not know that they are late.
fn one_live_attempt(scene: &Scene, world: &World) -> bool {
    (0..scene.jobs).all(|job| {
        let running = world.workers.iter().filter(|worker| !worker.frozen);
        let live = running.filter(|worker| worker.runs[job].is_some_and(|run| !run.excused)).count();
        let held = world.rows[job].and_then(|row| row.held);
        let rightful = world.workers.iter().filter(|worker| {
            let runs = worker.runs[job].map(|run| run.token);
            let ends = worker.lane.iter().flatten().filter(|end| usize::from(end.job) == job).map(|end| end.token);
            held.is_some_and(|held| runs.into_iter().chain(ends).any(|token| token == held.token))
        });
        live <= 1 && rightful.count() <= 1
    })
}

/// A timer, a dispatch, or the lease of a worker that is known.
fn nothing_is_stranded(_: &Scene, world: &World) -> bool {
    world.rows.iter().enumerate().all(|(job, row)| {
        let Some(row) = row else { return true };
        match row.state.status {
            Status::Scheduled | Status::Retrying => row.timers.enqueue,
            Status::Queued => world.dispatches.iter().any(|dispatch| dispatch.row.is_some() && dispatch.jobs.has(job)),
            Status::InProgress => row.held.is_some_and(|held| {
                let leased = |lease: &Lease| lease.worker == held.worker && lease.jobs.has(job);
                world.is_registered(held.worker) && world.leases.iter().flatten().any(leased)
            }),
            _ => true,
        }
    })
}

fn published_is_there(_: &Scene, world: &World) -> bool {
    world.dispatches.iter().enumerate().all(|(id, dispatch)| {
        let noted = dispatch.row == Some(Note::Published);
        // Or on its way, while the relay that knows of it lives.
        let there = dispatch.ready > 0 || world.in_hand(id).any(|_| true) || dispatch.relay.is_some();
        !noted || there || dispatch.lost
    })
}
