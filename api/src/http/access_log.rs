//! One line for each request that was answered, if `log.access` is on: who asked for what, and what it came to. Nothing
//! that a client chose stands in it as it came: the path is shown as its route, queries and headers are not shown.

use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::Method;
use actix_web::web;
use bytes::Bytes;
use raincheck_shared::domain::JobId;

use super::Front;

/// What methods are shown as; what else a client may say is `OTHER`.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];

/// A line, written when it is dropped: when the last of the answer was handed to the socket, or the client went away.
pub(crate) struct Line {
    front: web::Data<Front>,
    began: Instant,
    request_id: String,
    method: &'static str,
    route: String,
    job: Option<JobId>,
    status: u16,
    bytes: u64,
}

impl Line {
    /// For a request that came at `began`. `route`: the template of its path, if it has one.
    pub(crate) fn new(
        front: web::Data<Front>,
        began: Instant,
        request_id: &str,
        method: &Method,
        route: Option<String>,
        path: &str,
    ) -> Self {
        Self {
            front,
            began,
            request_id: request_id.to_owned(),
            method: METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER"),
            route: route.unwrap_or_else(|| "-".to_owned()),
            job: job_in(path),
            status: 0,
            bytes: 0,
        }
    }

    /// What it came to. `location`: where the job is that was made.
    pub(crate) fn answered(mut self, status: u16, location: Option<&str>) -> Self {
        self.status = status;
        self.job = self.job.or_else(|| location.and_then(job_in));
        self
    }

    /// A body of so many bytes that needs no watching.
    pub(crate) fn with_bytes(mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// A body whose bytes are counted while it is sent.
    pub(crate) fn around(self, body: BoxBody) -> BoxBody {
        BoxBody::new(Counted { body, line: self })
    }

    fn took(&self) -> Duration {
        self.front.desk.clock().monotonic().saturating_duration_since(self.began)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let took_ms = self.took().as_secs_f64() * 1_000.0;
        let Self { request_id, method, route, status, bytes, .. } = self;
        let job = self.job.map(|id| id.to_string());
        tracing::info!(request_id, method, route, status, took_ms, bytes, job.id = job, "request answered");
    }
}

/// The job that a path or a link is about.
fn job_in(path: &str) -> Option<JobId> {
    let (_, rest) = path.split_once("/v1/jobs/")?;
    JobId::from_str(rest.split('/').next()?).ok()
}

struct Counted {
    body: BoxBody,
    line: Line,
}

impl MessageBody for Counted {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        let part = ready!(Pin::new(&mut this.body).poll_next(cx));
        if let Some(Ok(bytes)) = &part {
            this.line.bytes += bytes.len() as u64;
        }
        Poll::Ready(part)
    }
}
