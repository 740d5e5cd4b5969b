//! The client, and the API's way from a submit to the broker.

use raincheck_shared::domain::{Command, State, Status};

use crate::flaw::Flaw;
use crate::scene::Scene;
use crate::world::{Id, Jobs, Note, Relay, Timers, World};

impl World {
    /// `accept_jobs.sql`. A client that got no answer sends again with its key, which finds the job: that is [`answer`].
    ///
    /// [`answer`]: World::answer
    pub(crate) fn commit(&mut self, scene: &Scene, jobs: Jobs) -> Option<()> {
        let mut waiting = Jobs::default();
        for job in jobs.iter() {
            if self.rows[job].is_some() {
                return None;
            }
            let later = scene.scheduled && job == 0;
            let status = if later { Status::Scheduled } else { Status::Queued };
            let state = State {
                status,
                attempt: 0,
                started: false,
                cancel_requested: false,
                crashes: 0,
                max_attempts: scene.max_attempts,
                finished_at: None,
            };
            self.insert(job, state, Timers { enqueue: later, expire: later, revoke: false });
            if !later {
                waiting.insert(job);
            }
        }
        self.enqueue(waiting);
        Some(())
    }

    pub(crate) fn answer(&mut self, scene: &Scene, job: usize) -> Option<()> {
        let kept = self.rows[job].is_some() || scene.has(Flaw::AnswerBeforeCommit);
        (kept && !self.answered.has(job)).then(|| self.answered.insert(job))
    }

    /// `cancel_job.sql`.
    pub(crate) fn cancel(&mut self, job: usize) -> Option<()> {
        if self.rows[job]?.state.cancel_requested {
            return None;
        }
        if self.change(job, Command::Cancel)? == Status::InProgress {
            self.rows[job].as_mut()?.timers.revoke = true;
        }
        Some(())
    }

    /// From memory or from the table: it makes no difference to what may follow.
    pub(crate) fn publish(&mut self, scene: &Scene, id: Id) -> Option<()> {
        let up = self.broker_up;
        let dispatch = &mut self.dispatches[usize::from(id)];
        if !up || dispatch.row != Some(Note::Unpublished) || dispatch.relay.is_some() {
            return None;
        }
        dispatch.relay = Some(Relay::Sent);
        if scene.has(Flaw::NoteBeforeConfirm) {
            dispatch.row = Some(Note::Published);
        }
        Some(())
    }

    /// `mark_dispatches_published.sql`. A dispatch that was claimed meanwhile has no row to note it in.
    pub(crate) fn note(&mut self, id: Id) -> Option<()> {
        let dispatch = &mut self.dispatches[usize::from(id)];
        if dispatch.relay != Some(Relay::Confirmed) {
            return None;
        }
        dispatch.relay = None;
        dispatch.row = dispatch.row.map(|_| Note::Published);
        Some(())
    }

    /// Another starts at once, and remembers nothing.
    pub(crate) fn api_dies(&mut self) -> Option<()> {
        let known = self.dispatches.iter().any(|dispatch| dispatch.relay.is_some());
        self.dispatches.iter_mut().for_each(|dispatch| dispatch.relay = None);
        known.then_some(())
    }
}
