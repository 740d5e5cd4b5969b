//! raincheck's HTTP API, its outbox relay and its repair loops.
//!
//! - [`engine`]: what the endpoints call; knows store and broker, not HTTP
//! - `http`: routes, wire shapes, problems; knows the engine only
//! - [`upkeep`]: the relay and the repair loops
//! - `webhooks`: sends what clients want to be told; the only part that calls others
//! - [`Api`]: engine and `http` together, on a socket

mod api;
pub mod engine;
mod http;
mod openapi;
mod streak;
pub mod upkeep;
mod webhooks;

pub use api::{Api, ApiError};
#[cfg(feature = "laws")]
pub mod laws {
    //! What must hold for whatever comes from outside: requests, and the answers to webhooks.

    pub use crate::http::laws::*;
    pub use crate::webhooks::laws::*;
}
pub use openapi::openapi;
pub use streak::Streak;
pub use webhooks::{TlsError, UnusableKey, WebhookError};
