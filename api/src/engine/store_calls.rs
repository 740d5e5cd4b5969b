//! Calls to the store that are not worth a batch, a few at a time, on the main runtime.
//!
//! A pooled connection belongs to the runtime that opened it. HTTP workers have runtimes of their own, so they hand
//! their calls over instead of making them.

use std::fmt;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use raincheck_shared::lifecycle::{Batcher, BatcherLimits, Shutdown};
use raincheck_shared::store::{Store, StoreError};
use tokio::sync::oneshot;

use super::Refusal;

/// The longest that a client is kept waiting for one answer of the store.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(15);

type Call = Box<dyn FnOnce(Store) -> BoxFuture<'static, ()> + Send>;

/// A few lanes of calls. Cloning shares them.
#[derive(Clone)]
pub(crate) struct StoreCalls(Batcher<Call, ()>);

impl fmt::Debug for StoreCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreCalls").field(&self.0).finish()
    }
}

impl StoreCalls {
    /// Starts `lanes` lanes on the runtime of the caller.
    pub(crate) fn start(store: Store, lanes: usize, shutdown: &Shutdown) -> Self {
        let limits = BatcherLimits {
            lanes,
            batch: 1,
            weight: usize::MAX,
            waiting: 1_000,
            patience: Duration::ZERO,
            gathering: Duration::ZERO,
        };
        Self(Batcher::start(limits, shutdown, move |calls: Vec<Call>| {
            let store = store.clone();
            async move {
                let answers = vec![(); calls.len()];
                for call in calls {
                    call(store.clone()).await;
                }
                answers
            }
        }))
    }

    /// Makes one call and waits for its answer, though not for ever.
    pub(crate) async fn ask<T, C, F>(&self, call: C) -> Result<T, Refusal>
    where
        T: Send + 'static,
        C: FnOnce(Store) -> F + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |store| {
            async move {
                if !answer.is_closed() {
                    let _ = answer.send(call(store).await);
                }
            }
            .boxed()
        });
        let whole = async {
            self.0.submit(call, 1).await?;
            Ok(answered.await.map_err(|_| Refusal::Busy)??)
        };
        tokio::time::timeout(STORE_PATIENCE, whole).await.unwrap_or(Err(Refusal::StoreSilent(STORE_PATIENCE)))
    }
}
