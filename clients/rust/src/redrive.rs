//! Failed jobs once more, many at a time.

use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::error::Error;
use crate::request::{Answer, Request};
use crate::transport::Size;

/// Jobs of one request.
const PAGE: usize = 100;

/// Which failed jobs: all, unless it says less.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Failed(Map<String, Value>);

/// What came of a redrive.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Redriven {
    /// What was tried once more, or would be.
    pub jobs: Vec<Retried>,
    /// What cannot be, or not now.
    pub refused: Vec<Unretried>,
    /// Whether there may be more, beyond the limit.
    pub more: bool,
}

/// A failed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    /// The one that failed.
    pub id: String,
    /// The new one; `None` in a dry run.
    pub retried_by: Option<String>,
}

/// A failed job that was not tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Unretried {
    /// The one that failed.
    pub id: String,
    /// The problem document that a retry would have had.
    pub problem: Value,
}

impl Failed {
    /// All of the caller's tenant.
    pub fn all() -> Self {
        Self::default()
    }

    /// Of this kind.
    pub fn kind(self, kind: impl Into<String>) -> Self {
        self.filter("kind", kind.into())
    }

    /// With this code, such as `worker-lost`.
    pub fn error_code(self, code: impl Into<String>) -> Self {
        self.filter("error_code", code.into())
    }

    /// Any other filter: `queue`; `since`, `until` (RFC 3339, of `created_at`); `tags` (a list, all of them).
    pub fn filter(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }
}

impl Client {
    /// Tries failed jobs once more, at most `limit` of them, newest first. Each is tried once, however often this is called
    /// and whatever answers are lost; those whose answer was lost are not named.
    pub async fn redrive(&self, which: &Failed, limit: usize) -> Result<Redriven, Error> {
        self.redriven(which, limit, false).await
    }

    /// Which [`Client::redrive`] would try. Nothing is made.
    pub async fn redrive_dry_run(&self, which: &Failed, limit: usize) -> Result<Redriven, Error> {
        self.redriven(which, limit, true).await
    }

    async fn redriven(&self, which: &Failed, limit: usize, dry: bool) -> Result<Redriven, Error> {
        let (mut all, mut cursor) = (Redriven::default(), Value::Null);
        loop {
            let left = limit.saturating_sub(all.jobs.len() + all.refused.len());
            if left == 0 {
                return Ok(Redriven { more: true, ..all });
            }
            let wish = json!({ "filter": which.0, "limit": left.min(PAGE), "dry_run": dry, "cursor": cursor });
            let request = Request::post("/v1/jobs/redrive", "application/json", wish.to_string());
            let whole = |answer: &Answer| read(answer).ok_or_else(|| answer.garbled());
            let (page, next) = self.with_retries(&request, None, Size::Document, whole).await?;
            all.jobs.extend(page.jobs);
            all.refused.extend(page.refused);
            if next.is_null() {
                return Ok(all);
            }
            cursor = next;
        }
    }
}

fn read(answer: &Answer) -> Option<(Redriven, Value)> {
    let page: Value = answer.json().ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let retried = |job: &Value| Some(Retried { id: text(&job["id"])?, retried_by: text(&job["retried_by"]) });
    let unretried = |job: &Value| Some(Unretried { id: text(&job["id"])?, problem: job["problem"].clone() });
    let jobs = page["jobs"].as_array()?.iter().map(retried).collect::<Option<_>>()?;
    let refused = page["refused"].as_array()?.iter().map(unretried).collect::<Option<_>>()?;
    Some((Redriven { jobs, refused, more: false }, page["next_cursor"].clone()))
}
