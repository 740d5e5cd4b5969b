//! Who is being sent to, and who does not answer: neither one receiver's silence nor one tenant's receivers may fill the room
//! that others need.
//!
//! - A receiver that has not answered yet gets one attempt at a time, and so does one that was silent the last time. All of
//!   the former together get half of all attempts, of the latter a quarter: those that answer always have room.
//! - Where there are several tenants, none has more attempts under way than are left for the others, in each of these parts.
//!   So there is some left for whoever comes next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raincheck_shared::domain::TenantName;
use raincheck_shared::lifecycle::Nudge;
use raincheck_shared::store::{DueReceiver, Room};

/// Receivers that are remembered, of those that answer and of those that do not. Beyond that they are forgotten, and each
/// shows itself again.
const REMEMBERED: usize = 10_000;

/// What a receiver did the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Standing {
    Answers,
    Unknown,
    Silent,
}

/// What an attempt is counted under. What it is of may be gone, and then it is nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Share {
    standing: Standing,
    tenant: Option<TenantName>,
}

#[derive(Debug, Clone, Copy)]
struct Receiver {
    under_way: u32,
    standing: Standing,
}

/// Attempts at once that there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// In all.
    pub(super) total: u32,
    /// To one receiver.
    pub(super) per_receiver: u32,
    /// Whether one tenant's have to leave room for another's.
    pub(super) has_tenants: bool,
}

/// Attempts under way.
#[derive(Debug, Default, Clone)]
struct Taken(HashMap<Share, u32>);

#[derive(Debug, Default)]
struct Known {
    receivers: HashMap<String, Receiver>,
    taken: Taken,
    /// Behind whom the next look begins.
    seen: Option<String>,
}

#[derive(Debug)]
struct Board {
    known: Mutex<Known>,
    limits: Limits,
    freed: Nudge,
}

/// The board on which each attempt under way is noted. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Receivers(Arc<Board>);

/// A receiver whose turn it is.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) room: Room,
    share: Share,
    under_way: u32,
}

/// One attempt under way; dropping it frees its place and lets the courier look again.
#[derive(Debug)]
pub(super) struct Place {
    board: Arc<Board>,
    receiver: String,
    share: Share,
    answered: Option<bool>,
}

impl Receivers {
    pub(super) fn new(limits: Limits, freed: Nudge) -> Self {
        Self(Arc::new(Board { known: Mutex::default(), limits, freed }))
    }

    /// Whether there is room for any attempt.
    pub(super) fn have_room(&self) -> bool {
        self.0.lock().taken.all() < self.0.limits.total
    }

    /// Behind whom the next look begins.
    pub(super) fn seen(&self) -> Option<String> {
        self.0.lock().seen.clone()
    }

    /// Notes how far a look has come.
    pub(super) fn saw(&self, last: Option<String>) {
        self.0.lock().seen = last;
    }

    /// Who of these gets how much of the room that there is. The tenants take turns, and each gives one to each of its
    /// receivers before a second to any, those first who have been waiting for longest.
    pub(super) fn choose(&self, due: Vec<DueReceiver>) -> Vec<Turn> {
        let known = self.0.lock();
        let mut taken = known.taken.clone();
        let mut chosen = Vec::new();
        let mut open: Vec<Turn> = in_turns(due).into_iter().map(|due| known.turn(due)).collect();
        drop(known);
        while !open.is_empty() {
            let (gets, rest): (Vec<Turn>, Vec<Turn>) = open.into_iter().partition(|turn| {
                let most = if turn.share.standing == Standing::Answers { self.0.limits.per_receiver } else { 1 };
                let gets = turn.under_way + turn.room.deliveries < most && taken.has_room(&turn.share, self.0.limits);
                if gets {
                    taken.add(&turn.share);
                }
                gets
            });
            open = gets;
            for turn in &mut open {
                turn.room.deliveries += 1;
            }
            // What was refused once is refused for good: room only shrinks here.
            chosen.extend(rest.into_iter().filter(|turn| turn.room.deliveries > 0));
        }
        chosen
    }

    /// Notes that an attempt begins.
    pub(super) fn begin(&self, turn: &Turn) -> Place {
        let (receiver, share) = (turn.room.receiver.clone(), turn.share.clone());
        let mut known = self.0.lock();
        known.taken.add(&share);
        let entry = known.receivers.entry(receiver.clone());
        entry.or_insert(Receiver { under_way: 0, standing: Standing::Unknown }).under_way += 1;
        drop(known);
        Place { board: Arc::clone(&self.0), receiver, share, answered: None }
    }
}

/// The first of each tenant, then the second, and so on.
fn in_turns(mut due: Vec<DueReceiver>) -> Vec<DueReceiver> {
    due.sort_by_key(|due| due.since);
    let mut counts: HashMap<Option<TenantName>, usize> = HashMap::new();
    let mut placed: Vec<(usize, DueReceiver)> = Vec::with_capacity(due.len());
    for due in due {
        let count = counts.entry(due.tenant.clone()).or_default();
        placed.push((*count, due));
        *count += 1;
    }
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, due)| due).collect()
}

impl Known {
    fn turn(&self, due: DueReceiver) -> Turn {
        let DueReceiver { receiver, tenant, .. } = due;
        let known = self.receivers.get(&receiver);
        let standing = known.map_or(Standing::Unknown, |known| known.standing);
        Turn {
            room: Room { receiver, deliveries: 0 },
            share: Share { standing, tenant },
            under_way: known.map_or(0, |known| known.under_way),
        }
    }

    /// Of whom nothing is known, or too much, is forgotten.
    fn forget(&mut self) {
        if self.receivers.len() <= 2 * REMEMBERED {
            return;
        }
        let silent = self.receivers.values().filter(|receiver| receiver.standing == Standing::Silent).count();
        // Whoever names many that do not answer makes nobody forget those that do.
        let forgets_all = silent <= REMEMBERED;
        self.receivers
            .retain(|_, receiver| receiver.under_way > 0 || !forgets_all && receiver.standing == Standing::Answers);
    }
}

impl Taken {
    fn all(&self) -> u32 {
        self.0.values().sum()
    }

    fn add(&mut self, share: &Share) {
        *self.0.entry(share.clone()).or_default() += 1;
    }

    fn give_back(&mut self, share: &Share) {
        if let Some(taken) = self.0.get_mut(share) {
            *taken -= 1;
            if *taken == 0 {
                self.0.remove(share);
            }
        }
    }

    fn has_room(&self, share: &Share, limits: Limits) -> bool {
        let of = |standing| {
            let of = self.0.iter().filter(move |(share, _)| share.standing == standing);
            of.map(|(_, taken)| taken).sum::<u32>()
        };
        let left = limits.total.saturating_sub(self.all());
        let left = match share.standing {
            Standing::Answers => left,
            Standing::Unknown => left.min((limits.total / 2).max(1).saturating_sub(of(Standing::Unknown))),
            Standing::Silent => left.min((limits.total / 4).max(1).saturating_sub(of(Standing::Silent))),
        };
        let mine = if limits.has_tenants { self.0.get(share).copied().unwrap_or_default() } else { 0 };
        mine < left
    }
}

impl Place {
    /// Notes whether the receiver has answered, with whatever status.
    pub(super) fn answered(&mut self, answered: bool) {
        self.answered = Some(answered);
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Known> {
        // Counters and what receivers did: no panic can leave them half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self.board.lock();
        known.taken.give_back(&self.share);
        if let Some(receiver) = known.receivers.get_mut(&self.receiver) {
            receiver.under_way -= 1;
            match self.answered {
                Some(true) => receiver.standing = Standing::Answers,
                Some(false) => receiver.standing = Standing::Silent,
                None => {}
            }
            if receiver.under_way == 0 && receiver.standing == Standing::Unknown {
                known.receivers.remove(&self.receiver);
            }
        }
        known.forget();
        drop(known);
        self.board.freed.nudge();
    }
}

#[cfg(test)]
mod tests;
