//! Natural batching: a batch is whatever arrived while the previous one was being written.
//!
//! One lone request is written at once, a flood is written hundreds at a time. In a flood, those who have just been answered
//! are likely to come back: the next batch waits for them, no longer than the last write took, instead of leaving them for
//! the one after. The number of lanes bounds how many batches are under way, and so how many connections a purpose can take;
//! the queue in front of them is bounded too, and what does not fit is told so before any harm.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::Shutdown;
use super::gathering::{Gathering, Written};

/// Nothing was taken: the queue is full, or the batcher has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is waiting to be written")]
pub struct Overloaded;

/// How much at once.
#[derive(Debug, Clone, Copy)]
pub struct BatcherLimits {
    /// Batches under way at the same time, at most.
    pub lanes: usize,
    /// Items of one batch at most.
    pub batch: usize,
    /// Weight of one batch, after which it is closed; a single heavier item makes a batch of its own.
    pub weight: usize,
    /// Items that may wait.
    pub waiting: usize,
    /// How long what waits is kept for the next batch of a lane that is writing, before another lane takes it. A batch
    /// that is full waits for nobody. Few large batches cost less than many small ones, so further lanes are for a store
    /// that answers slowly, and for batches that got stuck.
    pub patience: Duration,
    /// How long the next batch of a flood waits at most for those who have just been answered; no longer than the last write
    /// took. Zero where a batch hardly costs more than its items.
    pub gathering: Duration,
}

struct Entry<Q, A> {
    item: Q,
    weight: usize,
    answer: oneshot::Sender<A>,
}

struct Waiting<Q, A> {
    entries: VecDeque<Entry<Q, A>>,
    weight: usize,
    /// Lanes that are writing.
    writing: usize,
    /// Batches taken so far.
    taken: u64,
    gathering: Option<Gathering>,
}

struct Queue<Q, A> {
    waiting: Mutex<Waiting<Q, A>>,
    /// There is something for an idle lane to look at.
    arrived: Notify,
    limits: BatcherLimits,
}

/// What an idle lane finds.
enum Found<Q, A> {
    Nothing,
    /// Something that a lane which is writing will take when it is done, unless that lasts. So many batches were taken.
    Spoken(u64),
    /// More are likely to come until then.
    Gathering(Instant),
    Batch(Vec<Entry<Q, A>>),
}

impl<Q, A> Queue<Q, A> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting<Q, A>> {
        // Nothing that runs under the lock can panic half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self, waiting: &Waiting<Q, A>) -> bool {
        waiting.entries.len() >= self.limits.batch || waiting.weight >= self.limits.weight
    }

    /// Looks for a batch. `waited`: patience is over if no batch was taken since this many.
    fn look(&self, waited: Option<u64>) -> Found<Q, A> {
        let mut waiting = self.lock();
        if let Some(gathering) = waiting.gathering
            && gathering.goes_on(waiting.entries.len(), Instant::now())
            && !self.is_full(&waiting)
        {
            return Found::Gathering(gathering.ends);
        }
        waiting.gathering = None;
        if waiting.entries.is_empty() {
            return Found::Nothing;
        }
        if waiting.writing > 0 && !self.is_full(&waiting) && waited != Some(waiting.taken) {
            return Found::Spoken(waiting.taken);
        }
        let batch = self.take_batch(&mut waiting);
        waiting.writing += 1;
        waiting.taken += 1;
        if !waiting.entries.is_empty() {
            self.arrived.notify_one();
        }
        Found::Batch(batch)
    }

    /// A batch of `size` was written in `took`.
    fn wrote(&self, size: usize, took: Duration) {
        let mut waiting = self.lock();
        waiting.writing -= 1;
        let (largest, longest) = (self.limits.batch, self.limits.gathering);
        let written = Written { size, took, left: waiting.entries.len(), largest, longest };
        waiting.gathering = Gathering::after(&written, Instant::now());
    }

    fn take_batch(&self, waiting: &mut Waiting<Q, A>) -> Vec<Entry<Q, A>> {
        let mut batch = Vec::with_capacity(waiting.entries.len().min(self.limits.batch));
        let mut weight = 0;
        while let Some(next) = waiting.entries.front() {
            let full = batch.len() >= self.limits.batch || weight + next.weight > self.limits.weight;
            if full && !batch.is_empty() {
                break;
            }
            weight += next.weight;
            batch.extend(waiting.entries.pop_front());
        }
        waiting.weight -= weight;
        batch
    }
}

/// Collects items of type `Q` and answers each with an `A`. Cloning shares it.
pub struct Batcher<Q, A> {
    queue: Arc<Queue<Q, A>>,
}

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue) }
    }
}

impl<Q, A> fmt::Debug for Batcher<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("limits", &self.queue.limits).finish_non_exhaustive()
    }
}

impl<Q, A> Batcher<Q, A>
where
    Q: Send + 'static,
    A: Send + 'static,
{
    /// Starts the lanes. `write` takes a batch and answers in its order; an item without an answer (a batch whose
    /// `write` returned fewer) is told [`Overloaded`]. The lanes serve until everything that `shutdown` waits for has
    /// ended, so whoever drains can still write.
    pub fn start<W, F>(limits: BatcherLimits, shutdown: &Shutdown, write: W) -> Self
    where
        W: Fn(Vec<Q>) -> F + Send + Sync + 'static,
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let waiting = Waiting { entries: VecDeque::new(), weight: 0, writing: 0, taken: 0, gathering: None };
        let queue = Arc::new(Queue { waiting: Mutex::new(waiting), arrived: Notify::new(), limits });
        let write = Arc::new(write);
        for _ in 0..limits.lanes.max(1) {
            shutdown.spawn_service(lane(Arc::clone(&queue), Arc::clone(&write)));
        }
        Self { queue }
    }

    /// Hands an item over, at once; the future waits for its answer. `weight` is in the unit of
    /// [`BatcherLimits::weight`]. Dropping the future gives up the answer, not the item.
    pub fn submit(&self, item: Q, weight: usize) -> impl Future<Output = Result<A, Overloaded>> + Send + use<Q, A> {
        let taken = self.take(item, weight);
        async { taken?.await.map_err(|_| Overloaded) }
    }

    fn take(&self, item: Q, weight: usize) -> Result<oneshot::Receiver<A>, Overloaded> {
        let (answer, answered) = oneshot::channel();
        let worth_a_look = {
            let mut waiting = self.queue.lock();
            if waiting.entries.len() >= self.queue.limits.waiting {
                return Err(Overloaded);
            }
            waiting.entries.push_back(Entry { item, weight, answer });
            waiting.weight += weight;
            let is_worth_it = match waiting.gathering {
                Some(gathering) => waiting.entries.len() == gathering.wanted,
                // In between, what arrives joins what an idle lane has already seen.
                None => waiting.writing == 0 || waiting.entries.len() == 1,
            };
            is_worth_it || self.queue.is_full(&waiting)
        };
        if worth_a_look {
            self.queue.arrived.notify_one();
        }
        Ok(answered)
    }
}

async fn lane<Q, A, W, F>(queue: Arc<Queue<Q, A>>, write: Arc<W>)
where
    W: Fn(Vec<Q>) -> F,
    F: Future<Output = Vec<A>>,
{
    let mut waited = None;
    loop {
        match queue.look(waited.take()) {
            Found::Nothing => queue.arrived.notified().await,
            Found::Spoken(taken) => {
                if tokio::time::timeout(queue.limits.patience, queue.arrived.notified()).await.is_err() {
                    waited = Some(taken);
                }
            }
            Found::Gathering(ends) => {
                let _ = tokio::time::timeout_at(ends, queue.arrived.notified()).await;
            }
            Found::Batch(batch) => {
                let (size, began) = (batch.len(), Instant::now());
                let (items, senders): (Vec<_>, Vec<_>) = batch.into_iter().map(|e| (e.item, e.answer)).unzip();
                let answers = write(items).await;
                queue.wrote(size, began.elapsed());
                for (sender, answer) in senders.into_iter().zip(answers) {
                    // A caller that went away does not want its answer.
                    let _ = sender.send(answer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
