//! raincheck's worker: claims jobs, runs their handlers, records what came out.
//!
//! Data goes one way: consumer → claim → executor → handler → finisher. [`Worker`] is the whole of it; [`Handler`] is
//! what a program brings that runs its own kinds in Rust.

mod claimer;
mod context;
mod counters;
mod drain;
pub mod executor;
mod finisher;
pub mod handler;
mod handler_log;
pub mod handlers;
mod heartbeat;
mod large_input;
#[cfg(feature = "laws")]
pub mod laws {
    //! What must hold for whatever comes from outside: what programs and upstreams say, and small inputs.

    pub use crate::handlers::laws::*;
}
mod output;
mod pipeline;
pub mod registry;
mod running;
mod shortage;
mod slots;
pub mod supervisor;
mod tally;
pub mod testing;
mod typed;
mod worker;

pub use context::Context;
pub use counters::Counters;
pub use handler::{Handler, HandlerError, Outcome};
pub use large_input::LargeInput;
pub use output::{Output, Written};
pub use registry::{Entry, Registry, RegistryError};
pub use typed::{Typed, typed};
pub use worker::{Parts, Worker};
