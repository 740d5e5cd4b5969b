//! Stopping in two stages, and knowing who still runs.
//!
//! *Soft*: take nothing new, finish what runs. *Hard*: drop everything. The first SIGTERM or SIGINT is soft, the second,
//! or the end of the drain time, is hard. Every task is spawned through [`Shutdown::spawn`], so none is forgotten.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

/// The two tokens and the tasks they stop. Cloning shares it; each app of a process has its own.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    deserted: CancellationToken,
    tasks: TaskTracker,
    foundations: TaskTracker,
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

    /// Resolves when every task of [`Shutdown::spawn`] has ended, so that nobody needs the foundations any more.
    pub async fn deserted(&self) {
        self.deserted.cancelled().await;
    }

    /// Spawns a task that is waited for at the end and dropped when stopping is forced.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(self.unless_forced(task))
    }

    /// Spawns a task that the others lean on until they have ended, such as a connection's supervisor. It is waited for
    /// after them, ends when [`Shutdown::deserted`] resolves, and is dropped when stopping is forced.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn_foundation<F>(&self, task: F) -> tokio::task::JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.foundations.spawn(self.unless_forced(task))
    }

    /// Spawns a foundation that has nothing to wind up, such as a batcher's lane: it is dropped once it is deserted.
    pub fn spawn_service<F>(&self, service: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_foundation(Unless { stopped: self.deserted.clone().cancelled_owned(), task: service });
    }

    fn unless_forced<F>(&self, task: F) -> Unless<F> {
        Unless { stopped: self.hard.clone().cancelled_owned(), task }
    }

    /// Waits for every task, at most `patience` before it forces them. True: all ended by themselves.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.begin();
        self.tasks.close();
        self.foundations.close();
        let all_ended = async {
            self.tasks.wait().await;
            self.deserted.cancel();
            self.foundations.wait().await;
        };
        if tokio::time::timeout(patience, all_ended).await.is_ok() {
            return true;
        }
        self.force();
        self.tasks.wait().await;
        self.foundations.wait().await;
        false
    }
}

pin_project! {
    /// A task that is dropped when a token says so. An `async` block would hold it twice: as it was given, and as it runs.
    struct Unless<F> {
        #[pin]
        stopped: WaitForCancellationFutureOwned,
        #[pin]
        task: F,
    }
}

impl<F: Future> Future for Unless<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.stopped.poll(context).is_ready() {
            return Poll::Ready(None);
        }
        this.task.poll(context).map(Some)
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
