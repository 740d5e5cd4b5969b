//! `GET /v1/jobs/{id}/logs`: what the handler wrote, by pages or as it comes.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use raincheck_shared::domain::{JobId, TenantName, Timestamp};
use serde::Serialize;
use serde_json::json;
use time::serde::rfc3339;

use super::answer::json as json_answer;
use super::code::Code;
use super::event_stream::{self, COMMENT, SILENCE};
use super::extract::{self, Accept, Query};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::read_number;
use super::{Caller, Front};
use crate::engine::{Followed, Follower, LoggedLine};

/// Lines of a page.
const DEFAULT_LIMIT: u32 = 100;
const MOST: u32 = 1_000;
/// Lines that a stream reads at once.
const STREAMED: u32 = 200;
/// Between two looks for new lines: workers record theirs that often.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize)]
struct Page<'a> {
    lines: Vec<LineView<'a>>,
    /// What `after` is for the next page, or for what comes.
    last: u32,
    /// Whether nothing comes after that any more.
    complete: bool,
}

#[derive(Debug, Serialize)]
struct LineView<'a> {
    number: u32,
    #[serde(with = "rfc3339")]
    at: Timestamp,
    attempt: i32,
    line: &'a str,
}

impl<'a> LineView<'a> {
    fn new(line: &'a LoggedLine) -> Self {
        Self { number: line.number, at: line.at, attempt: line.attempt, line: &line.line }
    }
}

/// Reads lines after `after`. To who accepts a stream of events rather than JSON: all of them, and those that come, until the
/// job ends; 204 to who has seen them all.
pub(crate) async fn get_job_logs(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = extract::job_id(&request)?;
    let mut query = Query::of(&request)?;
    let after = query.parsed("after", |text| read_number(text, 0, i32::MAX.into()));
    let limit = query.parsed("limit", |text| read_number(text, 1, MOST.into()));
    query.check()?;
    let number = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
    let (after, limit) = (number(after).unwrap_or(0), number(limit).unwrap_or(DEFAULT_LIMIT));

    let accept = Accept::of(&request);
    let (as_json, as_stream) = (accept.quality("application", "json"), accept.quality("text", "event-stream"));
    if as_json == 0 && as_stream == 0 {
        return Err(Problem::new(Code::NotAcceptable, "this is application/json or text/event-stream"));
    }
    if as_stream > as_json {
        let seen = extract::last_event_id::<i32>(&request).and_then(|seen| u32::try_from(seen).ok()).unwrap_or(after);
        return stream_lines(&request, &front, caller.tenant, id, seen).await;
    }
    // First the job, then its lines: of one that had ended, all of them are there.
    let ended = front.desk.job(&caller.tenant, id).await?.status.is_done();
    let lines = front.desk.logs(id, after, limit).await?;
    let page = Page {
        last: lines.last().map_or(after, |line| line.number),
        complete: ended && lines.len() < limit as usize,
        lines: lines.iter().map(LineView::new).collect(),
    };
    json_answer(HttpResponse::Ok().insert_header(("Cache-Control", "private, no-cache")), &page)
}

async fn stream_lines(
    request: &HttpRequest,
    front: &web::Data<Front>,
    tenant: TenantName,
    id: JobId,
    seen: u32,
) -> Result<HttpResponse, Problem> {
    let follower = front.desk.follower(&tenant, id);
    let has_ended = front.desk.job(&tenant, id).await?.status.is_done();
    if has_ended && front.desk.logs(id, seen, 1).await?.is_empty() && request.headers().contains_key("last-event-id") {
        return Ok(event_stream::nothing_more());
    }
    let pending = event_stream::opening();
    let (front, silent_for) = (front.clone(), Duration::ZERO);
    let lines = Lines { front, follower, id, seen, has_ended, is_over: false, silent_for, pending };
    Ok(event_stream::answer(request, lines.run()))
}

/// One stream.
struct Lines {
    front: web::Data<Front>,
    follower: Follower,
    id: JobId,
    /// The number of the last line that was sent.
    seen: u32,
    has_ended: bool,
    is_over: bool,
    silent_for: Duration,
    pending: String,
}

impl Lines {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.pending.is_empty() {
                self.silent_for = Duration::ZERO;
                return Some(Bytes::from(std::mem::take(&mut self.pending)));
            }
            if self.is_over {
                return None;
            }
            // While the store is away there is nothing new to tell.
            let read = self.front.desk.logs(self.id, self.seen, STREAMED).await;
            match &read {
                Ok(lines) if !lines.is_empty() => self.tell(lines),
                Ok(_) if self.has_ended => {
                    let data = json!({ "last": self.seen }).to_string();
                    event_stream::write_event(&mut self.pending, "done", self.seen, &data);
                    self.is_over = true;
                }
                Ok(_) | Err(_) => match self.follower.moved(None, LOOK).await {
                    Followed::Moved(_) => self.has_ended = true,
                    Followed::Unmoved => {
                        self.silent_for += LOOK;
                        if self.silent_for >= SILENCE {
                            self.silent_for = Duration::ZERO;
                            return Some(COMMENT);
                        }
                    }
                    Followed::Gone | Followed::Draining => self.is_over = true,
                },
            }
        }
    }

    fn tell(&mut self, lines: &[LoggedLine]) {
        for line in lines {
            // Numbers and strings: this cannot fail.
            let data = serde_json::to_string(&LineView::new(line)).unwrap_or_default();
            event_stream::write_event(&mut self.pending, "line", line.number, &data);
            self.seen = line.number;
        }
    }

    fn run(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, async |mut lines| lines.next().await.map(|bytes| (Ok(bytes), lines)))
    }
}

pub(crate) fn operation() -> Operation {
    Operation::new("getJobLogs", "jobs", "What the handler wrote")
        .says(
            "By pages: `last` is the `after` of the next one. With `Accept: text/event-stream` as a stream of `line` events that \
             ends with `done`, once the job has ended; it goes on after `Last-Event-ID`.",
        )
        .takes(&["id", "after", "logs.limit", "Last-Event-ID"])
        .answers(
            Answer::new(200, "The lines.")
                .json("LogPage", &["log-page"])
                .content("text/event-stream", json!({ "schema": { "description": "Server-sent events" } }))
                .headers(&["X-Accel-Buffering?"]),
        )
        .answers(Answer::new(204, "The client of a stream has seen all lines there will be."))
        .reads()
        .fails(&[Code::JobNotFound, Code::JobExpired, Code::NotAcceptable])
}
