//! What tries of handlers need: a context, a kind, a folder, and an eye on processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::blobs::Blobs;
use raincheck_shared::config::{BlobPlace, BlobSettings, Kind, Run};
use raincheck_shared::domain::{BlobName, BlobPart, Progress, RetryPolicy};
use raincheck_shared::lifecycle::{IdSource, Shutdown};
use rustix::process::{Pid, test_kill_process};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{Context, LargeInput};

/// A context for one attempt of ten seconds with an output of 20 MiB, its progress and its token.
pub(crate) fn attempt() -> (Context, watch::Receiver<Option<Progress>>, CancellationToken) {
    let kind = "tried".parse().expect("a good name");
    Context::detached(IdSource.job(), kind, Duration::from_secs(10), 20 << 20)
}

/// A blob store in a folder of its own, for bodies of more than 1 MiB.
pub(crate) fn blobs() -> (Blobs, Folder) {
    let folder = Folder::new();
    let place = BlobPlace::Directory { path: folder.file("blobs") };
    let settings = BlobSettings { place, in_database: 1 << 20, writers: 4, keep_orphans: Duration::from_hours(1) };
    (Blobs::open(&settings, &Shutdown::new()).unwrap(), folder)
}

/// An input of so many bytes, and the file that it is in.
pub(crate) async fn large_input(size: usize, context: &Context) -> (LargeInput, PathBuf, Folder) {
    let (blobs, folder) = blobs();
    let name = BlobName { job: context.job_id(), part: BlobPart::Input, token: IdSource.random(), upload: None };
    let mut writer = blobs.write(name);
    writer.write(&vec![1; size]).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let file = folder.file("blobs").join(name.to_string());
    (LargeInput::new("text/plain".to_owned(), blob, blobs, context.clone()), file, folder)
}

/// A kind in queue `queue` that is tried three times.
pub(crate) fn kind(name: &str, queue: &str, run: Run) -> Arc<Kind> {
    let day = Duration::from_hours(24);
    Arc::new(Kind {
        name: name.parse().expect("a good name"),
        run,
        queue: queue.parse().expect("a good name"),
        timeout: Duration::from_secs(10),
        retry: RetryPolicy { max_attempts: 3, base: Duration::from_secs(1), cap: day },
        limits: raincheck_shared::domain::KindLimits::default(),
        concurrency: 1,
        content_types: Vec::new(),
        output_type: "text/plain".to_owned(),
        schema: None,
        retention: day,
        description: None,
    })
}

/// A folder of its own, gone at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("raincheck-command-{}", IdSource.job()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Asks again and again until there is an answer; gives up, loudly, after ten seconds.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(answer) = ask() {
            return answer;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// The process id that a script wrote into a file, with a line end, so that it is known to be whole.
pub(crate) async fn pid_in(file: &Path) -> Pid {
    eventually("a pid is written", || {
        let text = std::fs::read_to_string(file).ok()?;
        text.strip_suffix('\n')?.trim().parse().ok().and_then(Pid::from_raw)
    })
    .await
}

/// Waits until a process is gone, or at least dead: its parent may be slow to reap it.
pub(crate) async fn gone(pid: Pid) {
    eventually("the process is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
        let dead = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
        (dead || test_kill_process(pid).is_err()).then_some(())
    })
    .await;
}
