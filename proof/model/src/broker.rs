//! The broker: keeps messages until they are acknowledged, delivers in any order, may lose them all.

use crate::world::{Hand, Id, Note, Relay, World};

impl World {
    /// Workers that hold a message of a dispatch.
    pub(crate) fn in_hand(&self, id: usize) -> impl Iterator<Item = usize> {
        let holds = move |hand: Option<Hand>| hand.is_some_and(|hand| usize::from(hand.dispatch) == id);
        self.workers.iter().enumerate().filter(move |(_, worker)| holds(worker.hand)).map(|(at, _)| at)
    }

    pub(crate) fn confirm(&mut self, id: Id, heard: bool) -> Option<()> {
        let up = self.broker_up;
        let dispatch = &mut self.dispatches[usize::from(id)];
        if !up || dispatch.relay != Some(Relay::Sent) {
            return None;
        }
        dispatch.relay = heard.then_some(Relay::Confirmed);
        dispatch.ready += 1;
        dispatch.lost = false;
        Some(())
    }

    pub(crate) fn duplicate(&mut self, id: Id) -> Option<()> {
        let dispatch = &mut self.dispatches[usize::from(id)];
        (dispatch.ready > 0).then(|| dispatch.ready += 1)
    }

    /// What is with workers will be delivered again: their acknowledgements do not arrive any more.
    pub(crate) fn broker_goes(&mut self) -> Option<()> {
        if !self.broker_up {
            return None;
        }
        self.broker_up = false;
        for worker in 0..self.workers.len() {
            self.take_back(worker);
        }
        self.lose_what_is_on_its_way();
        Some(())
    }

    /// It is back at once, and empty.
    pub(crate) fn broker_forgets(&mut self) {
        for id in 0..self.dispatches.len() {
            let held = self.in_hand(id).any(|_| true);
            let dispatch = &mut self.dispatches[id];
            let noted = dispatch.row == Some(Note::Published) || dispatch.relay == Some(Relay::Confirmed);
            dispatch.lost |= noted || dispatch.ready > 0 || held;
            dispatch.ready = 0;
        }
        for worker in &mut self.workers {
            worker.hand = worker.hand.map(|hand| Hand { receipt: false, ..hand });
        }
        self.lose_what_is_on_its_way();
    }

    pub(crate) fn broker_returns(&mut self) -> Option<()> {
        (!self.broker_up).then(|| self.broker_up = true)
    }

    /// A message whose worker is gone, or does not answer, goes back to where it was.
    pub(crate) fn take_back(&mut self, worker: usize) -> Option<()> {
        let hand = self.workers[worker].hand.as_mut().filter(|hand| hand.receipt)?;
        hand.receipt = false;
        self.dispatches[usize::from(hand.dispatch)].ready += 1;
        Some(())
    }

    fn lose_what_is_on_its_way(&mut self) {
        for dispatch in &mut self.dispatches {
            if dispatch.relay == Some(Relay::Sent) {
                dispatch.relay = None;
            }
        }
    }
}
