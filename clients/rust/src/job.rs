//! A job as it was at one version.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A snapshot. Loop on [`Job::done`], never on the list of statuses.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    id: String,
    kind: String,
    status: String,
    done: bool,
    version: u64,
    raw: Value,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress<'a> {
    /// From 0 to 100.
    pub percent: Option<f64>,
    /// For people.
    pub message: Option<&'a str>,
}

/// Why a job failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobError<'a> {
    /// For instance `handler-error` or `run-timeout`.
    pub code: &'a str,
    /// For people.
    pub message: Option<&'a str>,
    /// The attempt that ended it.
    pub attempt: Option<u64>,
}

impl Job {
    /// The job in a JSON document; `None` if that is no job.
    pub fn read(raw: Value) -> Option<Self> {
        let text = |name: &str| raw[name].as_str().map(str::to_owned);
        Some(Self {
            id: text("id")?,
            kind: text("kind")?,
            status: text("status")?,
            done: raw["done"].as_bool()?,
            version: raw["version"].as_u64()?,
            raw,
        })
    }

    /// A UUIDv7.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it does.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// `scheduled`, `queued`, `in_progress`, `retrying`, `succeeded`, `failed`, `canceled`, `expired`, or what comes later.
    pub fn status(&self) -> &str {
        &self.status
    }

    /// Whether it has ended.
    pub fn done(&self) -> bool {
        self.done
    }

    /// Rises by one with each visible change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Every field as the server sent it.
    pub fn raw(&self) -> &Value {
        &self.raw
    }

    /// The same, for keeps.
    pub fn into_raw(self) -> Value {
        self.raw
    }

    /// Whether it has ended well.
    pub fn succeeded(&self) -> bool {
        self.status == "succeeded"
    }

    /// `None` before its handler said how far it is.
    pub fn progress(&self) -> Option<Progress<'_>> {
        let progress = self.raw["progress"].as_object()?;
        let part = |name: &str| progress.get(name);
        Some(Progress {
            percent: part("percent").and_then(Value::as_f64),
            message: part("message").and_then(Value::as_str),
        })
    }

    /// Why it failed. `None` when it did not, was canceled, or expired.
    pub fn error(&self) -> Option<JobError<'_>> {
        let error = &self.raw["error"];
        let code = error["code"].as_str()?;
        Some(JobError { code, message: error["message"].as_str(), attempt: error["attempt"].as_u64() })
    }

    /// The result, where it is short enough to be part of the job. [`JobHandle::result`](crate::JobHandle::result) gets it
    /// always.
    pub fn value(&self) -> Option<&Value> {
        self.raw["result"].get("value").filter(|value| !value.is_null())
    }

    /// The same, parsed. Null where there is none.
    pub fn value_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(self.value().unwrap_or(&Value::Null))
    }

    /// After which another look is worth it.
    pub fn poll_after(&self) -> Duration {
        Duration::from_millis(self.raw["poll_after_ms"].as_u64().unwrap_or(1000).max(100))
    }

    /// What is to be said of one that did not end well.
    pub(crate) fn ending(&self) -> String {
        let Some(error) = self.error() else { return format!("the job {}", self.status) };
        let message = error.message.map(|message| format!(": {message}")).unwrap_or_default();
        format!("the job {}: {}{message}", self.status, error.code)
    }
}
