//! What every long-running part stands on: time, ids, shutdown, batching, loops.

mod batcher;
mod clock;
pub mod failpoint;
mod gathering;
mod ids;
#[cfg(feature = "proof")]
mod mutation;
mod reconciler;
mod shutdown;

pub use batcher::{Batcher, BatcherLimits, Overloaded};
pub use clock::{Clock, SystemClock};
pub use gathering::FLOOD;
pub use ids::IdSource;
#[cfg(feature = "proof")]
pub use mutation::Mutation;
pub use reconciler::{Next, Nudge, Reconciler, ReconcilerHealth};
pub use shutdown::{Shutdown, signals};
