//! Refuses what a queue has no room for, before any harm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use raincheck_shared::domain::QueueName;
use tokio::sync::watch;

use super::Refusal;
use crate::upkeep::Depths;

#[derive(Debug)]
struct Counts {
    /// As the store counted them last.
    counted: watch::Receiver<Depths>,
    /// Accepted by this process since that count.
    accepted: HashMap<QueueName, u64>,
}

/// How many jobs wait in each queue: what the store counted last, and what this process accepted since. Other replicas'
/// jobs are seen at the next count, so the bound is exact to a few seconds of their accepting. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Admission(Arc<Mutex<Counts>>);

impl Admission {
    /// Goes by what is counted.
    pub(super) fn new(counted: watch::Receiver<Depths>) -> Self {
        Self(Arc::new(Mutex::new(Counts { counted, accepted: HashMap::new() })))
    }

    /// Notes a job that waits in `queue` now.
    pub(super) fn accepted(&self, queue: &QueueName) {
        self.with_counts(|counts| {
            if let Some(accepted) = counts.accepted.get_mut(queue) {
                *accepted += 1;
            } else {
                counts.accepted.insert(queue.clone(), 1);
            }
        });
    }

    /// Refuses when `max` jobs wait in `queue`.
    pub(super) fn admit(&self, queue: &QueueName, max: u64) -> Result<(), Refusal> {
        self.admit_behind(queue, 0, max)
    }

    /// The same for one that comes with others, `ahead` of which go before it into the same queue.
    pub(super) fn admit_behind(&self, queue: &QueueName, ahead: u64, max: u64) -> Result<(), Refusal> {
        let waiting = self.with_counts(|counts| {
            let counted = counts.counted.borrow().get(queue).copied().unwrap_or_default();
            ahead + counted + counts.accepted.get(queue).copied().unwrap_or_default()
        });
        if waiting < max { Ok(()) } else { Err(Refusal::QueueFull { queue: queue.clone(), waiting }) }
    }

    fn with_counts<T>(&self, act: impl FnOnce(&mut Counts) -> T) -> T {
        // Counters and a map: no panic can leave them half changed.
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.counted.has_changed().unwrap_or(false) {
            counts.counted.mark_unchanged();
            counts.accepted.clear();
        }
        act(&mut counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_full_with_what_was_counted_and_what_was_accepted_since() {
        let queue: QueueName = "default".parse().unwrap();
        let (count, counted) = watch::channel(Depths::default());
        let admission = Admission::new(counted);
        count.send_replace(Arc::new(HashMap::from([(queue.clone(), 2)])));
        assert!(admission.admit(&queue, 3).is_ok());
        admission.accepted(&queue);
        assert!(matches!(admission.admit(&queue, 3), Err(Refusal::QueueFull { waiting: 3, .. })));
        count.send_replace(Depths::default());
        assert!(admission.admit(&queue, 3).is_ok());
    }
}
