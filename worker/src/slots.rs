//! How much a worker can run at once: in all, and of each kind.

use std::collections::HashMap;

use raincheck_shared::domain::KindName;

/// Slots in all, or of one kind.
#[derive(Debug)]
struct Share {
    cap: usize,
    /// Of jobs that are claimed, or being claimed. Dispatches are claimed whole, so it can be more than there are.
    taken: usize,
    /// Of jobs that were started: never more than there are.
    busy: usize,
}

impl Share {
    const fn of(cap: usize) -> Self {
        Self { cap, taken: 0, busy: 0 }
    }

    const fn open(&self) -> usize {
        self.cap.saturating_sub(self.taken)
    }

    const fn may_start(&self) -> bool {
        self.busy < self.cap
    }
}

/// What is taken for a claim that is under way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// So many of each kind.
    Each(Vec<(KindName, usize)>),
    /// So many in all, of whichever of these kinds the jobs turn out to be.
    Any(Vec<KindName>, usize),
}

/// Slots in use. A slot is free again only when the end of its job is committed.
///
/// Claims go by what is taken, so that a worker holds little that others could run; starts go by what is busy, so that no more
/// run at once than may, whatever a claim brought.
#[derive(Debug)]
pub(crate) struct Slots {
    all: Share,
    kinds: HashMap<KindName, Share>,
}

impl Slots {
    pub(crate) fn new(cap: usize, kinds: impl IntoIterator<Item = (KindName, usize)>) -> Self {
        let kinds = kinds.into_iter().map(|(kind, cap)| (kind, Share::of(cap))).collect();
        Self { all: Share::of(cap), kinds }
    }

    /// Whether `count` jobs of `kind` can be claimed together. A dispatch wider than all slots is claimed when all are free:
    /// there will never be more, and what they cannot take waits here.
    pub(crate) fn fits(&self, kind: &KindName, count: usize) -> bool {
        let Some(of_kind) = self.kinds.get(kind) else { return false };
        [&self.all, of_kind].into_iter().all(|share| share.open() >= count.min(share.cap).max(1))
    }

    pub(crate) fn take(&mut self, kind: &KindName, count: usize) {
        self.change(kind, |share| share.taken += count);
    }

    pub(crate) fn free(&mut self, kind: &KindName, count: usize) {
        self.change(kind, |share| share.taken = share.taken.saturating_sub(count));
    }

    /// Takes `count` for jobs of any of `kinds`.
    pub(crate) fn take_any(&mut self, kinds: &[KindName], count: usize) {
        self.change_any(kinds, |share| share.taken += count);
    }

    /// Frees what was taken for a claim.
    pub(crate) fn release(&mut self, reserved: &Reserved) {
        match reserved {
            Reserved::Each(kinds) => kinds.iter().for_each(|(kind, count)| self.free(kind, *count)),
            Reserved::Any(kinds, count) => {
                self.change_any(kinds, |share| share.taken = share.taken.saturating_sub(*count));
            }
        }
    }

    /// Makes a slot busy with a job of `kind` that is claimed; false: none is left, in all or of its kind.
    pub(crate) fn start(&mut self, kind: &KindName) -> bool {
        let starts = self.all.may_start() && self.kinds.get(kind).is_none_or(Share::may_start);
        if starts {
            self.change(kind, |share| share.busy += 1);
        }
        starts
    }

    /// The end of a job that was started is settled.
    pub(crate) fn stop(&mut self, kind: &KindName) {
        self.change(kind, |share| share.busy = share.busy.saturating_sub(1));
    }

    /// Such kinds with a free slot, and the smallest number of slots that one of them has free.
    pub(crate) fn open_kinds(&self, wanted: impl Fn(&KindName) -> bool) -> (Vec<KindName>, usize) {
        let mut least = self.all.open();
        let mut kinds = Vec::new();
        for (kind, share) in self.kinds.iter().filter(|(kind, share)| share.open() > 0 && wanted(kind)) {
            least = least.min(share.open());
            kinds.push(kind.clone());
        }
        (kinds, least)
    }

    fn change(&mut self, kind: &KindName, change: impl Fn(&mut Share)) {
        self.change_any(std::slice::from_ref(kind), change);
    }

    fn change_any(&mut self, kinds: &[KindName], change: impl Fn(&mut Share)) {
        change(&mut self.all);
        for kind in kinds {
            self.kinds.get_mut(kind).map(&change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_bounded_by_its_own_slots_and_by_all() {
        let (a, b): (KindName, KindName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mut slots = Slots::new(3, [(a.clone(), 2), (b.clone(), 9)]);
        slots.take(&a, 2);
        assert!(!slots.fits(&a, 1), "its own are taken");
        assert!(slots.fits(&b, 1));
        slots.take(&b, 1);
        assert!(!slots.fits(&b, 1), "all are taken");
        slots.free(&a, 2);
        assert!(slots.fits(&b, 2));
        assert!(!slots.fits(&"unknown".parse().unwrap(), 1));
    }

    #[test]
    fn a_dispatch_wider_than_all_slots_waits_until_all_are_free() {
        let kind: KindName = "a".parse().unwrap();
        let mut slots = Slots::new(4, [(kind.clone(), 4)]);
        slots.take(&kind, 1);
        assert!(!slots.fits(&kind, 10));
        slots.free(&kind, 1);
        assert!(slots.fits(&kind, 10));
        slots.take(&kind, 10);
        assert!(!slots.fits(&kind, 1));
        slots.free(&kind, 10);
        assert!(slots.fits(&kind, 4));
    }

    #[test]
    fn of_what_is_claimed_no_more_is_started_than_there_are_slots() {
        let (a, b): (KindName, KindName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mut slots = Slots::new(3, [(a.clone(), 2), (b.clone(), 9)]);
        slots.take(&a, 8);
        assert_eq!([(); 3].map(|()| slots.start(&a)), [true, true, false], "its own are busy");
        slots.take(&b, 8);
        assert_eq!([(); 2].map(|()| slots.start(&b)), [true, false], "all are busy");
        slots.stop(&a);
        assert!(slots.start(&b));
        slots.stop(&b);
        assert!(slots.start(&a));
    }

    #[test]
    fn what_a_claim_of_any_kind_may_bring_is_taken_from_each_of_them() {
        let [a, b, c]: [KindName; 3] = ["a", "b", "c"].map(|kind| kind.parse().unwrap());
        let mut slots = Slots::new(5, [(a.clone(), 2), (b.clone(), 9), (c.clone(), 1)]);
        slots.take(&c, 1);
        let (mut kinds, limit) = slots.open_kinds(|_| true);
        kinds.sort_unstable();
        assert_eq!((&kinds, limit), (&vec![a.clone(), b.clone()], 2));
        slots.take_any(&kinds, limit);
        assert!(!slots.fits(&a, 1), "they may all be of this kind");
        assert!(slots.fits(&b, 2) && !slots.fits(&b, 3), "in all they are two");
        assert_eq!(slots.open_kinds(|_| true), (vec![b.clone()], 2));
        assert_eq!(slots.open_kinds(|kind| *kind != b), (vec![], 2), "nobody else has one");
        slots.release(&Reserved::Any(kinds, limit));
        assert!(slots.fits(&a, 2) && slots.fits(&b, 4));
    }
}
