//! raincheck's worker: claims jobs, runs their handlers, records what came out.

pub mod executor;
pub mod handler;
pub mod handlers;
pub mod registry;

pub use handler::{Context, Handler, HandlerError, Outcome};
