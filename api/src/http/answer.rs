//! Answers that carry a job.

use std::time::{Duration, SystemTime};

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue, HttpDate};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use raincheck_shared::domain::{Job, Timestamp};
use raincheck_shared::lifecycle::IdSource;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Front;
use super::code::Code;
use super::extract::IfNoneMatch;
use super::problem::Problem;
use super::wire::{JobView, hex, poll_after, retry_after};
use crate::engine::{Forecast, Level};

/// What answers depend on besides their URL.
const VARY: HeaderValue = HeaderValue::from_static("Authorization, Prefer, Accept");
/// Which preferences of the client's were met.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Of answers that nobody may keep.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The entity tag of a job, without its quotes: its version. `webhook` can change while the version does not, and then a
/// count of these changes stands behind it: one tag never means two bodies.
pub(crate) fn tag(job: &Job) -> String {
    let summary = job.webhook.as_ref().and_then(|webhook| webhook.summary);
    match summary.map_or(0, |summary| summary.changes) {
        0 => job.version.to_string(),
        changes => format!("{}.{changes}", job.version),
    }
}

/// An HTTP date.
pub(crate) fn http_date(at: Timestamp) -> HttpDate {
    HttpDate::from(SystemTime::from(at))
}

/// `RateLimit-Policy` and `RateLimit`: how often may be submitted, and how much of that is left.
pub(crate) fn rate_limit(level: &Level) -> Vec<(HeaderName, HeaderValue)> {
    let seconds = |span: Duration| span.as_secs() + u64::from(span.subsec_nanos() > 0);
    let policy = format!("\"submit\";q={};w={}", level.quota, seconds(Level::WINDOW));
    let rest = format!("\"submit\";r={};t={}", level.remaining, seconds(level.full_after));
    let named = [("ratelimit-policy", policy), ("ratelimit", rest)];
    let header = |(name, value): (&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
    };
    named.into_iter().filter_map(header).collect()
}

/// Bytes that most answers fit into: one that grows as it is written is copied over and over.
const USUAL: usize = 2048;

/// Any JSON.
pub(crate) fn json(builder: &mut HttpResponseBuilder, body: &impl Serialize) -> Result<HttpResponse, Problem> {
    let mut bytes = Vec::with_capacity(USUAL);
    serde_json::to_writer(&mut bytes, body).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Problem::new(Code::InternalError, "the answer cannot be written")
    })?;
    Ok(builder.insert_header((header::CONTENT_TYPE, "application/json")).body(bytes))
}

/// Any JSON that changes with the configuration only: with an entity tag, so that who has it need not read it again.
pub(crate) fn cacheable_json(request: &HttpRequest, body: &impl Serialize) -> Result<HttpResponse, Problem> {
    let mut builder = HttpResponse::Ok();
    let whole = json(&mut builder, body)?;
    let bytes = whole.into_body().try_into_bytes().unwrap_or_default();
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let tag: String = hex(&digest).chars().take(32).collect();
    let unchanged = IfNoneMatch::of(request).matches(&tag);
    let mut builder = HttpResponse::build(if unchanged { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    builder
        .insert_header((header::ETAG, format!("\"{tag}\"")))
        .insert_header((header::CACHE_CONTROL, "private, max-age=60"))
        .insert_header((header::VARY, VARY));
    Ok(if unchanged {
        builder.finish()
    } else {
        builder.insert_header((header::CONTENT_TYPE, "application/json")).body(bytes)
    })
}

/// An answer about one job: entity tag, when to ask again, when it will be gone.
pub(crate) struct JobAnswer<'a> {
    front: &'a Front,
    job: &'a Job,
    /// Drawn once, so that header and body say the same.
    random: f64,
    now: Timestamp,
    forecast: Forecast,
    builder: HttpResponseBuilder,
}

impl<'a> JobAnswer<'a> {
    /// Begins an answer.
    pub(crate) fn new(front: &'a Front, job: &'a Job, status: StatusCode) -> Self {
        let (now, random) = (front.now(), IdSource.fraction());
        let forecast = front.desk.outlook().of(job, now);
        let mut builder = HttpResponse::build(status);
        builder.insert_header((header::ETAG, format!("\"{}\"", tag(job)))).insert_header((header::VARY, VARY));
        if let Some(wait) = poll_after(job, &forecast, now, random) {
            builder.insert_header((header::RETRY_AFTER, retry_after(wait)));
        }
        if let Some(at) = job.expires_at {
            builder.insert_header(("Sunset", http_date(at)));
        }
        Self { front, job, random, now, forecast, builder }
    }

    /// Adds a header, unless its value cannot stand in one.
    pub(crate) fn header(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.builder.insert_header((name, value));
        }
        self
    }

    /// Says how often may be submitted, where there is a quota.
    pub(crate) fn rated(mut self, level: Option<&Level>) -> Self {
        for header in level.into_iter().flat_map(rate_limit) {
            self.builder.insert_header(header);
        }
        self
    }

    /// Says which preferences were met.
    pub(crate) fn applied(self, applied: Option<String>) -> Self {
        match applied {
            Some(applied) => self.header(PREFERENCE_APPLIED, applied),
            None => self,
        }
    }

    /// The answer with the whole job.
    pub(crate) fn with_job(mut self) -> Result<HttpResponse, Problem> {
        let view = JobView::new(self.job, &self.forecast, &self.front.links, self.now, self.random);
        json(&mut self.builder, &view)
    }

    /// The answer without a body.
    pub(crate) fn bare(mut self) -> HttpResponse {
        self.builder.finish()
    }
}

/// How long a problem about an unfinished job tells clients to wait.
pub(crate) fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(retry_after(wait)).unwrap_or(u32::MAX)
}
