//! What can go wrong with a blob store, by what the caller can do about it.

use std::sync::Arc;

use crate::domain::BlobName;

/// A blob store's refusal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BlobError {
    /// It cannot be reached, has no room, or gave up on the way: try again later.
    #[error("the blob store is not available")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// As many blobs as may be are being received already.
    #[error("too many large bodies are being received at the moment")]
    Busy,
    /// A blob that should be there is not, or is not as long as it was.
    #[error("blob {0} is not what was written")]
    Lost(BlobName),
}

impl BlobError {
    /// An outage, with its cause.
    pub(super) fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable(Arc::new(source))
    }
}

/// It takes too long.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} seconds", .0.as_secs())]
pub(super) struct Silent(pub(super) std::time::Duration);
