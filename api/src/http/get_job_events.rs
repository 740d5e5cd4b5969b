//! `GET /v1/jobs/{id}/events`: the job at each version that comes while the client listens.
//!
//! There is no log of events: each is the whole job as it is, so whatever a client missed is in the next one. A version that
//! is overtaken before it could be sent is left out, so that a slow reader is sent the newest and nothing piles up for it.

use std::convert::Infallible;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use raincheck_shared::domain::{Job, Status, Version};
use raincheck_shared::lifecycle::IdSource;
use serde_json::json;

use super::code::Code;
use super::event_stream::{self, COMMENT, SILENCE};
use super::extract::{self, Query};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::JobView;
use super::{Caller, Front};
use crate::engine::{Followed, Follower};

/// Streams a job's versions until it ends. 204 to a client that has seen the end.
pub(crate) async fn get_job_events(
    request: HttpRequest,
    front: web::Data<Front>,
    caller: Caller,
) -> Result<HttpResponse, Problem> {
    let id = extract::job_id(&request)?;
    Query::of(&request)?.check()?;
    event_stream::demand(&request)?;
    let seen: Option<Version> = extract::last_event_id(&request);

    // First the interest, then the read: a change in between is heard of.
    let follower = front.desk.follower(&caller.tenant, id);
    let mut events = match front.desk.job(&caller.tenant, id).await {
        Ok(job) if job.status.is_done() && seen == Some(job.version) => return Ok(event_stream::nothing_more()),
        Ok(job) => Events::new(front, follower).after(&job, seen),
        // An EventSource never comes back from an error, so one that comes back from a broken stream is held until the store
        // answers. What it said it has seen is believed, for a while: then it has to ask again.
        Err(refusal) if refusal.is_outage() && seen.is_some() => Events::new(front, follower).blind(seen),
        Err(refusal) => return Err(refusal.into()),
    };
    events.say_first();
    Ok(event_stream::answer(&request, events.run()))
}

/// What the client was last told, as far as the next event depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    status: Status,
    attempt: i32,
    cancel_asked: bool,
}

impl Told {
    fn of(job: &Job) -> Self {
        Self { status: job.status, attempt: job.attempt, cancel_asked: job.cancel.is_some() }
    }
}

/// One stream.
struct Events {
    front: web::Data<Front>,
    follower: Follower,
    /// The version that the client has.
    seen: Version,
    /// What this stream told of it. `None`: nothing yet.
    told: Option<Told>,
    /// What is to be written next.
    pending: String,
    /// Opened while the store was away, on the client's word.
    is_blind: bool,
    is_over: bool,
}

impl Events {
    fn new(front: web::Data<Front>, follower: Follower) -> Self {
        let pending = String::new();
        Self { front, follower, seen: 0, told: None, pending, is_blind: false, is_over: false }
    }

    /// Goes on after `seen`, or begins with the job as it is.
    fn after(mut self, job: &Job, seen: Option<Version>) -> Self {
        if seen == Some(job.version) {
            self.seen = job.version;
            self.told = Some(Told::of(job));
        } else {
            self.tell(job);
        }
        self
    }

    fn blind(mut self, seen: Option<Version>) -> Self {
        self.seen = seen.unwrap_or_default();
        self.is_blind = true;
        self
    }

    /// A client hears something at once, so that it knows that it is connected.
    fn say_first(&mut self) {
        self.pending.insert_str(0, &event_stream::opening());
    }

    /// Writes the event that brings the client from what it was told to this job.
    fn tell(&mut self, job: &Job) {
        let now = Told::of(job);
        let name = match self.told {
            _ if job.status.is_done() => "done",
            None => "snapshot",
            Some(before) if before == now => "progress",
            Some(_) => "status",
        };
        let at = self.front.now();
        let forecast = self.front.desk.outlook().of(job, at);
        let view = JobView::new(job, &forecast, &self.front.links, at, IdSource.fraction());
        match serde_json::to_string(&view) {
            Ok(data) => event_stream::write_event(&mut self.pending, name, job.version, &data),
            Err(error) => {
                tracing::error!(%error, job = %job.id, "an event cannot be written as JSON");
                self.is_over = true;
            }
        }
        (self.seen, self.told) = (job.version, Some(now));
        self.is_blind = false;
        self.is_over |= job.status.is_done();
    }

    /// What goes out next; `None`: the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.pending.is_empty() {
                return Some(Bytes::from(std::mem::take(&mut self.pending)));
            }
            if self.is_over {
                return None;
            }
            match self.follower.moved(Some(self.seen), SILENCE).await {
                Followed::Moved(job) => self.tell(&job),
                Followed::Unmoved if !self.is_blind => return Some(COMMENT),
                // The client connects again, to a replica that stays, or to hear what became of the job.
                Followed::Unmoved | Followed::Gone | Followed::Draining => self.is_over = true,
            }
        }
    }

    fn run(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, async |mut events| events.next().await.map(|bytes| (Ok(bytes), events)))
    }
}

pub(crate) fn operation() -> Operation {
    Operation::new("getJobEvents", "jobs", "A job as it moves")
        .says(
            "Server-sent events: `snapshot` first, then `progress` and `status` as it moves, `done` at its end, which is also \
             the end of the stream. The data of each is the whole job, its id the job's version. After the end, \
             `Last-Event-ID` gets 204, which makes an `EventSource` stay away.",
        )
        .takes(&["id", "Last-Event-ID"])
        .answers(
            Answer::new(200, "The events, as they come.")
                .content("text/event-stream", json!({ "schema": { "description": "Server-sent events" } }))
                .headers(&["X-Accel-Buffering"]),
        )
        .answers(Answer::new(204, "The client has seen the end."))
        .reads()
        .fails(&[Code::JobNotFound, Code::JobExpired, Code::NotAcceptable])
}
