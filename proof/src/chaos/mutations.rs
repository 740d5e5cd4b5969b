//! Promises that raincheck can be made to break, so that the checker has something to find. A checker that cannot fail
//! proves nothing.

use super::faults::{Kind, named};

/// A promise that is broken on purpose, in a build with the feature `proof`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutation {
    /// As `RAINCHECK_MUTATION` has it.
    pub name: &'static str,
    /// Faults under which it shows.
    pub faults: &'static str,
    /// The rule that has to find it; `None`: nothing is broken, and no rule may complain.
    pub rule: Option<&'static str>,
}

impl Mutation {
    /// Those faults.
    pub fn kinds(self) -> Vec<Kind> {
        self.faults.split(',').flat_map(named).collect()
    }
}

/// All of them.
pub const MUTATIONS: [Mutation; 5] = [
    // Beside `early-ack`: that its faults alone make nobody complain. They touch no message.
    Mutation { name: "none", faults: "lock-tables,terminate-backends", rule: None },
    // A worker that thaws after others took its jobs records its late results.
    Mutation {
        name: "no-fence",
        faults: "freeze-worker,kill-worker",
        rule: Some("the result is of the run that holds the fence"),
    },
    // A claim that fails has nothing to give back.
    Mutation {
        name: "early-ack",
        faults: "lock-tables,terminate-backends",
        rule: Some("no message is lost without a fault"),
    },
    // What was answered dies with its process, or is not there yet when it is read.
    Mutation { name: "early-202", faults: "kill-api,lock-tables", rule: Some("what had a 202 is kept") },
    // What was recorded before it was sent dies with its process.
    Mutation { name: "early-delivered", faults: "kill-api", rule: Some("every end is told") },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_mutation_exists() {
        let faults = MUTATIONS.iter().flat_map(|mutation| mutation.faults.split(','));
        assert!(faults.map(named).all(|kinds| !kinds.is_empty()));
    }
}
