//! Publishes what waits: straight from memory after the commit, and from the store what nobody published.
//!
//! The only part of raincheck that publishes jobs. It runs in the API: workers may be scaled to zero, and the queue depth
//! that wakes them must still come about. A dispatch may be published twice; the second message finds nothing to claim.
//!
//! What remote workers lease is not sent at all: those who wait for it are woken, and it counts as published.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use raincheck_shared::broker::{Link, Signal};
use raincheck_shared::domain::{Dispatch, DispatchId, KindName};
use raincheck_shared::lifecycle::failpoint::{self, Step};
use raincheck_shared::lifecycle::{FLOOD, Next, Nudge, Reconciler, ReconcilerHealth, Shutdown};
use raincheck_shared::store::StoreError;
use raincheck_shared::telemetry::Chain;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Parts;

/// Dispatches of one publish at most.
const BATCH: usize = 512;
/// Offers that are taken together at most.
const LISTS: usize = 256;
/// Publishes under way at the same time: a lone one does not wait for the confirms of the one before.
const PUBLISHES: usize = 4;
/// In a flood, the time from one publish to the next: the broker's write to the disk costs the same for one message as for
/// many. The first of a flood goes at once, and so does what comes alone.
const PACE: Duration = Duration::from_millis(16);
/// How long confirms are collected before they are noted in the store. Dispatches that were claimed meanwhile need no
/// note any more, and when workers keep up that is all of them. Well below the two seconds after which another replica
/// would take an unmarked dispatch for forgotten.
const NOTE_AFTER: Duration = Duration::from_millis(500);
/// How long a replica keeps the dispatches it took from the store to itself.
const HOLD: Duration = Duration::from_secs(10);

/// Starts both halves.
pub(super) fn start(parts: &Parts, offered: mpsc::Receiver<Vec<Dispatch>>, shutdown: &Shutdown) -> ReconcilerHealth {
    let (confirmed, to_note) = mpsc::unbounded_channel();
    shutdown.spawn_service(publish_offered(parts.clone(), offered, confirmed));
    shutdown.spawn_service(note_confirmed(parts.clone(), to_note));

    let nudge = Nudge::default();
    shutdown.spawn_service(nudge_when_up(parts.clone(), nudge.clone()));
    let scan = parts.clone();
    let period = parts.settings.upkeep.relay;
    Reconciler { name: "outbox-relay", period, nudge }.start(shutdown, move || publish_forgotten(scan.clone()))
}

/// What was offered straight from memory.
struct Offers {
    lists: mpsc::Receiver<Vec<Dispatch>>,
    /// Nothing is taken before.
    pause: Instant,
}

impl Offers {
    /// Whatever was offered since the last call, as soon as there is anything and a flood's pause is over; `None` once
    /// nobody can offer any more. Dropped before it is ready it has taken nothing.
    async fn next(&mut self) -> Option<Vec<Dispatch>> {
        if Instant::now() < self.pause {
            tokio::time::sleep_until(self.pause).await;
        }
        let mut lists = Vec::new();
        if self.lists.recv_many(&mut lists, LISTS).await == 0 {
            return None;
        }
        let batch: Vec<Dispatch> = lists.into_iter().flatten().collect();
        let jobs: usize = batch.iter().map(|dispatch| dispatch.jobs.len()).sum();
        if jobs >= FLOOD {
            self.pause = Instant::now() + PACE;
        }
        Some(batch)
    }
}

/// From memory: whatever was offered while the previous batches were on their way.
async fn publish_offered(
    parts: Parts,
    offered: mpsc::Receiver<Vec<Dispatch>>,
    confirmed: mpsc::UnboundedSender<Vec<DispatchId>>,
) {
    let mut offers = Offers { lists: offered, pause: Instant::now() };
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            offered = offers.next(), if under_way.len() < PUBLISHES => {
                let Some(mut batch) = offered else { return };
                let woken = wake_remote_workers(&parts, &mut batch);
                if !woken.is_empty() {
                    let _ = confirmed.send(woken);
                }
                // While the broker is away, what is offered stays in the store until it is back.
                if *parts.broker.publisher.link().borrow() == Link::Down {
                    continue;
                }
                while !batch.is_empty() {
                    let rest = batch.split_off(batch.len().min(BATCH));
                    under_way.push(publish(&parts, std::mem::replace(&mut batch, rest)));
                }
            }
            Some(ids) = under_way.next() => {
                let _ = confirmed.send(ids);
            }
        }
    }
}

/// Takes out of a batch what remote workers lease, and wakes those who wait for it.
fn wake_remote_workers(parts: &Parts, batch: &mut Vec<Dispatch>) -> Vec<DispatchId> {
    if parts.remote_kinds.is_empty() {
        return Vec::new();
    }
    let leased: Vec<Dispatch> = batch.extract_if(.., |it| parts.remote_kinds.contains(&it.kind)).collect();
    let kinds: BTreeSet<KindName> = leased.iter().map(|dispatch| dispatch.kind.clone()).collect();
    if !kinds.is_empty() {
        parts.broker.wakeups.announce(Signal::Leasable(kinds.into_iter().collect()));
    }
    leased.into_iter().map(|dispatch| dispatch.id).collect()
}

/// Publishes a batch; answers what the broker confirmed.
async fn publish(parts: &Parts, batch: Vec<Dispatch>) -> Vec<DispatchId> {
    let answers = parts.broker.publisher.publish(&batch).await;
    let mut confirmed = Vec::with_capacity(batch.len());
    let mut failed = None;
    for (dispatch, answer) in batch.iter().zip(answers) {
        match answer {
            Ok(()) => confirmed.push(dispatch.id),
            Err(error) => failed = Some(error),
        }
    }
    match &failed {
        Some(error) if confirmed.is_empty() => parts.publishing.failed(error, &*parts.clock),
        _ => parts.publishing.went_well(),
    }
    if let Some(error) = failed {
        let unconfirmed = batch.len() - confirmed.len();
        tracing::debug!(error = %Chain(&error), dispatches = unconfirmed, "not confirmed, will be published again");
    }
    confirmed
}

async fn note_confirmed(parts: Parts, mut confirmed: mpsc::UnboundedReceiver<Vec<DispatchId>>) {
    let mut lists = Vec::new();
    while confirmed.recv_many(&mut lists, 1024).await > 0 {
        tokio::time::sleep(NOTE_AFTER).await;
        while let Ok(more) = confirmed.try_recv() {
            lists.push(more);
        }
        let ids: Vec<DispatchId> = lists.drain(..).flatten().collect();
        failpoint::passed(Step::Confirmed).await;
        for ids in ids.chunks(4096) {
            if let Err(error) = parts.store.outbox.mark_published(ids).await {
                tracing::debug!(error = %Chain(&error), "confirms were not noted: they will be published again");
            }
        }
    }
}

/// From the store: what a crash, a full buffer or an outage of the broker left behind.
async fn publish_forgotten(parts: Parts) -> Result<Next, StoreError> {
    if *parts.broker.publisher.link().borrow() == Link::Down {
        return Ok(Next::Idle);
    }
    let limit = u32::try_from(BATCH).unwrap_or(u32::MAX);
    let mut batch = parts.store.outbox.take_unpublished(limit, HOLD).await?;
    if batch.is_empty() {
        return Ok(Next::Idle);
    }
    let full = batch.len() >= BATCH;
    let mut confirmed = wake_remote_workers(&parts, &mut batch);
    confirmed.extend(publish(&parts, batch).await);
    failpoint::passed(Step::Confirmed).await;
    parts.store.outbox.mark_published(&confirmed).await?;
    // If the broker takes nothing there is no hurry.
    Ok(if full && !confirmed.is_empty() { Next::Again } else { Next::Idle })
}

async fn nudge_when_up(parts: Parts, nudge: Nudge) {
    let mut link = parts.broker.publisher.link();
    while link.changed().await.is_ok() {
        if *link.borrow_and_update() == Link::Up {
            nudge.nudge();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use raincheck_shared::domain::Band;
    use raincheck_shared::lifecycle::IdSource;

    use super::*;

    fn offer(jobs: usize) -> Vec<Dispatch> {
        let (queue, kind) = ("default".parse().unwrap(), "echo".parse().unwrap());
        let jobs = (0..jobs).map(|_| IdSource.job()).collect();
        vec![Dispatch { id: 1, queue, band: Band::Normal, kind, jobs }]
    }

    #[tokio::test]
    async fn what_comes_alone_goes_at_once_and_a_flood_goes_a_pace_apart() {
        let (offer_to, lists) = mpsc::channel(8);
        let mut offers = Offers { lists, pause: Instant::now() };
        for jobs in [1, FLOOD - 1, FLOOD] {
            offer_to.send(offer(jobs)).await.unwrap();
            assert!(offers.next().now_or_never().flatten().is_some(), "{jobs} at once");
        }
        let flooded = Instant::now();
        for jobs in [1, FLOOD - 2] {
            offer_to.send(offer(jobs)).await.unwrap();
            assert!(offers.next().now_or_never().is_none(), "so soon after {FLOOD}");
        }
        assert_eq!(offers.next().await.map(|batch| batch.len()), Some(2), "together");
        assert!(flooded.elapsed() + Duration::from_millis(2) >= PACE);
        offer_to.send(offer(1)).await.unwrap();
        assert!(offers.next().now_or_never().flatten().is_some(), "that was no flood any more");
        drop(offer_to);
        assert!(offers.next().await.is_none());
    }
}
