//! Leases on their way to whoever asked for them: what does not arrive is given back, uncounted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::broker::{Signal, Wakeups};
use raincheck_shared::domain::WorkerId;
use raincheck_shared::lifecycle::Shutdown;
use raincheck_shared::store::{LeasedJob, Store, StoreError};
use raincheck_shared::telemetry::Chain;
use tokio::sync::mpsc;

/// Incarnations that wait to be looked after. Beyond that their leases just run out.
const MOST: usize = 10_000;
/// When a claim whose fate is unknown is looked after once more: the statement may still be under way the first time.
const AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(20)];

/// What was claimed, and what may have been. Dropped before [`FreshLeases::arrived`], all of it is given back.
#[derive(Debug)]
pub(super) struct FreshLeases {
    jobs: Vec<LeasedJob>,
    strays: Strays,
    returns: Returns,
}

/// Incarnations that hold a job that nobody knows of.
#[derive(Debug, Clone)]
struct Strays {
    incarnations: Vec<WorkerId>,
    /// Whether they hold one is not known.
    unsure: bool,
}

impl FreshLeases {
    /// Before the claim is made: each of these may come to hold a job.
    pub(super) fn expected(incarnations: Vec<WorkerId>, returns: Returns) -> Self {
        Self { jobs: Vec::new(), strays: Strays { incarnations, unsure: true }, returns }
    }

    /// The claim came to this.
    pub(super) fn are(mut self, jobs: Vec<LeasedJob>) -> Self {
        self.strays = Strays { incarnations: jobs.iter().map(|job| job.worker).collect(), unsure: false };
        self.jobs = jobs;
        self
    }

    /// Whoever asked has them.
    pub(super) fn arrived(mut self) -> Vec<LeasedJob> {
        self.strays.incarnations.clear();
        std::mem::take(&mut self.jobs)
    }
}

impl Drop for FreshLeases {
    fn drop(&mut self) {
        if !self.strays.incarnations.is_empty() {
            // Full, or nobody there any more: the leases run out.
            let _ = self.returns.0.try_send(self.strays.clone());
        }
    }
}

/// Where leases go that did not arrive. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Returns(mpsc::Sender<Strays>);

impl Returns {
    /// Starts giving back.
    pub(super) fn start(store: Store, wakeups: Arc<dyn Wakeups>, shutdown: &Shutdown) -> Self {
        let (sender, returned) = mpsc::channel(1_000);
        shutdown.spawn_service(give_back_for_ever(store, wakeups, returned));
        Self(sender)
    }
}

async fn give_back_for_ever(store: Store, wakeups: Arc<dyn Wakeups>, mut returned: mpsc::Receiver<Strays>) {
    let mut later: VecDeque<(tokio::time::Instant, usize, Strays)> = VecDeque::new();
    loop {
        let next = later.iter().map(|(due, ..)| *due).min();
        let (tries, strays) = tokio::select! {
            strays = returned.recv() => match strays {
                Some(strays) => (0, strays),
                None => return,
            },
            () = sleep_until(next) => {
                let Some(at) = later.iter().position(|(due, ..)| Some(*due) == next) else { continue };
                let Some((_, tries, strays)) = later.remove(at) else { continue };
                (tries, strays)
            }
        };
        let given = give_back(&store, &*wakeups, &strays.incarnations).await;
        if let Err(error) = &given {
            tracing::debug!(error = %Chain(error), "leases that did not arrive could not be given back yet");
        }
        let waiting: usize = later.iter().map(|(.., strays)| strays.incarnations.len()).sum();
        if (given.is_err() || strays.unsure)
            && waiting < MOST
            && let Some(pause) = AGAIN.get(tries)
        {
            later.push_back((tokio::time::Instant::now() + *pause, tries + 1, strays));
        }
    }
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn give_back(store: &Store, wakeups: &dyn Wakeups, incarnations: &[WorkerId]) -> Result<(), StoreError> {
    for incarnation in incarnations {
        let changes = store.attempts.drop_stray_leases(*incarnation, &[], &[]).await?;
        if !changes.is_empty() {
            tracing::debug!(jobs = changes.len(), "a lease did not arrive: its job waits again");
            wakeups.announce(Signal::Changed(changes));
        }
    }
    store.remote_leases.forget_leases(incarnations).await
}
