//! Can the store be reached, is its schema there, does it keep what it promises to keep?

use std::path::Path;
use std::sync::Arc;

use raincheck_shared::backends::{open_store, open_store_beside};
use raincheck_shared::config::StoreSettings;
use raincheck_shared::domain::JobId;
use raincheck_shared::lifecycle::Clock;
use raincheck_shared::store::{Schema, Store, StoreError};
use raincheck_shared::telemetry::Chain;
use tokio::time::timeout;

use super::folder::try_to_write;
use super::{Findings, PATIENCE};

/// Answers a job that has a blob, if there is one. `running`: whether a raincheck is there where this configuration listens.
pub(super) async fn check(
    settings: &StoreSettings,
    running: bool,
    clock: Arc<dyn Clock>,
    findings: &mut Findings,
) -> Option<JobId> {
    if let StoreSettings::Sqlite { path } = settings {
        if !check_folder(path, findings) {
            return None;
        }
        if !path.exists() {
            findings.good(format!("{} does not exist yet: `raincheck up` makes it", path.display()));
            return None;
        }
    }
    let advice = match settings {
        StoreSettings::Sqlite { .. } => {
            "one process at a time uses an SQLite file: stop the other one, or look at the file's owner and permissions"
        }
        StoreSettings::Postgres { .. } => {
            "check that PostgreSQL runs, and `store.url`: host, port, user, password, database"
        }
    };
    match timeout(PATIENCE, open_store(settings, Arc::clone(&clock))).await {
        Ok(Ok(store)) => {
            let answers = timeout(PATIENCE, ask(&*store.schema, advice, findings)).await.unwrap_or_else(|_| {
                findings.bad(format!("{} does not answer", named(settings)), advice);
                false
            });
            let owner = if answers { find_blob_owner(&store).await } else { None };
            close(&store).await;
            return owner;
        }
        Ok(Err(_)) if running && matches!(settings, StoreSettings::Sqlite { .. }) => {
            findings.good(format!("{} is in use by the raincheck that runs", named(settings)));
            let store = timeout(PATIENCE, open_store_beside(settings, clock)).await.ok()?.ok()?;
            let owner = find_blob_owner(&store).await;
            close(&store).await;
            return owner;
        }
        Ok(Err(error)) => findings.bad(format!("{} could not be opened: {}", named(settings), Chain(&error)), advice),
        Err(_) => findings.bad(format!("{} does not answer", named(settings)), advice),
    }
    None
}

/// None also if it cannot be told: an old schema, a role that may not read.
async fn find_blob_owner(store: &Store) -> Option<JobId> {
    timeout(PATIENCE, store.upkeep.find_blob_owner()).await.ok()?.ok()?
}

/// A connection that hangs must not keep the doctor.
async fn close(store: &Store) {
    let _ = timeout(PATIENCE, store.schema.close()).await;
}

/// Answers whether it can be reached.
async fn ask(schema: &dyn Schema, advice: &str, findings: &mut Findings) -> bool {
    let version = match schema.version().await {
        Ok(version) => version,
        Err(error) => {
            findings.bad(format!("the store cannot be reached: {}", Chain(&error)), advice);
            return false;
        }
    };
    if let Err(error) = schema.ping().await {
        findings.bad(
            format!("the store keeps no jobs: {}", Chain(&error)),
            "point `store.url` at the primary itself, not at a standby or a pooler",
        );
    }
    match schema.describe().await {
        Ok(facts) => {
            let (facts, lacks) =
                facts.split_once(", rights lacking: ").map_or((&*facts, None), |(facts, lacks)| (facts, Some(lacks)));
            findings.good(format!("The store answers: {facts}"));
            doubt_durability(facts, findings);
            doubt_rights(facts, findings);
            if let Some(lacks) = lacks {
                findings.bad(
                    format!("this role lacks rights: {lacks}"),
                    "`GRANT` them, anew after each migration that adds tables, or use the role that runs `raincheck migrate`",
                );
            }
        }
        Err(error) => findings.doubt(
            format!("the store does not tell about itself: {}", Chain(&error)),
            "harmless in itself; look at the store's log",
        ),
    }
    match version.check() {
        Ok(()) => findings.good(format!("The schema is at version {}", version.found)),
        Err(StoreError::WrongSchema { found, needed }) => findings.bad(
            format!("the schema is at version {found}, this program needs {needed}"),
            "run `raincheck migrate`; `raincheck up` does it by itself",
        ),
        Err(error) => findings.bad(Chain(&error).to_string(), advice),
    }
    true
}

/// A server that was told not to wait for its disk cannot keep what it has confirmed.
fn doubt_durability(facts: &str, findings: &mut Findings) {
    for (fact, cost) in [
        ("fsync=off", "a power loss can destroy the whole database"),
        ("full_page_writes=off", "a power loss can destroy pages of the database"),
        ("synchronous_commit=off", "a crash of the database server can lose jobs that were answered with 202"),
    ] {
        if facts.contains(fact) {
            findings.doubt(
                format!("PostgreSQL runs with {fact}: {cost}"),
                "switch it on in postgresql.conf, unless this is a database for tests",
            );
        }
    }
}

/// An API makes partitions of its tables ahead, so what is missing here is missed days later.
fn doubt_rights(facts: &str, findings: &mut Findings) {
    for (fact, lack) in [
        ("tables=of another role", "the tables belong to another role, and this one is no member of it"),
        ("create in schema=refused", "this role may create nothing in the schema of the tables"),
    ] {
        if facts.contains(fact) {
            findings.doubt(
                format!("{lack}: an API cannot make the partitions of the days to come"),
                "let APIs use the role that runs `raincheck migrate`; workers need neither",
            );
        }
    }
}

/// Whether the file can be there at all.
fn check_folder(file: &Path, findings: &mut Findings) -> bool {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match try_to_write(folder) {
        Ok(()) => {
            findings.good(format!("The data folder {} can be written", folder.display()));
            true
        }
        Err(why) => {
            findings.bad(
                format!("the data folder {} cannot be written: {why}", folder.display()),
                "give it to the user that raincheck runs as, or set another path in `store.url`",
            );
            false
        }
    }
}

fn named(settings: &StoreSettings) -> String {
    match settings {
        StoreSettings::Sqlite { path } => path.display().to_string(),
        StoreSettings::Postgres { url, .. } => url.to_string(),
    }
}
