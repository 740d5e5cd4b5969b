//! Refuses what a queue has no room for, before any harm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raincheck_shared::domain::QueueName;
use raincheck_shared::store::QueueDepth;

use super::Refusal;

#[derive(Debug, Default, Clone, Copy)]
struct Waiting {
    /// As the store counted them.
    counted: u64,
    /// Accepted by this process since that count.
    accepted: u64,
}

/// How many jobs wait in each queue: what the store counted last, and what this process accepted since. Other replicas'
/// jobs are seen at the next count, so the bound is exact to about a second of their accepting. Cloning shares it.
///
/// Whoever counts (a repair loop) calls [`QueueDepths::set`], about once a second.
#[derive(Debug, Default, Clone)]
pub struct QueueDepths(Arc<Mutex<HashMap<QueueName, Waiting>>>);

impl QueueDepths {
    /// No queue holds anything, for all that is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces all counts with what the store has just answered; a queue without an entry is empty.
    pub fn set(&self, depths: &[QueueDepth]) {
        let mut queues = self.lock();
        queues.clear();
        for depth in depths {
            queues.entry(depth.queue.clone()).or_default().counted += depth.jobs;
        }
    }

    /// How many jobs wait in a queue, as far as is known.
    pub fn waiting(&self, queue: &QueueName) -> u64 {
        self.lock().get(queue).map_or(0, |w| w.counted + w.accepted)
    }

    pub(super) fn accepted(&self, queue: &QueueName) {
        let mut queues = self.lock();
        if let Some(waiting) = queues.get_mut(queue) {
            waiting.accepted += 1;
        } else {
            queues.insert(queue.clone(), Waiting { counted: 0, accepted: 1 });
        }
    }

    pub(super) fn admit(&self, queue: &QueueName, max: u64) -> Result<(), Refusal> {
        let waiting = self.waiting(queue);
        if waiting < max { Ok(()) } else { Err(Refusal::QueueFull { queue: queue.clone(), waiting }) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QueueName, Waiting>> {
        // Counters and a map: no panic can leave them half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use raincheck_shared::domain::Band;

    use super::*;

    #[test]
    fn a_queue_is_full_with_what_was_counted_and_what_was_accepted_since() {
        let queue: QueueName = "default".parse().unwrap();
        let depth = |band, jobs| QueueDepth { queue: queue.clone(), band, jobs, published: 0, oldest_published: None };
        let depths = QueueDepths::new();
        depths.set(&[depth(Band::High, 1), depth(Band::Low, 1)]);
        assert!(depths.admit(&queue, 3).is_ok());
        depths.accepted(&queue);
        assert!(matches!(depths.admit(&queue, 3), Err(Refusal::QueueFull { waiting: 3, .. })));
        depths.set(&[]);
        assert!(depths.admit(&queue, 3).is_ok());
    }
}
