//! Blobs as files in a directory. Each is written beside its place, made durable, and put there whole; so are the folders
//! above it.
//!
//! Files are read and listed here and not by the object store: it reads in small pieces, and lists nothing that is half
//! written, which the sweep must see.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{self, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::blob_store::PATIENCE;
use super::error::Silent;
use super::mark::{self, Mark};
use super::staged::Staged;
use super::{BlobError, BlobStream, Found};
use crate::domain::{BlobName, JobId, Timestamp};

/// Bytes of one write.
pub(super) const PART: usize = 1 << 20;
/// Bytes of one read.
const PIECE: u64 = 64 * 1024;
/// Folders of jobs that are listed in one go.
const FOLDERS_AT_ONCE: usize = 500;

/// The directory itself.
#[derive(Debug, Clone)]
pub(super) struct Directory(Arc<path::Path>, Arc<Mark>);

impl Directory {
    /// Makes the folder, if it is not there.
    pub(super) fn open(path: &path::Path) -> Result<(LocalFileSystem, Self), BlobError> {
        // For its user's eyes, unless the folder was made for more before.
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(BlobError::unavailable)?;
        let path = fs::canonicalize(path).map_err(BlobError::unavailable)?;
        let store = LocalFileSystem::new_with_prefix(&path).map_err(BlobError::unavailable)?.with_fsync(true);
        let days = days_in(&path).map_err(BlobError::unavailable)?;
        let mark = Mark::of(&path, days.iter().any(|day| is_a_day(day))).map_err(BlobError::unavailable)?;
        Ok((store, Self(path.into(), Arc::new(mark))))
    }

    /// Sees that a blob can be written, and not into what is in the directory's place while that is away.
    pub(super) async fn admit(&self) -> Result<(), BlobError> {
        let mark = Arc::clone(&self.1);
        off_thread(move || mark.admit()).await
    }

    /// Sees that the directory is there that a blob of that job was kept in.
    pub(super) async fn vouch(&self, job: JobId) -> Result<(), BlobError> {
        let mark = Arc::clone(&self.1);
        off_thread(move || mark.vouch(job)).await
    }

    /// Begins a file.
    pub(super) async fn stage(&self, name: BlobName) -> Result<Staged, BlobError> {
        let place = self.0.join(name.to_string());
        off_thread(move || Staged::begin(place)).await
    }

    /// All that is there of a job.
    pub(super) async fn of_job(&self, job: JobId) -> Result<Vec<Found>, BlobError> {
        let folder = self.0.join(BlobName::day_of(job)).join(job.to_string());
        off_thread(move || found_in(&folder)).await
    }

    /// All that is there of a day.
    pub(super) fn of_day(&self, day: &str) -> BoxStream<'static, Result<Found, BlobError>> {
        let day = self.0.join(day);
        stream::once(off_thread(move || entries(&day)))
            .map_ok(|folders| {
                let groups: Vec<Vec<PathBuf>> = folders.chunks(FOLDERS_AT_ONCE).map(<[PathBuf]>::to_vec).collect();
                stream::iter(groups.into_iter().map(Ok))
            })
            .try_flatten()
            .and_then(|folders| {
                off_thread(move || {
                    let found = folders.iter().map(|folder| found_in(folder)).collect::<io::Result<Vec<_>>>()?;
                    Ok(found.concat())
                })
            })
            .map_ok(|found| stream::iter(found.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    /// The folders in it. That it is not there is an error: a disk that is not mounted is not one without blobs.
    pub(super) async fn days(&self) -> Result<Vec<String>, BlobError> {
        let root = Arc::clone(&self.0);
        off_thread(move || days_in(&root)).await
    }

    /// Removes a file, and the folders that it was in if nothing else is.
    pub(super) async fn remove(&self, found: &Found) -> Result<(), BlobError> {
        let (root, job) = (Arc::clone(&self.0), found.name.job);
        let file = root.join(found.at.as_ref());
        off_thread(move || {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            tidy(&root, job);
            Ok(())
        })
        .await
    }

    /// Removes the folders of a job's blobs, if there are none.
    pub(super) async fn tidy(&self, job: JobId) {
        let root = Arc::clone(&self.0);
        let _ = off_thread(move || {
            tidy(&root, job);
            Ok(())
        })
        .await;
    }

    /// Removes the folders of a day in which there is nothing, of jobs that are older than that: a crash leaves them. Answers how
    /// many.
    pub(super) async fn tidy_day(&self, day: &str, older_than: Timestamp) -> Result<usize, BlobError> {
        let folder = self.0.join(day);
        off_thread(move || {
            let mut removed = 0;
            for job in entries(&folder)? {
                let id: Option<JobId> = job.file_name().and_then(|name| name.to_str()?.parse().ok());
                if id.is_some_and(|id| id.created_at() < older_than) {
                    removed += usize::from(fs::remove_dir(&job).is_ok());
                }
            }
            let _ = fs::remove_dir(&folder);
            Ok(removed)
        })
        .await
    }
}

/// Whether the directory is away that a blob of that job was kept in, as far as a look tells that makes nothing.
pub fn is_away(directory: &path::Path, job: JobId) -> bool {
    if directory.join(BlobName::day_of(job)).join(job.to_string()).exists() {
        return false;
    }
    match mark::vouches(directory, job) {
        Ok(is_there) => !is_there,
        // One with blobs and no mark is of a release that made none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            !days_in(directory).is_ok_and(|days| days.iter().any(|day| is_a_day(day)))
        }
        // It cannot be looked into, which whoever uses it hears too.
        Err(_) => false,
    }
}

fn days_in(root: &path::Path) -> io::Result<Vec<String>> {
    let mut days = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            days.extend(entry.file_name().into_string().ok());
        }
    }
    Ok(days)
}

/// As in a blob's name: 2026-07-31.
fn is_a_day(folder: &str) -> bool {
    folder.len() == 10
        && folder
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
}

/// Removes the folders of a job and of its day, if nothing is in them. Another blob makes them anew.
fn tidy(root: &path::Path, job: JobId) {
    let day = root.join(BlobName::day_of(job));
    let _ = fs::remove_dir(day.join(job.to_string())).and_then(|()| fs::remove_dir(&day));
}

/// What is in a folder. No folder: nothing.
fn entries(folder: &path::Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn found_in(folder: &path::Path) -> io::Result<Vec<Found>> {
    Ok(entries(folder)?.iter().filter_map(|file| found(file)).collect())
}

/// A file of a blob, or one that was to become a blob: its name and `#`, and a number.
fn found(file: &path::Path) -> Option<Found> {
    let mut parts = file.components().rev().filter_map(|part| part.as_os_str().to_str());
    let (file, job, day) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = file.split_once('#').map_or(file, |(whole, _)| whole);
    let name: BlobName = format!("{day}/{job}/{whole}").parse().ok()?;
    // As it is: a `#` in a path that was not made from text stays a `#`.
    let at = Path::parse(format!("{day}/{job}/{file}")).ok()?;
    Some(Found { name, at })
}

/// A span of a file, piece by piece.
pub(super) fn pieces(file: File, span: Range<u64>, name: BlobName) -> BlobStream {
    let file = Arc::new(file);
    stream::try_unfold(span, move |left| {
        let file = Arc::clone(&file);
        async move {
            if left.is_empty() {
                return Ok(None);
            }
            let end = left.end.min(left.start + PIECE);
            let piece = off_thread(move || read_at(&file, left.start..end)).await.map_err(|error| match &error {
                BlobError::Unavailable(cause) if is_short(&**cause) => BlobError::Lost(name),
                _ => error,
            })?;
            Ok(Some((piece, end..left.end)))
        }
    })
    .boxed()
}

fn read_at(file: &File, span: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(span.end - span.start).map_err(io::Error::other)?;
    let mut piece = BytesMut::zeroed(length);
    file.read_exact_at(&mut piece, span.start)?;
    Ok(piece.freeze())
}

fn is_short(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

/// Runs what waits for the disk where nobody else has to wait for it.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, BlobError> {
    match timeout(PATIENCE, spawn_blocking(work)).await {
        Ok(Ok(done)) => done.map_err(BlobError::unavailable),
        Ok(Err(panicked)) => Err(BlobError::unavailable(panicked)),
        Err(_) => Err(BlobError::unavailable(Silent(PATIENCE))),
    }
}
