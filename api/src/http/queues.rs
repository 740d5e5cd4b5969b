//! `GET /v1/queues` and `/v1/queues/{queue}`: how much waits and who works. `POST …/pause` and `…/resume`.

use actix_web::{HttpRequest, HttpResponse, web};
use raincheck_shared::domain::QueueName;
use serde::Serialize;

use super::Front;
use super::answer::json;
use super::code::Code;
use super::extract::{self, Query};
use super::openapi::{Answer, Operation};
use super::problem::Problem;
use super::wire::QueueView;
use crate::engine::QueueState;

#[derive(Debug, Serialize)]
struct Queues<'a> {
    queues: Vec<QueueView<'a>>,
}

/// Lists all queues, by name.
pub(crate) async fn list_queues(request: HttpRequest, front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.check()?;
    let states = front.desk.queues().await?;
    let body = Queues { queues: states.queues.iter().map(|queue| QueueView::new(queue, &front.links)).collect() };
    json(HttpResponse::Ok().insert_header(("Cache-Control", "private, no-cache")), &body)
}

/// Shows one queue.
pub(crate) async fn get_queue(request: HttpRequest, front: web::Data<Front>) -> Result<HttpResponse, Problem> {
    Query::of(&request)?.check()?;
    let queue = front.desk.queue(&name(&request)?).await?;
    shown(&queue, &front)
}

/// Lets nothing new of it start.
pub(crate) async fn pause_queue(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
) -> Result<HttpResponse, Problem> {
    set_paused(&request, body, &front, true).await
}

/// Lets it start again.
pub(crate) async fn resume_queue(
    request: HttpRequest,
    body: web::Payload,
    front: web::Data<Front>,
) -> Result<HttpResponse, Problem> {
    set_paused(&request, body, &front, false).await
}

async fn set_paused(
    request: &HttpRequest,
    body: web::Payload,
    front: &Front,
    paused: bool,
) -> Result<HttpResponse, Problem> {
    let name = name(request)?;
    extract::nothing(request, body).await?;
    shown(&front.desk.set_paused(&name, paused).await?, front)
}

fn shown(queue: &QueueState, front: &Front) -> Result<HttpResponse, Problem> {
    let mut builder = HttpResponse::Ok();
    json(builder.insert_header(("Cache-Control", "private, no-cache")), &QueueView::new(queue, &front.links))
}

fn name(request: &HttpRequest) -> Result<QueueName, Problem> {
    let text = request.match_info().get("queue").unwrap_or_default();
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        Problem::new(Code::QueueNotFound, format!("there is no queue {shown:?}"))
    })
}

pub(crate) fn list_operation() -> Operation {
    Operation::new("listQueues", "queues", "All queues, by name")
        .says("Each that is configured, holds jobs, is served by a worker or is paused. Half a second old at most.")
        .answers(Answer::new(200, "As they stand.").json("Queues", &["queues"]))
        .reads()
}

pub(crate) fn operation() -> Operation {
    one("getQueue", "One queue", "How much waits, how fast it is worked on, and by whom.")
}

pub(crate) fn pause_operation() -> Operation {
    let says = "Jobs are accepted and wait; nothing new is started, from about a second on; what runs goes on. It stays so over \
                restarts, until it is resumed. A queue that is paused already stays as it is.";
    one("pauseQueue", "Start nothing more of a queue", says).nothing_to_say()
}

pub(crate) fn resume_operation() -> Operation {
    one("resumeQueue", "Start jobs of a queue again", "A queue that is not paused stays as it is.").nothing_to_say()
}

fn one(id: &'static str, summary: &'static str, says: &str) -> Operation {
    Operation::new(id, "queues", summary)
        .says(says)
        .takes(&["path.queue"])
        .answers(Answer::new(200, "As it stands now.").json("Queue", &["queue"]))
        .reads()
        .fails(&[Code::QueueNotFound])
}
