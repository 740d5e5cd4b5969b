//! A worker's stream of messages.
//!
//! Every queue and band has a subscription of its own, with its share of the prefetch: half of it for the normal band,
//! a quarter for each other, split evenly among the queues, at least one each. So the broker may have handed over a few
//! more than `prefetch` when there are many queues; the worker never has more than `prefetch` unsettled. What it does not
//! take within half a second goes back, and that subscription rests until it asks again: no worker hoards.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connection::SupervisedConnection;
use super::inbox::{Arrived, Inbox};
use super::publisher::QueuePublisher;
use super::subscription::Subscription;
use super::topology::Names;
use super::unreadable::set_aside;
use crate::broker::{Consumers, Deliveries, Delivery, Link};
use crate::config::RabbitmqSettings;
use crate::domain::{Band, QueueName};
use crate::lifecycle::Shutdown;

/// Makes streams, each over a connection of its own.
pub(super) struct QueueConsumers {
    pub(super) settings: RabbitmqSettings,
    pub(super) names: Names,
    pub(super) role: &'static str,
    pub(super) shutdown: Shutdown,
    /// Takes what cannot be read to its place.
    pub(super) publisher: Arc<QueuePublisher>,
}

/// How many messages of one queue and band the broker may hand over ahead. Those of the express band come on top: it is
/// empty while there is one tenant, who should not have less at hand for that.
fn share(prefetch: u16, queues: usize, band: Band) -> u16 {
    let parts = if band == Band::Normal { 2 } else { 4 };
    let queues = u16::try_from(queues.max(1)).unwrap_or(u16::MAX);
    (prefetch / parts / queues).max(1)
}

#[async_trait]
impl Consumers for QueueConsumers {
    async fn consume(&self, queues: &[QueueName], prefetch: u16) -> Box<dyn Deliveries> {
        let settings = &self.settings;
        let name = format!("raincheck {} consume", self.role);
        let connection = Arc::new(SupervisedConnection::start(settings.clone(), name, &self.shutdown));
        let inbox = Arc::new(Inbox::new(queues.len() * Band::ALL.len()));
        let stop = CancellationToken::new();
        let (pauses, told) = watch::channel(HashSet::new());
        let (unreadable, found) = mpsc::unbounded_channel();
        let aside = set_aside(found, Arc::clone(&self.publisher), self.names.unreadable(), settings.max_backoff);
        self.shutdown.spawn_foundation(aside);
        let places = queues.iter().flat_map(|queue| Band::ALL.map(|band| (queue, band)));
        let subscriptions = places
            .enumerate()
            .map(|(number, (queue, band))| {
                let subscription = Subscription {
                    number,
                    name: queue.clone(),
                    paused: told.clone(),
                    queue: self.names.queue(queue, band),
                    band,
                    prefetch: share(prefetch, queues.len(), band),
                    inbox: Arc::clone(&inbox),
                    connection: Arc::clone(&connection),
                    unreadable: unreadable.clone(),
                    stop: stop.clone(),
                    answer_timeout: settings.publish_timeout,
                    longest_pause: settings.max_backoff,
                };
                self.shutdown.spawn_foundation(subscription.run())
            })
            .collect();
        Box::new(QueueDeliveries {
            inbox,
            unsettled: Arc::new(Semaphore::new(usize::from(prefetch.max(1)))),
            subscriptions,
            pauses,
            _end: stop.clone().drop_guard(),
            stop,
        })
    }
}

/// Ends its subscriptions when it is dropped.
struct QueueDeliveries {
    inbox: Arc<Inbox>,
    unsettled: Arc<Semaphore>,
    subscriptions: Vec<JoinHandle<Option<()>>>,
    pauses: watch::Sender<HashSet<QueueName>>,
    stop: CancellationToken,
    _end: DropGuard,
}

#[async_trait]
impl Deliveries for QueueDeliveries {
    async fn next(&mut self) -> Option<Delivery> {
        let arrives = async {
            let permit = Arc::clone(&self.unsettled).acquire_owned().await.ok()?;
            let Arrived { dispatch, mut receipt, .. } = self.inbox.next().await;
            receipt.count(permit);
            Some(Delivery { dispatch, receipt: Box::new(receipt) })
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            delivery = arrives => delivery,
        }
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.inbox.link()
    }

    fn pause(&mut self, queues: &[QueueName]) {
        self.pauses.send_replace(queues.iter().cloned().collect());
    }

    async fn stop(&mut self) {
        self.stop.cancel();
        for subscription in self.subscriptions.drain(..) {
            // One that was dropped by force, or panicked, has ended too.
            let _ = subscription.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_priorities_add_up_to_no_more_than_the_prefetch_unless_it_is_tiny() {
        for (prefetch, queues) in [(12, 1), (64, 4), (1000, 7)] {
            let all: u16 = Band::OF_PRIORITIES.iter().map(|band| share(prefetch, queues, *band)).sum();
            assert!(usize::from(all) * queues <= usize::from(prefetch), "{prefetch} over {queues}");
        }
        assert_eq!(Band::ALL.map(|band| share(1, 3, band)), [1, 1, 1, 1]);
        assert_eq!(Band::ALL.map(|band| share(16, 1, band)), [4, 4, 8, 4]);
    }
}
