//! An input that is too large to be kept in memory: read piece by piece, as often as is wanted.

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use raincheck_shared::blobs::{BlobError, Blobs};
use raincheck_shared::domain::{Blob, Payload};

use crate::{Context, Outcome, shortage};

/// An input in the blob store. Cloning shares it.
#[derive(Debug, Clone)]
pub struct LargeInput {
    content_type: String,
    blob: Blob,
    blobs: Blobs,
    context: Context,
}

impl LargeInput {
    pub(crate) fn new(content_type: String, blob: Blob, blobs: Blobs, context: Context) -> Self {
        Self { content_type, blob, blobs, context }
    }

    /// Its media type.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        self.blob.size
    }

    /// SHA-256 of the bytes.
    pub fn digest(&self) -> &[u8; 32] {
        &self.blob.digest
    }

    /// Its bytes in pieces of up to some 64 KiB, each read when it is asked for. An error is the outcome to return.
    pub async fn pieces(&self) -> Result<BoxStream<'static, Result<Bytes, Outcome>>, Outcome> {
        let context = self.context.clone();
        let unreadable = move |error: BlobError| shortage::of_blobs("its input cannot be read", &error, &context);
        let pieces = self.blobs.read(&self.blob, 0..self.blob.size).await.map_err(&unreadable)?;
        Ok(pieces.map_err(unreadable).boxed())
    }

    /// All of it in memory, for a handler that can do no other. An error is the outcome to return.
    pub async fn read(&self) -> Result<Payload, Outcome> {
        let mut pieces = self.pieces().await?;
        let mut all = BytesMut::new();
        while let Some(piece) = pieces.try_next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(Payload { content_type: self.content_type.clone(), bytes: all.freeze() })
    }
}
