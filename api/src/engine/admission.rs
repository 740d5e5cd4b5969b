//! Refuses what there is no room for, before any harm, and sees to it that one tenant's flood does not starve another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use raincheck_shared::domain::{Band, QueueName, TenantName};
use raincheck_shared::lifecycle::Clock;

use super::Refusal;
use crate::upkeep::{Count, Depths, Waiting};

/// So many jobs of others in a queue are a crowd, and so many of its own may pass it.
const CROWD: u64 = 100;

/// The longest that a request waits for a count. After that it goes by the one there is.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is bounded.
#[derive(Debug, Clone, Copy)]
enum Bound<'a> {
    /// Jobs in a queue.
    Queue(&'a QueueName),
    /// A tenant's jobs in all queues.
    Tenant(&'a TenantName),
}

impl Bound<'_> {
    fn of(self, waiting: &Waiting) -> u64 {
        match self {
            Self::Queue(queue) => waiting.in_queue(queue),
            Self::Tenant(tenant) => waiting.of_tenant(tenant),
        }
    }

    fn promise(self, waiting: &mut Waiting) {
        match self {
            Self::Queue(queue) => waiting.promise_in_queue(queue),
            Self::Tenant(tenant) => waiting.promise_to_tenant(tenant),
        }
    }
}

/// Whether there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Enough,
    /// Not by what is known, which may be over: so many may be waiting.
    Unsure(u64),
    /// None: so many were waiting a moment ago.
    Full(u64),
}

/// What was accepted while so many counts had been begun.
#[derive(Debug)]
struct Accepted {
    begun: u64,
    waiting: Waiting,
}

#[derive(Debug)]
struct Counts {
    counted: Arc<Count>,
    /// Accepted by this process since that count was begun, and those that were promised room.
    accepted: VecDeque<Accepted>,
}

impl Counts {
    fn accepted(&self, of: impl Fn(&Waiting) -> u64) -> u64 {
        self.accepted.iter().map(|accepted| of(&accepted.waiting)).sum()
    }

    fn add(&mut self, begun: u64, add: impl FnOnce(&mut Waiting)) {
        if self.accepted.back().is_none_or(|last| last.begun < begun) {
            self.accepted.push_back(Accepted { begun, waiting: Waiting::default() });
        }
        if let Some(last) = self.accepted.back_mut() {
            add(&mut last.waiting);
        }
    }
}

/// How many jobs wait in each queue, and whose they are: what the store counted last, and what this process accepted since.
/// Nobody is refused by a count that may be over: it is made anew first. Other replicas' jobs are seen at the next count, so a
/// bound is exact to what they accept until then. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Admission {
    counts: Arc<Mutex<Counts>>,
    depths: Depths,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Admission").field(&self.counts).finish()
    }
}

impl Admission {
    /// Goes by what is counted.
    pub(crate) fn new(depths: Depths, clock: Arc<dyn Clock>) -> Self {
        let counts = Counts { counted: Arc::default(), accepted: VecDeque::new() };
        Self { counts: Arc::new(Mutex::new(counts)), depths, clock }
    }

    /// Notes a job that waits now.
    pub(crate) fn accepted(&self, queue: &QueueName, tenant: &TenantName, band: Band) {
        let begun = self.depths.begun();
        self.with_counts(|counts| counts.add(begun, |waiting| waiting.add(queue, tenant, band, 1)));
    }

    /// Refuses when `max` jobs wait in `queue`.
    pub(super) async fn admit(&self, queue: &QueueName, max: u64) -> Result<(), Refusal> {
        self.admit_behind(queue, 0, max).await
    }

    /// The same for one that comes with others, `ahead` of which go before it into the same queue.
    pub(crate) async fn admit_behind(&self, queue: &QueueName, ahead: u64, max: u64) -> Result<(), Refusal> {
        let room = self.find_room(Bound::Queue(queue), ahead, max).await;
        room.map_err(|waiting| Refusal::QueueFull { queue: queue.clone(), waiting })
    }

    /// Refuses when a tenant has `most` jobs waiting, or will with the `ahead` that go before this one.
    pub(crate) async fn admit_of(&self, tenant: &TenantName, ahead: u64, most: u64) -> Result<(), Refusal> {
        self.find_room(Bound::Tenant(tenant), ahead, most).await.map_err(|_| Refusal::OverQueued { most })
    }

    /// Whether a tenant's next job in this queue passes the crowd: others have a lot waiting there, and it has little in the
    /// express band. Never while there is one tenant only. Who has flooded a queue with jobs in its other bands still may
    /// pass there, as long as others fill it more than it does itself.
    pub(crate) fn passes(&self, queue: &QueueName, tenant: &TenantName) -> bool {
        self.with_counts(|counts| {
            let counted = &counts.counted.waiting;
            let all = counted.in_queue(queue) + counts.accepted(|since| since.in_queue(queue));
            if all < CROWD {
                return false;
            }
            let before = counted.share(queue, tenant);
            let own = before.jobs + counts.accepted(|since| since.share(queue, tenant).jobs);
            let express = before.express + counts.accepted(|since| since.share(queue, tenant).express);
            let others = all.saturating_sub(own);
            others >= CROWD && others > own && express < CROWD
        })
    }

    /// Finds room for one more, and waits for a count where what is known leaves none but may be over. `Err`: so many wait.
    async fn find_room(&self, bound: Bound<'_>, ahead: u64, max: u64) -> Result<(), u64> {
        match self.room(bound, ahead, max, false).0 {
            Room::Enough => Ok(()),
            Room::Full(waiting) => Err(waiting),
            // Apart, so that those that find room at once are held small.
            Room::Unsure(_) => Box::pin(self.wait_for_room(bound, ahead, max)).await,
        }
    }

    async fn wait_for_room(&self, bound: Bound<'_>, ahead: u64, max: u64) -> Result<(), u64> {
        let mut known = max;
        let decided = async {
            loop {
                let (room, number) = self.room(bound, ahead, max, ahead == 0);
                match room {
                    Room::Enough => return Ok(()),
                    Room::Full(waiting) => return Err(waiting),
                    Room::Unsure(waiting) => known = waiting,
                }
                if !self.depths.later_than(number).await {
                    return Err(known);
                }
            }
        };
        let decided = tokio::time::timeout(PATIENCE, decided).await;
        decided.unwrap_or(Err(known))
    }

    /// Whether there is room for one more, and by which count. `promises`: it is counted from here on, and once more when it is
    /// accepted, so that of all who waited for one count no more get in than it found room for. The next count sets that right.
    fn room(&self, bound: Bound<'_>, ahead: u64, max: u64, promises: bool) -> (Room, u64) {
        let begun = self.depths.begun();
        self.with_counts(|counts| {
            let counted = ahead + bound.of(&counts.counted.waiting);
            let waiting = counted + counts.accepted(|since| bound.of(since));
            let is_fresh = || counts.counted.fresh_until.is_some_and(|until| self.clock.monotonic() < until);
            let room = if waiting < max {
                Room::Enough
            } else if counted >= max && is_fresh() {
                Room::Full(waiting)
            } else {
                Room::Unsure(waiting)
            };
            if promises && room == Room::Enough {
                counts.add(begun, |waiting| bound.promise(waiting));
            }
            (room, counts.counted.number)
        })
    }

    fn with_counts<T>(&self, act: impl FnOnce(&mut Counts) -> T) -> T {
        // Counters and maps: no panic can leave them half changed.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latest) = self.depths.newer_than(counts.counted.number) {
            // What was accepted before it was begun is in it. What came while it was made may be, and is kept.
            while counts.accepted.front().is_some_and(|accepted| accepted.begun < latest.number) {
                counts.accepted.pop_front();
            }
            counts.counted = latest;
        }
        act(&mut counts)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use raincheck_shared::lifecycle::SystemClock;
    use tokio::sync::watch;

    use super::*;

    /// Tells an admission what was counted.
    struct Counter {
        told: watch::Sender<Arc<Count>>,
        begun: Arc<AtomicU64>,
    }

    impl Counter {
        fn new() -> (Self, Admission) {
            let (told, depths, begun) = Depths::told();
            (Self { told, begun }, Admission::new(depths, SystemClock::shared()))
        }

        fn begin(&self) {
            self.begun.fetch_add(1, Ordering::SeqCst);
        }

        /// Ends the count that was begun: tenants have so many jobs waiting in the normal band of one queue.
        fn end(&self, of: &[(&str, u64)]) {
            let mut waiting = Waiting::default();
            for (name, jobs) in of {
                waiting.add(&queue(), &tenant(name), Band::Normal, *jobs);
            }
            let fresh_until = Some(SystemClock.monotonic() + Duration::from_mins(1));
            let number = self.begun.load(Ordering::SeqCst);
            self.told.send_replace(Arc::new(Count { waiting, number, fresh_until }));
        }

        fn counted(of: &[(&str, u64)]) -> (Self, Admission) {
            let (counter, admission) = Self::new();
            counter.begin();
            counter.end(of);
            (counter, admission)
        }
    }

    fn queue() -> QueueName {
        "default".parse().unwrap()
    }

    fn tenant(name: &str) -> TenantName {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn a_queue_is_full_with_what_was_counted_and_what_was_accepted_since() {
        let (counter, admission) = Counter::counted(&[("a", 2)]);
        assert!(admission.admit(&queue(), 3).await.is_ok());
        admission.accepted(&queue(), &tenant("b"), Band::Normal);
        let full = admission.admit(&queue(), 3).await;
        assert!(matches!(full, Err(Refusal::QueueFull { waiting: 3, .. })), "nobody counts in time: {full:?}");
        assert!(admission.admit_of(&tenant("a"), 0, 2).await.is_err());
        assert!(admission.admit_of(&tenant("b"), 0, 2).await.is_ok());
        assert!(admission.admit_of(&tenant("b"), 1, 2).await.is_err());
        counter.begin();
        counter.end(&[]);
        assert!(admission.admit(&queue(), 3).await.is_ok());
    }

    #[tokio::test]
    async fn who_would_be_refused_by_what_may_be_over_waits_for_the_next_count_and_shares_its_room() {
        let (counter, admission) = Counter::counted(&[]);
        for _ in 0..2 {
            admission.accepted(&queue(), &tenant("a"), Band::Normal);
        }
        let queue = queue();
        let waiters = futures_util::future::join_all((0..5).map(|_| admission.admit(&queue, 2)));
        let counting = async {
            tokio::task::yield_now().await;
            counter.begin();
            counter.end(&[("a", 1)]);
            tokio::task::yield_now().await;
            counter.begin();
            counter.end(&[("a", 2)]);
        };
        let (waiters, ()) = futures_util::future::join(waiters, counting).await;
        assert_eq!(waiters.iter().filter(|admitted| admitted.is_ok()).count(), 1, "{waiters:?}");
    }

    #[tokio::test]
    async fn what_was_accepted_while_it_was_counted_is_not_forgotten() {
        let (counter, admission) = Counter::counted(&[]);
        admission.accepted(&queue(), &tenant("a"), Band::Normal);
        counter.begin();
        admission.accepted(&queue(), &tenant("a"), Band::Normal);
        counter.end(&[("a", 1)]);
        let full = admission.admit(&queue(), 2).await;
        assert!(matches!(full, Err(Refusal::QueueFull { waiting: 2, .. })), "{full:?}");
    }

    #[test]
    fn a_lone_tenant_never_passes_itself() {
        let (_counter, admission) = Counter::counted(&[("a", 1_000_000)]);
        assert!(!admission.passes(&queue(), &tenant("a")));
    }

    #[test]
    fn who_has_little_waiting_passes_a_crowd_of_others_and_the_crowd_does_not() {
        let (_counter, admission) = Counter::counted(&[("a", 5_000), ("b", 99)]);
        assert!(admission.passes(&queue(), &tenant("b")));
        assert!(admission.passes(&queue(), &tenant("new")));
        assert!(!admission.passes(&queue(), &tenant("a")));
        assert!(!admission.passes(&"other".parse().unwrap(), &tenant("b")), "there is no crowd");
    }

    #[test]
    fn no_more_may_pass_than_are_a_crowd_themselves() {
        let (_counter, admission) = Counter::counted(&[("a", 5_000)]);
        for _ in 0..CROWD {
            assert!(admission.passes(&queue(), &tenant("b")));
            admission.accepted(&queue(), &tenant("b"), Band::Express);
        }
        assert!(!admission.passes(&queue(), &tenant("b")));
        assert!(admission.passes(&queue(), &tenant("c")), "each for itself");
    }
}
