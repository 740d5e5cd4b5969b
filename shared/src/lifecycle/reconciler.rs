//! Repair loops.
//!
//! A reconciler is run on a timer and on a nudge, takes no input, so the rare path is the only path, and does not retry
//! inside: the next run is the retry. Its health can be asked for; a loop that fails marks itself and goes on.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::Shutdown;
use crate::telemetry::Chain;

/// What a run found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// There is more to do: run again at once.
    Again,
    /// Run again after the period, or on a nudge.
    Idle,
    /// Run again after this long (or the period, if that is shorter), or on a nudge.
    Within(Duration),
}

/// Asks a reconciler to run now. Nudges during a run add up to one more run.
#[derive(Debug, Clone, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// Runs the loop soon.
    pub fn nudge(&self) {
        self.0.notify_one();
    }
}

/// How a loop is doing.
#[derive(Debug, Clone)]
pub struct ReconcilerHealth {
    name: &'static str,
    failures: Arc<AtomicU32>,
}

impl ReconcilerHealth {
    /// The loop's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Runs that failed since the last one that did not.
    pub fn failures_in_a_row(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// A loop to be started.
#[derive(Debug)]
pub struct Reconciler {
    /// For logs and health.
    pub name: &'static str,
    /// The longest time between two runs.
    pub period: Duration,
    /// How others ask for a run.
    pub nudge: Nudge,
}

impl Reconciler {
    /// Starts the loop. It ends when `shutdown` begins, after the run that is under way.
    pub fn start<E, F, R>(self, shutdown: &Shutdown, mut run: R) -> ReconcilerHealth
    where
        R: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<Next, E>> + Send + 'static,
        E: std::error::Error + Send + 'static,
    {
        let health = ReconcilerHealth { name: self.name, failures: Arc::default() };
        let failures = Arc::clone(&health.failures);
        let stop = shutdown.clone();
        shutdown.spawn(async move {
            while !stop.has_begun() {
                let wait = match run().await {
                    Ok(next) => {
                        if failures.swap(0, Ordering::Relaxed) > 0 {
                            tracing::info!(loop.name = self.name, "loop is well again");
                        }
                        match next {
                            Next::Again => continue,
                            Next::Idle => self.period,
                            Next::Within(wait) => wait.min(self.period),
                        }
                    }
                    Err(error) => {
                        // Said once for each outage, not once for each run.
                        if failures.fetch_add(1, Ordering::Relaxed) == 0 {
                            tracing::warn!(loop.name = self.name, error = %Chain(&error), "loop failed, will run again");
                        }
                        self.period.max(Duration::from_millis(500))
                    }
                };
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.nudge.0.notified() => {}
                    () = stop.begun() => {}
                }
            }
        });
        health
    }
}
