//! What may happen next.

use crate::scene::{MOST, Scene};
use crate::world::{DISPATCHES, Id, Jobs, World, ids};

/// How a handler ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// With a result.
    Succeeded,
    /// With a failure that another attempt may mend.
    Retry,
    /// It asks to be called again later.
    Snoozed,
    /// Not at all: its worker gives the job back.
    Released,
}

/// Which timers of a job are due together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Due {
    /// Its `run_at` or its next attempt.
    pub enqueue: bool,
    /// The moment by which it had to start.
    pub expire: bool,
    /// The end of the grace after a cancel.
    pub revoke: bool,
}

/// One step: a commit, a message, or something in the memory of one process. Jobs and workers are numbered from 0,
/// dispatches and incarnations as in [`World`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// These jobs are accepted in one commit.
    Commit(Jobs),
    /// The submit of a job is answered with 202.
    Answer(usize),
    /// The relay sends a dispatch.
    Publish(Id),
    /// The broker takes it and confirms.
    Confirm(Id),
    /// The relay notes in the table that a dispatch is published.
    Note(Id),
    /// Timers of a job fire.
    Fire(usize, Due),
    /// A dead incarnation is buried and its jobs are given back.
    Rescue(Id),
    /// A dispatch is held to be lost and will be published again.
    FindLost(Id),
    /// The broker takes back a message that a frozen worker does not acknowledge.
    TakeBack(usize),

    /// A worker receives a message.
    Receive(usize, Id),
    /// A worker claims what its message names.
    Claim(usize),
    /// A worker acknowledges its message.
    Ack(usize),
    /// A worker gives a message back that it could not or would not claim.
    GiveBack(usize),
    /// A worker claims from the table.
    ClaimWaiting(usize, Id),
    /// A handler ends.
    End(usize, usize, Outcome),
    /// A worker records the next end in its lane.
    Record(usize),
    /// A worker that is cut off stops its handlers.
    StopHandlers(usize),
    /// A worker renews its lease after a doubt.
    Renew(usize),
    /// A worker learns that it was declared dead, and registers anew.
    LearnLoss(usize),
    /// A worker gives back what a claim took whose answer was lost.
    DropStrays(usize),
    /// A worker that has drained ends.
    Exit(usize),
    /// A worker starts, and registers.
    Start(usize),

    /// The broker is back, with what it held.
    BrokerReturns,
    /// A frozen worker goes on where it was.
    Thaw(usize),
    /// A worker that was cut off reaches the table again.
    Reconnect(usize),

    /// The API's memory is gone: what it sent was not taken, what was confirmed is not noted.
    ApiDies,
    /// The broker takes a message, but its confirm is lost.
    LoseConfirm(Id),
    /// The broker is away, and will have kept what it held.
    BrokerGoes,
    /// The broker loses all messages.
    BrokerForgets,
    /// The broker delivers a message once more.
    Duplicate(Id),
    /// A dispatch is held to be lost although its message is only with a worker.
    FindMistaken(Id),
    /// A worker's process is killed.
    Die(usize),
    /// A worker is stopped without knowing.
    Freeze(usize),
    /// A worker is cut off from the table, silently.
    CutOff(usize),
    /// A worker is cut off from the table and its sessions are closed.
    Sever(usize),
    /// A worker is asked to stop.
    Drain(usize),
    /// A worker's claim is committed, but the answer is lost.
    LoseClaim(usize),
    /// A worker's claim from the table is committed, but the answer is lost.
    LoseClaimWaiting(usize, Id),
    /// The next end in a worker's lane is committed, but the answer is lost.
    LoseRecord(usize),
    /// A client cancels a job.
    Cancel(usize),
}

impl Step {
    /// Whether it counts against [`Scene::surprises`]. A snooze does too: a handler may ask for any number of them.
    pub fn is_surprise(self) -> bool {
        use Step as S;
        matches!(
            self,
            S::ApiDies
                | S::LoseConfirm(_)
                | S::BrokerGoes
                | S::BrokerForgets
                | S::Duplicate(_)
                | S::FindMistaken(_)
                | S::Die(_)
                | S::Freeze(_)
                | S::CutOff(_)
                | S::Sever(_)
                | S::Drain(_)
                | S::LoseClaim(_)
                | S::LoseClaimWaiting(..)
                | S::LoseRecord(_)
                | S::Cancel(_)
                | S::End(_, _, Outcome::Snoozed)
        )
    }

    /// Whether it may stay away for ever. The broker need not come back, nor a frozen or cut-off worker, and what a frozen
    /// worker had sent need not arrive.
    pub fn is_optional(self, world: &World) -> bool {
        use Step as S;
        match self {
            S::BrokerReturns | S::Thaw(_) | S::Reconnect(_) => true,
            S::Claim(worker) => world.workers[worker].frozen,
            step => step.is_surprise(),
        }
    }

    /// All steps that there are in a scene.
    pub(crate) fn all(scene: &Scene) -> Vec<Self> {
        use Step as S;
        let mut all = vec![S::BrokerReturns, S::ApiDies, S::BrokerGoes, S::BrokerForgets];
        all.extend((1..1 << scene.jobs).map(|jobs| S::Commit(Jobs(jobs))));
        for job in 0..scene.jobs {
            all.extend([S::Answer(job), S::Cancel(job)]);
            all.extend(
                (1..8)
                    .map(|due| S::Fire(job, Due { enqueue: due & 1 != 0, expire: due & 2 != 0, revoke: due & 4 != 0 })),
            );
        }
        for id in 0..16 {
            all.push(S::Rescue(id));
        }
        for id in ids(DISPATCHES) {
            all.extend([S::Publish(id), S::Confirm(id), S::Note(id), S::FindLost(id)]);
            all.extend([S::LoseConfirm(id), S::Duplicate(id), S::FindMistaken(id)]);
        }
        for worker in 0..MOST {
            all.extend([S::TakeBack, S::Claim, S::Ack, S::GiveBack, S::Record].map(|step| step(worker)));
            all.extend(
                [S::StopHandlers, S::Renew, S::LearnLoss, S::DropStrays, S::Exit, S::Start].map(|step| step(worker)),
            );
            all.extend([S::Thaw, S::Reconnect, S::Die, S::Freeze, S::CutOff, S::Sever].map(|step| step(worker)));
            all.extend([S::Drain, S::LoseClaim, S::LoseRecord].map(|step| step(worker)));
            for id in ids(DISPATCHES) {
                all.extend([S::Receive, S::ClaimWaiting, S::LoseClaimWaiting].map(|step| step(worker, id)));
            }
            for job in 0..scene.jobs {
                use Outcome as O;
                all.extend([O::Succeeded, O::Retry, O::Snoozed, O::Released].map(|how| S::End(worker, job, how)));
            }
        }
        all.retain(|step| !step.is_surprise() || scene.surprises > 0 && (scene.of)(*step));
        all
    }
}
