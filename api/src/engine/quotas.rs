//! How often a tenant may submit: a bucket of tokens for each, in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raincheck_shared::domain::TenantName;

/// How long an empty bucket takes to fill.
const WINDOW: Duration = Duration::from_mins(1);

/// Where a tenant stands with its quota of submits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    /// Submits in a window.
    pub(crate) quota: u32,
    /// Submits that would be taken at once.
    pub(crate) remaining: u32,
    /// Until all of the quota is there again.
    pub(crate) full_after: Duration,
    /// Until there is as much as was asked for; nothing while there is one.
    pub(crate) enough_after: Duration,
}

impl Level {
    /// The length of a window.
    pub(crate) const WINDOW: Duration = WINDOW;
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// The buckets. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct SubmitQuotas(Arc<Mutex<HashMap<TenantName, Bucket>>>);

impl SubmitQuotas {
    /// Takes one of the `quota` submits that a tenant has in a window. `Err`: none is left.
    pub(crate) fn take(&self, tenant: &TenantName, quota: u32, now: Instant) -> Result<Level, Level> {
        self.take_some(tenant, quota, 1, now)
    }

    /// Takes several. More than the quota need all of it, and are paid off before the next.
    pub(crate) fn take_some(&self, tenant: &TenantName, quota: u32, count: u32, now: Instant) -> Result<Level, Level> {
        self.draw(tenant, quota, now, count.min(quota), count)
    }

    /// What taking one would say; takes none.
    pub(crate) fn look(&self, tenant: &TenantName, quota: u32, now: Instant) -> Result<Level, Level> {
        self.draw(tenant, quota, now, 1, 0)
    }

    fn draw(&self, tenant: &TenantName, quota: u32, now: Instant, needed: u32, taken: u32) -> Result<Level, Level> {
        let mut buckets = self.lock();
        let full = f64::from(quota);
        let bucket = buckets.entry(tenant.clone()).or_insert(Bucket { tokens: full, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * full / WINDOW.as_secs_f64()).min(full);
        bucket.at = bucket.at.max(now);
        let needed = f64::from(needed);
        if bucket.tokens < needed {
            return Err(level(bucket.tokens, needed, quota));
        }
        bucket.tokens -= f64::from(taken);
        Ok(level(bucket.tokens, 1.0, quota))
    }

    /// Gives one back that was taken for nothing.
    pub(crate) fn give_back(&self, tenant: &TenantName, count: u32) {
        if let Some(bucket) = self.lock().get_mut(tenant) {
            bucket.tokens += f64::from(count);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantName, Bucket>> {
        // A map of numbers: no panic can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn level(tokens: f64, needed: f64, quota: u32) -> Level {
    let each = WINDOW.as_secs_f64() / f64::from(quota);
    let until = |wanted: f64| Duration::from_secs_f64(((wanted - tokens) * each).max(0.0));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the quota")]
    let remaining = tokens.max(0.0) as u32;
    Level { quota, remaining, full_after: until(f64::from(quota)), enough_after: until(needed) }
}

#[cfg(test)]
mod tests {
    use raincheck_shared::lifecycle::{Clock, SystemClock};

    use super::*;

    fn tenant(name: &str) -> TenantName {
        name.parse().unwrap()
    }

    #[test]
    fn a_quota_can_be_used_at_once_and_comes_back_evenly() {
        let (quotas, start) = (SubmitQuotas::default(), SystemClock.monotonic());
        let take = |seconds: f64| quotas.take(&tenant("a"), 6, start + Duration::from_secs_f64(seconds));
        for left in (0..6).rev() {
            let level = take(0.0).unwrap();
            assert_eq!((level.quota, level.remaining), (6, left));
        }
        let empty = take(0.0).unwrap_err();
        assert_eq!((empty.enough_after, empty.full_after), (Duration::from_secs(10), WINDOW));
        assert!(take(9.9).is_err());
        assert_eq!(take(10.1).unwrap().remaining, 0);
        assert!(take(10.2).is_err());
        for _ in 0..6 {
            take(1_000.0).unwrap();
        }
        assert!(take(1_000.0).is_err(), "nothing is saved beyond the quota");
    }

    #[test]
    fn what_is_more_than_the_quota_needs_all_of_it_and_is_paid_off() {
        let (quotas, start) = (SubmitQuotas::default(), SystemClock.monotonic());
        let take = |count, seconds| quotas.take_some(&tenant("a"), 6, count, start + Duration::from_secs(seconds));
        assert!(take(1, 0).is_ok());
        assert_eq!(take(12, 0).unwrap_err().enough_after, Duration::from_secs(10));
        assert_eq!(take(12, 11).unwrap().remaining, 0);
        assert!(take(1, 11 + 60).is_err() && take(1, 11 + 71).is_ok());
    }

    #[test]
    fn tenants_have_buckets_of_their_own() {
        let (quotas, now) = (SubmitQuotas::default(), SystemClock.monotonic());
        assert!(quotas.take(&tenant("a"), 1, now).is_ok());
        assert!(quotas.take(&tenant("a"), 1, now).is_err());
        assert!(quotas.take(&tenant("b"), 1, now).is_ok());
        quotas.give_back(&tenant("a"), 1);
        assert!(quotas.take(&tenant("a"), 1, now).is_ok());
    }

    #[test]
    fn looking_takes_nothing() {
        let (quotas, now) = (SubmitQuotas::default(), SystemClock.monotonic());
        for _ in 0..3 {
            assert_eq!(quotas.look(&tenant("a"), 1, now).unwrap().remaining, 1);
        }
        assert!(quotas.take(&tenant("a"), 1, now).is_ok());
        assert_eq!(quotas.look(&tenant("a"), 1, now), quotas.take(&tenant("a"), 1, now));
        assert!(quotas.look(&tenant("a"), 1, now).is_err());
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let (quotas, before) = (SubmitQuotas::default(), SystemClock.monotonic());
        let now = before + WINDOW;
        assert!(quotas.take(&tenant("a"), 1, now).is_ok());
        assert!(quotas.take(&tenant("a"), 1, before).is_err());
        assert!(quotas.take(&tenant("a"), 1, now).is_err());
    }
}
