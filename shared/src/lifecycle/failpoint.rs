//! Steps of the protocol at which a build with the feature `proof` can be made to die or to pause. In every other build
//! passing one is nothing.

use std::future::Future;

/// What has just been done, and what has not been done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A large input is in the blob store, and no job names it.
    Spooled,
    /// Jobs are committed, and nothing of them is published.
    Committed,
    /// A message is written, and not confirmed.
    Published,
    /// Messages are confirmed, and that is not noted.
    Confirmed,
    /// A claim is committed, and its messages are not acknowledged.
    Claimed,
    /// A handler has ended, and its end is not recorded.
    Ran,
    /// Ends are recorded, and nobody is woken.
    Finished,
    /// Blobs are named by no job, and still there.
    Condemned,
}

#[cfg(feature = "proof")]
impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Spooled => "spooled",
            Self::Committed => "committed",
            Self::Published => "published",
            Self::Confirmed => "confirmed",
            Self::Claimed => "claimed",
            Self::Ran => "ran",
            Self::Finished => "finished",
            Self::Condemned => "condemned",
        }
    }
}

/// Passes a step.
#[cfg(not(feature = "proof"))]
#[inline]
pub fn passed(_step: Step) -> impl Future<Output = ()> + Send {
    std::future::ready(())
}

/// Passes a step, or does what the file says that `RAINCHECK_FAILPOINTS` names: one line for each step, `STEP abort
/// PERCENT` or `STEP pause PERCENT MILLISECONDS`. The file may come, change and go while the process runs. Whoever obeys
/// leaves a note beside it first, in a file with the extension `passed`.
#[cfg(feature = "proof")]
pub fn passed(step: Step) -> impl Future<Output = ()> + Send {
    use std::time::Duration;

    async move {
        let Some(path) = std::env::var_os("RAINCHECK_FAILPOINTS") else { return };
        let path = std::path::PathBuf::from(path);
        let Ok(orders) = std::fs::read_to_string(&path) else { return };
        for order in orders.lines() {
            let words: Vec<&str> = order.split_whitespace().collect();
            let [name, deed, percent, rest @ ..] = words.as_slice() else { continue };
            let percent: f64 = percent.parse().unwrap_or_default();
            if *name != step.name() || super::IdSource.fraction() * 100.0 >= percent {
                continue;
            }
            let _ = std::fs::write(path.with_extension("passed"), step.name());
            if *deed == "abort" {
                // As after a SIGKILL: nothing is unwound, nothing is said to anybody.
                std::process::abort();
            }
            let millis = rest.first().and_then(|millis| millis.parse().ok()).unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }
}
