//! What every long-running part stands on: time, ids, shutdown, batching, loops.

mod batcher;
mod clock;
mod ids;
mod reconciler;
mod shutdown;

pub use batcher::{Batcher, BatcherLimits, Overloaded};
pub use clock::{Clock, SystemClock};
pub use ids::IdSource;
pub use reconciler::{Next, Nudge, Reconciler, ReconcilerHealth};
pub use shutdown::{Shutdown, signals};
