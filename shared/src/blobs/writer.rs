//! A blob that is being written: it does not exist before it is whole, and its digest is counted on the way.

use bytes::BytesMut;
use object_store::{MultipartUpload, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::blob_store::patiently;
use super::{BlobError, Blobs};
use crate::domain::{Blob, BlobName};

/// One that is being written. Dropped before [`BlobWriter::finish`], it leaves nothing.
pub struct BlobWriter {
    blobs: Blobs,
    name: BlobName,
    digest: Sha256,
    size: u64,
    /// What the next part has so far.
    part: BytesMut,
    /// Begun with the second part: what fits one is written in one request.
    upload: Option<Box<dyn MultipartUpload>>,
    /// Of one that is received, for as long as it lasts.
    _reception: Option<OwnedSemaphorePermit>,
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobWriter").field("name", &self.name).field("size", &self.size).finish_non_exhaustive()
    }
}

impl BlobWriter {
    pub(super) fn new(blobs: Blobs, name: BlobName, reception: Option<OwnedSemaphorePermit>) -> Self {
        let (digest, part) = (Sha256::new(), BytesMut::new());
        Self { blobs, name, digest, size: 0, part, upload: None, _reception: reception }
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes. Waits while a part is on its way to the store, so whoever sends is held up as well.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), BlobError> {
        self.digest.update(bytes);
        self.size += bytes.len() as u64;
        let full = self.blobs.part();
        while !bytes.is_empty() {
            if self.part.len() == full {
                self.send_part().await?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(full - self.part.len()));
            if self.part.capacity() - self.part.len() < now.len() {
                // Doubling, as it would by itself, could take twice what a part is.
                let wanted = (2 * self.part.len()).max(now.len() + self.part.len()).min(full);
                self.part.reserve(wanted - self.part.len());
            }
            self.part.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<(), BlobError> {
        let _turn = self.blobs.turn().await;
        let part = std::mem::take(&mut self.part).freeze();
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let begun = patiently(self.blobs.store().put_multipart(&self.blobs.path(self.name))).await?;
                none.insert(begun)
            }
        };
        Ok(patiently(upload.put_part(part.into())).await?)
    }

    /// Ends it. When this returns, the blob is whole and durable: its bytes, and its name in its folder.
    pub async fn finish(mut self) -> Result<Blob, BlobError> {
        if self.upload.is_some() {
            if !self.part.is_empty() {
                self.send_part().await?;
            }
            if let Some(upload) = &mut self.upload {
                patiently(upload.complete()).await?;
            }
            self.upload = None;
        } else {
            let _turn = self.blobs.turn().await;
            let all = std::mem::take(&mut self.part).freeze();
            patiently(self.blobs.store().put(&self.blobs.path(self.name), all.into())).await?;
        }
        Ok(Blob { name: self.name, size: self.size, digest: std::mem::take(&mut self.digest).finalize().into() })
    }

    /// Gives it up. Waits until nothing is left of it, as far as the store can be reached.
    pub async fn abort(mut self) {
        if let Some(upload) = self.upload.take() {
            discard(self.blobs.clone(), upload, self.name).await;
        }
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take() {
            self.blobs.aside(discard(self.blobs.clone(), upload, self.name));
        }
    }
}

async fn discard(blobs: Blobs, mut upload: Box<dyn MultipartUpload>, name: BlobName) {
    if let Err(error) = patiently(upload.abort()).await {
        let error = BlobError::from(error);
        tracing::debug!(blob = %name, error = %crate::telemetry::Chain(&error), "half a blob was left for the sweep");
    }
    blobs.tidy(name.job).await;
}
