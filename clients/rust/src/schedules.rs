//! Schedules: what the server makes jobs by, and when the next ones come.

use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::error::Error;
use crate::handle::{JobHandle, read_job};
use crate::new_job::idempotency_key;
use crate::request::{Answer, Request, encode};
use crate::transport::Size;

/// The schedules of a server. Made by [`Client::schedules`].
#[derive(Debug, Clone)]
pub struct Schedules(Client);

/// A schedule as it was when it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// What it is called; of a preview too.
    pub name: String,
    /// `[ZONE] MINUTE HOUR DAY MONTH WEEKDAY`.
    pub cron: String,
    /// What its jobs do.
    pub kind: String,
    /// Whether it makes none at the moment. A preview is not paused.
    pub paused: bool,
    /// Its next runs, soonest first.
    pub next: Vec<NextRun>,
    /// The whole document.
    pub raw: Value,
}

/// A run to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextRun {
    /// RFC 3339, in UTC.
    pub at: String,
    /// The same as the clock of the schedule's time zone shows it.
    pub local: String,
}

/// What a schedule is to be.
#[derive(Debug, Clone)]
#[must_use]
pub struct NewSchedule(Map<String, Value>);

impl NewSchedule {
    /// `cron` such as `Europe/Zurich 0 7 * * 1-5`; without a zone it is UTC.
    pub fn new(cron: impl Into<String>, kind: impl Into<String>) -> Self {
        Self(Map::new()).option("cron", cron.into()).option("kind", kind.into())
    }

    /// What each job is given: JSON.
    pub fn input(self, input: impl Into<Value>) -> Self {
        self.option("input", input)
    }

    /// Any other field of `PUT /v1/schedules/{name}`, such as `catch_up`, `queue`, `timeouts`, `tags`.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }
}

impl Client {
    /// What the server makes jobs by. Asks nothing.
    pub fn schedules(&self) -> Schedules {
        Schedules(self.clone())
    }
}

impl Schedules {
    /// All of them, by name, each with its next run, unless it is paused.
    pub async fn list(&self) -> Result<Vec<Schedule>, Error> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let more = cursor.map(|cursor| format!("&cursor={}", encode(&cursor))).unwrap_or_default();
            let request = Request::get(format!("/v1/schedules?limit=100{more}"));
            let (page, next) = self.ask(&request, read_page).await?;
            all.extend(page);
            match next {
                None => return Ok(all),
                next => cursor = next,
            }
        }
    }

    /// One of them, with so many next runs.
    pub async fn get(&self, name: &str, runs: u32) -> Result<Schedule, Error> {
        self.ask(&Request::get(format!("{}?runs={runs}", path(name, ""))), read).await
    }

    /// Makes it, or makes what there is of that name into it.
    pub async fn put(&self, name: &str, schedule: NewSchedule) -> Result<Schedule, Error> {
        self.ask(&put(name, &schedule.0), read).await
    }

    /// What [`Schedules::put`] would make, and when that would run. Nothing is kept.
    pub async fn preview(&self, name: &str, schedule: NewSchedule) -> Result<Schedule, Error> {
        self.ask(&put(name, &schedule.option("validate_only", true).0), read).await
    }

    /// Lets it make no jobs until it is resumed.
    pub async fn pause(&self, name: &str) -> Result<Schedule, Error> {
        self.ask(&Request::post(path(name, "/pause"), "application/json", ""), read).await
    }

    /// Lets it go on with the next tick after the present.
    pub async fn resume(&self, name: &str) -> Result<Schedule, Error> {
        self.ask(&Request::post(path(name, "/resume"), "application/json", ""), read).await
    }

    /// A job of it now, beside its ticks. Sent again after any fault, it is one job. `key`: an idempotency key, or `None`
    /// for a fresh one; all errors carry it.
    pub async fn trigger(&self, name: &str, key: impl Into<Option<String>>) -> Result<JobHandle, Error> {
        let key = idempotency_key(key.into())?;
        let request = Request::post(path(name, "/trigger"), "application/json", "");
        let request = request.header("idempotency-key", format!("\"{key}\"")).header("prefer", "respond-async");
        let job = self.0.with_retries(&request, None, Size::Document, read_job).await;
        let job = job.map_err(|error| error.about_key(&key))?;
        Ok(JobHandle::new(self.0.clone(), job.id().to_owned(), Some(key), Some(job)))
    }

    /// Ends it. Jobs that it made stay. `false`: there was none, as after a delete whose answer was lost.
    pub async fn delete(&self, name: &str) -> Result<bool, Error> {
        match self.ask(&Request::delete(path(name, "")), |_| Some(())).await {
            Ok(()) => Ok(true),
            Err(error) if error.problem().is_some_and(|problem| problem.code == "schedule-not-found") => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn ask<T>(&self, request: &Request, read: impl Fn(&Answer) -> Option<T>) -> Result<T, Error> {
        let whole = |answer: &Answer| read(answer).ok_or_else(|| answer.garbled());
        self.0.with_retries(request, None, Size::Document, whole).await
    }
}

fn path(name: &str, below: &str) -> String {
    format!("/v1/schedules/{}{below}", encode(name))
}

fn put(name: &str, fields: &Map<String, Value>) -> Request {
    Request::put(path(name, ""), "application/json", json!(fields).to_string())
}

fn read(answer: &Answer) -> Option<Schedule> {
    schedule(answer.json().ok()?)
}

fn read_page(answer: &Answer) -> Option<(Vec<Schedule>, Option<String>)> {
    let mut page: Value = answer.json().ok()?;
    let Value::Array(schedules) = page["schedules"].take() else { return None };
    let schedules = schedules.into_iter().map(schedule).collect::<Option<_>>()?;
    Some((schedules, page["next_cursor"].as_str().map(str::to_owned)))
}

fn schedule(raw: Value) -> Option<Schedule> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let run = |run: &Value| Some(NextRun { at: text(&run["at"])?, local: text(&run["local"])? });
    Some(Schedule {
        name: text(&raw["name"])?,
        cron: text(&raw["cron"])?,
        kind: text(&raw["kind"])?,
        paused: raw["paused"] == true,
        next: raw["next"].as_array()?.iter().map(run).collect::<Option<_>>()?,
        raw,
    })
}
