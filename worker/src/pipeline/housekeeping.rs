//! What is done once a second while there is anything to do.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::broker::Signal;
use raincheck_shared::domain::WorkerId;
use raincheck_shared::lifecycle::Shutdown;
use raincheck_shared::telemetry::Chain;

use super::{Outbox, PROGRESS, Pipeline};
use crate::handler_log;

/// How long a message may wait here for a slot before another worker gets the chance.
const PARKED: Duration = Duration::from_secs(1);
impl Pipeline {
    /// Records progress and logs, lets go of messages that wait too long, looks for what a failed claim took.
    pub(super) fn housekeep(&mut self, outbox: &Outbox, shutdown: &Shutdown) {
        let now = self.clock.monotonic();
        self.parked.retain(|parked| now.saturating_duration_since(parked.since) < PARKED);

        let reports = self.running.new_progress();
        if !reports.is_empty() {
            let (attempts, wakeups) = (Arc::clone(&self.store.attempts), Arc::clone(&self.broker.wakeups));
            shutdown.spawn(async move {
                match attempts.report_progress(&reports).await {
                    Ok(changes) => wakeups.announce(Signal::Changed(changes)),
                    // The next report makes up for it.
                    Err(error) => tracing::debug!(error = %Chain(&error), "progress was not recorded"),
                }
            });
        }

        let lines = self.running.new_lines();
        if !lines.is_empty() {
            let (logs, limit) = (Arc::clone(&self.store.logs), self.settings.jobs.max_log);
            shutdown.spawn(async move {
                // What could not be recorded comes with what is logged next, or when the attempt ends.
                handler_log::record(lines, &*logs, limit).await;
            });
        }

        if let Some(worker) =
            self.worker.filter(|_| self.stray_checks.iter().any(|at| *at <= now) && !self.checking_strays)
        {
            self.stray_checks.retain(|at| *at > now);
            self.checking_strays = true;
            self.check_strays(worker, outbox, shutdown);
        }
    }

    /// Gives back what a claim took whose answer was lost: nobody runs it, and this worker lives, so nobody would.
    fn check_strays(&self, worker: WorkerId, outbox: &Outbox, shutdown: &Shutdown) {
        let (mut keep, held) = self.running.held_by(worker);
        keep.extend(&self.claiming);
        let (attempts, done) = (Arc::clone(&self.store.attempts), outbox.strays_checked.clone());
        shutdown.spawn(async move {
            let checked = attempts.drop_stray_leases(worker, &keep, &held).await;
            match &checked {
                Ok(back) if back.is_empty() => {}
                Ok(back) => tracing::info!(jobs = back.len(), "gave back jobs of a claim whose answer was lost"),
                Err(error) => tracing::debug!(error = %Chain(error), "could not look for stray claims"),
            }
            let _ = done.send(checked.is_ok());
        });
    }

    pub(super) fn on_strays_checked(&mut self, done: bool) {
        self.checking_strays = false;
        if !done {
            self.stray_checks.push(self.clock.monotonic() + PROGRESS);
        }
    }
}
