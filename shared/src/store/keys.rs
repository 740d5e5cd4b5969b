//! What authentication asks of a store: keys of callers, and secrets that all replicas share.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{ApiKey, KeyId};

/// What a look for keys has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundKeys {
    /// Whether a key was ever made, revoked and expired ones included: nobody calls without one then.
    pub any: bool,
    /// Those that were asked for, revoked and expired ones included, in no order.
    pub keys: Vec<ApiKey>,
}

/// The keeper of keys.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Keeps a new key. An id that is taken is [`StoreError::Rejected`].
    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError>;

    /// Looks for keys by id, and whether there is any at all.
    async fn find_keys(&self, ids: &[KeyId]) -> Result<FoundKeys, StoreError>;

    /// All keys, oldest first.
    async fn list_keys(&self) -> Result<Vec<ApiKey>, StoreError>;

    /// Ends a key for good, from now on by the store's clock; one that is revoked already stays as it is. Answers the key;
    /// `None`: there is none with this id.
    async fn revoke_key(&self, id: &KeyId) -> Result<Option<ApiKey>, StoreError>;

    /// Notes that these keys were used, now by the store's clock. May be lost in a crash.
    async fn record_key_uses(&self, ids: &[KeyId]) -> Result<(), StoreError>;

    /// The secret of this name. Whoever asks first brings it: `fresh` is kept if there is none yet.
    async fn find_secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError>;
}
