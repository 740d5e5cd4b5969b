//! An output that grows piece by piece: in memory while it is small, in the blob store from then on.

use bytes::{Bytes, BytesMut};
use raincheck_shared::blobs::{BlobError, BlobWriter, Blobs};
use raincheck_shared::domain::{Blob, BlobName, BlobPart, Fence, Payload};
use raincheck_shared::telemetry::Chain;

use crate::{HandlerError, Outcome};

/// Where the large output of one attempt goes. The name carries the attempt's token, so it is nobody else's.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    pub(crate) blobs: Blobs,
    name: BlobName,
}

impl Spool {
    pub(crate) fn new(blobs: Blobs, fence: Fence) -> Self {
        Self { blobs, name: BlobName { job: fence.job, part: BlobPart::Output, token: fence.token, upload: None } }
    }

    fn writer(&self) -> BlobWriter {
        self.blobs.write(self.name)
    }

    /// Writes what is in memory already.
    pub(crate) async fn keep(&self, bytes: &Bytes) -> Result<Blob, BlobError> {
        let mut writer = self.writer();
        // Others get a turn between two pieces: counting a digest takes the thread.
        for piece in bytes.chunks(1 << 20) {
            writer.write(piece).await?;
            tokio::task::yield_now().await;
        }
        writer.finish().await
    }
}

/// A result that was written as it came, by [`Output::finish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub(crate) content_type: String,
    pub(crate) blob: Blob,
}

/// An output that is being made. Dropped before [`Output::finish`], it leaves nothing. An attempt makes one at a time.
#[derive(Debug)]
pub struct Output {
    content_type: String,
    limit: u64,
    here: BytesMut,
    spool: Option<Spool>,
    writer: Option<BlobWriter>,
}

impl Output {
    pub(crate) fn new(content_type: String, limit: u64, spool: Option<Spool>) -> Self {
        Self { content_type, limit, here: BytesMut::new(), spool, writer: None }
    }

    /// The same with another media type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.writer.as_ref().map_or(self.here.len() as u64, BlobWriter::size)
    }

    /// Adds a piece. An error is the outcome to return: it is larger than can be kept, or cannot be kept now.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), Outcome> {
        let size = self.size() + piece.len() as u64;
        if size > self.limit {
            return Err(HandlerError::output_too_large(self.limit).fail());
        }
        if self.writer.is_none()
            && let Some(spool) = self.spool.as_ref().filter(|spool| size > spool.blobs.in_database())
        {
            let mut writer = spool.writer();
            writer.write(&std::mem::take(&mut self.here)).await.map_err(|error| not_kept(&error).retry())?;
            self.writer = Some(writer);
        }
        if let Some(writer) = &mut self.writer {
            return writer.write(piece).await.map_err(|error| not_kept(&error).retry());
        }
        self.here.extend_from_slice(piece);
        Ok(())
    }

    /// The outcome of an attempt that made this.
    pub async fn finish(self) -> Outcome {
        let Self { content_type, here, writer, .. } = self;
        let Some(writer) = writer else {
            return Outcome::Complete(Payload { content_type, bytes: here.freeze() });
        };
        match writer.finish().await {
            Ok(blob) => Outcome::Written(Written { content_type, blob }),
            Err(error) => not_kept(&error).retry(),
        }
    }
}

/// What an attempt fails with whose output the blob store did not take. Another one may be luckier.
pub(crate) fn not_kept(error: &BlobError) -> HandlerError {
    HandlerError::new(format!("its output cannot be kept: {}", Chain(error)))
}
