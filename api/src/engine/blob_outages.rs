//! Outages of the blob store, for the log: one line when one begins and one when it ends, not one for each request.
//!
//! To write and to read are told apart: a full disk can still be read, and who reads then must not end its outage.

use std::sync::Arc;

use raincheck_shared::blobs::BlobError;
use raincheck_shared::lifecycle::Clock;

use super::Refusal;
use crate::streak::Streak;

/// How it goes with the blob store. Cloning shares it.
#[derive(Clone)]
pub(crate) struct BlobOutages {
    writing: Streak,
    reading: Streak,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for BlobOutages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobOutages").finish_non_exhaustive()
    }
}

impl BlobOutages {
    pub(super) fn none(clock: Arc<dyn Clock>) -> Self {
        Self {
            writing: Streak::none(
                "the blob store takes nothing: large inputs are refused",
                "the blob store takes large inputs again",
            ),
            reading: Streak::none(
                "the blob store cannot be read: large bodies are refused",
                "the blob store can be read again",
            ),
            clock,
        }
    }

    /// Passes on what became of a piece that was to be written. That it went well says nothing: it may only wait in memory.
    pub(super) fn piece<T>(&self, answer: Result<T, BlobError>) -> Result<T, Refusal> {
        answer.map_err(|error| self.failed(&self.writing, error))
    }

    /// Passes on what became of a blob that was to be written whole.
    pub(super) fn written<T>(&self, answer: Result<T, BlobError>) -> Result<T, Refusal> {
        self.note(&self.writing, answer)
    }

    /// Passes on what became of what was to be read.
    pub(super) fn read<T>(&self, answer: Result<T, BlobError>) -> Result<T, Refusal> {
        self.note(&self.reading, answer)
    }

    fn note<T>(&self, streak: &Streak, answer: Result<T, BlobError>) -> Result<T, Refusal> {
        if answer.is_ok() {
            streak.went_well();
        }
        answer.map_err(|error| self.failed(streak, error))
    }

    fn failed(&self, streak: &Streak, error: BlobError) -> Refusal {
        if matches!(error, BlobError::Unavailable(_)) {
            streak.failed(&error, &*self.clock);
        }
        error.into()
    }
}
