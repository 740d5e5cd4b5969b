//! Lets jobs start that wait for permits: when one comes back, when one is newly in line, and now and then.
//!
//! What it remembers of the jobs that it let through only tells it when to look. Whether a permit is free is read off the
//! store each time; so what is not heard of costs a second, and never a permit.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raincheck_shared::broker::Signal;
use raincheck_shared::domain::{JobId, Status, Turnstile};
use raincheck_shared::lifecycle::{Next, Nudge, Reconciler, ReconcilerHealth, Shutdown};
use raincheck_shared::store::{Change, Look, StoreError};
use tokio::sync::broadcast;

use super::Parts;

/// Lines of one look.
const LINES: u32 = 250;
/// Jobs that are remembered, and lines that are noted.
const REMEMBERED: usize = 100_000;
/// The shortest pause until a permit of a rate comes back.
const SPIN: Duration = Duration::from_millis(10);
/// While nothing waits for a permit it looks so many times less often: what begins to wait is told of.
const AT_REST: u32 = 5;

/// What was heard.
#[derive(Debug, Default)]
struct Heard {
    /// Jobs that this process let through, each with its line.
    running: HashMap<JobId, String>,
    /// Lines in which a permit came back.
    freed: BTreeSet<String>,
}

/// How far the looks have come.
#[derive(Default)]
struct Round {
    turnstile: Turnstile,
    /// The last line that was looked at.
    after: String,
    /// Whether anything moved since the first line.
    moved: bool,
    /// When a permit of a rate comes back, of those seen since the first line.
    soonest: Option<Duration>,
}

pub(super) fn start(parts: &Parts, nudge: Nudge, shutdown: &Shutdown) -> ReconcilerHealth {
    let heard = Arc::new(Mutex::new(Heard::default()));
    shutdown.spawn_service(listen(parts.broker.wakeups.subscribe(), Arc::clone(&heard), nudge.clone()));
    let period = parts.settings.upkeep.permits * AT_REST;
    let parts = parts.clone();
    let round = Arc::new(tokio::sync::Mutex::new(Round::default()));
    Reconciler { name: "parked-releaser", period, nudge }.start(shutdown, move || {
        let (parts, round, heard) = (parts.clone(), Arc::clone(&round), Arc::clone(&heard));
        async move { look(&parts, &mut *round.lock().await, &heard).await }
    })
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    // A map and a set: no panic can leave them half changed.
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(mut signals: broadcast::Receiver<Signal>, heard: Arc<Mutex<Heard>>, nudge: Nudge) {
    loop {
        let wanted = match signals.recv().await {
            Ok(Signal::Changed(changes)) => lock(&heard).hear(&changes),
            Ok(Signal::Missed) | Err(broadcast::error::RecvError::Lagged(_)) => true,
            Ok(_) => false,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if wanted {
            nudge.nudge();
        }
    }
}

impl Heard {
    /// Notes what changes mean for permits; whether it is worth a look.
    fn hear(&mut self, changes: &[Change]) -> bool {
        let mut wanted = false;
        for change in changes {
            // It waits again, perhaps in line: retried, rescued, or due.
            wanted |= change.status == Status::Queued;
            if change.status == Status::InProgress {
                // From its start on it can be told when a permit of a rate comes back.
                wanted |= self.running.contains_key(&change.id);
            } else if let Some(line) = self.running.remove(&change.id) {
                self.freed.insert(line);
                wanted = true;
            }
        }
        wanted
    }

    fn remember(&mut self, jobs: Vec<(JobId, String)>) {
        if self.running.len() + jobs.len() > REMEMBERED {
            self.running.clear();
        }
        self.running.extend(jobs);
    }
}

async fn look(parts: &Parts, round: &mut Round, heard: &Mutex<Heard>) -> Result<Next, StoreError> {
    let first: Vec<String> = std::mem::take(&mut lock(heard).freed).into_iter().take(REMEMBERED).collect();
    let look = Look { first, after: round.after.clone(), lines: LINES };
    let let_go = parts.store.permits.let_through(&parts.settings.flow, &mut round.turnstile, &look).await?;
    if !let_go.any_parked {
        (round.after, round.moved, round.soonest) = (String::new(), false, None);
        return Ok(Next::Idle);
    }
    lock(heard).remember(let_go.jobs);
    if !let_go.dispatches.is_empty() {
        // Full: the relay's scan finds them.
        let _ = parts.relay.try_send(let_go.dispatches);
    }
    round.moved |= let_go.moved;
    round.soonest = [round.soonest, let_go.soonest].into_iter().flatten().min();
    let over = let_go.next.is_none();
    round.after = let_go.next.unwrap_or_default();
    if !over {
        return Ok(Next::Again);
    }
    let soonest = round.soonest.take();
    if std::mem::take(&mut round.moved) {
        return Ok(Next::Again);
    }
    let period = parts.settings.upkeep.permits;
    Ok(Next::Within(soonest.map_or(period, |wait| wait.clamp(SPIN, period.max(SPIN)))))
}

#[cfg(test)]
mod tests {
    use raincheck_shared::lifecycle::IdSource;

    use super::*;

    #[test]
    fn the_end_of_a_job_that_was_let_through_names_the_line_to_look_at() {
        let mut heard = Heard::default();
        let (mine, other) = (IdSource.job(), IdSource.job());
        heard.remember(vec![(mine, "render default a".to_owned())]);
        let change = |id, status| [Change { id, version: 2, status }];
        assert!(!heard.hear(&change(other, Status::Succeeded)), "nobody waits for that");
        assert!(heard.hear(&change(mine, Status::InProgress)));
        assert!(heard.freed.is_empty());
        assert!(heard.hear(&change(mine, Status::Retrying)));
        assert_eq!(heard.freed.pop_first().as_deref(), Some("render default a"));
        assert!(!heard.hear(&change(mine, Status::Succeeded)), "its permit has come back already");
        assert!(heard.hear(&change(other, Status::Queued)));
    }
}
