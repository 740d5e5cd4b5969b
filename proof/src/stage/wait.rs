//! Waiting for values: never for time to pass.

use std::time::{Duration, Instant};

/// Polls until `holds`, at most for `patience`; panics with `what` otherwise. Answers how long it took.
pub async fn until(what: &str, patience: Duration, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let started = now();
    loop {
        if holds().await {
            return started.elapsed();
        }
        assert!(started.elapsed() < patience, "waited {patience:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs something alongside, on the runtime of the trial.
#[expect(clippy::disallowed_methods, reason = "a trial's own runtime ends with it, and its tasks too")]
pub fn alongside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work)
}

/// The present instant, for measuring.
#[expect(clippy::disallowed_methods, reason = "a test measures from the outside")]
pub fn now() -> Instant {
    Instant::now()
}

/// A text nobody else has used.
#[expect(clippy::disallowed_methods, reason = "names of databases and prefixes, not ids of jobs")]
pub fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
