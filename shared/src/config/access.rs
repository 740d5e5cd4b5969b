//! `[auth]`, `[quotas]` and `[tenants.*]`: who may call, and how much each may use.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use config::Value;

use super::kinds::MOST_PERMITS;
use super::section::{Read, Section};
use super::sections::DAY;
use super::value::{Parsed, boolean, duration, whole};
use super::{AuthSettings, QuotaSettings, Quotas};
use crate::domain::TenantName;

const MOST_SUBMITS: u32 = 100_000_000;
const MOST_QUEUED: u64 = 1_000_000_000;

pub(super) fn auth(s: &mut Section) -> Read<AuthSettings> {
    let required = s.required("required", boolean);
    let ticket_lifetime = s.required("ticket_lifetime", duration(Duration::from_secs(1), DAY));
    Ok(AuthSettings { required: required?, ticket_lifetime: ticket_lifetime? })
}

/// Nobody is let in from elsewhere without a key, unless the operator says so by name. Whether there *are* keys only the
/// store knows, and a start must not depend on what it answers.
pub(super) fn check_door(http: &mut Section, listen: SocketAddr) {
    if !listen.ip().is_loopback() {
        let problem = format!(
            "{listen} can be reached from other machines, and no caller has to show a key. Set `auth.required = true` and \
             make keys with `raincheck keys create`, or listen on loopback, such as 127.0.0.1:{}, behind a proxy that asks \
             who calls, or set `http.listen_without_keys = true`",
            listen.port()
        );
        http.problem("listen", problem);
    }
}

pub(super) fn quotas(root: &mut Section) -> Read<QuotaSettings> {
    let each = root.section("quotas", |s| {
        let (submits, queued) = (s.required("submits_per_minute", submits), s.required("queued", queued));
        let concurrent_jobs = s.required("concurrent_jobs", concurrent_jobs);
        Ok(Quotas { submits_per_minute: submits?, queued: queued?, concurrent_jobs: concurrent_jobs? })
    });
    let defaults = each.as_ref().copied().unwrap_or_default();
    let of_tenants = root.optional_section("tenants", |s| Ok(tenants(s, defaults)));
    Ok(QuotaSettings { each: each?, of_tenants: of_tenants?.unwrap_or_default() })
}

fn tenants(s: &mut Section, defaults: Quotas) -> BTreeMap<TenantName, Quotas> {
    let mut tenants = BTreeMap::new();
    for key in s.keys() {
        let name = key.parse::<TenantName>().map_err(|error| s.problem(&key, error.to_string()));
        let quotas = s.named_section(&key, |s| {
            let (submits, queued) = (s.optional("submits_per_minute", submits), s.optional("queued", queued));
            let concurrent_jobs = s.optional("concurrent_jobs", concurrent_jobs);
            Ok(Quotas {
                submits_per_minute: submits?.unwrap_or(defaults.submits_per_minute),
                queued: queued?.unwrap_or(defaults.queued),
                concurrent_jobs: concurrent_jobs?.unwrap_or(defaults.concurrent_jobs),
            })
        });
        if let (Ok(name), Ok(quotas)) = (name, quotas) {
            tenants.insert(name, quotas);
        }
    }
    tenants
}

fn submits(value: &Value) -> Parsed<Option<u32>> {
    Ok(Some(whole(0, MOST_SUBMITS)(value)?).filter(|submits| *submits > 0))
}

fn queued(value: &Value) -> Parsed<Option<u64>> {
    Ok(Some(whole(0, MOST_QUEUED)(value)?).filter(|queued| *queued > 0))
}

fn concurrent_jobs(value: &Value) -> Parsed<Option<u32>> {
    Ok(Some(whole(0, MOST_PERMITS)(value)?).filter(|jobs| *jobs > 0))
}
