//! `raincheck migrate`: brings the schema up to date.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::backends::open_store;
use raincheck_shared::config::Settings;
use raincheck_shared::lifecycle::{Shutdown, SystemClock};
use raincheck_shared::store::SchemaVersion;

use crate::failure::Failure;
use crate::schema_gate;
use crate::terminal::Terminal;

/// How long a database that is still starting is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) async fn run(settings: Arc<Settings>, terminal: &Terminal) -> Result<(), Failure> {
    let clock = SystemClock::shared();
    let store = open_store(&settings.store, Arc::clone(&clock))
        .await
        .map_err(|error| Failure::store("the store could not be opened", error))?;
    let migrated = schema_gate::migrate(&*store.schema, &*clock, Some(PATIENCE), &Shutdown::new()).await;
    store.schema.close().await;
    let Some(SchemaVersion { found, needed }) = migrated? else { return Ok(()) };
    terminal.line(match found.cmp(&needed) {
        Ordering::Less => format!("The schema is up to date: version {needed}, before it was {found}."),
        Ordering::Equal => format!("The schema was up to date: version {needed}."),
        Ordering::Greater => format!("The schema is newer than this program: version {found}, known here is {needed}."),
    });
    Ok(())
}
