//! Natural batching: a batch is whatever arrived while the previous one was being written.
//!
//! No timer and no minimum: one lone request is written at once, a flood is written hundreds at a time. The number of
//! lanes bounds how many batches are under way, and so how many connections a purpose can take; the queue in front of
//! them is bounded too, and what does not fit is told so before any harm.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::Shutdown;

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
        let waiting = Waiting { entries: VecDeque::new(), weight: 0, writing: 0, taken: 0 };
        let queue = Arc::new(Queue { waiting: Mutex::new(waiting), arrived: Notify::new(), limits });
        let write = Arc::new(write);
        for _ in 0..limits.lanes.max(1) {
            shutdown.spawn_service(lane(Arc::clone(&queue), Arc::clone(&write)));
        }
        Self { queue }
    }

    /// Hands an item over and waits for its answer. `weight` is in the unit of [`BatcherLimits::weight`].
    /// Dropping the future gives up the answer, not the item.
    pub async fn submit(&self, item: Q, weight: usize) -> Result<A, Overloaded> {
        let (answer, answered) = oneshot::channel();
        let worth_a_look = {
            let mut waiting = self.queue.lock();
            if waiting.entries.len() >= self.queue.limits.waiting {
                return Err(Overloaded);
            }
            waiting.entries.push_back(Entry { item, weight, answer });
            waiting.weight += weight;
            // In between, what arrives joins what an idle lane has already seen.
            waiting.writing == 0 || waiting.entries.len() == 1 || self.queue.is_full(&waiting)
        };
        if worth_a_look {
            self.queue.arrived.notify_one();
        }
        answered.await.map_err(|_| Overloaded)
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
            Found::Batch(batch) => {
                let (items, senders): (Vec<_>, Vec<_>) = batch.into_iter().map(|e| (e.item, e.answer)).unzip();
                let answers = write(items).await;
                queue.lock().writing -= 1;
                for (sender, answer) in senders.into_iter().zip(answers) {
                    // A caller that went away does not want its answer.
                    let _ = sender.send(answer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    const LIMITS: BatcherLimits =
        BatcherLimits { lanes: 1, batch: 4, weight: 100, waiting: 10, patience: Duration::from_hours(1) };

    /// Answers an item with itself and the size of its batch; each batch takes a permit of `gate` first.
    fn echoing(limits: BatcherLimits, gate: &Arc<Semaphore>) -> (Batcher<u32, (u32, usize)>, Shutdown) {
        let shutdown = Shutdown::new();
        let gate = Arc::clone(gate);
        let batcher = Batcher::start(limits, &shutdown, move |items: Vec<u32>| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                let size = items.len();
                items.into_iter().map(|item| (item, size)).collect()
            }
        });
        (batcher, shutdown)
    }

    /// Submits 0, 1, … one after another: the first is being written, at the closed gate, before the others wait.
    async fn submit_in_turn(
        batcher: &Batcher<u32, (u32, usize)>,
        count: u32,
    ) -> Vec<tokio::task::JoinHandle<Result<(u32, usize), Overloaded>>> {
        let mut answers = Vec::new();
        for item in 0..count {
            let submitted = batcher.clone();
            #[expect(clippy::disallowed_methods, reason = "a test asks from several tasks at once")]
            answers.push(tokio::task::spawn(async move { submitted.submit(item, 1).await }));
            let arrived = async {
                // The test's runtime has one thread: after a few yields everybody has gone as far as they can.
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                while batcher.queue.lock().entries.len() != usize::try_from(item).unwrap() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), arrived).await.unwrap();
        }
        answers
    }

    #[tokio::test]
    async fn what_arrives_during_a_write_is_the_next_batch_up_to_its_size() {
        let gate = Arc::new(Semaphore::new(0));
        let (batcher, _shutdown) = echoing(LIMITS, &gate);
        let answers = submit_in_turn(&batcher, 7).await;
        gate.add_permits(10);
        let mut sizes = Vec::new();
        for (item, answer) in answers.into_iter().enumerate() {
            let (echoed, size) = answer.await.unwrap().unwrap();
            assert_eq!(usize::try_from(echoed).unwrap(), item);
            sizes.push(size);
        }
        assert_eq!(sizes, [1, 4, 4, 4, 4, 2, 2]);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_before_taking_anything() {
        let gate = Arc::new(Semaphore::new(0));
        let (batcher, _shutdown) = echoing(BatcherLimits { waiting: 2, ..LIMITS }, &gate);
        let answers = submit_in_turn(&batcher, 3).await;
        assert_eq!(batcher.submit(9, 1).await, Err(Overloaded));
        gate.add_permits(10);
        for answer in answers {
            assert!(answer.await.unwrap().is_ok());
        }
    }

    #[tokio::test]
    async fn a_heavy_item_makes_a_batch_of_its_own() {
        let gate = Arc::new(Semaphore::new(10));
        let (batcher, _shutdown) = echoing(LIMITS, &gate);
        assert_eq!(batcher.submit(1, 1_000).await, Ok((1, 1)));
    }

    #[tokio::test]
    async fn a_second_lane_takes_a_full_batch_at_once_and_no_other() {
        let gate = Arc::new(Semaphore::new(0));
        let (batcher, _shutdown) = echoing(BatcherLimits { lanes: 2, ..LIMITS }, &gate);
        let all = futures_util::future::join_all((0..10).map(|item| batcher.submit(item, 1)));
        let both_write = async {
            while batcher.queue.lock().writing < 2 {
                tokio::task::yield_now().await;
            }
            gate.add_permits(10);
        };
        let all = futures_util::future::join(all, both_write);
        let (answers, ()) = tokio::time::timeout(Duration::from_secs(10), all).await.unwrap();
        let sizes: Vec<usize> = answers.into_iter().map(|answer| answer.unwrap().1).collect();
        assert_eq!(sizes, [4, 4, 4, 4, 4, 4, 4, 4, 2, 2]);
    }

    #[tokio::test]
    async fn a_second_lane_takes_what_has_waited_long_enough_for_the_first() {
        let gate = Arc::new(Semaphore::new(0));
        let patience = Duration::from_millis(5);
        let (batcher, _shutdown) = echoing(BatcherLimits { lanes: 2, patience, ..LIMITS }, &gate);
        let later = async {
            while batcher.queue.lock().taken == 0 {
                tokio::task::yield_now().await;
            }
            batcher.submit(2, 1).await
        };
        let opened = async {
            // Only patience can bring this about: the first lane stands at the gate.
            while batcher.queue.lock().writing < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            gate.add_permits(2);
        };
        let all = futures_util::future::join3(batcher.submit(1, 1), later, opened);
        let (first, second, ()) = tokio::time::timeout(Duration::from_secs(10), all).await.unwrap();
        assert_eq!((first, second), (Ok((1, 1)), Ok((2, 1))));
    }

    #[tokio::test]
    async fn whoever_drains_can_still_write() {
        let gate = Arc::new(Semaphore::new(10));
        let (batcher, shutdown) = echoing(LIMITS, &gate);
        let draining = shutdown.clone();
        let last = shutdown.spawn(async move {
            draining.begun().await;
            batcher.submit(1, 1).await
        });
        assert!(shutdown.finish(Duration::from_secs(10)).await);
        assert_eq!(last.await.unwrap(), Some(Ok((1, 1))));
    }
}
