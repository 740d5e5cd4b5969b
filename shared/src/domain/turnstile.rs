//! Who of those that wait for permits goes next: as many as the limits allow, no line, band or tenant starved.

use std::collections::{HashMap, HashSet};

use super::dispatch::Band;
use super::ids::JobId;
use super::limits::{FlowRules, Limit};
use super::names::{KindName, TenantName};
use super::turns::Turns;

/// Tenants whose turn is remembered.
const REMEMBERED: usize = 10_000;

/// A job that waits for its permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedJob {
    /// Which.
    pub id: JobId,
    /// Jobs of one line need the same permits.
    pub line: String,
    /// How urgent.
    pub band: Band,
    /// Whose.
    pub tenant: TenantName,
    /// What sort of work.
    pub kind: KindName,
    /// Its client's key.
    pub key: Option<String>,
}

/// A job that may start, with the permits that it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetThrough {
    /// Which.
    pub id: JobId,
    /// A permit of each of these is taken.
    pub limits: Vec<Limit>,
}

/// Lets jobs through, and remembers whose turn it was. What it forgets (it is in memory only) costs fairness for a moment,
/// and never a limit.
#[derive(Debug, Default)]
pub struct Turnstile {
    turns: Turns,
    /// When each tenant had its last turn, by a count of all turns.
    served: HashMap<TenantName, u64>,
    count: u64,
}

impl Turnstile {
    /// Chooses from `waiting` as many as the rules allow beside the permits that count already (`used`, by the limits'
    /// names). Bands take turns by their weights; within a band the tenant whose last turn is longest ago goes first, and
    /// of its jobs the oldest one that may start. One that may not start holds up nobody but its own line.
    pub fn choose(
        &mut self,
        rules: &FlowRules,
        waiting: &[ParkedJob],
        mut used: HashMap<String, u32>,
    ) -> Vec<LetThrough> {
        let mut left: Vec<&ParkedJob> = waiting.iter().collect();
        left.sort_unstable_by_key(|job| job.id);
        let mut blocked: HashSet<&str> = HashSet::new();
        let mut chosen = Vec::new();
        loop {
            let Self { turns, served, count } = self;
            let picked = turns.pick(|band| {
                loop {
                    let turn = |job: &ParkedJob| served.get(&job.tenant).copied().unwrap_or(0);
                    let in_band = left.iter().enumerate().filter(|(_, job)| job.band == band);
                    // The first of equals is the oldest.
                    let (at, _) = in_band.min_by_key(|(_, job)| turn(job))?;
                    let job = left[at];
                    let limits = rules.limits_of(&job.tenant, &job.kind, job.key.as_deref());
                    let fits = limits.iter().all(|limit| used.get(&limit.name).copied().unwrap_or(0) < limit.most);
                    if fits {
                        left.remove(at);
                        return Some((job, limits));
                    }
                    // No permit comes back while this chooses.
                    blocked.insert(&job.line);
                    left.retain(|job| !blocked.contains(job.line.as_str()));
                }
            });
            let Some((job, limits)) = picked else { return chosen };
            for limit in &limits {
                *used.entry(limit.name.clone()).or_default() += 1;
            }
            if served.len() >= REMEMBERED {
                served.clear();
            }
            *count += 1;
            served.insert(job.tenant.clone(), *count);
            chosen.push(LetThrough { id: job.id, limits });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::limits::KindLimits;
    use super::*;

    fn rules(most: u32, per_key: Option<u32>) -> FlowRules {
        let limits = KindLimits { concurrent_jobs: Some(most), concurrent_per_key: per_key, ..KindLimits::default() };
        FlowRules { kinds: [("render".parse().unwrap(), limits)].into(), ..FlowRules::default() }
    }

    fn parked(n: usize, rules: &FlowRules, tenant: &str, key: Option<&str>, band: Band) -> ParkedJob {
        let (tenant, kind) = (tenant.parse().unwrap(), "render".parse().unwrap());
        let line = rules.line_of(&tenant, &kind, &"default".parse().unwrap(), key).unwrap_or_default();
        let id = JobId::new(Uuid::from_u128(n.try_into().unwrap()));
        ParkedJob { id, line, band, tenant, kind, key: key.map(str::to_owned) }
    }

    fn ids(chosen: &[LetThrough]) -> Vec<JobId> {
        chosen.iter().map(|one| one.id).collect()
    }

    #[test]
    fn a_job_that_may_not_start_holds_up_nobody_but_its_line() {
        let rules = rules(10, Some(1));
        let keys = ["k", "k", "k", "other"].into_iter().enumerate();
        let jobs: Vec<_> = keys.map(|(n, key)| parked(n, &rules, "a", Some(key), Band::Normal)).collect();
        let chosen = Turnstile::default().choose(&rules, &jobs, HashMap::new());
        assert_eq!(ids(&chosen), [jobs[0].id, jobs[3].id]);
    }

    #[test]
    fn with_one_permit_at_a_time_tenants_and_bands_take_turns() {
        let rules = rules(1, None);
        let mut turnstile = Turnstile::default();
        let mut jobs: Vec<_> = (0..50).map(|n| parked(n, &rules, "flood", None, Band::High)).collect();
        let (lone, low) = (parked(50, &rules, "lone", None, Band::High), parked(51, &rules, "flood", None, Band::Low));
        jobs.extend([lone.clone(), low.clone()]);
        let mut order = Vec::new();
        for _ in 0..10 {
            let chosen = ids(&turnstile.choose(&rules, &jobs, HashMap::new()));
            assert_eq!(chosen.len(), 1);
            jobs.retain(|job| job.id != chosen[0]);
            order.extend(chosen);
        }
        let place = |job: &ParkedJob| order.iter().position(|id| *id == job.id);
        assert!(place(&lone).unwrap() <= 1, "after one of the flood at most");
        assert!(place(&low).is_some(), "the low band has one turn of ten");
    }

    #[test]
    fn what_no_limit_applies_to_any_more_goes_without_a_permit() {
        let job = parked(0, &rules(1, None), "a", None, Band::Normal);
        let chosen = Turnstile::default().choose(&FlowRules::default(), std::slice::from_ref(&job), HashMap::new());
        assert_eq!(chosen, [LetThrough { id: job.id, limits: Vec::new() }]);
    }

    proptest! {
        /// Whoever waits, and whatever is used already: no limit is passed, and nothing that may start is left.
        #[test]
        fn as_many_as_the_limits_allow_and_no_more(
            most in 0_u32..6, per_key in 1_u32..3, each_tenant in 1_u32..6, running in 0_u32..4,
            waiting in proptest::collection::vec((0..3_usize, 0..3_usize, 0..4_usize), 0..30),
        ) {
            let rules = FlowRules { each_tenant: Some(each_tenant), ..rules(most, Some(per_key)) };
            let jobs: Vec<_> = waiting.iter().enumerate().map(|(n, (tenant, key, band))| {
                parked(n, &rules, ["a", "b", "c"][*tenant], [None, Some("k"), Some("l")][*key], Band::ALL[*band])
            }).collect();
            let mut used = HashMap::from([("kind render".to_owned(), running)]);
            let chosen = Turnstile::default().choose(&rules, &jobs, used.clone());
            for limit in chosen.iter().flat_map(|one| &one.limits) {
                let used = used.entry(limit.name.clone()).or_default();
                *used += 1;
                prop_assert!(*used <= limit.most, "{} beyond {}", limit.name, limit.most);
            }
            for job in jobs.iter().filter(|job| !ids(&chosen).contains(&job.id)) {
                let limits = rules.limits_of(&job.tenant, &job.kind, job.key.as_deref());
                prop_assert!(limits.iter().any(|limit| used.get(&limit.name).is_some_and(|used| *used >= limit.most)
                    || limit.most == 0));
            }
        }
    }
}
