//! Wake-ups on the wire: all hints that piled up, in one compact JSON message.
//!
//! ```json
//! {"v":1,"from":"<uuid>","n":7,"changed":[["<id>",3,"succeeded"]],"cancel":["<id>"],"leasable":["<kind>"],"timer_ms":250,"worker_died":true}
//! ```
//! `n` rises by one from message to message of one sender, so that a hearer notices what it missed.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::broker::Signal;
use crate::domain::{JobId, KindName, Status, Version};
use crate::store::Change;

const VERSION: u32 = 1;
/// Hints of one kind in a message at most.
const LONGEST: usize = 2_000;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Wire {
    v: u32,
    from: Uuid,
    n: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changed: Vec<(Uuid, Version, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cancel: Vec<Uuid>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    leasable: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timer_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    worker_died: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    missed: bool,
}

/// Hints on their way out, merged: of one job only the last change, of timers only the nearest.
#[derive(Debug, Default)]
pub(super) struct Pile {
    changed: HashMap<JobId, Change>,
    cancel: Vec<JobId>,
    leasable: BTreeSet<KindName>,
    timer: Option<Duration>,
    worker_died: bool,
    missed: bool,
}

impl Pile {
    /// Adds a hint.
    pub(super) fn add(&mut self, signal: Signal) {
        match signal {
            Signal::Changed(changes) => {
                for change in changes {
                    let last = self.changed.entry(change.id).or_insert(change);
                    if last.version < change.version {
                        *last = change;
                    }
                }
            }
            Signal::CancelRequested(jobs) => self.cancel.extend(jobs),
            Signal::Leasable(kinds) => self.leasable.extend(kinds),
            Signal::TimerSet(due) => self.timer = Some(self.timer.map_or(due, |nearest| nearest.min(due))),
            Signal::WorkerDied => self.worker_died = true,
            Signal::Missed => self.missed = true,
        }
    }

    /// Whether another hint would make the message too long.
    pub(super) fn is_full(&self) -> bool {
        self.changed.len() >= LONGEST || self.cancel.len() >= LONGEST
    }

    /// The message. `None` cannot happen: numbers and text always serialise.
    pub(super) fn encode(self, from: Uuid, number: u64) -> Option<Vec<u8>> {
        serde_json::to_vec(&Wire {
            v: VERSION,
            from,
            n: number,
            changed: self
                .changed
                .into_values()
                .map(|change| (change.id.as_uuid(), change.version, change.status.as_str().to_owned()))
                .collect(),
            cancel: self.cancel.into_iter().map(JobId::as_uuid).collect(),
            leasable: self.leasable.iter().map(ToString::to_string).collect(),
            timer_ms: self.timer.map(|timer| u64::try_from(timer.as_millis()).unwrap_or(u64::MAX)),
            worker_died: self.worker_died,
            missed: self.missed,
        })
        .ok()
    }
}

/// Hears messages of all senders.
#[derive(Debug, Default)]
pub(super) struct Ear {
    /// The number of each sender's last message.
    last: HashMap<Uuid, u64>,
}

/// Senders remembered at most; each start of a process makes one.
const SENDERS: usize = 1_000;

impl Ear {
    /// The hints of a message. None of the listener's own, nor of what it cannot read: it may come from a newer release.
    pub(super) fn hear(&mut self, body: &[u8], own: Uuid) -> Vec<Signal> {
        let Ok(wire) = serde_json::from_slice::<Wire>(body) else {
            tracing::debug!("ignored a wake-up that cannot be read");
            return Vec::new();
        };
        if wire.v != VERSION || wire.from == own {
            return Vec::new();
        }
        if self.last.len() >= SENDERS {
            self.last.clear();
        }
        let gap = self.last.insert(wire.from, wire.n).is_some_and(|last| wire.n > last.saturating_add(1));
        let mut missed = wire.missed || gap;
        let mut changed = Vec::with_capacity(wire.changed.len());
        for (id, version, status) in wire.changed {
            match status.parse::<Status>() {
                Ok(status) => changed.push(Change { id: JobId::new(id), version, status }),
                // A status of a newer release: whoever waits reads the job.
                Err(_) => missed = true,
            }
        }
        let mut signals = Vec::new();
        if !changed.is_empty() {
            signals.push(Signal::Changed(changed));
        }
        if !wire.cancel.is_empty() {
            signals.push(Signal::CancelRequested(wire.cancel.into_iter().map(JobId::new).collect()));
        }
        let leasable: Vec<KindName> = wire.leasable.iter().filter_map(|name| name.parse().ok()).collect();
        if !leasable.is_empty() {
            signals.push(Signal::Leasable(leasable));
        }
        signals.extend(wire.timer_ms.map(|millis| Signal::TimerSet(Duration::from_millis(millis))));
        if wire.worker_died {
            signals.push(Signal::WorkerDied);
        }
        if missed {
            signals.push(Signal::Missed);
        }
        signals
    }
}

/// What must hold for any wake-up, for the fuzzer: what was heard prints as what will be heard again.
#[cfg(feature = "laws")]
pub(super) fn law(body: &[u8]) {
    let (own, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let heard = Ear::default().hear(body, own);
    let print = |signals: Vec<Signal>| {
        let mut pile = Pile::default();
        for signal in signals {
            pile.add(signal);
        }
        pile.encode(other, 1).unwrap_or_default()
    };
    let printed = print(heard.clone());
    let again = Ear::default().hear(&printed, own);
    // Of one job only the last change is told, so a list may have become shorter, once.
    assert!(again.len() <= heard.len());
    let sorted = |body: &[u8]| {
        let mut wire: Wire = serde_json::from_slice(body).unwrap_or_default();
        wire.changed.sort();
        (wire.changed, wire.cancel, wire.leasable, wire.timer_ms, wire.worker_died, wire.missed)
    };
    assert_eq!(sorted(&print(again)), sorted(&printed));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ME: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn job(number: u128) -> JobId {
        JobId::new(Uuid::from_u128(number))
    }

    fn carried(signals: impl IntoIterator<Item = Signal>) -> Vec<Signal> {
        let mut pile = Pile::default();
        signals.into_iter().for_each(|signal| pile.add(signal));
        Ear::default().hear(&pile.encode(OTHER, 0).unwrap(), ME)
    }

    #[test]
    fn every_hint_arrives_as_it_was_sent() {
        let changes = |status| Signal::Changed(vec![Change { id: job(7), version: 3, status }]);
        let mut hints: Vec<Signal> = Status::ALL.into_iter().map(changes).collect();
        hints.push(Signal::CancelRequested(vec![job(8), job(9)]));
        hints.push(Signal::Leasable(vec!["eins".parse().unwrap(), "zwei".parse().unwrap()]));
        hints.push(Signal::TimerSet(Duration::from_millis(250)));
        hints.push(Signal::WorkerDied);
        hints.push(Signal::Missed);
        for hint in hints {
            assert_eq!(carried([hint.clone()]), [hint]);
        }
    }

    #[test]
    fn of_one_job_only_the_last_change_is_told_and_of_timers_only_the_nearest() {
        let change = |version| Change { id: job(7), version, status: Status::InProgress };
        let told = carried([
            Signal::Changed(vec![change(2), change(4)]),
            Signal::TimerSet(Duration::from_secs(2)),
            Signal::Changed(vec![change(3)]),
            Signal::TimerSet(Duration::from_secs(1)),
        ]);
        assert_eq!(told, [Signal::Changed(vec![change(4)]), Signal::TimerSet(Duration::from_secs(1))]);
    }

    #[test]
    fn a_gap_in_a_senders_numbers_is_a_missed_hint() {
        let mut ear = Ear::default();
        let mut hear = |number| {
            let mut pile = Pile::default();
            pile.add(Signal::CancelRequested(vec![job(1)]));
            ear.hear(&pile.encode(OTHER, number).unwrap(), ME).contains(&Signal::Missed)
        };
        assert_eq!([hear(5), hear(6), hear(8), hear(9)], [false, false, true, false]);
    }

    #[test]
    fn what_a_newer_release_says_is_ignored_or_read_again() {
        let mut ear = Ear::default();
        let newer = r#"{"v":2,"from":"00000000-0000-0000-0000-000000000002","n":1}"#;
        assert!(ear.hear(newer.as_bytes(), ME).is_empty());
        let status = r#"{"v":1,"from":"00000000-0000-0000-0000-000000000002","n":1,"changed":[["00000000-0000-0000-0000-000000000007",2,"pondering"]],"new":1}"#;
        assert_eq!(ear.hear(status.as_bytes(), ME), [Signal::Missed]);
    }

    #[test]
    fn nobody_hears_itself_twice() {
        let mut pile = Pile::default();
        pile.add(Signal::Missed);
        assert!(Ear::default().hear(&pile.encode(ME, 0).unwrap(), ME).is_empty());
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            Ear::default().hear(&body, ME);
        }
    }
}
