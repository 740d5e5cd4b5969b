//! The one place that makes ids and draws at random.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::{BatchId, JobId, LeaseId, WorkerId};

/// Makes ids.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdSource;

#[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
impl IdSource {
    /// A job's id; later ones sort after earlier ones of this process.
    pub fn job(self) -> JobId {
        JobId::new(Uuid::now_v7())
    }

    /// A batch's id.
    pub fn batch(self) -> BatchId {
        BatchId::new(Uuid::now_v7())
    }

    /// The id of a worker's incarnation.
    pub fn worker(self) -> WorkerId {
        WorkerId::new(Uuid::new_v4())
    }

    /// The id of a claim's record.
    pub fn lease(self) -> LeaseId {
        LeaseId::new(Uuid::now_v7())
    }

    /// The id of one HTTP request or one process.
    pub fn random(self) -> Uuid {
        Uuid::new_v4()
    }

    /// A key that nobody can guess.
    pub fn secret(self) -> [u8; 32] {
        // Each has 122 random bits: three are more than the digest holds.
        let random = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes);
        Sha256::digest(random.as_flattened()).into()
    }

    /// A number in `0.0..1.0`, for jitter.
    pub fn fraction(self) -> f64 {
        let bits = Uuid::new_v4().as_u64_pair().1 & ((1 << 52) - 1);
        #[expect(clippy::cast_precision_loss, reason = "52 bits fit a double exactly")]
        let fraction = bits as f64 / (1_u64 << 52) as f64;
        fraction
    }
}
