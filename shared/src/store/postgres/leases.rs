//! How a worker shows that it lives: a row that it renews, and a session lock that dies with its connection.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};
use tokio::time::timeout;

use super::database::{Database, Lane};
use super::floor::Floor;
use super::refusal::{refusal, timed_out};
use super::rows::Cells;
use crate::domain::{WorkerId, WorkerReport};
use crate::lifecycle::{Clock, SystemClock};
use crate::store::{CancelOrder, Lease, LeaseError, Leases, Renewal, StoreError};

/// How long one try to reach the server may take: renewals come about once a second, and two tries must fit into the
/// shortest lease with room to stop the handlers.
const PATIENCE: Duration = Duration::from_secs(2);

/// The lease of one incarnation, on a connection of its own.
struct Incarnation {
    database: Arc<Database>,
    worker: WorkerId,
    session_lock: bool,
    connection: Option<Held>,
    floor: Floor,
}

/// An open connection, and whether it holds the session lock. It may not at first: after a break the server can take a
/// while to see that the previous connection is gone, and until then that one holds it.
struct Held {
    connection: PgConnection,
    locked: bool,
}

#[async_trait]
impl Leases for Arc<Database> {
    async fn register(
        &self,
        worker: WorkerId,
        name: &str,
        ttl: Duration,
        session_lock: bool,
    ) -> Result<Box<dyn Lease>, StoreError> {
        let database = Arc::clone(self);
        let mut lease = Incarnation { database, worker, session_lock, connection: None, floor: Floor::default() };
        lease.register(name, ttl).await.map_err(refusal)?;
        Ok(Box::new(lease))
    }
}

impl Incarnation {
    fn patience(&self) -> Duration {
        PATIENCE.min(self.database.timeout())
    }

    async fn register(&mut self, name: &str, ttl: Duration) -> Result<(), sqlx::Error> {
        let patience = self.patience();
        let worker = self.worker;
        let lock_key = self.session_lock.then(|| worker.lock_key());
        let held = self.held().await?;
        let insert = sqlx::query(include_str!("sql/register_worker.sql"))
            .bind(worker.as_uuid())
            .bind(name)
            .bind(lock_key)
            .bind(ttl.as_secs_f64())
            .execute(&mut held.connection);
        timeout(patience, insert).await.unwrap_or_else(|_| Err(timed_out())).map(|_| ())
    }

    /// The connection, made anew when it was lost, with the lock if it can be had.
    async fn held(&mut self) -> Result<&mut Held, sqlx::Error> {
        let patience = self.patience();
        let mut held = match self.connection.take() {
            Some(held) => held,
            None => Held { connection: self.database.connect(Lane::Relaxed, patience).await?, locked: false },
        };
        if self.session_lock && !held.locked {
            let lock = sqlx::query("SELECT pg_try_advisory_lock($1) AS locked")
                .bind(self.worker.lock_key())
                .fetch_one(&mut held.connection);
            held.locked = timeout(patience, lock).await.unwrap_or_else(|_| Err(timed_out()))?.try_get("locked")?;
        }
        Ok(self.connection.insert(held))
    }

    async fn renew_once(&mut self, report: &str) -> Result<Renewal, Failed> {
        let patience = self.patience();
        let worker = self.worker;
        let from = self.floor.begin(SystemClock.monotonic());
        let held = self.held().await?;
        let renewal = sqlx::query(include_str!("sql/renew_worker.sql"))
            .bind(worker.as_uuid())
            .bind(report)
            .bind(from)
            .fetch_optional(&mut held.connection);
        let row = timeout(patience, renewal).await.unwrap_or_else(|_| Err(timed_out()))?;
        let row = row.ok_or(Failed::Final(LeaseError::Lost))?;
        self.renewal_of(&row).map_err(|error| Failed::Final(error.into()))
    }

    fn renewal_of(&mut self, row: &PgRow) -> Result<Renewal, StoreError> {
        let jobs = Cells::of("timers", row).job_ids("revoked")?;
        let queues = Cells::of("paused_queues", row);
        let paused = queues.get::<Vec<String>>("paused")?;
        let dispatches = Cells::of("dispatches", row);
        self.floor.found(dispatches.get("oldest")?, dispatches.get("newest")?, SystemClock.monotonic());
        Ok(Renewal {
            orders: jobs.into_iter().map(|job| CancelOrder { job }).collect(),
            paused: paused
                .iter()
                .map(|name| name.parse().map_err(|error| queues.wrong("name", error)))
                .collect::<Result<_, _>>()?,
            unpublished: dispatches.get("unpublished")?,
        })
    }
}

/// Why a renewal failed: because of the connection, which another one may mend, or for good.
enum Failed {
    Broken(sqlx::Error),
    Final(LeaseError),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Broken(error)
    }
}

#[async_trait]
impl Lease for Incarnation {
    async fn renew(&mut self, report: &WorkerReport) -> Result<Renewal, LeaseError> {
        // Numbers and names: this cannot fail, and a worker that says nothing of itself lives all the same.
        let report = serde_json::to_string(report).unwrap_or_else(|_| "{}".to_owned());
        let mut tries = 0;
        loop {
            tries += 1;
            match self.renew_once(&report).await {
                Ok(renewal) => return Ok(renewal),
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Broken(error)) => {
                    // Dropped without a goodbye: whoever would answer one has just not answered.
                    self.connection = None;
                    if tries == 2 {
                        return Err(LeaseError::Store(refusal(error)));
                    }
                    tracing::debug!(%error, worker.id = %self.worker, "renewing the lease on a new connection");
                }
            }
        }
    }

    async fn end(mut self: Box<Self>) -> Result<(), StoreError> {
        let patience = self.patience();
        let worker = self.worker;
        let ending = async {
            let held = self.held().await?;
            sqlx::query(include_str!("sql/end_worker.sql")).bind(worker.as_uuid()).execute(&mut held.connection).await
        };
        timeout(2 * patience, ending).await.unwrap_or_else(|_| Err(timed_out())).map_err(refusal)?;
        // The lock goes with its connection.
        if let Some(held) = self.connection.take() {
            let _ = timeout(patience, held.connection.close()).await;
        }
        Ok(())
    }
}
