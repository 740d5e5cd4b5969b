//! `[webhooks]`: how events are told, to whom, and signed with what.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use config::{Value, ValueKind};

use super::section::{Read, Section};
use super::sections::{DAY, millis};
use super::value::{Parsed, boolean, ca_file, duration, list, parsed, whole};
use crate::domain::{AllowedReceiver, SigningKey, TenantName, WebhookSecret};

/// Each signature is a header's worth of bytes and of work for each attempt.
const MOST_KEYS: usize = 5;
const MOST_RETRIES: usize = 50;

/// `[webhooks]`
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// `secrets`: by tenant; each delivery carries a signature for each of them
    secrets: BTreeMap<TenantName, Vec<WebhookSecret>>,
    /// `signing_keys`: for signatures that anybody can check
    pub signing_keys: Vec<SigningKey>,
    /// `allow`: receivers that are not on the public internet
    pub allow: Vec<AllowedReceiver>,
    /// `allow_http`: whether they may be spoken to in the clear
    pub allow_http: bool,
    /// `ca_file`: certificates in PEM to trust besides the public ones
    pub ca_file: Option<PathBuf>,
    /// `timeout`: of one attempt, from the look-up of the name to the last byte that is read
    pub timeout: Duration,
    /// `retries`: the pauses after attempts that came to nothing
    pub retries: Vec<Duration>,
    /// `concurrency`: attempts at once of one process
    pub concurrency: u32,
    /// `per_receiver`: the same to one receiver
    pub per_receiver: u32,
}

impl WebhookSettings {
    /// What signs the deliveries of a tenant: its own and nobody else's, since whoever knows a secret can make calls that
    /// pass for those of everybody who is signed with it. Empty: nothing can be delivered.
    pub fn secrets_of(&self, tenant: &TenantName) -> &[WebhookSecret] {
        self.secrets.get(tenant).map_or(&[], Vec::as_slice)
    }

    /// Whether anything can be signed, so that there is anything to deliver.
    pub fn is_on(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// Whether there are several whose events are told, so that one's may not be in the way of another's.
    pub fn has_tenants(&self) -> bool {
        self.secrets.len() > 1
    }

    /// Each tenant with secrets, and how many.
    pub(super) fn secret_counts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.secrets.iter().map(|(tenant, secrets)| (tenant.as_str(), secrets.len()))
    }
}

pub(super) fn webhooks(s: &mut Section) -> Read<WebhookSettings> {
    let secrets = s.required("secrets", secrets);
    let signing_keys = s.required("signing_keys", few(parsed::<SigningKey>));
    let allow = s.required("allow", list(parsed::<AllowedReceiver>));
    let allow_http = s.required("allow_http", boolean);
    let ca_file = s.required("ca_file", ca_file);
    let timeout = s.required("timeout", duration(millis(100), Duration::from_mins(5)));
    let retries = s.required("retries", retries);
    let concurrency = s.required("concurrency", whole(1, 10_000));
    let per_receiver = s.required("per_receiver", whole(1, 1_000));
    Ok(WebhookSettings {
        secrets: secrets?,
        signing_keys: signing_keys?,
        allow: allow?,
        allow_http: allow_http?,
        ca_file: ca_file?,
        timeout: timeout?,
        retries: retries?,
        concurrency: concurrency?,
        per_receiver: per_receiver?,
    })
}

fn secrets(value: &Value) -> Parsed<BTreeMap<TenantName, Vec<WebhookSecret>>> {
    let ValueKind::Table(table) = &value.kind else {
        return Err("is not a table of lists, such as { default = [\"whsec_…\"] }".to_owned());
    };
    let read = |(name, value): (&String, &Value)| {
        let tenant = name.parse::<TenantName>().map_err(|error| error.to_string())?;
        match few(parsed::<WebhookSecret>)(value) {
            Ok(secrets) if secrets.is_empty() => Err(format!("`{name}` has none: leave it out")),
            Ok(secrets) => Ok((tenant, secrets)),
            Err(problem) => Err(format!("`{name}` {problem}")),
        }
    };
    table.iter().map(read).collect()
}

/// A list of keys, one more than one while they are rotated.
fn few<T>(item: impl Fn(&Value) -> Parsed<T>) -> impl Fn(&Value) -> Parsed<Vec<T>> {
    let read = list(item);
    move |value| {
        let items = read(value)?;
        if items.len() > MOST_KEYS { Err(format!("are more than {MOST_KEYS}")) } else { Ok(items) }
    }
}

fn retries(value: &Value) -> Parsed<Vec<Duration>> {
    let pauses = list(duration(millis(1), 30 * DAY))(value)?;
    if pauses.len() > MOST_RETRIES { Err(format!("are more than {MOST_RETRIES}")) } else { Ok(pauses) }
}
