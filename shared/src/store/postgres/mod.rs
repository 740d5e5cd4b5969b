//! The store that decides: Postgres.

use std::time::Duration;

use super::{Store, StoreError};
use crate::config::Secret;

/// Opens the store; connects when first asked.
pub fn open(_url: &Secret, _connections: u32, _timeout: Duration) -> Result<Store, StoreError> {
    unimplemented!("not written yet")
}
