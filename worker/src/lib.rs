//! raincheck's worker: claims jobs, runs their handlers, records what came out.

pub mod handler;
pub mod handlers;
mod registry;

pub use handler::{Context, Handler, HandlerError, Outcome};
