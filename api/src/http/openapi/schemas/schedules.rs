//! Schedules: what is put, and what is shown.

use raincheck_shared::config::Settings;
use raincheck_shared::domain::{CatchUp, Event};
use serde_json::{Map, Value, json};

use super::jobs;
use super::shapes::{
    answer, count, described, duration, instant, job_id, links, name, of, or_null, page, request, text,
};

/// Their schemas by name.
pub(super) fn schemas(settings: &Settings) -> Vec<(&'static str, Value)> {
    vec![
        ("ScheduleRequest", wanted(settings)),
        ("Schedule", schedule()),
        ("SchedulePreview", preview()),
        ("SchedulePage", page("schedules", "Schedule")),
        ("ScheduledRun", run()),
    ]
}

const CRON: &str = "A time zone of the IANA database, UTC without one, and the five fields of cron: minute, hour, day of the \
                    month, month, day of the week.";
const CATCH_UP: &str = "What becomes of ticks that were missed: `skip` runs none that is more than a minute late, `one` runs the \
                        latest, `all` runs each.";

fn cron() -> Value {
    json!({ "type": "string", "description": CRON, "examples": ["Europe/Zurich 0 7 * * 1-5"] })
}

fn catch_up() -> Value {
    json!({ "enum": ["skip", "one", "all"], "description": CATCH_UP })
}

fn most() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": CatchUp::MOST, "description": "With `all`: so many, the latest." })
}

fn wanted(settings: &Settings) -> Value {
    let mut schema = jobs::options(settings);
    if let Some(properties) = schema["properties"].as_object_mut() {
        // What is about an instant cannot be said of many jobs.
        for instant in ["run_at", "delay", "deadline"] {
            properties.remove(instant);
        }
        let own = request(&json!({ "catch_up": catch_up(), "catch_up_most": most(), "content_type": text() }));
        properties.extend(own["properties"].as_object().cloned().unwrap_or_default());
        properties.insert("cron".to_owned(), cron());
        properties.insert("kind".to_owned(), name());
        let input = "What each job is given, byte for byte; a string that is the input, if `content_type` is not JSON.";
        properties.insert("input".to_owned(), json!({ "description": input }));
    }
    schema["required"] = json!(["cron", "kind"]);
    schema
}

fn definition() -> Map<String, Value> {
    let definition = json!({
        "cron": cron(),
        "time_zone": text(),
        "catch_up": catch_up(),
        "catch_up_most": or_null(&most()),
        "kind": name(),
        "input": { "description": "What each job is given; `null` where that is JSON that not every reader takes." },
        "content_type": text(),
        "queue": or_null(&name()),
        "priority": or_null(&json!({ "type": "integer", "minimum": 0, "maximum": 9 })),
        "timeouts": answer(&json!({ "start": or_null(&duration()), "run": or_null(&duration()) })),
        "retention": answer(&json!({ "input": or_null(&duration()), "result": or_null(&duration()) })),
        "max_attempts": or_null(&count(1)),
        "concurrency_key": or_null(&text()),
        "metadata": { "type": "object", "additionalProperties": text() },
        "tags": { "type": "array", "items": text() },
        "webhook": or_null(&answer(&json!({
            "url": text(),
            "events": { "type": "array", "items": { "enum": Event::OF_JOBS.map(Event::as_str) } },
        }))),
        "next": { "type": "array", "items": of("ScheduledRun"), "description": "Its next runs." },
    });
    definition.as_object().cloned().unwrap_or_default()
}

fn schedule() -> Value {
    let own = json!({
        "name": name(),
        "source": { "enum": ["api", "config"], "description": "`config`: it is what the configuration says." },
        "version": described(&count(1), "Rises with each change that somebody made."),
        "paused": { "type": "boolean" },
        "paused_at": or_null(&instant()),
        "created_at": instant(),
        "updated_at": instant(),
        "next_at": or_null(&described(&instant(), "The first tick that was not run yet.")),
        "last_at": or_null(&described(&instant(), "The tick that was run last.")),
        "last_job": or_null(&described(&job_id(), "The job of that.")),
        "missed": described(&count(0), "Ticks that were passed over since it was made."),
        "problem": or_null(&described(&text(), "Why a tick that is due has no job yet.")),
        "links": links(&["self", "jobs", "pause", "resume", "trigger"]),
    });
    let mut fields = definition();
    fields.extend(own.as_object().cloned().unwrap_or_default());
    answer(&Value::Object(fields))
}

fn preview() -> Value {
    let mut fields = definition();
    fields.insert("valid".to_owned(), json!({ "const": true }));
    fields.insert("name".to_owned(), name());
    answer(&Value::Object(fields))
}

fn run() -> Value {
    answer(&json!({
        "at": instant(),
        "local": described(&instant(), "The same instant as the clock of the zone shows it."),
    }))
}
