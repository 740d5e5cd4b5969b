//! Large inputs on their way in: written to the blob store as they arrive, before anybody knows whether they become jobs.

use std::ops::Range;
use std::time::Duration;

use futures_util::TryStreamExt;
use raincheck_shared::blobs::{BlobError, BlobStream, BlobWriter};
use raincheck_shared::domain::{Blob, BlobName, BlobPart, Body, Content, JobId, TenantName};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::telemetry::Chain;

use super::acceptance::{Examined, are_late, largest_input};
use super::blob_outages::BlobOutages;
use super::desk::Desk;
use super::{Refusal, Rejection, Submission, SubmitError, Submitted};

/// An input that is being written. Dropped before it is whole, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Upload(BlobWriter, BlobOutages);

impl Upload {
    /// Begins one. The job's id is made here: from it an orphan's age is told, and no job is older than its input.
    async fn begin(desk: &Desk, tenant: &TenantName) -> Result<Self, Refusal> {
        let name = BlobName { job: IdSource.job(), part: BlobPart::Input, token: IdSource.random(), upload: None };
        Ok(Self(desk.blobs.receive(name, tenant).await?, desk.blob_outages.clone()))
    }

    /// Adds a piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        self.1.piece(self.0.write(piece).await)
    }

    /// Ends it: the input is durable.
    pub(crate) async fn finish(self) -> Result<Blob, Refusal> {
        self.1.written(self.0.finish().await)
    }

    /// Gives it up, so that nothing is left of it when the client is told.
    pub(crate) async fn abort(self) {
        self.0.abort().await;
    }
}

impl Desk {
    /// The largest input of a media type, in bytes, and the largest that is kept in the database.
    pub(crate) fn input_limits(&self, content_type: &str) -> (u64, u64) {
        let largest = largest_input(content_type, &self.settings);
        (largest, largest.min(self.blobs.in_database()))
    }

    /// Begins to take a large input, if the rest of the submission, with nothing for an input yet, would be accepted.
    pub(crate) async fn begin_upload(&self, submission: &Submission) -> Result<Upload, SubmitError> {
        if self.shutdown.has_begun() {
            return Err(Refusal::ShuttingDown.into());
        }
        let Examined { job, faults } = self.examine(submission).await.map_err(SubmitError::Rejected)?;
        let repeatable = submission.key.is_some() && are_late(&faults);
        if !faults.is_empty() && !repeatable {
            return Err(SubmitError::Rejected(Rejection::Faults(faults)));
        }
        self.admission.admit(&job.queue, self.settings.jobs.max_queued).await?;
        self.expect_room(submission).await?;
        Ok(Upload::begin(self, &submission.tenant).await?)
    }

    /// How long an upload may take: well below the time after which its blob would be taken for an orphan, and no longer than
    /// its job may be kept under the id that it was given at the start.
    pub(crate) fn upload_patience(&self) -> Duration {
        (self.settings.blobs.keep_orphans / 2).min(JobId::KEPT_WITHIN)
    }

    /// Removes an input that becomes no job.
    pub(crate) fn discard(&self, blob: &Blob) {
        self.blobs.discard(blob.name);
    }

    /// Keeps a job, or finds the one that the same request made before; then waits up to `patience` for its end.
    ///
    /// The blob of an input that certainly became no job is removed. Where nobody knows, it stays: the sweep will know.
    pub(crate) async fn submit(&self, submission: &Submission, patience: Duration) -> Result<Submitted, SubmitError> {
        let Some(blob) = submission.input.body.blob() else { return self.keep(submission, patience).await };
        let age = self.clock.now() - blob.name.job.created_at();
        // From here on until its commit no sweep may take it for an orphan.
        let kept = if age > self.upload_patience() {
            Err(Refusal::TooSlow.into())
        } else {
            self.keep(submission, patience).await
        };
        let unnamed = match &kept {
            Ok(submitted) => submitted.job.id != blob.name.job,
            Err(SubmitError::Rejected(_)) => true,
            Err(SubmitError::Refused(refusal)) => matches!(
                refusal,
                Refusal::TooSlow
                    | Refusal::ShuttingDown
                    | Refusal::QueueFull { .. }
                    | Refusal::OverSubmits(_)
                    | Refusal::OverQueued { .. }
                    | Refusal::KeyReused { .. }
                    | Refusal::Unkeepable
            ),
        };
        if unnamed {
            self.discard(blob);
        }
        kept
    }

    /// An input of one job for another: a blob belongs to the job in its name, and goes with it, so it is copied.
    pub(super) async fn input_anew(&self, input: Content, tenant: &TenantName) -> Result<Content, Refusal> {
        let Body::Blob(blob) = &input.body else { return Ok(input) };
        let mut pieces = self.read_blob(blob, 0..blob.size).await?;
        let mut upload = Upload::begin(self, tenant).await?;
        while let Some(piece) = self.blob_outages.read(pieces.try_next().await)? {
            upload.write(&piece).await?;
        }
        Ok(Content { body: Body::Blob(upload.finish().await?), ..input })
    }

    /// Reads a part of what is in the blob store.
    pub(crate) async fn read_blob(&self, blob: &Blob, span: Range<u64>) -> Result<BlobStream, Refusal> {
        self.blob_outages.read(self.blobs.read(blob, span).await)
    }
}

impl From<BlobError> for Refusal {
    /// Logs what clients are not told: the causes may name hosts and folders.
    fn from(error: BlobError) -> Self {
        let cause = Chain(&error);
        match &error {
            BlobError::Unavailable(_) => {
                tracing::debug!(error = %cause, "the blob store is not available");
                Self::BlobsAway
            }
            BlobError::Busy => Self::Receiving,
            BlobError::Lost(_) => {
                tracing::error!(error = %cause, "the blob store has lost something");
                Self::Inconsistent
            }
        }
    }
}
