//! Leases: who works in this process, and who worked in an earlier one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::Sqlite;
use super::file::failed;
use super::rows::{self, Cell};
use crate::domain::{JobId, WorkerId, WorkerReport};
use crate::store::{CancelOrder, Lease, LeaseError, Leases, Renewal, StoreError};

/// What waits longer to be published than any relay takes that can publish.
const UNPUBLISHED_FOR: Duration = Duration::from_secs(3);

/// The incarnations that live in this process, and when each showed it last: the only process there is, so whoever is on record
/// and not in here is dead. What the session lock is to Postgres.
///
/// By a clock that only goes forward. The time of day leaps when a laptop wakes up, and nobody has been silent for that.
#[derive(Clone, Default)]
pub(super) struct Living(Arc<Mutex<HashMap<WorkerId, Instant>>>);

impl Living {
    fn lock(&self) -> MutexGuard<'_, HashMap<WorkerId, Instant>> {
        // Nothing that runs under the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, worker: WorkerId, now: Instant) {
        self.lock().insert(worker, now);
    }

    /// How long it has shown nothing; `None`: it lives in no process.
    pub(super) fn silent_for(&self, worker: WorkerId, now: Instant) -> Option<Duration> {
        self.lock().get(&worker).map(|shown| now.saturating_duration_since(*shown))
    }

    pub(super) fn forget(&self, worker: WorkerId) {
        self.lock().remove(&worker);
    }
}

/// Makes leases, which hold on to the store.
pub(super) struct Registrar(pub(super) Arc<Sqlite>);

#[async_trait]
impl Leases for Registrar {
    async fn register(
        &self,
        worker: WorkerId,
        name: &str,
        ttl: Duration,
        session_lock: bool,
    ) -> Result<Box<dyn Lease>, StoreError> {
        let store = Arc::clone(&self.0);
        // Before its row: a row without a living incarnation is taken for an earlier process's.
        store.living.show(worker, store.clock.monotonic());
        let lease = SqliteLease { store, worker, session_lock };
        let mut writer = lease.store.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/register_worker.sql"))
            .bind(worker.as_uuid())
            .bind(name)
            .bind(rows::whole(ttl.as_millis()))
            .bind(lease.store.now());
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await?;
        drop(writer);
        Ok(Box::new(lease))
    }
}

/// One incarnation's hold on life.
struct SqliteLease {
    store: Arc<Sqlite>,
    worker: WorkerId,
    session_lock: bool,
}

impl Drop for SqliteLease {
    fn drop(&mut self) {
        // As a session lock is freed when its connection goes. Without one only the heartbeat tells.
        if self.session_lock {
            self.store.living.forget(self.worker);
        }
    }
}

#[async_trait]
impl Lease for SqliteLease {
    async fn renew(&mut self, report: &WorkerReport) -> Result<Renewal, LeaseError> {
        // Numbers and names: this cannot fail, and a worker that says nothing of itself lives all the same.
        let report = serde_json::to_string(report).unwrap_or_else(|_| "{}".to_owned());
        let mut writer = self.store.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/renew_worker.sql"))
            .bind(self.worker.as_uuid())
            .bind(self.store.now())
            .bind(report);
        let renewed = query.execute(&mut *write).await.map_err(failed)?.rows_affected();
        if renewed == 0 {
            return Err(LeaseError::Lost);
        }
        let query = sqlx::query_scalar(include_str!("sql/list_cancel_orders.sql")).bind(self.worker.as_uuid());
        let orders = query.fetch_all(&mut *write).await.map_err(failed)?;
        let paused = sqlx::query(include_str!("sql/list_paused_queues.sql"));
        let paused = paused.fetch_all(&mut *write).await.map_err(failed)?;
        let seconds_ago = rows::micros(self.store.clock.now() - UNPUBLISHED_FOR);
        let unpublished = sqlx::query_scalar(include_str!("sql/find_unpublished.sql")).bind(seconds_ago);
        let unpublished: bool = unpublished.fetch_one(&mut *write).await.map_err(failed)?;
        write.commit().await?;
        self.store.living.show(self.worker, self.store.clock.monotonic());
        Ok(Renewal {
            orders: orders.into_iter().map(|job| CancelOrder { job: JobId::new(job) }).collect(),
            paused: paused
                .iter()
                .map(|row| Cell::of("paused_queues", row).parse("name"))
                .collect::<Result<_, StoreError>>()?,
            unpublished,
        })
    }

    async fn end(self: Box<Self>) -> Result<(), StoreError> {
        let mut writer = self.store.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/end_worker.sql")).bind(self.worker.as_uuid());
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await?;
        drop(writer);
        self.store.living.forget(self.worker);
        Ok(())
    }
}
