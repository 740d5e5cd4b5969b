//! Where remote workers wait for work, and wake-ups meet them.
//!
//! Those who want the same wait together, and a hint wakes one of them: who finds something wakes the next, who finds
//! nothing waits on. So a job costs as many looks as it takes, however many wait. Hints may be lost: what anybody waits for
//! is also looked up once a second, all of it in one statement, and only while somebody waits.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raincheck_shared::broker::{Signal, Wakeups};
use raincheck_shared::domain::{KindName, QueueName, TenantName};
use raincheck_shared::lifecycle::Shutdown;
use raincheck_shared::store::RemoteLeases;
use raincheck_shared::telemetry::Chain;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;

const SWEEP: Duration = Duration::from_secs(1);

/// What somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    pub(super) tenant: TenantName,
    pub(super) kinds: Vec<KindName>,
    pub(super) queues: Vec<QueueName>,
}

#[derive(Debug, Default)]
struct Group {
    woken: Arc<Notify>,
    pollers: usize,
}

#[derive(Debug, Default)]
struct Board {
    groups: Mutex<HashMap<Wanted, Group>>,
    /// Somebody began to wait while nobody did.
    first: Notify,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<Wanted, Group>> {
        // A map and counters: no panic can leave them half changed.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes one of each group for which there may be something.
    fn wake(&self, suits: impl Fn(&Wanted) -> bool) {
        self.lock().iter().filter(|(wanted, _)| suits(wanted)).for_each(|(_, group)| group.woken.notify_one());
    }
}

/// The board. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct LeaseBoard(Arc<Board>);

/// Somebody who waits; dropping it ends that.
#[derive(Debug)]
pub(super) struct Poller {
    wanted: Wanted,
    woken: Arc<Notify>,
    board: Arc<Board>,
}

impl LeaseBoard {
    /// Starts listening to wake-ups.
    pub(super) fn start(store: Arc<dyn RemoteLeases>, wakeups: &dyn Wakeups, shutdown: &Shutdown) -> Self {
        let board = Self::default();
        let listening = Arc::clone(&board.0);
        let mut signals = wakeups.subscribe();
        shutdown.spawn_service(async move {
            loop {
                match signals.recv().await {
                    Ok(Signal::Leasable(kinds)) => {
                        listening.wake(|it| it.kinds.iter().any(|kind| kinds.contains(kind)));
                    }
                    Ok(Signal::Missed) | Err(RecvError::Lagged(_)) => listening.wake(|_| true),
                    Ok(Signal::Changed(_) | Signal::CancelRequested(_) | Signal::TimerSet(_) | Signal::WorkerDied) => {}
                    // No hints any more: the sweep goes on.
                    Err(RecvError::Closed) => return,
                }
            }
        });
        shutdown.spawn_service(sweep(Arc::clone(&board.0), store));
        board
    }

    /// Registers somebody who will look, and wait if there is nothing. To be called before the first look.
    pub(super) fn poller(&self, wanted: Wanted) -> Poller {
        let mut groups = self.0.lock();
        let first = groups.is_empty();
        let group = groups.entry(wanted.clone()).or_default();
        group.pollers += 1;
        let woken = Arc::clone(&group.woken);
        drop(groups);
        if first {
            self.0.first.notify_one();
        }
        Poller { wanted, woken, board: Arc::clone(&self.0) }
    }
}

impl Poller {
    /// Resolves when there may be something.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Wakes the next one, since there was something: there may be more.
    pub(super) fn wake_next(&self) {
        self.woken.notify_one();
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.board.lock().entry(self.wanted.clone()) {
            entry.get_mut().pollers -= 1;
            if entry.get().pollers == 0 {
                entry.remove();
            }
        }
    }
}

async fn sweep(board: Arc<Board>, store: Arc<dyn RemoteLeases>) {
    let mut beat = tokio::time::interval(SWEEP);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        if board.lock().is_empty() {
            board.first.notified().await;
            beat.reset();
        }
        beat.tick().await;
        let (mut wanted, mut queues) = (BTreeSet::new(), BTreeSet::new());
        for group in board.lock().keys() {
            wanted.extend(group.kinds.iter().map(|kind| (group.tenant.clone(), kind.clone())));
            queues.extend(group.queues.iter().cloned());
        }
        let (wanted, queues): (Vec<_>, Vec<_>) = (wanted.into_iter().collect(), queues.into_iter().collect());
        match store.find_waiting_kinds(&wanted, &queues).await {
            Ok(waiting) => {
                failing = false;
                board.wake(|it| waiting.iter().any(|(tenant, kind)| it.tenant == *tenant && it.kinds.contains(kind)));
            }
            Err(error) => {
                // Said once for each outage. Wake-ups still come.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(error = %Chain(&error), "cannot look up what remote workers wait for");
                }
            }
        }
    }
}
