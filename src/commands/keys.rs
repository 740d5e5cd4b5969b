//! `raincheck keys`: makes, lists and ends the keys of callers. Works on the store, beside whatever runs.

use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::backends::open_store_beside;
use raincheck_shared::config::Settings;
use raincheck_shared::domain::{ApiKey, KeyText, Scope, Timestamp};
use raincheck_shared::lifecycle::{Clock, IdSource, Shutdown, SystemClock};
use raincheck_shared::store::{SchemaVersion, Store};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::cli::{CreateKeyArgs, KeysCommand};
use crate::failure::Failure;
use crate::schema_gate;
use crate::terminal::Terminal;

/// How long a revoked key may still work: what `docs/tenants.md` says.
const REMEMBERED: &str = "5 seconds";
/// How long a database that is still starting is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(command: &KeysCommand, settings: Settings, terminal: &Terminal) -> Result<(), Failure> {
    let clock = SystemClock::shared();
    let store = open_store_beside(&settings.store, Arc::clone(&clock))
        .await
        .map_err(|error| Failure::store("the store could not be opened", error))?;
    let done = with_store(command, &settings, &store, &*clock, terminal).await;
    store.schema.close().await;
    done
}

async fn with_store(
    command: &KeysCommand,
    settings: &Settings,
    store: &Store,
    clock: &dyn Clock,
    terminal: &Terminal,
) -> Result<(), Failure> {
    // A file that was never used is made ready; a database is the operator's to migrate.
    if matches!(settings.store, raincheck_shared::config::StoreSettings::Sqlite { .. }) {
        schema_gate::migrate(&*store.schema, clock, Some(PATIENCE), &Shutdown::new()).await?;
    }
    let version = store.schema.version().await.and_then(SchemaVersion::check);
    version.map_err(|error| Failure::store("the store cannot be used", error))?;
    match command {
        KeysCommand::Create(arguments) => create(arguments, store, terminal).await,
        KeysCommand::List(arguments) => list(arguments.json, store, terminal).await,
        KeysCommand::Revoke(arguments) => {
            let revoked = store.keys.revoke_key(&arguments.id).await;
            let revoked = revoked.map_err(|error| Failure::because("the key could not be revoked", error))?;
            let Some(key) = revoked else { return Err(Failure::new(format!("there is no key {}", arguments.id))) };
            if arguments.json {
                return terminal.say(document(&key));
            }
            terminal.line(format_args!(
                "The key {} ({}, tenant {}) is revoked. It stops working within {REMEMBERED}.",
                key.id, key.name, key.tenant
            ));
            Ok(())
        }
    }
}

async fn create(arguments: &CreateKeyArgs, store: &Store, terminal: &Terminal) -> Result<(), Failure> {
    let failed = |error| Failure::because("the key could not be made", error);
    let now = store.schema.time().await.map_err(failed)?;
    let text = KeyText::new([IdSource.random(), IdSource.random(), IdSource.random()]);
    let mut scopes = arguments.scope.clone();
    if scopes.is_empty() {
        scopes = vec![Scope::JobsWrite, Scope::JobsRead];
    }
    scopes.sort_unstable();
    scopes.dedup();
    let key = ApiKey {
        id: text.id().clone(),
        tenant: arguments.tenant.clone(),
        name: arguments.name.clone(),
        hash: text.hash(),
        scopes,
        created_at: now,
        expires_at: arguments
            .expires_in
            .map(|after| now.saturating_add(after.try_into().unwrap_or(time::Duration::MAX))),
        revoked_at: None,
        last_used_at: None,
    };
    store.keys.create_key(&key).await.map_err(failed)?;
    // The key alone on stdout, for `KEY=$(raincheck keys create …)`.
    terminal.note(format_args!(
        "A key for tenant {} with {}{}. It is shown this once: only its SHA-256 is kept.",
        key.tenant,
        named(&key.scopes),
        key.expires_at.map(|at| format!(", good until {}", instant(at))).unwrap_or_default(),
    ));
    let shown = if arguments.json {
        let mut made = document(&key);
        made["key"] = json!(text.expose());
        made.to_string()
    } else {
        text.expose().to_owned()
    };
    let said = terminal.say(shown);
    if said.is_err() {
        // Nobody has it, or only a part of it, and nobody ever will.
        store.keys.revoke_key(&key.id).await.map_err(failed)?;
    }
    said
}

async fn list(as_json: bool, store: &Store, terminal: &Terminal) -> Result<(), Failure> {
    let failed = |error| Failure::because("the keys could not be read", error);
    let now = store.schema.time().await.map_err(failed)?;
    let keys = store.keys.list_keys().await.map_err(failed)?;
    if as_json {
        return keys.iter().try_for_each(|key| terminal.say(document(key)));
    }
    if keys.is_empty() {
        return terminal.say("No key was ever made.");
    }
    let mut rows = vec![["ID", "TENANT", "NAME", "SCOPES", "STATE", "CREATED", "LAST USED"].map(str::to_owned)];
    rows.extend(keys.iter().map(|key| {
        [
            key.id.to_string(),
            key.tenant.to_string(),
            key.name.clone(),
            named(&key.scopes),
            state(key, now),
            instant(key.created_at),
            key.last_used_at.map_or_else(|| "never".to_owned(), instant),
        ]
    }));
    let widths: Vec<usize> =
        (0..rows[0].len()).map(|n| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        terminal.say(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A key for programs, without its secret.
fn document(key: &ApiKey) -> Value {
    json!({
        "id": key.id.to_string(), "tenant": key.tenant.to_string(), "name": key.name,
        "scopes": key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "created_at": instant(key.created_at), "expires_at": key.expires_at.map(instant),
        "revoked_at": key.revoked_at.map(instant), "last_used_at": key.last_used_at.map(instant),
    })
}

fn state(key: &ApiKey, now: Timestamp) -> String {
    match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", instant(at)),
        (None, Some(at)) if !key.is_good(now) => format!("expired {}", instant(at)),
        (None, Some(at)) => format!("until {}", instant(at)),
        (None, None) => "good".to_owned(),
    }
}

fn named(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",")
}

fn instant(at: Timestamp) -> String {
    at.truncate_to_second().format(&Rfc3339).unwrap_or_default()
}
