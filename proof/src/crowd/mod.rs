//! Many clients that call everything at random, on several replicas at once, and a memory that holds every answer against
//! those that were heard before it was asked for. Nothing is broken on purpose here: that is `chaos`.
//!
//! - `visitor`: one client
//! - `memory`: what all of them have heard

mod memory;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use crate::chaos::dice::Dice;
use crate::stage::client::Client;
use crate::stage::wait::{alongside, now};

pub use memory::{Memory, Moment};
use visitor::Visitor;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Answers that were held against earlier ones.
    pub answers: u64,
    /// Jobs that were heard of.
    pub jobs: usize,
    /// Those that were seen to have ended.
    pub ended: usize,
}

/// Lets `clients` call `replicas` at random for so long. Panics at the first answer that contradicts an earlier one.
pub async fn gather(replicas: &[Client], clients: u64, seed: u64, time: Duration) -> Tally {
    let memory = Arc::new(Memory::default());
    let dice = Dice::new(seed);
    let started = now();
    let visitors: Vec<_> = (0..clients)
        .map(|n| {
            let visitor = Visitor::new(replicas.to_vec(), Arc::clone(&memory), dice.of_part(&format!("visitor {n}")));
            alongside(visitor.stroll(started, time))
        })
        .collect();
    for visitor in visitors {
        visitor.await.unwrap();
    }
    memory.tally()
}
