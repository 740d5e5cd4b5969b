//! Waits until the store can be reached and has the schema that this program knows.
//!
//! A database that is away is an outage: wait, and say so. A schema that is behind may be one that `raincheck migrate`
//! is bringing up to date right now: wait a little, then give up.

use std::time::{Duration, Instant};

use raincheck_shared::lifecycle::{Clock, Shutdown};
use raincheck_shared::store::{Schema, SchemaVersion, StoreError};
use raincheck_shared::telemetry::Chain;

use crate::failure::Failure;

/// How long a schema may stay behind.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);
/// Between two lines about the same trouble.
const REPEAT: Duration = Duration::from_secs(10);

/// Waits for the schema that this program knows. False: the process was asked to stop meanwhile.
pub(crate) async fn pass(schema: &dyn Schema, clock: &dyn Clock, shutdown: &Shutdown) -> Result<bool, Failure> {
    let mut trouble = Trouble::default();
    let mut behind_since = None;
    while !shutdown.has_begun() {
        let error = match ready(schema).await {
            Ok(()) => {
                trouble.over();
                return Ok(true);
            }
            Err(error) => error,
        };
        let now = clock.monotonic();
        match error {
            StoreError::WrongSchema { .. } => {
                if now.duration_since(*behind_since.get_or_insert(now)) >= PATIENCE {
                    return Err(Failure::Schema(error));
                }
            }
            StoreError::Unavailable(_) => behind_since = None,
            other => return Err(Failure::because("the schema cannot be read", other)),
        }
        trouble.note(&error, now);
        pause(shutdown).await;
    }
    Ok(false)
}

/// Brings the schema up to date, waiting for the database at most that long. Answers what was there before; `None`: the
/// process was asked to stop meanwhile.
pub(crate) async fn migrate(
    schema: &dyn Schema,
    clock: &dyn Clock,
    patience: Option<Duration>,
    shutdown: &Shutdown,
) -> Result<Option<SchemaVersion>, Failure> {
    let started = clock.monotonic();
    let mut trouble = Trouble::default();
    while !shutdown.has_begun() {
        let tried = match schema.version().await {
            Ok(before) if before.found >= before.needed => Ok(before),
            Ok(before) => schema.migrate().await.map(|()| before),
            Err(error) => Err(error),
        };
        let now = clock.monotonic();
        match tried {
            Ok(before) => {
                trouble.over();
                return Ok(Some(before));
            }
            Err(error @ StoreError::Unavailable(_))
                if patience.is_none_or(|patience| now.duration_since(started) < patience) =>
            {
                trouble.note(&error, now);
                pause(shutdown).await;
            }
            Err(error) => return Err(Failure::store("the schema could not be brought up to date", error)),
        }
    }
    Ok(None)
}

/// Whether jobs can be kept there.
async fn ready(schema: &dyn Schema) -> Result<(), StoreError> {
    schema.version().await.and_then(SchemaVersion::check)?;
    schema.ping().await
}

async fn pause(shutdown: &Shutdown) {
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => {}
        () = shutdown.begun() => {}
    }
}

/// Says what the trouble is now and then, not each time.
#[derive(Default)]
struct Trouble {
    said: Option<Instant>,
}

impl Trouble {
    fn note(&mut self, error: &StoreError, now: Instant) {
        if self.said.is_none_or(|last| now.duration_since(last) >= REPEAT) {
            self.said = Some(now);
            tracing::warn!(error = %Chain(error), "waiting for the database");
        }
    }

    fn over(&self) {
        if self.said.is_some() {
            tracing::info!("the database is there");
        }
    }
}
