//! What both roles of raincheck agree on.
//!
//! - [`domain`]: what a job is and how its status may change; pure, no IO
//! - [`config`]: every setting, read once, typed from then on
//! - [`store`]: where jobs are kept; Postgres decides, or SQLite in embedded mode
//! - [`broker`]: how a waiting job is announced; RabbitMQ delivers, or a channel in embedded mode
//! - [`lifecycle`]: clock, ids, shutdown, natural batching, repair loops
//! - [`blobs`]: where bodies are kept that are too large for the store
//! - [`tls`]: the one TLS of all clients
//! - [`backends`]: the only place that names a concrete store or broker

pub mod backends;
pub mod blobs;
pub mod broker;
pub mod config;
pub mod domain;
#[cfg(feature = "laws")]
pub mod laws;
pub mod lifecycle;
pub mod store;
pub mod telemetry;
pub mod tls;
