//! Whether the worker is stopping, for an attempt that was ended by what may have been meant for the worker.

use std::time::Duration;

use raincheck_shared::lifecycle::Shutdown;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long the worker may take to hear of a signal that its programs have heard of already.
const HEARD_WITHIN: Duration = Duration::from_millis(500);

/// One attempt's view of the end of its worker. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drain {
    shutdown: Shutdown,
    given_back: CancellationToken,
}

impl Drain {
    /// That of a worker which stops with this.
    pub(crate) fn of(shutdown: &Shutdown) -> Self {
        Self { shutdown: shutdown.clone(), given_back: CancellationToken::new() }
    }

    /// Gives the attempt back if the worker is stopping, or is about to. Answers whether it is.
    pub(crate) async fn gives_back(&self) -> bool {
        let stopping = timeout(HEARD_WITHIN, self.shutdown.begun()).await.is_ok();
        if stopping {
            self.given_back.cancel();
        }
        stopping
    }

    /// Whether the attempt was given back: no failure of it counts.
    pub(crate) fn has_given_back(&self) -> bool {
        self.given_back.is_cancelled()
    }
}
