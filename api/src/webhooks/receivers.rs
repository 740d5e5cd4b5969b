//! Who is being sent to, and who does not answer: one receiver's silence must not fill the room that others need.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raincheck_shared::lifecycle::Nudge;
use raincheck_shared::store::Room;

/// Silent receivers that are remembered. Beyond that all are forgotten, and each shows itself again.
const REMEMBERED: usize = 10_000;

#[derive(Debug, Default, Clone, Copy)]
struct Receiver {
    under_way: u32,
    /// Attempts in a row without any answer.
    silences: u32,
}

#[derive(Debug)]
struct Board {
    known: Mutex<HashMap<String, Receiver>>,
    total: u32,
    per_receiver: u32,
    freed: Nudge,
}

/// The board on which each attempt under way is noted. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Receivers(Arc<Board>);

/// One attempt under way; dropping it frees its place and lets the courier look again.
#[derive(Debug)]
pub(super) struct Place {
    board: Arc<Board>,
    receiver: String,
    answered: Option<bool>,
}

impl Receivers {
    /// `total` attempts at once, `per_receiver` of them to one.
    pub(super) fn new(total: u32, per_receiver: u32, freed: Nudge) -> Self {
        Self(Arc::new(Board { known: Mutex::default(), total, per_receiver, freed }))
    }

    /// What there is room for. A receiver that does not answer gets half as much with each silence, one at least.
    pub(super) fn room(&self) -> Room {
        let known = self.0.lock();
        let under_way: u32 = known.values().map(|receiver| receiver.under_way).sum();
        let of = known.iter().map(|(name, receiver)| {
            let most = (self.0.per_receiver >> receiver.silences.min(31)).max(1);
            (name.clone(), most.saturating_sub(receiver.under_way))
        });
        Room { total: self.0.total.saturating_sub(under_way), per_receiver: self.0.per_receiver, of: of.collect() }
    }

    /// Notes that an attempt begins.
    pub(super) fn begin(&self, receiver: &str) -> Place {
        self.0.lock().entry(receiver.to_owned()).or_default().under_way += 1;
        Place { board: Arc::clone(&self.0), receiver: receiver.to_owned(), answered: None }
    }
}

impl Place {
    /// Notes whether the receiver has answered, with whatever status.
    pub(super) fn answered(&mut self, answered: bool) {
        self.answered = Some(answered);
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Receiver>> {
        // A map of counters: no panic can leave it half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self.board.lock();
        if let Some(receiver) = known.get_mut(&self.receiver) {
            receiver.under_way -= 1;
            match self.answered {
                Some(true) => receiver.silences = 0,
                Some(false) => receiver.silences = receiver.silences.saturating_add(1),
                None => {}
            }
        }
        let crowded = known.len() > REMEMBERED;
        known.retain(|_, receiver| receiver.under_way > 0 || receiver.silences > 0 && !crowded);
        drop(known);
        self.board.freed.nudge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(receivers: &Receivers, name: &str) -> u32 {
        let room = receivers.room();
        room.of.iter().find(|(known, _)| known == name).map_or(room.per_receiver, |(_, room)| *room)
    }

    #[test]
    fn room_is_what_is_not_taken() {
        let receivers = Receivers::new(4, 3, Nudge::default());
        let places: Vec<Place> = ["a", "a", "b"].iter().map(|name| receivers.begin(name)).collect();
        assert_eq!(
            (receivers.room().total, of(&receivers, "a"), of(&receivers, "b"), of(&receivers, "c")),
            (1, 1, 2, 3)
        );
        drop(places);
        assert_eq!((receivers.room().total, of(&receivers, "a")), (4, 3));
        assert!(receivers.room().of.is_empty());
    }

    #[test]
    fn who_does_not_answer_gets_less_until_he_does() {
        let receivers = Receivers::new(100, 8, Nudge::default());
        let attempt = |answered| receivers.begin("a").answered(answered);
        let rooms: Vec<u32> = (0..5).map(|_| (attempt(false), of(&receivers, "a")).1).collect();
        assert_eq!(rooms, [4, 2, 1, 1, 1]);
        attempt(true);
        assert_eq!(of(&receivers, "a"), 8);
    }
}
