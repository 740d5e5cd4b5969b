//! What lets jobs through that wait for permits.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Dispatch, FlowRules, JobId, ParkedJob, Turnstile};

/// Which lines to look at: those named, and the next `lines` after the place where the last look came to.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Where a permit has just come back.
    pub first: Vec<String>,
    /// The last line of the look before; empty: from the beginning.
    pub after: String,
    /// How many lines to look at.
    pub lines: u32,
}

/// What a look let through.
#[derive(Debug, Default)]
pub struct LetGo {
    /// Whether anything waits for a permit.
    pub any_parked: bool,
    /// On record now, for the relay to publish straight away.
    pub dispatches: Vec<Dispatch>,
    /// The jobs in them, each with its line.
    pub jobs: Vec<(JobId, String)>,
    /// Whether it came forward: let somebody through, or forgot somebody who does not wait any more.
    pub moved: bool,
    /// Where the next look goes on; `None`: it has seen the last line.
    pub next: Option<String>,
    /// When a permit of a rate comes back, of those that somebody here waits for.
    pub soonest: Option<Duration>,
}

/// The turnstile's side of the store.
#[async_trait]
pub trait Permits: Send + Sync {
    /// Lets jobs through as `turnstile` chooses by `rules`: their dispatches and permits come, and their places in line go,
    /// in one commit. Looks of several processes come one after the other, so that no permit is given twice.
    ///
    /// A permit counts as long as its job says so, whatever became of whoever ran it: see the table `permits`.
    async fn let_through(&self, rules: &FlowRules, turnstile: &mut Turnstile, look: &Look)
    -> Result<LetGo, StoreError>;

    /// Forgets permits that do not count any more, of whatever name: they harm nobody, but take room. And notes of those of rates
    /// when their jobs started, which nobody can tell once these are removed.
    async fn forget_permits(&self) -> Result<(), StoreError>;
}

/// Jobs that one look considers, about.
const CONSIDERED: usize = 2_000;

/// How many of each band of a line are looked at, when there are so many lines.
pub(super) fn heads_of_each(lines: usize) -> i64 {
    i64::try_from((CONSIDERED / lines.max(1)).max(2)).unwrap_or(2)
}

/// The limits that these jobs wait for, each once.
pub(super) fn names_wanted(rules: &FlowRules, waiting: &[ParkedJob]) -> Vec<String> {
    let sorts: HashSet<_> = waiting.iter().map(|job| (&job.tenant, &job.kind, job.key.as_deref())).collect();
    let limits = sorts.into_iter().flat_map(|(tenant, kind, key)| rules.limits_of(tenant, kind, key));
    limits.map(|limit| limit.name).collect::<BTreeSet<_>>().into_iter().collect()
}
