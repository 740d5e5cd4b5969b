//! Migrations and health.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::Timestamp;

/// How far the schema is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The last migration that was applied; 0 for an empty database.
    pub found: i64,
    /// The last migration this program knows.
    pub needed: i64,
}

impl SchemaVersion {
    /// Refuses a schema that this program does not know. A newer one is fine: migrations expand first and contract
    /// a release later, so the previous release runs against them.
    pub fn check(self) -> Result<(), StoreError> {
        if self.found >= self.needed {
            Ok(())
        } else {
            Err(StoreError::WrongSchema { found: self.found, needed: self.needed })
        }
    }
}

/// The operator's side of the store.
#[async_trait]
pub trait Schema: Send + Sync {
    /// Applies what is missing, one process at a time.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// How far the schema is.
    async fn version(&self) -> Result<SchemaVersion, StoreError>;

    /// Whether the store answers within a second or two, and takes writes as far as it tells. A full disk does not tell.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The time by which leases and timers are decided.
    async fn time(&self) -> Result<Timestamp, StoreError>;

    /// Answers what can be told about the server, for `raincheck doctor`: its version, for instance.
    async fn describe(&self) -> Result<String, StoreError>;

    /// Finishes what is being written and closes all connections.
    async fn close(&self);
}
