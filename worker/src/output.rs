//! An output that grows piece by piece: in memory while it is small, in the blob store from then on.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use raincheck_shared::blobs::{BlobError, BlobWriter, Blobs, Persistence};
use raincheck_shared::domain::{Blob, BlobName, BlobPart, Fence, Payload};
use tokio::time::Instant;

use crate::{Context, HandlerError, Outcome, shortage};

/// What is left of an attempt's time when its output is given up, so that it is put off rather than cut off.
const MARGIN: Duration = Duration::from_secs(1);
/// How long an output may take that is at hand when the handler is done.
const AFTER_ITS_RUN: Duration = Duration::from_mins(5);

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

    /// Its writer sends again what was not taken, while that much time is left and nobody tells the attempt to stop.
    fn writer(&self, context: &Context, time: Duration) -> BlobWriter {
        let (stop, now) = (context.canceled.clone(), Instant::now());
        let until = now.checked_add(time.saturating_sub(MARGIN)).unwrap_or(now);
        let kind = context.kind().clone();
        let heard = Box::new(move |error: &BlobError| shortage::warn("its output cannot be kept yet", error, &kind));
        self.blobs.write(self.name).persistent(Persistence { stop, until, heard })
    }

    /// Writes what is in memory already, of an attempt whose run is over.
    pub(crate) async fn keep(&self, bytes: &Bytes, context: &Context) -> Result<Blob, Outcome> {
        self.try_keep(bytes, context).await.map_err(|error| not_kept(&error, context))
    }

    async fn try_keep(&self, bytes: &Bytes, context: &Context) -> Result<Blob, BlobError> {
        let mut writer = self.writer(context, AFTER_ITS_RUN);
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
    context: Context,
    here: BytesMut,
    writer: Option<BlobWriter>,
}

impl Output {
    pub(crate) fn new(content_type: String, context: Context) -> Self {
        Self { content_type, context, here: BytesMut::new(), writer: None }
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
        let limit = self.context.max_output;
        if size > limit {
            return Err(HandlerError::output_too_large(limit).fail());
        }
        if self.writer.is_none()
            && let Some(spool) = self.context.spool.as_ref().filter(|spool| size > spool.blobs.in_database())
        {
            let mut writer = spool.writer(&self.context, self.context.time_left());
            writer.write(&std::mem::take(&mut self.here)).await.map_err(|error| not_kept(&error, &self.context))?;
            self.writer = Some(writer);
        }
        if let Some(writer) = &mut self.writer {
            return writer.write(piece).await.map_err(|error| not_kept(&error, &self.context));
        }
        self.here.extend_from_slice(piece);
        Ok(())
    }

    /// The outcome of an attempt that made this.
    pub async fn finish(self) -> Outcome {
        let Self { content_type, context, here, writer } = self;
        let Some(writer) = writer else {
            return Outcome::Complete(Payload { content_type, bytes: here.freeze() });
        };
        match writer.finish().await {
            Ok(blob) => Outcome::Written(Written { content_type, blob }),
            Err(error) => not_kept(&error, &context),
        }
    }
}

/// What an attempt comes to whose output the blob store did not take.
fn not_kept(error: &BlobError, context: &Context) -> Outcome {
    shortage::of_blobs("its output cannot be kept", error, context)
}
