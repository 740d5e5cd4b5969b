//! A context to try a handler with, and a kind to run it under.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::config::{Kind, Run};
use raincheck_shared::domain::{Progress, RetryPolicy};
use raincheck_shared::lifecycle::IdSource;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Context;

/// A context for one attempt of ten seconds with an output of 20 MiB, its progress and its token.
pub(crate) fn attempt() -> (Context, watch::Receiver<Option<Progress>>, CancellationToken) {
    let kind = "tried".parse().expect("a good name");
    Context::detached(IdSource.job(), kind, Duration::from_secs(10), 20 << 20)
}

/// A kind in queue `queue` that is tried three times.
pub(crate) fn kind(name: &str, queue: &str, run: Run) -> Arc<Kind> {
    let day = Duration::from_secs(86_400);
    Arc::new(Kind {
        name: name.parse().expect("a good name"),
        run,
        queue: queue.parse().expect("a good name"),
        timeout: Duration::from_secs(10),
        retry: RetryPolicy { max_attempts: 3, base: Duration::from_secs(1), cap: day },
        concurrency: 1,
        content_types: Vec::new(),
        output_type: "text/plain".to_owned(),
        schema: None,
        retention: day,
        description: None,
    })
}
