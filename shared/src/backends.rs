//! The only place that names a concrete store or broker.

use std::sync::Arc;

use crate::blobs::{BlobError, Blobs};
use crate::broker::{Broker, in_process, rabbitmq};
use crate::config::{BlobSettings, BrokerSettings, StoreSettings};
use crate::lifecycle::{Clock, Shutdown};
use crate::store::{Store, StoreError, postgres, sqlite};

/// Opens the configured store. Connects lazily to Postgres: a database that is away at start is an outage like any
/// other, not a reason to exit. An SQLite file is created with its folder and locked for this process.
pub async fn open_store(settings: &StoreSettings, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
    match settings {
        StoreSettings::Sqlite { path } => sqlite::open(path, clock).await,
        StoreSettings::Postgres { url, connections, timeout } => postgres::open(url, *connections, *timeout),
    }
}

/// Opens the configured store for a command that touches no job and runs no worker: an SQLite file also while another
/// process has it.
pub async fn open_store_beside(settings: &StoreSettings, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
    match settings {
        StoreSettings::Sqlite { path } => sqlite::open_beside(path, clock).await,
        StoreSettings::Postgres { .. } => open_store(settings, clock).await,
    }
}

/// Opens the configured blob store. S3 is not asked anything yet; a directory is made.
pub fn open_blobs(settings: &BlobSettings, shutdown: &Shutdown) -> Result<Blobs, BlobError> {
    Blobs::open(settings, shutdown)
}

/// Opens the configured broker. Its connections are made, and made again, by supervisors that stop with `shutdown`.
/// `role` names the process on the broker's side (`api`, `worker`).
pub fn open_broker(settings: &BrokerSettings, role: &'static str, shutdown: &Shutdown) -> Broker {
    match settings {
        BrokerSettings::InProcess => in_process::open(),
        BrokerSettings::Rabbitmq(settings) => rabbitmq::open(settings, role, shutdown),
    }
}
