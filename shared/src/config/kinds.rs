//! `[kinds.*]`: what clients may ask for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use config::{Value, ValueKind};

use super::kind::{InputSchema, Kind, Run};
use super::runner::runner;
use super::section::{Noted, Read, Section};
use super::sections::{DAY, millis};
use super::value::{Parsed, duration, json, line, list, parsed, path, text, whole};
use super::{JobSettings, QuotaSettings, format_duration};
use crate::domain::{FlowRules, KindLimits, KindName, QueueName, Rate, RetryPolicy};

/// More jobs at once than any installation runs.
pub(super) const MOST_PERMITS: u32 = 1_000_000;

pub(super) fn kinds(
    s: &mut Section,
    jobs: Option<&JobSettings>,
    public_url: Option<&str>,
) -> BTreeMap<KindName, Arc<Kind>> {
    let mut kinds = BTreeMap::new();
    for key in s.keys() {
        let name = key.parse::<KindName>().map_err(|error| s.problem(&key, error.to_string()));
        if let Ok(kind) = s.named_section(&key, |section| kind(section, name, jobs, public_url)) {
            kinds.insert(kind.name.clone(), Arc::new(kind));
        }
    }
    kinds
}

/// What is limited of kinds and of tenants.
pub(super) fn flow_rules(kinds: &BTreeMap<KindName, Arc<Kind>>, quotas: &QuotaSettings) -> FlowRules {
    let limited = kinds.values().filter(|kind| kind.limits != KindLimits::default());
    FlowRules {
        kinds: limited.map(|kind| (kind.name.clone(), kind.limits)).collect(),
        each_tenant: quotas.each.concurrent_jobs,
        tenants: quotas.of_tenants.iter().map(|(name, quotas)| (name.clone(), quotas.concurrent_jobs)).collect(),
    }
}

fn kind(s: &mut Section, name: Read<KindName>, jobs: Option<&JobSettings>, public_url: Option<&str>) -> Read<Kind> {
    let run = runner(s, public_url);
    let queue = s.optional("queue", parsed::<QueueName>);
    let timeout = s.optional("timeout", duration(millis(1), 365 * DAY));
    let retry = retry(s);
    let concurrency = s.optional("concurrency", whole(1, 10_000));
    let limits = limits(s);
    let content_types = s.optional("content_types", list(media_range));
    let output_type = s.optional("output_type", media_type);
    let schema = schema(s);
    let retention = s.optional("retention", duration(Duration::from_secs(1), 3_650 * DAY));
    let description = s.optional("description", line(1_000));

    if s.has("concurrency") && s.has("remote") {
        s.problem("concurrency", "means nothing with `remote`: each remote worker leases as many as it can run");
    }
    let jobs = jobs.ok_or(Noted)?;
    let timeout = timeout?.unwrap_or(Duration::from_mins(10).min(jobs.max_run_timeout));
    let retention = retention?.unwrap_or(jobs.retention);
    for (key, asked, limit, most) in [
        ("timeout", timeout, "jobs.max_run_timeout", jobs.max_run_timeout),
        ("retention", retention, "jobs.max_retention", jobs.max_retention),
    ] {
        if asked > most {
            s.problem(key, format!("{} is more than `{limit}` ({})", format_duration(asked), format_duration(most)));
        }
    }
    let run = run?;
    let default_concurrency = match run {
        Run::Echo | Run::Sleep | Run::Takeaway => 256,
        Run::Command(_) | Run::Http(_) | Run::Custom | Run::Remote => 16,
    };
    Ok(Kind {
        name: name?,
        run,
        queue: match queue? {
            Some(queue) => queue,
            None => "default".parse().map_err(|_| Noted)?,
        },
        timeout,
        retry: retry?,
        concurrency: concurrency?.unwrap_or(default_concurrency),
        limits: limits?,
        content_types: content_types?.unwrap_or_default(),
        output_type: output_type?.unwrap_or_else(|| "text/plain; charset=utf-8".to_owned()),
        schema: schema?,
        retention,
        description: description?,
    })
}

fn retry(s: &mut Section) -> Read<RetryPolicy> {
    let max_attempts = s.optional("max_attempts", whole(1, 1_000));
    let base = s.optional("backoff", duration(millis(1), DAY));
    let cap = s.optional("max_backoff", duration(millis(1), 30 * DAY));
    let base = base?.unwrap_or(Duration::from_secs(2));
    // A long first delay alone is no contradiction.
    let cap = cap?.unwrap_or(Duration::from_mins(5).max(base));
    if base > cap {
        let (base, cap) = (format_duration(base), format_duration(cap));
        return Err(s.clash(&["backoff", "max_backoff"], format!("{base} is more than `max_backoff` ({cap})")));
    }
    Ok(RetryPolicy { max_attempts: max_attempts?.unwrap_or(3), base, cap })
}

fn limits(s: &mut Section) -> Read<KindLimits> {
    let concurrent_jobs = s.optional("concurrent_jobs", whole(1, MOST_PERMITS));
    let rate = s.optional("rate", parsed::<Rate>);
    let concurrent_per_key = s.optional("concurrent_per_key", whole(1, MOST_PERMITS));
    let rate_per_key = s.optional("rate_per_key", parsed::<Rate>);
    Ok(KindLimits {
        concurrent_jobs: concurrent_jobs?,
        rate: rate?,
        concurrent_per_key: concurrent_per_key?,
        rate_per_key: rate_per_key?,
    })
}

fn media_type(value: &Value) -> Parsed<String> {
    let text = text(value)?;
    let token =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c));
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence.split_once('/') {
        Some((major, minor))
            if token(major) && token(minor) && text.len() <= 200 && text.chars().all(|c| (' '..='~').contains(&c)) =>
        {
            Ok(text)
        }
        _ => Err(format!("{text:?} is not a media type, such as \"application/json\" or \"image/png\"")),
    }
}

fn media_range(value: &Value) -> Parsed<String> {
    let range = text(value)?.trim().to_ascii_lowercase();
    let probe = range.strip_suffix("/*").map_or(range.clone(), |major| format!("{major}/any"));
    if range.contains(';') {
        return Err(format!(
            "{range:?} has parameters; they are ignored when an input is looked at, so leave them out"
        ));
    }
    media_type(&Value::new(None, probe)).map(|_| range.clone()).map_err(|_| {
        format!("{range:?} is not a media type or a range of them, such as \"application/json\" or \"text/*\"")
    })
}

/// `schema` or `schema_file`.
fn schema(s: &mut Section) -> Read<Option<InputSchema>> {
    if s.has("schema") && s.has("schema_file") {
        s.clash(&["schema", "schema_file"], "give either `schema` or `schema_file`");
    }
    let inline = s.optional("schema", |value| match &value.kind {
        ValueKind::Table(_) => compile(json(value)),
        ValueKind::String(text) => compile(from_json(text)?),
        _ => Err("is neither a table nor JSON in a string".to_owned()),
    });
    let file = s.optional("schema_file", |value| {
        let path = path(value)?;
        let shown = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", shown.display()))?;
        from_json(&text).and_then(compile).map_err(|problem| format!("{}: {problem}", path.display()))
    });
    Ok(inline?.or(file?))
}

fn from_json(text: &str) -> Parsed<serde_json::Value> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

fn compile(source: serde_json::Value) -> Parsed<InputSchema> {
    InputSchema::compile(source).map_err(|error| format!("not a JSON Schema: {error}"))
}
