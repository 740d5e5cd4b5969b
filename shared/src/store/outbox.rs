//! What the relay asks of a store.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Band, Dispatch, DispatchId, KindName, QueueName, TenantName};

/// How much waits in one queue and band.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue.
    pub queue: QueueName,
    /// The band.
    pub band: Band,
    /// Jobs that wait.
    pub jobs: u64,
    /// The same by whose they are, in no order.
    pub of_tenants: Vec<(TenantName, u64)>,
    /// Dispatches that wait and were handed to the broker.
    pub published: u64,
    /// How long the oldest published dispatch has waited since it was last published; `None` without one.
    pub oldest_published: Option<Duration>,
}

impl QueueDepth {
    /// One for each queue and band, from those of single tenants.
    pub(super) fn of_queues(parts: Vec<Self>) -> Vec<Self> {
        let mut whole: HashMap<(QueueName, Band), Self> = HashMap::new();
        for part in parts {
            match whole.entry((part.queue.clone(), part.band)) {
                Entry::Vacant(entry) => {
                    entry.insert(part);
                }
                Entry::Occupied(mut entry) => {
                    let sum = entry.get_mut();
                    sum.jobs += part.jobs;
                    sum.of_tenants.extend(part.of_tenants);
                    sum.published += part.published;
                    sum.oldest_published = sum.oldest_published.max(part.oldest_published);
                }
            }
        }
        whole.into_values().collect()
    }
}

/// The relay's side of the store. A dispatch row exists until a claim clears it.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Takes up to `limit` dispatches that nobody has published, or whose publisher fell silent, oldest first, and
    /// keeps other replicas off them for `hold`.
    async fn take_unpublished(&self, limit: u32, hold: Duration) -> Result<Vec<Dispatch>, StoreError>;

    /// Notes that the broker has confirmed these. Those already claimed are gone, which is fine.
    async fn mark_published(&self, ids: &[DispatchId]) -> Result<(), StoreError>;

    /// Takes up to `limit` of the oldest dispatches of one queue and band that were published longer than `age` ago
    /// (doubled for each time they were published again), to publish them once more. For all that the caller knows
    /// the broker has lost them; if it has not, the second message finds nothing to claim. Dispatches of the kinds
    /// `never_sent` are left out.
    async fn take_lost(
        &self,
        queue: &QueueName,
        band: Band,
        age: Duration,
        limit: u32,
        never_sent: &[KindName],
    ) -> Result<Vec<Dispatch>, StoreError>;

    /// How much waits, for each queue and band with anything in it. Dispatches of the kinds `never_sent` do not count as
    /// published: who runs those takes them from the store.
    async fn depths(&self, never_sent: &[KindName]) -> Result<Vec<QueueDepth>, StoreError>;

    /// Looks at a part of what waits, after the part that this process looked at last, and takes out of it the jobs that wait no
    /// more though nobody claimed them: canceled, or expired. Answers how many they were, which no depth counts any more.
    async fn drop_spent(&self) -> Result<u64, StoreError>;
}
