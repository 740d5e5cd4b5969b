//! Follows jobs to their ends, and says how to come back when that is cut short.

use std::time::Duration;

use futures_util::future::{Either, select};
use serde_json::Value;
use tokio::time::timeout;

use super::caller::Caller;
use crate::failure::{Exit, Failure};

/// Is given each version of a job once, in order.
pub(super) type Shown<'a> = dyn Fn(&Value) -> Result<(), Failure> + 'a;

/// Follows it to its end, and gives the job as it ended.
pub(super) async fn follow(caller: &Caller, id: &str, shown: &Shown<'_>) -> Result<Value, Failure> {
    let mut snapshots = caller.job(id).stream(None);
    while let Some(next) = snapshots.next().await {
        let job = next.map_err(|error| match caller.failure(&error) {
            Failure::Asked { what, exit: Exit::OutOfTime } => Failure::asked(Exit::OutOfTime, goes_on(id, &what)),
            other => other,
        })?;
        shown(job.raw())?;
        if job.done() {
            return Ok(job.into_raw());
        }
    }
    // A stream of snapshots ends with a job that is done, or with an error.
    Err(caller.strange())
}

fn goes_on(id: &str, why: &str) -> String {
    format!("lost sight of job {id}, which goes on: {why}\n  come back with `raincheck watch {id}`")
}

/// Waits for `work`, unless Ctrl-C or the end of `at_most` comes first: then says how to come back to these jobs.
pub(super) async fn waited<T>(
    work: impl Future<Output = Result<T, Failure>>,
    ids: &[String],
    at_most: Option<Duration>,
) -> Result<T, Failure> {
    let jobs = if let [id] = ids { format!("job {id} goes on") } else { format!("{} jobs go on", ids.len()) };
    let back = format!("{jobs}; come back with `raincheck watch {}`", ids.join(" "));
    let limited = async {
        match at_most {
            None => work.await,
            Some(limit) => timeout(limit, work).await.unwrap_or_else(|_| {
                let limit = raincheck_shared::config::format_duration(limit);
                Err(Failure::asked(Exit::OutOfTime, format!("not done after {limit}: {back}")))
            }),
        }
    };
    interruptible(limited, || format!("stopped waiting: {back}")).await
}

/// Does `work`, unless Ctrl-C comes first: then it is dropped, which tidies up, and `said` is said.
pub(super) async fn interruptible<T>(
    work: impl Future<Output = Result<T, Failure>>,
    said: impl FnOnce() -> String,
) -> Result<T, Failure> {
    // Listened for first: `work` may say something at once, and whoever reads that may press Ctrl-C then.
    match select(Box::pin(tokio::signal::ctrl_c()), Box::pin(work)).await {
        Either::Right((done, _)) => done,
        Either::Left(_) => Err(Failure::asked(Exit::Interrupted, said())),
    }
}
