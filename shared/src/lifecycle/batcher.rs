//! Natural batching: a batch is whatever arrived while the previous one was being written.
//!
//! No timer and no minimum: one lone request is written at once, a flood is written hundreds at a time. The number of
//! lanes bounds how many batches are under way, and so how many connections a purpose can take; the queue in front of
//! them is bounded too, and what does not fit is told so before any harm.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::Shutdown;

/// Nothing was taken: the queue is full, or the batcher has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is waiting to be written")]
pub struct Overloaded;

/// How much at once.
#[derive(Debug, Clone, Copy)]
pub struct BatcherLimits {
    /// Batches under way at the same time.
    pub lanes: usize,
    /// Items of one batch at most.
    pub batch: usize,
    /// Weight of one batch, after which it is closed; a single heavier item makes a batch of its own.
    pub weight: usize,
    /// Items that may wait.
    pub waiting: usize,
}

struct Entry<Q, A> {
    item: Q,
    weight: usize,
    answer: oneshot::Sender<A>,
}

struct Queue<Q, A> {
    entries: Mutex<VecDeque<Entry<Q, A>>>,
    arrived: Notify,
    limits: BatcherLimits,
}

impl<Q, A> Queue<Q, A> {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Entry<Q, A>>> {
        // Nothing that runs under the lock can panic half-way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_batch(&self) -> Vec<Entry<Q, A>> {
        let mut entries = self.lock();
        let mut batch = Vec::new();
        let mut weight = 0;
        while let Some(next) = entries.front() {
            let full = batch.len() >= self.limits.batch || weight + next.weight > self.limits.weight;
            if full && !batch.is_empty() {
                break;
            }
            weight += next.weight;
            batch.extend(entries.pop_front());
        }
        if !entries.is_empty() {
            self.arrived.notify_one();
        }
        batch
    }
}

/// Collects items of type `Q` and answers each with an `A`. Cloning shares it.
pub struct Batcher<Q, A> {
    queue: Arc<Queue<Q, A>>,
    shutdown: Shutdown,
}

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), shutdown: self.shutdown.clone() }
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
    /// `write` returned fewer) is told [`Overloaded`]. The lanes end once `shutdown` has begun *and* nothing waits.
    pub fn start<W, F>(limits: BatcherLimits, shutdown: &Shutdown, write: W) -> Self
    where
        W: Fn(Vec<Q>) -> F + Send + Sync + 'static,
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let queue = Arc::new(Queue { entries: Mutex::new(VecDeque::new()), arrived: Notify::new(), limits });
        let write = Arc::new(write);
        for _ in 0..limits.lanes.max(1) {
            shutdown.spawn(lane(Arc::clone(&queue), Arc::clone(&write), shutdown.clone()));
        }
        Self { queue, shutdown: shutdown.clone() }
    }

    /// Hands an item over and waits for its answer. `weight` is in the unit of [`BatcherLimits::weight`].
    /// Dropping the future gives up the answer, not the item.
    pub async fn submit(&self, item: Q, weight: usize) -> Result<A, Overloaded> {
        let (answer, answered) = oneshot::channel();
        {
            let mut entries = self.queue.lock();
            if entries.len() >= self.queue.limits.waiting {
                return Err(Overloaded);
            }
            entries.push_back(Entry { item, weight, answer });
        }
        self.queue.arrived.notify_one();
        if self.shutdown.has_begun() {
            // The lanes may have ended already; they take what they find when woken, so wake them all.
            self.queue.arrived.notify_waiters();
        }
        answered.await.map_err(|_| Overloaded)
    }
}

async fn lane<Q, A, W, F>(queue: Arc<Queue<Q, A>>, write: Arc<W>, shutdown: Shutdown)
where
    W: Fn(Vec<Q>) -> F,
    F: Future<Output = Vec<A>>,
{
    loop {
        let batch = queue.take_batch();
        if batch.is_empty() {
            if shutdown.has_begun() {
                return;
            }
            tokio::select! {
                () = queue.arrived.notified() => {}
                () = shutdown.begun() => {}
            }
            continue;
        }
        let (items, senders): (Vec<_>, Vec<_>) = batch.into_iter().map(|e| (e.item, e.answer)).unzip();
        let answers = write(items).await;
        for (sender, answer) in senders.into_iter().zip(answers) {
            // A caller that went away does not want its answer.
            let _ = sender.send(answer);
        }
    }
}
