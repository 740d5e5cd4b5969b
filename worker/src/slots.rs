//! How much a worker can run at once: in all, and of each kind.

use std::collections::HashMap;

use raincheck_shared::domain::KindName;

#[derive(Debug)]
struct KindSlots {
    cap: usize,
    used: usize,
}

/// Slots in use. A slot is free again only when the end of its job is committed.
#[derive(Debug)]
pub(crate) struct Slots {
    cap: usize,
    used: usize,
    kinds: HashMap<KindName, KindSlots>,
}

impl Slots {
    pub(crate) fn new(cap: usize, kinds: impl IntoIterator<Item = (KindName, usize)>) -> Self {
        let kinds = kinds.into_iter().map(|(kind, cap)| (kind, KindSlots { cap, used: 0 })).collect();
        Self { cap, used: 0, kinds }
    }

    /// Whether `count` jobs of `kind` can be taken together. A dispatch wider than all slots is taken when all are free.
    pub(crate) fn fits(&self, kind: &KindName, count: usize) -> bool {
        let Some(slots) = self.kinds.get(kind) else { return false };
        let free = |cap: usize, used: usize| cap.saturating_sub(used) >= count.min(cap).max(1);
        free(self.cap, self.used) && free(slots.cap, slots.used)
    }

    pub(crate) fn take(&mut self, kind: &KindName, count: usize) {
        self.used += count;
        if let Some(slots) = self.kinds.get_mut(kind) {
            slots.used += count;
        }
    }

    pub(crate) fn free(&mut self, kind: &KindName, count: usize) {
        self.used = self.used.saturating_sub(count);
        if let Some(slots) = self.kinds.get_mut(kind) {
            slots.used = slots.used.saturating_sub(count);
        }
    }

    /// Slots that are free, of any kind.
    pub(crate) fn open(&self) -> usize {
        self.cap.saturating_sub(self.used)
    }

    /// Kinds with a free slot, and the smallest number of slots that one of them has free.
    pub(crate) fn open_kinds(&self) -> (Vec<KindName>, usize) {
        let open = self.kinds.iter().filter(|(_, slots)| slots.used < slots.cap);
        let mut least = self.open();
        let mut kinds = Vec::new();
        for (kind, slots) in open {
            least = least.min(slots.cap - slots.used);
            kinds.push(kind.clone());
        }
        (kinds, least)
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
        assert_eq!(slots.open(), 0);
        slots.free(&kind, 10);
        assert_eq!(slots.open(), 4);
    }
}
