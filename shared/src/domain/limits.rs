//! Limits on what runs at once and on what starts in a time: all of them are permits that a start needs.
//!
//! A limit has a name, and a start needs a permit of each limit that applies to its job. What differs between them is only
//! for how long a permit counts: one of a limit on what runs while its job waits for a worker or runs, one of a rate until
//! the rate's period has passed since the start.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::names::{KindName, QueueName, TenantName};

/// So many starts in so long, in any stretch of that length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub starts: u32,
    /// A second at least.
    pub period: Duration,
}

/// What is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a rate: a whole number from 1 to 1000000 and a time from 1s to 1d, such as \"10/s\", \"100/m\" or \"5/30s\""
)]
pub struct InvalidRate(String);

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let invalid = || InvalidRate(text.chars().take(80).collect());
        let (starts, period) = text.split_once('/').ok_or_else(invalid)?;
        let (count, unit) = period.split_at(period.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(invalid()),
        };
        let whole = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u32>().ok().filter(|_| digits).ok_or_else(invalid)
        };
        let count = if count.is_empty() { 1 } else { whole(count)? };
        let rate = Self { starts: whole(starts)?, period: Duration::from_secs(u64::from(count) * seconds) };
        let good = (1..=1_000_000).contains(&rate.starts) && (1..=86_400).contains(&rate.period.as_secs());
        good.then_some(rate).ok_or_else(invalid)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.period.as_secs();
        let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
        let (in_one, unit) = units.into_iter().find(|(in_one, _)| seconds.is_multiple_of(*in_one)).unwrap_or((1, 's'));
        match seconds / in_one {
            1 => write!(f, "{}/{unit}", self.starts),
            count => write!(f, "{}/{count}{unit}", self.starts),
        }
    }
}

/// What is limited of one kind, over all workers. `None`: it is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KindLimits {
    /// Jobs that run at once.
    pub concurrent_jobs: Option<u32>,
    /// Starts.
    pub rate: Option<Rate>,
    /// Jobs of one tenant and `concurrency_key` that run at once.
    pub concurrent_per_key: Option<u32>,
    /// Starts of one tenant and `concurrency_key`.
    pub rate_per_key: Option<Rate>,
}

/// One limit that a start must keep to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Which one; the same for all that share it.
    pub name: String,
    /// Permits that may count at once.
    pub most: u32,
    /// Of a rate: for how long a permit counts after the start.
    pub period: Option<Duration>,
}

/// All limits of an installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowRules {
    /// Of kinds that have any.
    pub kinds: BTreeMap<KindName, KindLimits>,
    /// Jobs of one tenant that run at once, over all kinds.
    pub each_tenant: Option<u32>,
    /// The same for tenants that have another quota.
    pub tenants: BTreeMap<TenantName, Option<u32>>,
}

impl FlowRules {
    /// What the start of a job needs a permit of; nothing: it may start at any time.
    pub fn limits_of(&self, tenant: &TenantName, kind: &KindName, key: Option<&str>) -> Vec<Limit> {
        let mut limits = Vec::new();
        // Most jobs need nothing, and no name for it.
        let mut running = |most: Option<u32>, name: &dyn Fn() -> String| {
            limits.extend(most.map(|most| Limit { name: name(), most, period: None }));
        };
        let of_kind = self.kinds.get(kind).copied().unwrap_or_default();
        running(*self.tenants.get(tenant).unwrap_or(&self.each_tenant), &|| format!("tenant {tenant}"));
        running(of_kind.concurrent_jobs, &|| format!("kind {kind}"));
        if let Some(key) = key {
            running(of_kind.concurrent_per_key, &|| format!("key {kind} {tenant} {key}"));
        }
        let mut starting = |rate: Option<Rate>, name: &dyn Fn() -> String| {
            limits.extend(rate.map(|rate| Limit { name: name(), most: rate.starts, period: Some(rate.period) }));
        };
        starting(of_kind.rate, &|| format!("kind-rate {kind}"));
        if let Some(key) = key {
            starting(of_kind.rate_per_key, &|| format!("key-rate {kind} {tenant} {key}"));
        }
        limits
    }

    /// The line in which a job waits for its permits: jobs of one line need the same. `None`: it needs none.
    pub fn line_of(
        &self,
        tenant: &TenantName,
        kind: &KindName,
        queue: &QueueName,
        key: Option<&str>,
    ) -> Option<String> {
        if self.limits_of(tenant, kind, key).is_empty() {
            return None;
        }
        let of_kind = self.kinds.get(kind).copied().unwrap_or_default();
        let by_key = of_kind.concurrent_per_key.is_some() || of_kind.rate_per_key.is_some();
        let key = key.filter(|_| by_key).map(|key| format!(" {key}")).unwrap_or_default();
        Some(format!("{kind} {queue} {tenant}{key}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for (text, starts, seconds) in [("10/s", 10, 1), ("100/m", 100, 60), ("5/30s", 5, 30), ("1/d", 1, 86_400)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.starts, rate.period.as_secs()), (starts, seconds));
            assert_eq!(rate.to_string(), text);
        }
        for wrong in ["", "10", "10/", "/s", "0/s", "-1/s", "+1/s", "10/0s", "10/2d", "10/ms", "1 /s", "10/5", "1e3/s"]
        {
            let error = wrong.parse::<Rate>().unwrap_err();
            assert!(error.to_string().contains("such as"), "{error}");
        }
    }

    #[test]
    fn keys_are_each_tenants_own_and_need_a_limit_that_goes_by_them() {
        let kind: KindName = "render".parse().unwrap();
        let (a, b): (TenantName, TenantName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let queue: QueueName = "default".parse().unwrap();
        let limits = KindLimits { concurrent_per_key: Some(1), ..KindLimits::default() };
        let rules = FlowRules { kinds: [(kind.clone(), limits)].into(), ..FlowRules::default() };
        let name = |tenant, key| rules.limits_of(tenant, &kind, key).pop().map(|limit| limit.name);
        assert_ne!(name(&a, Some("k")), name(&b, Some("k")));
        assert_eq!(name(&a, None), None);
        assert_eq!(rules.line_of(&a, &kind, &queue, None), None);
        let whole = KindLimits { concurrent_jobs: Some(1), ..KindLimits::default() };
        let rules = FlowRules { kinds: [(kind.clone(), whole)].into(), ..FlowRules::default() };
        let line = |key| rules.line_of(&a, &kind, &queue, key);
        assert_eq!(line(Some("k")), line(None), "a key that no limit goes by makes no line of its own");
    }

    #[test]
    fn a_tenant_of_its_own_quota_has_that_and_no_other() {
        let kind: KindName = "echo".parse().unwrap();
        let (a, b): (TenantName, TenantName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let rules = FlowRules { each_tenant: Some(3), tenants: [(a.clone(), None)].into(), ..FlowRules::default() };
        assert!(rules.limits_of(&a, &kind, None).is_empty());
        assert_eq!(rules.limits_of(&b, &kind, None)[0].most, 3);
    }
}
