//! Stopping in two stages, and knowing who still runs.
//!
//! *Soft*: take nothing new, finish what runs. *Hard*: drop everything. The first SIGTERM or SIGINT is soft, the second,
//! or the end of the drain time, is hard. Every task is spawned through [`Shutdown::spawn`], so none is forgotten.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The two tokens and the tasks they stop. Cloning shares it; each app of a process has its own.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Nothing has been asked to stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to finish what they have and take nothing new.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Stops everybody where they stand.
    pub fn force(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Whether stopping has begun.
    pub fn has_begun(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Resolves when stopping begins.
    pub async fn begun(&self) {
        self.soft.cancelled().await;
    }

    /// Resolves when it is time to drop everything.
    pub async fn forced(&self) {
        self.hard.cancelled().await;
    }

    /// Spawns a task that is waited for at the end and dropped when stopping is forced.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let hard = self.hard.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = hard.cancelled() => None,
                output = task => Some(output),
            }
        })
    }

    /// Spawns a task that serves others (a batcher's lane, a connection's supervisor): it is not waited for, and is
    /// dropped once all that is waited for has ended.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn_service<F>(&self, service: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hard = self.hard.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = hard.cancelled() => {}
                () = service => {}
            }
        });
    }

    /// Waits for every task, at most `patience` before it forces them, then ends the services. True: all
    /// tasks ended by themselves.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.begin();
        self.tasks.close();
        let in_time = tokio::time::timeout(patience, self.tasks.wait()).await.is_ok();
        self.force();
        self.tasks.wait().await;
        in_time
    }
}

/// Turns SIGTERM and SIGINT into [`Shutdown::begin`], a second one into [`Shutdown::force`].
pub async fn signals(shutdown: Shutdown) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    for stage in [Shutdown::begin, Shutdown::force] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stage(&shutdown);
    }
    Ok(())
}
