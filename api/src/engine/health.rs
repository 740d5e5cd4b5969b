//! Whether requests should come here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use raincheck_shared::broker::{Link, Wakeups};
use raincheck_shared::lifecycle::{Batcher, BatcherLimits, Clock, ReconcilerHealth, Shutdown};
use raincheck_shared::store::Schema;
use raincheck_shared::telemetry::Chain;
use tokio::sync::watch;

use crate::streak::Streak;

/// An answer of the store is good for this long: a probe each second from each of many proxies is one ping.
const FRESH: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(3);

type StoreAnswer = Result<(), String>;

/// What a probe finds.
#[derive(Debug, Clone)]
pub(crate) struct Readiness {
    /// Shutting down: send nothing new.
    pub(crate) draining: bool,
    /// Whether jobs can be kept; if not, why.
    pub(crate) keeping: StoreAnswer,
    /// Whether the broker takes messages and lets them be heard. If not, jobs are still accepted and still run, a little later.
    pub(crate) announcing: bool,
    /// Repair loops, and how often each failed in a row.
    pub(crate) loops: Vec<(&'static str, u32)>,
}

impl Readiness {
    /// Whether a submission would be accepted.
    pub(crate) fn is_ready(&self) -> bool {
        !self.draining && self.keeping.is_ok()
    }

    /// Whether all is well.
    pub(crate) fn is_degraded(&self) -> bool {
        !self.announcing || self.loops.iter().any(|(_, failures)| *failures > 0)
    }
}

/// How it goes what a look at the servers does not show.
#[derive(Clone)]
pub(crate) struct Streaks {
    /// Jobs that are accepted.
    pub(crate) keeping: Streak,
    /// Messages to the broker.
    pub(crate) publishing: Streak,
}

/// Looks after itself and its neighbours. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Health {
    pings: Batcher<(), StoreAnswer>,
    latest: Arc<Mutex<Option<(Instant, StoreAnswer)>>>,
    clock: Arc<dyn Clock>,
    broker: watch::Receiver<Link>,
    wakeups: Arc<dyn Wakeups>,
    streaks: Streaks,
    loops: Arc<[ReconcilerHealth]>,
    shutdown: Shutdown,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").field("loops", &self.loops).finish_non_exhaustive()
    }
}

impl Health {
    /// Starts the prober.
    pub(crate) fn start(
        schema: Arc<dyn Schema>,
        (broker, wakeups): (watch::Receiver<Link>, Arc<dyn Wakeups>),
        streaks: Streaks,
        loops: Vec<ReconcilerHealth>,
        clock: Arc<dyn Clock>,
        shutdown: &Shutdown,
    ) -> Self {
        // One ping answers everybody who asked while the one before it was under way.
        let limits = BatcherLimits {
            lanes: 1,
            batch: 1_000,
            weight: usize::MAX,
            waiting: 1_000,
            patience: Duration::ZERO,
            gathering: Duration::ZERO,
        };
        let pings = Batcher::start(limits, shutdown, move |askers: Vec<()>| {
            let schema = Arc::clone(&schema);
            async move {
                let answer = ping(&*schema).await;
                askers.iter().map(|()| answer.clone()).collect()
            }
        });
        let latest = Arc::default();
        Self { pings, latest, clock, broker, wakeups, streaks, loops: loops.into(), shutdown: shutdown.clone() }
    }

    /// How things stand.
    pub(crate) async fn probe(&self) -> Readiness {
        let draining = self.shutdown.has_begun();
        Readiness {
            draining,
            keeping: self.keeping().await,
            announcing: *self.broker.borrow() == Link::Up
                && !self.wakeups.are_refused()
                && !self.streaks.publishing.goes_on(&*self.clock),
            loops: self.loops.iter().map(|l| (l.name(), l.failures_in_a_row())).collect(),
        }
    }

    /// What the store says, and what became of the last jobs: a full disk answers all questions.
    async fn keeping(&self) -> StoreAnswer {
        let answer = self.store().await;
        if answer.is_ok() && self.streaks.keeping.goes_on(&*self.clock) {
            return Err("the store takes no jobs".to_owned());
        }
        answer
    }

    async fn store(&self) -> StoreAnswer {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, answer)) = latest
            && self.clock.monotonic().saturating_duration_since(at) < FRESH
        {
            return answer;
        }
        let answer = match tokio::time::timeout(PATIENCE, self.pings.submit((), 1)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(overloaded)) => Err(overloaded.to_string()),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        };
        let now = self.clock.monotonic();
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, answer.clone()));
        answer
    }
}

async fn ping(schema: &dyn Schema) -> StoreAnswer {
    let answer = async {
        schema.ping().await?;
        schema.version().await?.check()
    };
    answer.await.map_err(|error| {
        tracing::debug!(error = %Chain(&error), "the store is not ready");
        // Only the outermost: what lies below may name hosts and files.
        error.to_string()
    })
}
