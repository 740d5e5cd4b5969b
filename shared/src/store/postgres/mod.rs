//! The store that decides: Postgres.
//!
//! One statement for each domain transaction: with it there is no round trip in which a transaction could be held, and
//! none in which a crash could leave half of it (only to keep a batch takes several: see `batches`). The statements are
//! files under `sql/`. Three rules hold in all of them: several jobs are locked in order of their ids; a status is guarded
//! by the row as it was locked; rows of `jobs` are found by `id = ANY(…) AND id BETWEEN … AND …`, so that only the
//! partitions in question are looked at, and joined by `id = ANY(ARRAY[other.id])`, which leaves the planner nothing but
//! to look each of them up by its key.

mod accept;
mod accept_statement;
mod attempts;
mod batches;
mod connections;
mod database;
mod deliveries;
mod erasures;
mod floor;
mod jobs;
mod keys;
mod leases;
mod logs;
mod outbox;
mod partitions;
pub mod parts;
mod permits;
mod queues;
mod refusal;
mod remote_leases;
mod retention;
mod rows;
mod schedules;
mod schema;
mod server_time;
mod spent;
mod survey;
mod ticks;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use self::database::Database;
use super::{Store, StoreError};
use crate::config::Secret;

/// Opens the store; connects when first asked. At most `connections` are held (two when fewer are asked for), besides
/// one for each lease. A method gives up after about `timeout`, whatever the server does.
///
/// Must be called within a Tokio runtime.
pub fn open(url: &Secret, connections: u32, timeout: Duration) -> Result<Store, StoreError> {
    let database = Arc::new(Database::open(url, connections, timeout)?);
    Ok(Store {
        jobs: Arc::clone(&database) as _,
        batches: Arc::clone(&database) as _,
        attempts: Arc::clone(&database) as _,
        leases: Arc::new(Arc::clone(&database)),
        remote_leases: Arc::clone(&database) as _,
        outbox: Arc::clone(&database) as _,
        permits: Arc::clone(&database) as _,
        queues: Arc::clone(&database) as _,
        schedules: Arc::clone(&database) as _,
        ticks: Arc::clone(&database) as _,
        logs: Arc::clone(&database) as _,
        erasures: Arc::clone(&database) as _,
        survey: Arc::clone(&database) as _,
        upkeep: Arc::clone(&database) as _,
        keys: Arc::clone(&database) as _,
        deliveries: Arc::clone(&database) as _,
        schema: database,
    })
}
