//! Open connections, lent to one statement at a time.
//!
//! Not sqlx's own pool: that asks the server after each loan whether the connection still answers, one more round trip for
//! each statement, and hands the loan back from a task of its own. Here a connection that has just answered is known to be
//! well and goes back at once; and the one that came back last is lent first, so that few of them do most of the work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use super::refusal::{is_not_there_yet, no_connection};
use crate::lifecycle::{Clock, SystemClock};
use crate::store::cause::Cause;

/// After this long a connection is closed in favour of a new one: what a server keeps for it only grows.
const LIFETIME: Duration = Duration::from_mins(30);
/// After this long without use a connection is closed.
const IDLE: Duration = Duration::from_mins(10);
/// Pauses between attempts to reach a server that does not listen yet.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(640)];

/// Connections that differ in nothing. Cloning shares them.
#[derive(Clone)]
pub(super) struct Connections(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    /// Said on each new connection before it is lent.
    greeting: Option<&'static str>,
    idle: Mutex<Vec<Idle>>,
    /// A permit for each connection that may be on loan.
    free: Arc<Semaphore>,
    size: u32,
    /// When a connection was last found broken. Connections older than that are not trusted: after a restart of the server
    /// one statement fails for what is really one outage, and not one for each idle connection.
    outage: Arc<Outage>,
    /// Why none could be opened, when last one was tried.
    last_try: Mutex<Option<Arc<Cause>>>,
}

struct Idle {
    connection: PgConnection,
    opened: Instant,
    returned: Instant,
}

/// When a connection was last found broken.
#[derive(Default)]
pub(super) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    pub(super) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(SystemClock.monotonic());
    }

    fn survived_by(&self, opened: Instant) -> bool {
        let noted = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.is_none_or(|at| at < opened)
    }
}

/// A connection on loan. One that is dropped in the middle of a statement, by a timeout or by a caller that went away, is
/// closed: nobody knows when its answer comes.
pub(super) struct Loan {
    pub(super) connection: PgConnection,
    opened: Instant,
    from: Connections,
    /// Free for the next one only when the connection has gone back or is closed.
    _permit: OwnedSemaphorePermit,
}

impl Loan {
    /// Gives it back, its last statement being answered.
    pub(super) fn give_back(self) {
        let inner = &self.from.0;
        let now = SystemClock.monotonic();
        let well = inner.outage.survived_by(self.opened) && now.duration_since(self.opened) < LIFETIME;
        let mut idle = inner.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|other| now.duration_since(other.returned) < IDLE);
        if well && !inner.free.is_closed() {
            idle.push(Idle { connection: self.connection, opened: self.opened, returned: now });
        }
    }
}

impl Connections {
    /// At most `size` of them; the first is opened when one is first asked for.
    pub(super) fn new(
        options: PgConnectOptions,
        size: u32,
        greeting: Option<&'static str>,
        outage: Arc<Outage>,
    ) -> Self {
        let size = size.max(1);
        let free = Arc::new(Semaphore::new(size as usize));
        let (idle, last_try) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { options, greeting, idle, free, size, outage, last_try }))
    }

    /// Lends one, in turn. Tries until `deadline` to reach a server that is not there yet.
    pub(super) async fn lend(&self, deadline: Instant) -> Result<Loan, sqlx::Error> {
        timeout_at(deadline.into(), self.lend_some_time()).await.unwrap_or_else(|_| {
            let last_try = self.0.last_try.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Err(no_connection(last_try))
        })
    }

    async fn lend_some_time(&self) -> Result<Loan, sqlx::Error> {
        let permit = Arc::clone(&self.0.free).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let (connection, opened) = match self.idle() {
            Some(idle) => (idle.connection, idle.opened),
            None => self.open().await?,
        };
        Ok(Loan { connection, opened, from: self.clone(), _permit: permit })
    }

    fn idle(&self) -> Option<Idle> {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.pop().filter(|found| self.0.outage.survived_by(found.opened));
        if found.is_none() {
            // The one that came back last is too old, so all are.
            idle.clear();
        }
        found
    }

    async fn open(&self) -> Result<(PgConnection, Instant), sqlx::Error> {
        let [mut pause, longest] = PAUSES;
        loop {
            // What is found broken while this one is being opened may be about it.
            let opened = SystemClock.monotonic();
            match PgConnection::connect_with(&self.0.options).await {
                Ok(mut connection) => {
                    self.note_try(None);
                    if let Some(greeting) = self.0.greeting {
                        sqlx::query(greeting).execute(&mut connection).await?;
                    }
                    return Ok((connection, opened));
                }
                Err(error) if is_not_there_yet(&error) => {
                    self.note_try(Some(error));
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
            pause = (pause * 2).min(longest);
        }
    }

    fn note_try(&self, failed: Option<sqlx::Error>) {
        let noted = failed.map(|error| Arc::new(Cause(error)));
        *self.0.last_try.lock().unwrap_or_else(PoisonError::into_inner) = noted;
    }

    /// Waits for those on loan and closes all. None is lent after that.
    pub(super) async fn close(&self) {
        let all = self.0.free.acquire_many(self.0.size).await;
        self.0.free.close();
        drop(all);
        let idle = std::mem::take(&mut *self.0.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for one in idle {
            // A server that is gone has closed it already.
            let _ = one.connection.close().await;
        }
    }
}
