//! A blob that is being written: it does not exist before it is whole, and its digest is counted on the way.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use object_store::{MultipartUpload, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::blob_store::patiently;
use super::receptions::Reception;
use super::staged::Staged;
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
    upload: Option<Upload>,
    persistence: Option<Persistence>,
    /// Of one that is received, for as long as it lasts.
    _reception: Option<Reception>,
}

/// Pauses before what the store did not take is sent again.
const AGAIN: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// Sends what the store did not take again, for half a minute at most.
pub struct Persistence {
    /// Not once this has fired.
    pub stop: CancellationToken,
    /// Nor from then on.
    pub until: Instant,
    /// Hears of each failure after which it is tried again.
    pub heard: Box<dyn Fn(&BlobError) + Send + Sync>,
}

impl Persistence {
    /// Waits, and says whether it is to be tried once more.
    async fn outlasts(&self, error: &BlobError, pause: Duration) -> bool {
        if self.stop.is_cancelled() || Instant::now() + pause >= self.until {
            return false;
        }
        (self.heard)(error);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = sleep(pause) => true,
        }
    }
}

/// What has begun.
enum Upload {
    /// A part that failed may be put again.
    Staged(Staged),
    /// Not so here: the client has tried for a while by itself, and counts its parts.
    Multipart(Box<dyn MultipartUpload>),
}

impl Upload {
    async fn put(&mut self, part: Bytes) -> Result<(), BlobError> {
        match self {
            Self::Staged(file) => file.put(part).await,
            Self::Multipart(upload) => Ok(patiently(upload.put_part(part.into())).await?),
        }
    }

    async fn complete(&mut self) -> Result<(), BlobError> {
        match self {
            Self::Staged(file) => file.complete().await,
            Self::Multipart(upload) => Ok(patiently(upload.complete()).await.map(drop)?),
        }
    }

    async fn abort(&mut self) -> Result<(), BlobError> {
        match self {
            Self::Staged(file) => file.abort().await,
            Self::Multipart(upload) => Ok(patiently(upload.abort()).await?),
        }
    }
}

/// One request.
enum Step {
    /// All of a small one.
    Whole(Bytes),
    /// One of its parts.
    Part(Bytes),
    /// The end of one that was sent in parts.
    End,
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobWriter").field("name", &self.name).field("size", &self.size).finish_non_exhaustive()
    }
}

impl BlobWriter {
    pub(super) fn new(blobs: Blobs, name: BlobName, reception: Option<Reception>) -> Self {
        let (digest, part) = (Sha256::new(), BytesMut::new());
        Self { blobs, name, digest, size: 0, part, upload: None, persistence: None, _reception: reception }
    }

    /// Does not give up at once when the store does not take something.
    #[must_use]
    pub fn persistent(mut self, persistence: Persistence) -> Self {
        self.persistence = Some(persistence);
        self
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
        let part = std::mem::take(&mut self.part).freeze();
        self.take_step(&Step::Part(part)).await
    }

    /// Takes a step, as often as its persistence allows.
    async fn take_step(&mut self, step: &Step) -> Result<(), BlobError> {
        let mut pauses = AGAIN.iter();
        loop {
            let Err(error) = self.try_step(step).await else { return Ok(()) };
            let (Some(persistence), false) = (&self.persistence, matches!(self.upload, Some(Upload::Multipart(_))))
            else {
                return Err(error);
            };
            match pauses.next() {
                Some(pause) if persistence.outlasts(&error, *pause).await => {}
                _ => return Err(error),
            }
        }
    }

    async fn try_step(&mut self, step: &Step) -> Result<(), BlobError> {
        let _turn = self.blobs.turn().await;
        match step {
            Step::Whole(all) => {
                if let Some(directory) = self.blobs.directory() {
                    directory.admit().await?;
                }
                patiently(self.blobs.store().put(&self.blobs.path(self.name), all.clone().into())).await?;
            }
            Step::Part(part) => {
                let upload = match &mut self.upload {
                    Some(upload) => upload,
                    none => none.insert(begin(&self.blobs, self.name).await?),
                };
                upload.put(part.clone()).await?;
            }
            Step::End => {
                if let Some(upload) = &mut self.upload {
                    upload.complete().await?;
                }
            }
        }
        Ok(())
    }

    /// Ends it. When this returns, the blob is whole and durable: its bytes, and its name in its folder.
    pub async fn finish(mut self) -> Result<Blob, BlobError> {
        if self.upload.is_some() {
            if !self.part.is_empty() {
                self.send_part().await?;
            }
            self.take_step(&Step::End).await?;
            self.upload = None;
        } else {
            let all = std::mem::take(&mut self.part).freeze();
            self.take_step(&Step::Whole(all)).await?;
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

async fn begin(blobs: &Blobs, name: BlobName) -> Result<Upload, BlobError> {
    if let Some(directory) = blobs.directory() {
        directory.admit().await?;
        return Ok(Upload::Staged(directory.stage(name).await?));
    }
    Ok(Upload::Multipart(patiently(blobs.store().put_multipart(&blobs.path(name))).await?))
}

async fn discard(blobs: Blobs, mut upload: Upload, name: BlobName) {
    if let Err(error) = upload.abort().await {
        tracing::debug!(blob = %name, error = %crate::telemetry::Chain(&error), "half a blob was left for the sweep");
    }
    blobs.tidy(name.job).await;
}
