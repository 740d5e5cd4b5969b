//! A blob store, whichever it is.

use std::fmt;
use std::future::{Future, ready};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::directory::{self, Directory};
use super::error::Silent;
use super::receptions::Receptions;
use super::{BlobError, BlobWriter, s3};
use crate::config::{BlobPlace, BlobSettings};
use crate::domain::{Blob, BlobName, JobId, TenantName, Timestamp};
use crate::lifecycle::{IdSource, Shutdown};
use crate::telemetry::Chain;

/// The longest that one request to the store may take: one part, one piece, one listing's page.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long what somebody else sends waits for its turn.
const TURN: Duration = Duration::from_secs(10);

/// The most that one request asks S3 for. Its client takes what comes as fast as it comes, however slow the reader is, so
/// this is what a reader may hold in memory.
const WINDOW: u64 = 5 << 20;

/// A blob, piece by piece. A piece is read when it is asked for, or with its neighbours from S3: a slow reader holds no more.
pub type BlobStream = BoxStream<'static, Result<Bytes, BlobError>>;

/// Something in the store that has the name of a blob: whole, or left behind half written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: BlobName,
    /// Where it is.
    pub(super) at: Path,
}

/// A blob store. Cloning shares it.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>);

struct Inner {
    store: Arc<dyn ObjectStore>,
    /// What is there in a directory beside blobs: the object store hides what is half written.
    directory: Option<Directory>,
    prefix: Path,
    part: usize,
    in_database: u64,
    /// Parts that may be on their way to the store.
    parts: Semaphore,
    /// Blobs of others that may be received.
    receptions: Receptions,
    shutdown: Shutdown,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blobs").field(&self.0.store.to_string()).finish()
    }
}

impl Blobs {
    /// Opens the configured store. Nothing is asked of it yet: one that is away at start is an outage like any other.
    /// What cannot work is an error: a folder that cannot be made, a setting that S3's client refuses.
    pub fn open(settings: &BlobSettings, shutdown: &Shutdown) -> Result<Self, BlobError> {
        let (store, directory, prefix): (Arc<dyn ObjectStore>, _, _) = match &settings.place {
            BlobPlace::Directory { path } => {
                let (store, directory) = Directory::open(path)?;
                (Arc::new(store), Some(directory), Path::default())
            }
            BlobPlace::S3(settings) => (Arc::new(s3::open(settings)?), None, Path::from(settings.prefix.as_str())),
        };
        Ok(Self(Arc::new(Inner {
            store,
            part: if directory.is_some() { directory::PART } else { s3::PART },
            directory,
            prefix,
            in_database: settings.in_database,
            parts: Semaphore::new(settings.writers),
            receptions: Receptions::new(settings.writers),
            shutdown: shutdown.clone(),
        })))
    }

    /// The largest body that is kept in the database, in bytes. A larger one belongs here.
    pub fn in_database(&self) -> u64 {
        self.0.in_database
    }

    /// Begins to write a blob. Its parts wait for one another and for those of others, for as long as the store takes; what is slow
    /// to come by holds up nobody. Who calls this bounds how many there are.
    pub fn write(&self, name: BlobName) -> BlobWriter {
        BlobWriter::new(self.clone(), name, None)
    }

    /// Begins to write what somebody else sends, once it is one of the few that are received: as many as they like may send, and each
    /// holds a part in memory. No tenant takes all places, where there are four or more.
    pub async fn receive(&self, name: BlobName, tenant: &TenantName) -> Result<BlobWriter, BlobError> {
        let place = timeout(TURN, self.0.receptions.place(tenant)).await.map_err(|_| BlobError::Busy)?;
        Ok(BlobWriter::new(self.clone(), name, Some(place)))
    }

    /// The turn of one part. Whoever has one gives it back within [`PATIENCE`].
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.0.parts.acquire().await.ok()
    }

    /// Reads a part of a blob, which may be all of it.
    pub async fn read(&self, blob: &Blob, range: Range<u64>) -> Result<BlobStream, BlobError> {
        let first = window(&range);
        let rest = first.end..range.end;
        Ok(match self.open_at(blob, first).await?.payload {
            GetResultPayload::File(file, _) => directory::pieces(file, range, blob.name),
            GetResultPayload::Stream(begun) => {
                let begun = begun.map_err(BlobError::unavailable).boxed();
                stream::once(ready(Ok(begun))).chain(self.windows(*blob, rest)).try_flatten().boxed()
            }
        })
    }

    async fn open_at(&self, blob: &Blob, span: Range<u64>) -> Result<GetResult, BlobError> {
        let at = self.path(blob.name);
        let options = GetOptions { range: Some(GetRange::Bounded(span.clone())), ..GetOptions::default() };
        let got = self.get(&at, options, blob.name).await?;
        if got.meta.size == blob.size && got.range == span { Ok(got) } else { Err(BlobError::Lost(blob.name)) }
    }

    /// Asks for a blob. One that is not there is lost only if the place is there that it was kept in.
    async fn get(&self, at: &Path, options: GetOptions, name: BlobName) -> Result<GetResult, BlobError> {
        let ask = || patiently(self.0.store.get_opts(at, options.clone()));
        let lost = |error| match error {
            Attempted::Failed(Error::NotFound { .. }) => BlobError::Lost(name),
            other => other.into(),
        };
        match ask().await.map_err(lost) {
            Err(BlobError::Lost(_)) => {
                self.vouch(name.job).await?;
                // It may have come back just before that.
                ask().await.map_err(lost)
            }
            got => got,
        }
    }

    /// Whether a blob of that job would be here, if anywhere. An error: the directory is away, or there is no such bucket, which
    /// S3's client does not tell from a bucket without the blob.
    async fn vouch(&self, job: JobId) -> Result<(), BlobError> {
        match &self.0.directory {
            Some(directory) => directory.vouch(job).await,
            None => self.of_job(job).await.map(|_| ()),
        }
    }

    /// A span of a blob, asked for window by window.
    fn windows(&self, blob: Blob, span: Range<u64>) -> impl Stream<Item = Result<BlobStream, BlobError>> + use<> {
        let blobs = self.clone();
        stream::try_unfold(span, move |left| {
            let blobs = blobs.clone();
            async move {
                if left.is_empty() {
                    return Ok(None);
                }
                let next = window(&left);
                let rest = next.end..left.end;
                let opened = blobs.open_at(&blob, next).await?;
                Ok(Some((opened.into_stream().map_err(BlobError::unavailable).boxed(), rest)))
            }
        })
    }

    /// Removes what was found. It may be gone already.
    pub async fn remove(&self, found: &Found) -> Result<(), BlobError> {
        if let Some(directory) = &self.0.directory {
            return directory.remove(found).await;
        }
        match patiently(self.0.store.delete(&found.at)).await {
            Ok(()) | Err(Attempted::Failed(Error::NotFound { .. })) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a blob that was written whole and that no row names. It may be gone already.
    pub async fn remove_blob(&self, name: BlobName) -> Result<(), BlobError> {
        self.remove(&Found { name, at: self.path(name) }).await
    }

    /// Removes a blob that was written whole and that no row will ever name. Nobody waits: if it comes to nothing, the
    /// sweep finds it.
    pub fn discard(&self, name: BlobName) {
        let blobs = self.clone();
        self.aside(async move {
            if let Err(error) = blobs.remove_blob(name).await {
                tracing::debug!(blob = %name, error = %Chain(&error), "a blob was left for the sweep");
            }
        });
    }

    /// Removes all blobs of a job whose row is gone, or names none of them any more.
    pub async fn remove_job(&self, job: JobId) -> Result<(), BlobError> {
        for found in self.of_job(job).await? {
            self.remove(&found).await?;
        }
        Ok(())
    }

    async fn of_job(&self, job: JobId) -> Result<Vec<Found>, BlobError> {
        if let Some(directory) = &self.0.directory {
            return directory.of_job(job).await;
        }
        let folder = self.0.prefix.clone().join(BlobName::day_of(job)).join(job.to_string());
        self.listed(&folder).try_collect().await
    }

    /// The days that there are blobs of, oldest first: parts of names, see [`BlobName::day_of`].
    pub async fn days(&self) -> Result<Vec<String>, BlobError> {
        let mut days = if let Some(directory) = &self.0.directory {
            directory.days().await?
        } else {
            let prefix = (!self.0.prefix.as_ref().is_empty()).then_some(&self.0.prefix);
            let listed = patiently(self.0.store.list_with_delimiter(prefix)).await?;
            listed.common_prefixes.iter().filter_map(|day| Some(day.filename()?.to_owned())).collect()
        };
        days.sort();
        Ok(days)
    }

    /// All that is there of a day, half written blobs included, in any order. What has no blob's name is left out.
    pub fn of_day(&self, day: &str) -> BoxStream<'static, Result<Found, BlobError>> {
        match &self.0.directory {
            Some(directory) => directory.of_day(day),
            None => self.listed(&self.0.prefix.clone().join(day)),
        }
    }

    /// Removes the folders of a day that a crash left empty, of jobs older than that; answers how many. S3 has no folders.
    pub async fn tidy_day(&self, day: &str, older_than: Timestamp) -> Result<usize, BlobError> {
        match &self.0.directory {
            Some(directory) => directory.tidy_day(day, older_than).await,
            None => Ok(0),
        }
    }

    /// Removes the folders of a job in which nothing has come to be.
    pub(super) async fn tidy(&self, job: JobId) {
        if let Some(directory) = &self.0.directory {
            directory.tidy(job).await;
        }
    }

    fn listed(&self, folder: &Path) -> BoxStream<'static, Result<Found, BlobError>> {
        let prefix = self.0.prefix.clone();
        self.0
            .store
            .list(Some(folder))
            .map_err(BlobError::unavailable)
            .try_filter_map(move |meta| {
                let parts: Option<Vec<String>> = meta
                    .location
                    .prefix_match(&prefix)
                    .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect());
                let name = parts.and_then(|parts| parts.join("/").parse().ok());
                ready(Ok(name.map(|name| Found { name, at: meta.location })))
            })
            .boxed()
    }

    /// Writes, reads and removes a small object: whether all works that will be needed.
    pub async fn probe(&self) -> Result<(), BlobError> {
        let at = self.0.prefix.clone().join(format!("probe-{}", IdSource.random().simple()));
        let said = Bytes::from_static(b"raincheck was here");
        patiently(self.0.store.put(&at, said.clone().into())).await?;
        let read = patiently(async { self.0.store.get(&at).await?.bytes().await }).await;
        patiently(self.0.store.delete(&at)).await?;
        if read? == said { Ok(()) } else { Err(BlobError::unavailable(Altered)) }
    }

    /// The directory, if it is one.
    pub(super) fn directory(&self) -> Option<&Directory> {
        self.0.directory.as_ref()
    }

    pub(super) fn path(&self, name: BlobName) -> Path {
        name.to_string().split('/').fold(self.0.prefix.clone(), Path::join)
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        &*self.0.store
    }

    /// Bytes of one part of an upload, and so what each writer holds in memory.
    pub(super) fn part(&self) -> usize {
        self.0.part
    }

    /// Does something that nobody waits for.
    pub(super) fn aside(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.shutdown.spawn_service(work);
    }
}

/// What of a span is asked for in one request.
fn window(span: &Range<u64>) -> Range<u64> {
    span.start..span.end.min(span.start + WINDOW)
}

#[derive(Debug, thiserror::Error)]
#[error("what was read is not what was written just before")]
struct Altered;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Attempted {
    Failed(Error),
    Silent,
}

impl From<Attempted> for BlobError {
    fn from(attempted: Attempted) -> Self {
        match attempted {
            Attempted::Failed(error) => Self::unavailable(error),
            Attempted::Silent => Self::unavailable(Silent(PATIENCE)),
        }
    }
}

/// Waits for an answer, though not for ever.
pub(super) async fn patiently<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, Attempted> {
    match timeout(PATIENCE, request).await {
        Ok(answer) => answer.map_err(Attempted::Failed),
        Err(_) => Err(Attempted::Silent),
    }
}
