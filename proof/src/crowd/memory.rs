//! What all clients have heard, and whether an answer can be true after that.
//!
//! Only answers that had come before a request was sent bind its answer: of two that overlap, either may be the later.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::Tally;

/// A place in the order in which answers were heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// What was heard of one job.
#[derive(Debug, Default)]
struct Known {
    /// When it was first known to exist.
    since: Option<Moment>,
    /// The highest versions, in the order in which they were heard.
    heights: Vec<(Moment, i64)>,
    /// What it looks like at each version.
    looks: HashMap<i64, Value>,
    /// Its end: when it was heard, its version and status.
    end: Option<(Moment, i64, String)>,
}

/// The memory of all clients together.
#[derive(Debug, Default)]
pub struct Memory {
    clock: AtomicU64,
    answers: AtomicU64,
    jobs: Mutex<HashMap<String, Known>>,
    keys: Mutex<HashMap<String, String>>,
}

/// What of a job stays the same at one version. The rest is reckoned anew for each answer, or is the webhook's.
const LOOKS: [&str; 17] = [
    "id",
    "kind",
    "queue",
    "status",
    "done",
    "created_at",
    "run_at",
    "started_at",
    "finished_at",
    "attempt",
    "max_attempts",
    "error",
    "expires_at",
    "idempotency_key",
    "tags",
    "progress",
    "links",
];

/// What is behind the lock, also when a contradiction was found under it: the next one is to be found as well.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// Now, for a request that is about to be sent.
    pub fn moment(&self) -> Moment {
        Moment(self.clock.load(Ordering::SeqCst))
    }

    fn tick(&self) -> Moment {
        self.answers.fetch_add(1, Ordering::Relaxed);
        Moment(self.clock.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// A job, whole or as a line of a list, in an answer to a request that was sent at `asked`.
    pub fn job(&self, job: &Value, asked: Moment) {
        let id = job["id"].as_str().unwrap();
        let version = job["version"].as_i64().unwrap();
        let mut jobs = held(&self.jobs);
        let known = jobs.entry(id.to_owned()).or_default();
        let before = known.heights.iter().rev().find(|(heard, _)| *heard <= asked).map(|(_, version)| *version);
        assert!(before.is_none_or(|before| version >= before), "version {version} after {before:?}: {job}");
        let looks: Value = LOOKS.iter().map(|name| ((*name).to_owned(), job[*name].clone())).collect();
        let look = known.looks.entry(version).or_insert_with(|| looks.clone());
        assert_eq!(*look, looks, "version {version} of {id} has two looks");
        if let Some((_, end, status)) = &known.end {
            // Erasure is the only change after the end, and raises the version.
            let same = job["done"] == true && job["status"] == status.as_str();
            assert!(same || version < *end, "{id} was {status} at version {end}: {job}");
            assert!(version <= *end + 1, "{id} ended at version {end}: {job}");
        }
        let heard = self.tick();
        if known.heights.last().is_none_or(|(_, highest)| version > *highest) {
            known.heights.push((heard, version));
        }
        known.since.get_or_insert(heard);
        if job["done"] == true && known.end.as_ref().is_none_or(|(_, end, _)| version < *end) {
            known.end = Some((heard, version, job["status"].as_str().unwrap().to_owned()));
        }
    }

    /// A job that is said not to exist.
    pub fn missing(&self, id: &str, asked: Moment) {
        self.tick();
        let jobs = held(&self.jobs);
        let since = jobs.get(id).and_then(|known| known.since);
        assert!(since.is_none_or(|since| since > asked), "{id} is unknown, but had been accepted before");
    }

    /// A job that is said not to have ended yet.
    pub fn unfinished(&self, id: &str, asked: Moment) {
        self.tick();
        let jobs = held(&self.jobs);
        let end = jobs.get(id).and_then(|known| known.end.as_ref()).filter(|(heard, ..)| *heard <= asked);
        assert!(end.is_none(), "{id} is said to run, but had ended: {end:?}");
    }

    /// A job that is said to have ended as one of these, or not at all.
    pub fn ended_as(&self, id: &str, statuses: &[&str]) {
        self.tick();
        let jobs = held(&self.jobs);
        let end = jobs.get(id).and_then(|known| known.end.as_ref());
        let fits = end.is_none_or(|(.., status)| statuses.contains(&status.as_str()));
        assert!(fits, "{id} is said to be one of {statuses:?}, but was {end:?}");
    }

    /// The job that an idempotency key stands for.
    pub fn key(&self, key: &str, id: &str) {
        let mut keys = held(&self.keys);
        let first = keys.entry(key.to_owned()).or_insert_with(|| id.to_owned());
        assert_eq!(first, id, "the key {key} stands for two jobs");
    }

    /// An answer that says nothing about a job.
    pub fn other(&self) {
        self.tick();
    }

    /// What came of it.
    pub fn tally(&self) -> Tally {
        let jobs = held(&self.jobs);
        let ended = jobs.values().filter(|known| known.end.is_some()).count();
        Tally { answers: self.answers.load(Ordering::Relaxed), jobs: jobs.len(), ended }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use serde_json::json;

    use super::*;

    fn seen(version: i64, status: &str) -> Value {
        let done = !matches!(status, "queued" | "in_progress");
        json!({ "id": "a", "version": version, "status": status, "done": done })
    }

    /// Whether the memory refuses the last of these, each asked for after the one before was heard.
    fn refuses(told: &[Value]) -> bool {
        let memory = Memory::default();
        let (last, before) = told.split_last().unwrap();
        for job in before {
            memory.job(job, memory.moment());
        }
        catch_unwind(AssertUnwindSafe(|| memory.job(last, memory.moment()))).is_err()
    }

    #[test]
    fn a_version_that_falls_another_look_and_another_end_are_found() {
        assert!(!refuses(&[seen(1, "queued"), seen(2, "in_progress"), seen(2, "in_progress"), seen(3, "failed")]));
        assert!(refuses(&[seen(2, "in_progress"), seen(1, "queued")]));
        assert!(refuses(&[seen(2, "in_progress"), seen(2, "queued")]));
        assert!(refuses(&[seen(3, "canceled"), seen(4, "succeeded")]));
        assert!(refuses(&[seen(3, "canceled"), seen(5, "canceled")]));
        assert!(!refuses(&[seen(3, "canceled"), seen(4, "canceled")]), "it was erased");
    }

    #[test]
    fn an_answer_that_overlaps_another_may_be_the_earlier_one() {
        let memory = Memory::default();
        let asked = memory.moment();
        memory.job(&seen(3, "failed"), asked);
        memory.job(&seen(1, "queued"), asked);
        memory.unfinished("a", asked);
        let later = memory.moment();
        for contradiction in [
            &(|| memory.job(&seen(1, "queued"), later)) as &dyn Fn(),
            &|| memory.missing("a", later),
            &|| memory.unfinished("a", later),
            &|| memory.ended_as("a", &["succeeded"]),
        ] {
            assert!(catch_unwind(AssertUnwindSafe(contradiction)).is_err());
        }
        memory.missing("b", later);
    }

    #[test]
    fn a_key_that_stands_for_two_jobs_is_found() {
        let memory = Memory::default();
        memory.key("k", "a");
        memory.key("k", "a");
        assert!(catch_unwind(AssertUnwindSafe(|| memory.key("k", "b"))).is_err());
    }
}
