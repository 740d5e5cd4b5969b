//! Schedules: the body of a PUT, and how they are shown.

use std::collections::BTreeMap;

use bytes::Bytes;
use raincheck_shared::config::format_duration;
use raincheck_shared::domain::{
    CatchUp, Cron, Event, KindName, Payload, Schedule, ScheduleDefinition, ScheduleOptions, Timestamp,
};
use serde::Serialize;
use serde_json::value::RawValue;
use time::serde::rfc3339;

use super::links::LinkBase;
use super::object::Fields;
use super::strict_json::reads_strictly;
use super::submission::read_lasting_options;
use crate::engine::lasting;
use crate::http::extract::is_media_type;
use crate::http::problem::{Finding, Problem};

/// A body that was read.
#[derive(Debug)]
pub(crate) struct ReadSchedule {
    /// `None` when something of it was wrong, which is then among the findings.
    pub(crate) definition: Option<ScheduleDefinition>,
    pub(crate) validate_only: bool,
    /// All that was wrong with its shape.
    pub(crate) findings: Vec<Finding>,
}

/// Reads the body of `PUT /v1/schedules/{schedule}`.
pub(crate) fn read_schedule(body: &Bytes) -> Result<ReadSchedule, Problem> {
    let mut fields = Fields::of_body(body)?;
    let cron: Option<Cron> = required(&mut fields, "cron");
    let kind: Option<KindName> = required(&mut fields, "kind");
    let catch_up: Option<CatchUp> = parsed(&mut fields, "catch_up");
    let most = fields.number("catch_up_most", 1, CatchUp::MOST.into()).and_then(|most| u32::try_from(most).ok());
    let catch_up = catch_up.unwrap_or(CatchUp::One);
    if most.is_some() && catch_up.most().is_none() {
        fields.fault("catch_up_most", "means nothing without \"catch_up\": \"all\"");
    }
    let input = read_input(body, &mut fields);
    let options = lasting(read_lasting_options(&mut fields));
    let validate_only = fields.flag("validate_only");
    let findings = fields.finish();
    let definition = match (cron, kind, input) {
        (Some(cron), Some(kind), Some(input)) if findings.is_empty() => {
            let catch_up = catch_up.with_most(most.unwrap_or(CatchUp::USUAL));
            Some(ScheduleDefinition { cron, catch_up, kind, input, options })
        }
        _ => None,
    };
    Ok(ReadSchedule { definition, validate_only, findings })
}

fn required<T>(fields: &mut Fields<'_>, name: &str) -> Option<T>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let faults = fields.findings.len();
    let value = parsed(fields, name);
    if value.is_none() && fields.findings.len() == faults {
        fields.fault(name, "is required");
    }
    value
}

fn parsed<T>(fields: &mut Fields<'_>, name: &str) -> Option<T>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    match fields.text(name)?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            fields.fault(name, T::Err::to_string(&error));
            None
        }
    }
}

/// `input` and `content_type`: JSON as it stands in the body, or a text that is the input of another type.
fn read_input(body: &Bytes, fields: &mut Fields<'_>) -> Option<Payload> {
    let content_type = fields.text("content_type");
    if content_type.as_deref().is_some_and(|content_type| content_type.len() > 255 || !is_media_type(content_type)) {
        fields.fault("content_type", "must be a media type such as text/plain");
        return None;
    }
    match content_type {
        Some(content_type) if !Payload::is_json_type(&content_type) => {
            let faults = fields.findings.len();
            let text = fields.text("input");
            if text.is_none() && fields.findings.len() == faults {
                fields.fault("input", format!("must be a string to be {content_type}"));
            }
            Some(Payload { content_type, bytes: text?.into() })
        }
        content_type => {
            let raw = fields.raw("input");
            if raw.is_some_and(|raw| !reads_strictly(raw.get().as_bytes())) {
                fields.fault(
                    "input",
                    "has half of a surrogate pair, a number that is too large, or more than 50 levels: not all can read that",
                );
                return None;
            }
            let json =
                Payload::json(raw.map_or(Bytes::from_static(b"null"), |raw| body.slice_ref(raw.get().as_bytes())));
            Some(Payload { content_type: content_type.unwrap_or_else(|| json.content_type.clone()), ..json })
        }
    }
}

/// A schedule.
#[derive(Debug, Serialize)]
pub(crate) struct ScheduleView<'a> {
    name: &'a str,
    source: &'static str,
    version: i32,
    #[serde(flatten)]
    definition: DefinitionView<'a>,
    paused: bool,
    #[serde(with = "rfc3339::option")]
    paused_at: Option<Timestamp>,
    #[serde(with = "rfc3339")]
    created_at: Timestamp,
    #[serde(with = "rfc3339")]
    updated_at: Timestamp,
    #[serde(with = "rfc3339::option")]
    next_at: Option<Timestamp>,
    next: Vec<RunView>,
    #[serde(with = "rfc3339::option")]
    last_at: Option<Timestamp>,
    last_job: Option<String>,
    missed: u64,
    problem: Option<&'a str>,
    links: ScheduleLinks,
}

/// What would be a schedule.
#[derive(Debug, Serialize)]
pub(crate) struct SchedulePreview<'a> {
    valid: bool,
    name: &'a str,
    #[serde(flatten)]
    definition: DefinitionView<'a>,
    next: Vec<RunView>,
}

#[derive(Debug, Serialize)]
struct DefinitionView<'a> {
    cron: String,
    time_zone: &'a str,
    catch_up: &'static str,
    catch_up_most: Option<u32>,
    kind: &'a str,
    input: Option<Box<RawValue>>,
    content_type: &'a str,
    queue: Option<&'a str>,
    priority: Option<u8>,
    timeouts: Timeouts,
    retention: Retention,
    max_attempts: Option<i32>,
    concurrency_key: Option<&'a str>,
    metadata: &'a BTreeMap<String, String>,
    tags: &'a [String],
    webhook: Option<WebhookView<'a>>,
}

#[derive(Debug, Serialize)]
struct Timeouts {
    start: Option<String>,
    run: Option<String>,
}

#[derive(Debug, Serialize)]
struct Retention {
    input: Option<String>,
    result: Option<String>,
}

#[derive(Debug, Serialize)]
struct WebhookView<'a> {
    url: &'a str,
    events: Vec<&'a str>,
}

/// One of the runs ahead: the instant, and what the clock of the zone shows then.
#[derive(Debug, Serialize)]
struct RunView {
    #[serde(with = "rfc3339")]
    at: Timestamp,
    #[serde(with = "rfc3339")]
    local: Timestamp,
}

#[derive(Debug, Serialize)]
struct ScheduleLinks {
    #[serde(rename = "self")]
    itself: String,
    jobs: String,
    pause: String,
    resume: String,
    trigger: String,
}

impl<'a> ScheduleView<'a> {
    /// A schedule as it stands, with so many of its next runs.
    pub(crate) fn new(schedule: &'a Schedule, runs: usize, links: &LinkBase) -> Self {
        let path = format!("/v1/schedules/{}", schedule.name);
        let ahead = schedule
            .next_at
            .into_iter()
            .flat_map(|first| std::iter::once(first).chain(schedule.definition.cron.ticks_after(first)));
        Self {
            name: schedule.name.as_str(),
            source: schedule.source.as_str(),
            version: schedule.version,
            definition: DefinitionView::new(&schedule.definition),
            paused: schedule.paused_at.is_some(),
            paused_at: schedule.paused_at,
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
            next_at: schedule.next_at,
            next: ahead.take(runs).map(|at| RunView::new(&schedule.definition.cron, at)).collect(),
            last_at: schedule.last_at,
            last_job: schedule.last_job.map(|id| id.to_string()),
            missed: schedule.missed,
            problem: schedule.problem.as_deref(),
            links: ScheduleLinks {
                jobs: links.to(&format!("/v1/jobs?metadata.schedule={}", schedule.name)),
                pause: links.to(&format!("{path}/pause")),
                resume: links.to(&format!("{path}/resume")),
                trigger: links.to(&format!("{path}/trigger")),
                itself: links.to(&path),
            },
        }
    }
}

impl<'a> SchedulePreview<'a> {
    /// What would be kept, and when it would run next.
    pub(crate) fn new(name: &'a str, definition: &'a ScheduleDefinition, now: Timestamp, runs: usize) -> Self {
        let ahead = definition.cron.ticks_after(now).take(runs);
        let next = ahead.map(|at| RunView::new(&definition.cron, at)).collect();
        Self { valid: true, name, definition: DefinitionView::new(definition), next }
    }
}

impl RunView {
    fn new(cron: &Cron, at: Timestamp) -> Self {
        Self { at, local: cron.local(at) }
    }
}

impl<'a> DefinitionView<'a> {
    fn new(definition: &'a ScheduleDefinition) -> Self {
        let ScheduleDefinition { cron, catch_up, kind, input, options } = definition;
        let ScheduleOptions { webhook_url, webhook_events, .. } = options;
        let span = |span: Option<std::time::Duration>| span.map(format_duration);
        Self {
            cron: cron.to_string(),
            time_zone: cron.zone(),
            catch_up: catch_up.as_str(),
            catch_up_most: catch_up.most(),
            kind: kind.as_str(),
            input: shown(input),
            content_type: &input.content_type,
            queue: options.queue.as_deref(),
            priority: options.priority,
            timeouts: Timeouts { start: span(options.start_timeout), run: span(options.run_timeout) },
            retention: Retention { input: span(options.input_retention), result: span(options.result_retention) },
            max_attempts: options.max_attempts,
            concurrency_key: options.concurrency_key.as_deref(),
            metadata: &options.metadata,
            tags: &options.tags,
            webhook: webhook_url.as_deref().map(|url| WebhookView { url, events: events(webhook_events) }),
        }
    }
}

/// The input as it was given: JSON, or text as a string. `None`: it is JSON that would make the whole answer unreadable to many.
fn shown(input: &Payload) -> Option<Box<RawValue>> {
    let text = String::from_utf8_lossy(&input.bytes);
    if Payload::is_json_type(&input.content_type) {
        RawValue::from_string(text.into_owned()).ok().filter(|raw| reads_strictly(raw.get().as_bytes()))
    } else {
        serde_json::value::to_raw_value(&text).ok()
    }
}

fn events(given: &[String]) -> Vec<&str> {
    if given.is_empty() {
        Event::ENDS.iter().map(|event| event.as_str()).collect()
    } else {
        given.iter().map(String::as_str).collect()
    }
}
