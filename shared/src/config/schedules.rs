//! `[schedules.*]`: jobs that are made by a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::ValueKind;

use super::section::{Read, Section};
use super::sections::{DAY, millis};
use super::settings::ConfiguredSchedule;
use super::value::{duration, json, list, parsed, text, texts, whole};
use crate::domain::{
    CatchUp, Cron, KindName, Payload, QueueName, ScheduleDefinition, ScheduleName, ScheduleOptions, TenantName,
};

/// Reads all of them. `kinds`: those that there are, if they could be read.
pub(super) fn schedules(s: &mut Section, kinds: Option<&BTreeSet<KindName>>) -> Vec<ConfiguredSchedule> {
    let mut schedules = BTreeMap::new();
    for key in s.keys() {
        let name = key.parse::<ScheduleName>().map_err(|error| s.problem(&key, error.to_string()));
        if let Ok(schedule) = s.named_section(&key, |section| schedule(section, name, kinds)) {
            schedules.insert((schedule.tenant.clone(), schedule.name.clone()), schedule);
        }
    }
    schedules.into_values().collect()
}

fn schedule(s: &mut Section, name: Read<ScheduleName>, kinds: Option<&BTreeSet<KindName>>) -> Read<ConfiguredSchedule> {
    let tenant = s.optional("tenant", parsed::<TenantName>);
    let cron = s.required("cron", parsed::<Cron>);
    let catch_up = s.optional("catch_up", parsed::<CatchUp>);
    let most = s.optional("catch_up_most", whole(1, CatchUp::MOST));
    let kind = s.required("kind", parsed::<KindName>);
    let input = input(s);
    let options = options(s);
    if let (Ok(kind), Some(kinds)) = (&kind, kinds)
        && !kinds.contains(kind)
    {
        let known = kinds.iter().map(KindName::as_str).collect::<Vec<_>>().join(", ");
        s.problem("kind", format!("there is no kind {:?}; there are {known}", kind.as_str()));
    }
    let catch_up = catch_up?.unwrap_or(CatchUp::One);
    let most = most?;
    if most.is_some() && catch_up.most().is_none() {
        return Err(s.problem("catch_up_most", "means nothing without `catch_up = \"all\"`"));
    }
    Ok(ConfiguredSchedule {
        tenant: tenant?.unwrap_or_default(),
        name: name?,
        definition: ScheduleDefinition {
            cron: cron?,
            catch_up: catch_up.with_most(most.unwrap_or(CatchUp::USUAL)),
            kind: kind?,
            input: input?,
            options: options?,
        },
    })
}

/// `input` or `input_json`, and `content_type`.
fn input(s: &mut Section) -> Read<Payload> {
    let content_type = s.optional("content_type", text);
    let given = s.optional("input", |value| Ok(value.clone()));
    let written = s.optional("input_json", |value| {
        let text = text(value)?;
        serde_json::from_str::<&serde_json::value::RawValue>(&text).map_err(|error| format!("not JSON: {error}"))?;
        Ok(text)
    });
    if s.has("input") && s.has("input_json") {
        return Err(s.clash(&["input", "input_json"], "give either `input` or `input_json`"));
    }
    let (content_type, given, written) = (content_type?, given?, written?);
    if let Some(text) = written {
        return Ok(typed(content_type, text));
    }
    match (content_type, given) {
        (Some(content_type), given) if !Payload::is_json_type(&content_type) => match given.map(|value| value.kind) {
            Some(ValueKind::String(text)) => Ok(typed(Some(content_type), text)),
            _ => Err(s.problem("input", format!("must be text in quotes to be {content_type}"))),
        },
        (content_type, given) => {
            let value = given.as_ref().map_or(serde_json::Value::Null, json);
            Ok(typed(content_type, value.to_string()))
        }
    }
}

fn typed(content_type: Option<String>, text: String) -> Payload {
    let json = Payload::json(text);
    match content_type {
        Some(content_type) => Payload { content_type, ..json },
        None => json,
    }
}

fn options(s: &mut Section) -> Read<ScheduleOptions> {
    let queue = s.optional("queue", parsed::<QueueName>);
    let priority = s.optional("priority", whole(0, 9));
    let start_timeout = s.optional("start_timeout", duration(millis(1), 365 * DAY));
    let run_timeout = s.optional("run_timeout", duration(millis(1), 365 * DAY));
    let input_retention = s.optional("input_retention", duration(Duration::ZERO, 3_650 * DAY));
    let result_retention = s.optional("result_retention", duration(Duration::from_secs(1), 3_650 * DAY));
    let max_attempts = s.optional("max_attempts", whole(1, 1_000));
    let concurrency_key = s.optional("concurrency_key", text);
    let metadata = s.optional("metadata", texts);
    let tags = s.optional("tags", list(text));
    let webhook_url = s.optional("webhook_url", text);
    let webhook_events = s.optional("webhook_events", list(text));
    if s.has("webhook_events") && !s.has("webhook_url") {
        return Err(s.problem("webhook_events", "means nothing without `webhook_url`"));
    }
    Ok(ScheduleOptions {
        queue: queue?.map(|queue| queue.to_string()),
        priority: priority?,
        start_timeout: start_timeout?,
        run_timeout: run_timeout?,
        input_retention: input_retention?,
        result_retention: result_retention?,
        max_attempts: max_attempts?,
        concurrency_key: concurrency_key?,
        metadata: metadata?.unwrap_or_default(),
        tags: tags?.unwrap_or_default(),
        webhook_url: webhook_url?,
        webhook_events: webhook_events?.unwrap_or_default(),
    })
}
