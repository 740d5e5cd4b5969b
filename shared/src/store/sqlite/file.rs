//! The file: its lock, its one writer, its few readers.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, SqlitePool, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use crate::store::StoreError;
use crate::store::cause::Cause;

/// How long a statement waits for another's lock: only a checkpoint, or somebody with a shell, ever holds one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const READERS: u32 = 3;

/// What can go wrong with the file as such.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("another process uses {}", .0.display())]
    InUse(PathBuf),
    #[error("cannot use {}", path.display())]
    Unusable { path: PathBuf, source: std::io::Error },
    #[error("the store is closed")]
    Closed,
}

/// The opened file. Held by one process at a time, but for commands beside it.
pub(super) struct SqliteFile {
    path: PathBuf,
    options: SqliteConnectOptions,
    writer: Mutex<Slot>,
    readers: SqlitePool,
    /// Locked for as long as it is open.
    lock: std::sync::Mutex<Option<Lock>>,
}

/// The writing connection.
struct Slot {
    /// `None` once the store is closed.
    connection: Option<SqliteConnection>,
    /// Whether the last transaction ran to its commit. After any other the connection is looked at before it is used.
    clean: bool,
}

impl SqliteFile {
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = lock(path).map_err(StoreError::unavailable)?;
        Self::open_locked(path, Some(lock)).await
    }

    /// The same, but a process that has the file keeps it: both use it, as SQLite allows.
    pub(super) async fn open_beside(path: &Path) -> Result<Self, StoreError> {
        let lock = match lock(path) {
            Ok(lock) => Some(lock),
            Err(FileError::InUse(_)) => None,
            Err(error) => return Err(StoreError::unavailable(error)),
        };
        Self::open_locked(path, lock).await
    }

    async fn open_locked(path: &Path, lock: Option<Lock>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        // The journal mode is the file's, not the connection's: the writer sets it, the readers find it.
        let writer_options = options.clone().journal_mode(SqliteJournalMode::Wal);
        let connection = writer_options.connect().await.map_err(failed)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .test_before_acquire(false)
            .connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self {
            path: path.to_owned(),
            options: writer_options,
            writer: Mutex::new(Slot { connection: Some(connection), clean: true }),
            readers,
            lock: std::sync::Mutex::new(lock),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A connection that reads, from a snapshot of what is committed now.
    pub(super) async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.readers.acquire().await.map_err(failed)
    }

    /// The connection that writes, for one caller at a time.
    pub(super) async fn writer(&self) -> Result<Writer<'_>, StoreError> {
        let mut slot = self.writer.lock().await;
        if !slot.clean && !is_sound(slot.connection.as_mut()).await {
            tracing::debug!(path = %self.path.display(), "opening a new connection to write with");
            slot.connection = Some(self.options.connect().await.map_err(failed)?);
        }
        match slot.connection {
            Some(_) => Ok(Writer(slot)),
            None => Err(StoreError::unavailable(FileError::Closed)),
        }
    }

    /// Waits for the write that is under way, closes all connections and gives up the lock.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        let mut slot = self.writer.lock().await;
        slot.clean = true;
        if let Some(connection) = slot.connection.take()
            && let Err(error) = connection.close().await
        {
            // What was committed is in the write-ahead log, whatever became of the connection.
            tracing::warn!(%error, "closing the store's file");
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Whether a connection that was left in the middle of something can be used again. Its rollback is on the way; an
/// error on which SQLite itself rolls back (a full disk) leaves the driver's count of transactions wrong for ever.
async fn is_sound(connection: Option<&mut SqliteConnection>) -> bool {
    match connection {
        Some(connection) => connection.ping().await.is_ok() && !connection.is_in_transaction(),
        // Closed, which is nothing to mend.
        None => true,
    }
}

/// The right to write.
pub(super) struct Writer<'a>(MutexGuard<'a, Slot>);

impl Writer<'_> {
    /// Begins the one transaction of a write. Dropping it rolls back.
    pub(super) async fn begin(&mut self) -> Result<Write<'_>, StoreError> {
        let Slot { connection, clean } = &mut *self.0;
        let connection = connection.as_mut().ok_or_else(|| StoreError::unavailable(FileError::Closed))?;
        *clean = false;
        let transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        Ok(Write { transaction, clean })
    }

    /// The bare connection, for what makes its own transactions.
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        self.0.clean = false;
        self.0.connection.as_mut().ok_or_else(|| StoreError::unavailable(FileError::Closed))
    }
}

/// A write under way.
pub(super) struct Write<'a> {
    transaction: Transaction<'a, Sqlite>,
    clean: &'a mut bool,
}

impl Write<'_> {
    /// Makes it durable.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(failed)?;
        *self.clean = true;
        Ok(())
    }
}

impl Deref for Write<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Write<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

/// An outage, with its cause.
pub(super) fn failed(error: sqlx::Error) -> StoreError {
    StoreError::unavailable(Cause(error))
}

/// Whose fault a failed statement is: the row's, which then fails alone, or the store's.
pub(super) fn failed_or_rejected(error: sqlx::Error) -> StoreError {
    const TOO_BIG: i32 = 18;
    const CONSTRAINT: i32 = 19;
    const MISMATCH: i32 = 20;
    let code = error.as_database_error().and_then(|e| e.code()?.parse::<i32>().ok());
    // The low byte is the kind of an extended code.
    match code.map(|code| code & 0xff) {
        Some(TOO_BIG | CONSTRAINT | MISMATCH) => StoreError::Rejected(Arc::new(Cause(error))),
        _ => failed(error),
    }
}

/// What keeps others from the file: one beside it, and the file itself, which may have another name in another folder. SQLite's own
/// locks are of another sort, and are lost when the file is closed: who has this keeps it open.
#[derive(Debug)]
struct Lock {
    _beside: File,
    _file: File,
}

/// Takes the lock, wherever links lead to the file from. The operating system frees it when the process ends, however it ends.
fn lock(path: &Path) -> Result<Lock, FileError> {
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source| FileError::Unusable { path, source }
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        // What clients sent is for its user's eyes, unless the folder was made for more before.
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable(folder))?;
    }
    let resolved = resolved(path).map_err(unusable(path))?;
    let mut beside = resolved.clone().into_os_string();
    beside.push(".lock");
    let take = |file: &Path| {
        let opened = File::options().create(true).truncate(false).write(true).open(file).map_err(unusable(file))?;
        match opened.try_lock() {
            Ok(()) => Ok(opened),
            Err(TryLockError::WouldBlock) => Err(FileError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(unusable(file)(source)),
        }
    };
    Ok(Lock { _beside: take(Path::new(&beside))?, _file: take(&resolved)? })
}

/// The file that a path leads to. One that is not there is made, empty, which is how SQLite begins as well: a link may lead to it.
fn resolved(path: &Path) -> std::io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
            path.canonicalize()
        }
        other => other,
    }
}
