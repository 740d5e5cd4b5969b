//! Connections, and how long anybody waits for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Connection, PgConnection, Postgres};
use tokio::time::timeout_at;
use uuid::Uuid;

use super::connections::{Connections, Loan, Outage};
use super::floor::Floor;
use super::partitions::FullDays;
use super::refusal::{is_broken_connection, refusal, timed_out};
use super::server_time::ServerTime;
use super::spent::Round;
use crate::config::Secret;
use crate::lifecycle::{Clock, SystemClock};
use crate::store::StoreError;

/// A statement with its values.
pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// How long one statement waits for a row that another holds. Statements take milliseconds: who holds a row longer is
/// stuck, and waiting longer would only hold up everybody behind.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Two kinds of connection, so that neither kind of work starves the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// What was promised to be kept: each commit waits for the disk.
    Durable,
    /// Reads, and commits that may be lost in a crash since they are then simply made again.
    Relaxed,
}

/// What is accepted must be on disk, whatever the database or the role has been set to.
const ON: &str =
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// The connections of one process.
pub(super) struct Database {
    durable: Connections,
    relaxed: Connections,
    options: PgConnectOptions,
    timeout: Duration,
    outage: Arc<Outage>,
    keys_seen: Mutex<(String, String)>,
    full_days: Mutex<FullDays>,
    deliveries_seen: Mutex<Uuid>,
    floor: Mutex<Floor>,
    spent: Mutex<Round>,
    /// As the last look for dead workers found it.
    pub(super) server_time: ServerTime,
}

/// The server that a URL names.
fn server_of(url: &Secret) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url.expose().parse().map_err(refusal)?;
    // An address of IPv6 comes out of its URL in brackets, and would be looked up as a name.
    let bare = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
    Ok(if let Some(bare) = bare { options.host(&bare) } else { options })
}

impl Database {
    pub(super) fn open(url: &Secret, connections: u32, timeout: Duration) -> Result<Self, StoreError> {
        let options = server_of(url)?
            .options([
                // What a lost statement still does on the server must not outlive by far whoever waited for it.
                ("statement_timeout", timeout.as_millis()),
                ("lock_timeout", LOCK_TIMEOUT.min(timeout).as_millis()),
                ("idle_in_transaction_session_timeout", timeout.as_millis()),
                // A client that vanished without a word frees its locks, the session lock above all, within seconds.
                ("tcp_keepalives_idle", 5),
                ("tcp_keepalives_interval", 2),
                ("tcp_keepalives_count", 3),
            ])
            // The statements find rows by key, whatever the statistics say: a plan made while a table was empty must
            // not read all of it once it is full, and one made anew for each batch costs more than it could gain. And they
            // come upon them in the order of the key, which keeps those that take several from deadlocks.
            .options([
                ("plan_cache_mode", "force_generic_plan"),
                ("enable_seqscan", "off"),
                ("enable_bitmapscan", "off"),
                ("jit", "off"),
            ]);
        let relaxed = options.clone().options([("synchronous_commit", "off")]);
        let outage = Arc::new(Outage::default());
        let durable = Connections::new(options.clone(), connections - connections / 2, Some(ON), Arc::clone(&outage));
        let relaxed = Connections::new(relaxed, connections / 2, None, Arc::clone(&outage));
        Ok(Self {
            durable,
            relaxed,
            options,
            timeout,
            outage,
            keys_seen: Mutex::default(),
            full_days: Mutex::default(),
            deliveries_seen: Mutex::default(),
            floor: Mutex::default(),
            spent: Mutex::default(),
            server_time: ServerTime::default(),
        })
    }

    /// How long a method may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When a method that begins now has to be over.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline_within(self.timeout)
    }

    /// The same for one that may take no longer than `limit`.
    pub(super) fn deadline_within(&self, limit: Duration) -> Instant {
        SystemClock.monotonic() + self.timeout.min(limit)
    }

    /// Runs one statement.
    pub(super) async fn fetch(&self, lane: Lane, statement: Statement<'_>) -> Result<Vec<PgRow>, StoreError> {
        self.fetch_until(self.deadline(), lane, statement).await.map_err(refusal)
    }

    /// Runs one statement, giving up at `deadline`; the error as it came.
    pub(super) async fn fetch_until(
        &self,
        deadline: Instant,
        lane: Lane,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let connections = match lane {
            Lane::Durable => &self.durable,
            Lane::Relaxed => &self.relaxed,
        };
        let work = async {
            let mut loan = connections.lend(deadline).await?;
            let answer = statement.fetch_all(&mut loan.connection).await;
            if answer.as_ref().err().is_none_or(|error| !is_broken_connection(error)) {
                loan.give_back();
            }
            answer
        };
        let answer = timeout_at(deadline.into(), work).await.unwrap_or_else(|_| Err(timed_out()));
        if answer.as_ref().err().is_some_and(is_broken_connection) {
            self.outage.note();
        }
        answer
    }

    /// Lends a connection whose commits wait for the disk, for a transaction of several statements that has to be over
    /// at `deadline`.
    pub(super) async fn lend_durable(&self, deadline: Instant) -> Result<Loan, sqlx::Error> {
        self.durable.lend(deadline).await
    }

    /// A connection of its own for work that is not one statement, each of which may take up to `timeout`.
    pub(super) async fn connect(&self, lane: Lane, timeout: Duration) -> Result<PgConnection, sqlx::Error> {
        let mut options = self.options.clone().options([("statement_timeout", timeout.as_millis())]);
        if lane == Lane::Relaxed {
            options = options.options([("synchronous_commit", "off")]);
        }
        let deadline = self.deadline_within(timeout);
        timeout_at(deadline.into(), PgConnection::connect_with(&options)).await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Where retention's walk over the idempotency keys has come to: a key and its tenant.
    pub(super) fn last_key_seen(&self) -> (String, String) {
        self.keys_seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn see_keys_until(&self, key: (String, String)) {
        *self.keys_seen.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// The same over the deliveries, by their jobs.
    pub(super) fn last_delivery_seen(&self) -> Uuid {
        *self.deliveries_seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn see_deliveries_until(&self, job: Uuid) {
        *self.deliveries_seen.lock().unwrap_or_else(PoisonError::into_inner) = job;
    }

    /// Where the relay's looks begin.
    pub(super) fn floor(&self) -> MutexGuard<'_, Floor> {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the next look for spent dispatches begins.
    pub(super) fn spent(&self) -> MutexGuard<'_, Round> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The days whose partitions retention leaves alone for now.
    pub(super) const fn full_days(&self) -> &Mutex<FullDays> {
        &self.full_days
    }

    pub(super) async fn close_connections(&self) {
        tokio::join!(self.durable.close(), self.relaxed.close());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv6_is_no_name() {
        for (url, host) in [
            ("postgres://me@[::1]:5432/db", "::1"),
            ("postgres://me@127.0.0.1:5432/db", "127.0.0.1"),
            ("postgres://me@db.example/db", "db.example"),
        ] {
            assert_eq!(server_of(&Secret::new(url)).expect("a server").get_host(), host);
        }
    }
}
