//! A file of the directory that is being written, beside its place. What failed may be done once more: nothing is lost by it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::BlobError;
use super::directory::off_thread;

/// One that is being written, in the folder of its job.
#[derive(Debug)]
pub(super) struct Staged {
    file: Arc<File>,
    at: PathBuf,
    place: PathBuf,
    /// Bytes that are written.
    size: u64,
}

impl Staged {
    /// Begins one whose place is three folders deep: the directory, a day, a job.
    pub(super) fn begin(place: PathBuf) -> io::Result<Self> {
        let mut number = 1_u32;
        loop {
            for folder in folders(&place).rev().skip(1) {
                match fs::create_dir(folder) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
            }
            let mut at = place.clone().into_os_string();
            at.push(format!("#{number}"));
            match File::create_new(&at) {
                Ok(file) => return Ok(Self { file: Arc::new(file), at: at.into(), place, size: 0 }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                // Somebody has just removed the empty folder.
                Err(error) if error.kind() == io::ErrorKind::NotFound && number < 1_000 => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Adds a part.
    pub(super) async fn put(&mut self, part: Bytes) -> Result<(), BlobError> {
        let (file, from, size) = (Arc::clone(&self.file), self.size, part.len() as u64);
        off_thread(move || file.write_all_at(&part, from)).await?;
        self.size += size;
        Ok(())
    }

    /// Puts it into its place, durably: its bytes, and its name in its folder and those above.
    pub(super) async fn complete(&mut self) -> Result<(), BlobError> {
        let (file, at, place) = (Arc::clone(&self.file), self.at.clone(), self.place.clone());
        off_thread(move || {
            file.sync_all()?;
            if let Err(error) = fs::rename(&at, &place) {
                // Unless it was put there before, and something after that failed.
                let (own, there) = (file.metadata()?, fs::metadata(&place).map_err(|_| error)?);
                if (own.dev(), own.ino()) != (there.dev(), there.ino()) {
                    return Err(io::Error::other("another file is in its place"));
                }
            }
            folders(&place).try_for_each(|folder| File::open(folder)?.sync_all())
        })
        .await
    }

    /// Gives it up.
    pub(super) async fn abort(&mut self) -> Result<(), BlobError> {
        let at = self.at.clone();
        off_thread(move || fs::remove_file(at)).await
    }
}

/// The folders that a blob is in: of its job, of its day, and the directory.
fn folders(place: &Path) -> impl DoubleEndedIterator<Item = &Path> + use<'_> {
    place.ancestors().skip(1).take(3).collect::<Vec<_>>().into_iter()
}
