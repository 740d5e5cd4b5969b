//! The broker of embedded mode: queues in this process's memory. They hold ids only, and are filled again from the
//! store after a restart, like any broker that lost what it held.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast, watch};

use super::wakeups::HEARD_AT_MOST;
use super::{Broker, BrokerError, Consumers, Deliveries, Delivery, Link, Publisher, Receipt, Signal, Wakeups};
use crate::domain::{Band, Dispatch, PerBand, QueueName, Turns};

/// A broker inside this process.
pub fn open() -> Broker {
    let queues = Arc::new(Queues {
        waiting: Mutex::default(),
        arrived: Notify::new(),
        up: watch::Sender::new(Link::Up),
        signals: broadcast::Sender::new(HEARD_AT_MOST),
    });
    Broker { publisher: queues.clone(), consumers: Arc::new(Takers(queues.clone())), wakeups: queues }
}

struct Queues {
    waiting: Mutex<HashMap<QueueName, PerBand<VecDeque<Dispatch>>>>,
    arrived: Notify,
    up: watch::Sender<Link>,
    signals: broadcast::Sender<Signal>,
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, HashMap<QueueName, PerBand<VecDeque<Dispatch>>>> {
        // Nothing that runs under the lock can panic half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, dispatch: Dispatch) {
        self.lock().entry(dispatch.queue.clone()).or_default().get_mut(dispatch.band).push_front(dispatch);
        self.arrived.notify_waiters();
    }
}

#[async_trait]
impl Publisher for Queues {
    async fn publish(&self, batch: &[Dispatch]) -> Vec<Result<(), BrokerError>> {
        {
            let mut waiting = self.lock();
            for dispatch in batch {
                let bands = waiting.entry(dispatch.queue.clone()).or_default();
                bands.get_mut(dispatch.band).push_back(dispatch.clone());
            }
        }
        self.arrived.notify_waiters();
        batch.iter().map(|_| Ok(())).collect()
    }

    async fn ready_messages(&self, queue: &QueueName, band: Band) -> Result<u64, BrokerError> {
        let ready = self.lock().get(queue).map_or(0, |bands| bands.get(band).len());
        Ok(u64::try_from(ready).unwrap_or(u64::MAX))
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.up.subscribe()
    }

    async fn check(&self, _queues: &[QueueName]) -> Result<String, BrokerError> {
        Ok("in-process".to_owned())
    }
}

struct Takers(Arc<Queues>);

#[async_trait]
impl Consumers for Takers {
    async fn consume(&self, queues: &[QueueName], prefetch: u16) -> Box<dyn Deliveries> {
        Box::new(Taker {
            queues: Arc::clone(&self.0),
            from: queues.to_vec(),
            next_queue: 0,
            paused: HashSet::new(),
            turns: Turns::default(),
            unsettled: Arc::new(Semaphore::new(usize::from(prefetch.max(1)))),
            stopped: false,
        })
    }
}

impl Wakeups for Queues {
    fn announce(&self, signal: Signal) {
        // Nobody listens: nobody misses it.
        let _ = self.signals.send(signal);
    }

    fn subscribe(&self) -> broadcast::Receiver<Signal> {
        self.signals.subscribe()
    }

    fn are_refused(&self) -> bool {
        false
    }
}

struct Taker {
    queues: Arc<Queues>,
    from: Vec<QueueName>,
    /// Which queue is asked first: they take turns within a band.
    next_queue: usize,
    paused: HashSet<QueueName>,
    turns: Turns,
    unsettled: Arc<Semaphore>,
    stopped: bool,
}

impl Taker {
    fn take(&mut self) -> Option<Dispatch> {
        let Self { queues, from, next_queue, paused, turns, .. } = self;
        let mut waiting = queues.lock();
        let first = *next_queue;
        turns.pick(|band| {
            (0..from.len())
                .map(|offset| (first + offset) % from.len())
                .filter(|at| !paused.contains(&from[*at]))
                .find_map(|at| {
                    let dispatch = waiting.get_mut(&from[at])?.get_mut(band).pop_front()?;
                    *next_queue = at + 1;
                    Some(dispatch)
                })
        })
    }
}

#[async_trait]
impl Deliveries for Taker {
    async fn next(&mut self) -> Option<Delivery> {
        if self.stopped {
            return None;
        }
        let permit = Arc::clone(&self.unsettled).acquire_owned().await.ok()?;
        let queues = Arc::clone(&self.queues);
        loop {
            let mut arrived = pin!(queues.arrived.notified());
            // Listens before it looks, so that nothing can arrive in between unnoticed.
            arrived.as_mut().enable();
            if let Some(dispatch) = self.take() {
                let queues = Arc::clone(&queues);
                let receipt = Held { dispatch: Some(dispatch.clone()), queues, _permit: permit };
                return Some(Delivery { dispatch, receipt: Box::new(receipt) });
            }
            arrived.await;
        }
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.queues.up.subscribe()
    }

    fn pause(&mut self, queues: &[QueueName]) {
        self.paused = queues.iter().cloned().collect();
    }

    async fn stop(&mut self) {
        self.stopped = true;
    }
}

/// A dispatch that somebody has, until it is settled.
struct Held {
    dispatch: Option<Dispatch>,
    queues: Arc<Queues>,
    _permit: OwnedSemaphorePermit,
}

impl Receipt for Held {
    fn ack(mut self: Box<Self>) {
        self.dispatch = None;
    }

    fn give_back(self: Box<Self>) {}
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(dispatch) = self.dispatch.take() {
            self.queues.give_back(dispatch);
        }
    }
}
