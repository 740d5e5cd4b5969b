//! Refuses what there is no room for, before any harm, and sees to it that one tenant's flood does not starve another.

use std::sync::{Arc, Mutex, PoisonError};

use raincheck_shared::domain::{Band, QueueName, TenantName};
use tokio::sync::watch;

use super::Refusal;
use crate::upkeep::{Depths, Waiting};

/// So many jobs of others in a queue are a crowd, and so many of its own may pass it.
const CROWD: u64 = 100;

#[derive(Debug)]
struct Counts {
    /// As the store counted them last.
    counted: watch::Receiver<Depths>,
    /// Accepted by this process since that count.
    accepted: Waiting,
}

/// How many jobs wait in each queue, and whose they are: what the store counted last, and what this process accepted since.
/// Other replicas' jobs are seen at the next count, so a bound is exact to a few seconds of their accepting. Cloning
/// shares it.
#[derive(Debug, Clone)]
pub(crate) struct Admission(Arc<Mutex<Counts>>);

impl Admission {
    /// Goes by what is counted.
    pub(crate) fn new(counted: watch::Receiver<Depths>) -> Self {
        Self(Arc::new(Mutex::new(Counts { counted, accepted: Waiting::default() })))
    }

    /// Notes a job that waits now.
    pub(crate) fn accepted(&self, queue: &QueueName, tenant: &TenantName, band: Band) {
        self.with_counts(|counts| counts.accepted.add(queue, tenant, band, 1));
    }

    /// Refuses when `max` jobs wait in `queue`.
    pub(super) fn admit(&self, queue: &QueueName, max: u64) -> Result<(), Refusal> {
        self.admit_behind(queue, 0, max)
    }

    /// The same for one that comes with others, `ahead` of which go before it into the same queue.
    pub(crate) fn admit_behind(&self, queue: &QueueName, ahead: u64, max: u64) -> Result<(), Refusal> {
        let waiting = self
            .with_counts(|counts| ahead + counts.counted.borrow().in_queue(queue) + counts.accepted.in_queue(queue));
        if waiting < max { Ok(()) } else { Err(Refusal::QueueFull { queue: queue.clone(), waiting }) }
    }

    /// How many of a tenant's jobs wait.
    pub(crate) fn waiting_of(&self, tenant: &TenantName) -> u64 {
        self.with_counts(|counts| counts.counted.borrow().of_tenant(tenant) + counts.accepted.of_tenant(tenant))
    }

    /// Whether a tenant's next job in this queue passes the crowd: others have a lot waiting there, and it has little in the
    /// express band. Never while there is one tenant only. Who has flooded a queue with jobs in its other bands still may
    /// pass there, as long as others fill it more than it does itself.
    pub(crate) fn passes(&self, queue: &QueueName, tenant: &TenantName) -> bool {
        self.with_counts(|counts| {
            let counted = counts.counted.borrow();
            let all = counted.in_queue(queue) + counts.accepted.in_queue(queue);
            if all < CROWD {
                return false;
            }
            let (before, since) = (counted.share(queue, tenant), counts.accepted.share(queue, tenant));
            let (own, express) = (before.jobs + since.jobs, before.express + since.express);
            let others = all.saturating_sub(own);
            others >= CROWD && others > own && express < CROWD
        })
    }

    fn with_counts<T>(&self, act: impl FnOnce(&mut Counts) -> T) -> T {
        // Counters and maps: no panic can leave them half changed.
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

    fn queue() -> QueueName {
        "default".parse().unwrap()
    }

    fn tenant(name: &str) -> TenantName {
        name.parse().unwrap()
    }

    /// A count in which tenants have so many jobs waiting in the normal band of one queue.
    fn count(of: &[(&str, u64)]) -> Depths {
        let mut waiting = Waiting::default();
        for (name, jobs) in of {
            waiting.add(&queue(), &tenant(name), Band::Normal, *jobs);
        }
        Arc::new(waiting)
    }

    #[test]
    fn a_queue_is_full_with_what_was_counted_and_what_was_accepted_since() {
        let (count_is, counted) = watch::channel(Depths::default());
        let admission = Admission::new(counted);
        count_is.send_replace(count(&[("a", 2)]));
        assert!(admission.admit(&queue(), 3).is_ok());
        admission.accepted(&queue(), &tenant("b"), Band::Normal);
        assert!(matches!(admission.admit(&queue(), 3), Err(Refusal::QueueFull { waiting: 3, .. })));
        assert_eq!((admission.waiting_of(&tenant("a")), admission.waiting_of(&tenant("b"))), (2, 1));
        count_is.send_replace(Depths::default());
        assert!(admission.admit(&queue(), 3).is_ok());
    }

    #[test]
    fn a_lone_tenant_never_passes_itself() {
        let (_count, counted) = watch::channel(count(&[("a", 1_000_000)]));
        assert!(!Admission::new(counted).passes(&queue(), &tenant("a")));
    }

    #[test]
    fn who_has_little_waiting_passes_a_crowd_of_others_and_the_crowd_does_not() {
        let (_count, counted) = watch::channel(count(&[("a", 5_000), ("b", 99)]));
        let admission = Admission::new(counted);
        assert!(admission.passes(&queue(), &tenant("b")));
        assert!(admission.passes(&queue(), &tenant("new")));
        assert!(!admission.passes(&queue(), &tenant("a")));
        assert!(!admission.passes(&"other".parse().unwrap(), &tenant("b")), "there is no crowd");
    }

    #[test]
    fn no_more_may_pass_than_are_a_crowd_themselves() {
        let (_count, counted) = watch::channel(count(&[("a", 5_000)]));
        let admission = Admission::new(counted);
        for _ in 0..CROWD {
            assert!(admission.passes(&queue(), &tenant("b")));
            admission.accepted(&queue(), &tenant("b"), Band::Express);
        }
        assert!(!admission.passes(&queue(), &tenant("b")));
        assert!(admission.passes(&queue(), &tenant("c")), "each for itself");
    }
}
