//! The store of embedded mode: one SQLite file, one process.
//!
//! One connection writes, a few read. Every write is one transaction, durable when it returns (WAL, synchronous FULL).
//! Since nobody else writes, a transition is made by the state machine itself: read the row, apply, write.

mod accept;
mod announcements;
mod attempts;
mod batches;
mod claim;
mod deliveries;
mod dispatches;
mod erasures;
mod file;
mod finish;
mod jobs;
mod keys;
mod leases;
mod logs;
mod moves;
mod outbox;
mod permits;
mod queues;
mod remote_leases;
mod rows;
mod schedules;
mod schema;
mod spent;
mod survey;
mod ticks;
mod upkeep;

use std::path::Path;
use std::sync::{Arc, Mutex};

use file::SqliteFile;
use leases::Living;

use super::{Store, StoreError};
use crate::domain::DispatchId;
use crate::lifecycle::{Clock, IdSource};

/// The file, and what this process knows beside it. Plays all roles of the store.
struct Sqlite {
    file: SqliteFile,
    clock: Arc<dyn Clock>,
    ids: IdSource,
    living: Living,
    /// The last that was looked at for jobs that wait no more; 0: the next look begins at the first.
    spent_after: Mutex<DispatchId>,
}

impl Sqlite {
    /// The store's clock, in microseconds since the epoch. One process, one clock: it decides leases and timers.
    fn now(&self) -> i64 {
        rows::micros(self.clock.now())
    }
}

/// Opens the store, creating its folder and file, and locks it for this process.
pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
    Ok(on_file(SqliteFile::open(path).await?, clock))
}

/// Opens the store, also while another process has it: for commands that touch no job and run no worker.
pub async fn open_beside(path: &Path, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
    Ok(on_file(SqliteFile::open_beside(path).await?, clock))
}

fn on_file(file: SqliteFile, clock: Arc<dyn Clock>) -> Store {
    let store =
        Arc::new(Sqlite { file, clock, ids: IdSource, living: Living::default(), spent_after: Mutex::default() });
    Store {
        jobs: Arc::<Sqlite>::clone(&store),
        batches: Arc::<Sqlite>::clone(&store),
        attempts: Arc::<Sqlite>::clone(&store),
        leases: Arc::new(leases::Registrar(Arc::clone(&store))),
        remote_leases: Arc::<Sqlite>::clone(&store),
        outbox: Arc::<Sqlite>::clone(&store),
        permits: Arc::<Sqlite>::clone(&store),
        queues: Arc::<Sqlite>::clone(&store),
        schedules: Arc::<Sqlite>::clone(&store),
        ticks: Arc::<Sqlite>::clone(&store),
        logs: Arc::<Sqlite>::clone(&store),
        erasures: Arc::<Sqlite>::clone(&store),
        survey: Arc::<Sqlite>::clone(&store),
        upkeep: Arc::<Sqlite>::clone(&store),
        keys: Arc::<Sqlite>::clone(&store),
        deliveries: Arc::<Sqlite>::clone(&store),
        schema: store,
    }
}
