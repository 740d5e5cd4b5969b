//! A file that tells the directory of blobs from whatever is in its place while it is away, such as an empty mount point.
//!
//! It says since when blobs have been kept beside it. Only where it is can a blob be lost, and only one of a job that is not
//! older; anywhere else the directory is away.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::{JobId, Timestamp};
use crate::lifecycle::{Clock, SystemClock};

const FILE: &str = "raincheck-blobs";

/// Where the mark of a directory is.
#[derive(Debug)]
pub(super) struct Mark {
    file: PathBuf,
    /// When this process opened the directory.
    opened: i128,
    /// Whether it was there once.
    seen: AtomicBool,
}

/// What is there is not the directory, or there is nothing.
#[derive(Debug, thiserror::Error)]
#[error("the directory of blobs is away: {0} is not there, or younger than what is looked for")]
struct Away(String);

impl Mark {
    /// That of a directory. One that has `blobs` already and no mark is of a release that made none, and gets one.
    pub(super) fn of(directory: &Path, blobs: bool) -> io::Result<Self> {
        let file = directory.join(FILE);
        let mark = Self { seen: AtomicBool::new(file.try_exists()?), file, opened: millis(SystemClock.now()) };
        if blobs && !mark.seen.load(Ordering::Relaxed) {
            mark.make(0)?;
        }
        Ok(mark)
    }

    /// Sees that blobs can be written beside it. It comes with the first one; where it was once and is not, that would be
    /// into another place.
    pub(super) fn admit(&self) -> io::Result<()> {
        if self.file.try_exists()? {
            self.seen.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if self.seen.load(Ordering::Relaxed) { Err(self.away()) } else { self.make(self.opened) }
    }

    /// Whether a blob of that job would be here, if anywhere. An error: the directory is away.
    pub(super) fn vouch(&self, job: JobId) -> io::Result<()> {
        match is_older(&self.file, job) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(self.away()),
        }
    }

    fn make(&self, since: i128) -> io::Result<()> {
        match File::create_new(&self.file) {
            Ok(mut file) => writeln!(file, "{since}")?,
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        self.seen.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn away(&self) -> io::Error {
        io::Error::other(Away(self.file.display().to_string()))
    }
}

/// The same of a directory that is not opened, so nothing is made. An error: it has no mark that can be read.
pub(super) fn vouches(directory: &Path, job: JobId) -> io::Result<bool> {
    is_older(&directory.join(FILE), job)
}

fn is_older(mark: &Path, job: JobId) -> io::Result<bool> {
    let text = fs::read_to_string(mark)?;
    // Nothing, where a crash came before its text was durable: it is an old one, for all that is known.
    let since = text.trim().parse().unwrap_or(0);
    Ok(millis(job.created_at()) >= since)
}

fn millis(at: Timestamp) -> i128 {
    at.unix_timestamp_nanos() / 1_000_000
}
