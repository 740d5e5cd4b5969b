//! Reads jobs by id, batched: whoever asks for the same job at the same time shares the answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::domain::{Job, JobId};
use raincheck_shared::lifecycle::{Batcher, BatcherLimits, Shutdown};
use raincheck_shared::store::{Jobs, StoreError};

use super::Refusal;
use super::store_calls::STORE_PATIENCE;

/// How long one read may take before another is begun beside it.
const PATIENCE: Duration = Duration::from_millis(5);
/// Two lanes: a slow one does not hold up all others.
const LIMITS: BatcherLimits = BatcherLimits {
    lanes: 2,
    batch: 256,
    weight: usize::MAX,
    waiting: 10_000,
    patience: PATIENCE,
    gathering: Duration::ZERO,
};

type Answer = Result<Option<Arc<Job>>, StoreError>;

/// The readers. Cloning shares them.
#[derive(Debug, Clone)]
pub(crate) struct Reads(Batcher<JobId, Answer>);

impl Reads {
    /// Starts the lanes. `inline_limit`: bytes of a result that come along.
    pub(crate) fn start(jobs: Arc<dyn Jobs>, inline_limit: u64, shutdown: &Shutdown) -> Self {
        Self(Batcher::start(LIMITS, shutdown, move |ids: Vec<JobId>| {
            let jobs = Arc::clone(&jobs);
            async move {
                let mut unique = ids.clone();
                unique.sort_unstable();
                unique.dedup();
                match jobs.find_jobs(&unique, inline_limit).await {
                    Ok(found) => {
                        let found: HashMap<JobId, Arc<Job>> = found.into_iter().map(|j| (j.id, Arc::new(j))).collect();
                        ids.iter().map(|id| Ok(found.get(id).cloned())).collect()
                    }
                    Err(error) => ids.iter().map(|_| Err(error.clone())).collect(),
                }
            }
        }))
    }

    /// Reads one job; `None`: it does not exist, or its retention is over.
    pub(crate) async fn find(&self, id: JobId) -> Result<Option<Arc<Job>>, Refusal> {
        let answer = tokio::time::timeout(STORE_PATIENCE, self.0.submit(id, 1)).await;
        Ok(answer.map_err(|_| Refusal::StoreSilent(STORE_PATIENCE))???)
    }
}
