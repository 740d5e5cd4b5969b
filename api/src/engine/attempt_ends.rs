//! Ends running attempts from the API, for whoever shows their fence: batched, announced to all who wait, and safe to
//! ask for twice.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::broker::{Signal, Wakeups};
use raincheck_shared::config::StoreSettings;
use raincheck_shared::domain::{Ended, WorkerId};
use raincheck_shared::lifecycle::{Batcher, BatcherLimits, Shutdown};
use raincheck_shared::store::{Finish, Finished, Store, StoreError};
use raincheck_shared::telemetry::Chain;

use super::Refusal;
use super::store_calls::STORE_PATIENCE;

/// Bytes of results of one batch.
const BATCH_BYTES: usize = 8 << 20;

type Answer = Result<Finished, StoreError>;

/// The lanes. Cloning shares them.
#[derive(Clone)]
pub(crate) struct AttemptEnds(Batcher<Finish, Answer>);

impl fmt::Debug for AttemptEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AttemptEnds").field(&self.0).finish()
    }
}

impl AttemptEnds {
    /// Starts the lanes on the runtime of the caller.
    pub(crate) fn start(
        settings: &StoreSettings,
        store: Store,
        wakeups: Arc<dyn Wakeups>,
        shutdown: &Shutdown,
    ) -> Self {
        let lanes = match settings {
            StoreSettings::Postgres { .. } => 2,
            StoreSettings::Sqlite { .. } => 1,
        };
        let patience = Duration::from_millis(5);
        let limits =
            BatcherLimits { lanes, batch: 256, weight: BATCH_BYTES, waiting: 10_000, patience, gathering: patience };
        Self(Batcher::start(limits, shutdown, move |batch: Vec<Finish>| {
            let (store, wakeups) = (store.clone(), Arc::clone(&wakeups));
            async move { end_each_once(&store, &*wakeups, batch).await }
        }))
    }

    /// Ends one attempt. What is recorded is durable, and whoever waits for the job was told. The same end sent twice is
    /// recorded once and answered alike; [`Finished::Fenced`]: the fence fits no attempt any more, and nothing was recorded.
    ///
    /// After [`Refusal::StoreSilent`] and [`Refusal::StoreAway`] nobody knows: send it again.
    pub(crate) async fn end(&self, finish: Finish) -> Result<Finished, Refusal> {
        let weight = match &finish.ended {
            Ended::Succeeded(output) => output.content.body.weight(),
            _ => 1,
        };
        let answer = tokio::time::timeout(STORE_PATIENCE, self.0.submit(finish, weight)).await;
        Ok(answer.map_err(|_| Refusal::StoreSilent(STORE_PATIENCE))???)
    }
}

/// Records a batch in which a job may come several times: from a late worker and from the one that has it now, or from one
/// that asks twice. The store answers by job, so each job comes once in what it is given.
async fn end_each_once(store: &Store, wakeups: &dyn Wakeups, batch: Vec<Finish>) -> Vec<Answer> {
    let mut answers: Vec<Option<Answer>> = batch.iter().map(|_| None).collect();
    let mut left: Vec<(usize, Finish)> = batch.into_iter().enumerate().collect();
    while !left.is_empty() {
        let mut jobs = HashSet::new();
        let (turn, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, finish)| jobs.insert(finish.fence.job));
        left = later;
        let (places, turn): (Vec<usize>, Vec<Finish>) = turn.into_iter().unzip();
        match record_ends(store, wakeups, &turn).await {
            Ok(recorded) => places.into_iter().zip(recorded).for_each(|(place, answer)| answers[place] = Some(answer)),
            Err(error) => places.into_iter().for_each(|place| answers[place] = Some(Err(error.clone()))),
        }
    }
    let unanswered = || Err(StoreError::unavailable(std::io::Error::other("an end was not answered")));
    answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
}

/// Records ends of attempts, each job once, and tells the world.
pub(crate) async fn record_ends(
    store: &Store,
    wakeups: &dyn Wakeups,
    batch: &[Finish],
) -> Result<Vec<Answer>, StoreError> {
    let answers = store.attempts.finish(batch).await?;
    let mut changes = Vec::new();
    let mut soonest: Option<Duration> = None;
    for (finish, answer) in batch.iter().zip(&answers) {
        let Ok(Some(change)) = answer.as_ref().map(Finished::change) else { continue };
        changes.push(change);
        if let Ended::Retry { delay, .. } | Ended::Snoozed(delay) = finish.ended {
            soonest = Some(soonest.map_or(delay, |soonest| soonest.min(delay)));
        }
    }
    if !changes.is_empty() {
        wakeups.announce(Signal::Changed(changes));
    }
    if let Some(delay) = soonest {
        wakeups.announce(Signal::TimerSet(delay));
    }
    let done: Vec<WorkerId> = batch.iter().filter(|end| end.lease_done.is_some()).map(|end| end.worker).collect();
    if let Err(error) = store.remote_leases.forget_leases(&done).await {
        tracing::debug!(error = %Chain(&error), "left incarnations of remote workers to go when their leases run out");
    }
    Ok(answers)
}
