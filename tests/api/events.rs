//! `GET /v1/jobs/{id}/events`.

use std::time::Duration;

use raincheck_shared::broker::Signal;
use raincheck_shared::domain::{Ended, Fence, LeaseId, Output, Payload, Progress, WorkerId};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Claim, Finish, ProgressReport};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::{assert_problem, get};
use crate::harness::events::{Event, Said};
use crate::harness::served::{Served, Work};
use crate::harness::wait::now;

async fn cancel(served: &Served, id: &str) {
    let answer = served.client.send(Method::POST, &format!("/v1/jobs/{id}/cancel"), &[], "").await;
    assert!(answer.status == 200 || answer.status == 202, "{}", answer.status);
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

#[tokio::test]
async fn a_subscriber_sees_each_event_as_the_whole_job_until_the_end_and_then_the_stream_ends() {
    let served = Served::working().await;
    let id = served.client.submit("takeaway", &json!({"seconds": 2.0})).await;
    let mut stream = served.client.events(&id, None).await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    assert_eq!(stream.header("cache-control"), "no-store, no-transform");
    assert_eq!(stream.header("x-accel-buffering"), "no");
    let events = stream.rest().await;
    assert_eq!(events[0].name, "snapshot");
    assert_eq!(events.last().unwrap().name, "done");
    assert!(names(&events).contains(&"progress"), "{:?}", names(&events));
    let mut last = 0;
    for event in &events {
        let job = event.json();
        assert_eq!(event.id, job["version"].to_string());
        assert!(job["version"].as_i64().unwrap() > last, "versions only rise: {:?}", names(&events));
        last = job["version"].as_i64().unwrap();
        assert_eq!(job["done"], json!(event.name == "done"));
        assert_eq!(job["links"]["events"], format!("/v1/jobs/{id}/events"));
    }
    let end = events.last().unwrap().json();
    assert_eq!((&end["status"], &end["result"]["value"]["dish"]), (&json!("succeeded"), &json!("ramen")));
    assert_eq!(served.client.job(&id).await, end);
    assert!(served.stop().await);
}

#[tokio::test]
async fn an_event_subscriber_who_came_late_sees_the_end() {
    let served = Served::working().await;
    let id = served.client.submit("echo", &json!(1)).await;
    let version = served.client.done(&id).await["version"].to_string();
    let events = served.client.events(&id, None).await.rest().await;
    assert_eq!((names(&events), events[0].id.as_str()), (vec!["done"], version.as_str()));
    assert_eq!(events[0].json()["result"]["value"], 1);
    // Who has seen an older version gets the present one, who has seen the end is told to stay away.
    assert_eq!(names(&served.client.events(&id, Some("1")).await.rest().await), ["done"]);
    let path = format!("/v1/jobs/{id}/events");
    for method in [Method::GET, Method::HEAD] {
        let again = served.client.send(method, &path, &[("last-event-id", &version)], "").await;
        assert_eq!((again.status, again.body.len()), (204, 0));
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn who_comes_back_is_told_what_has_moved_and_nothing_twice() {
    let served = Served::idle().await;
    let id = served.client.submit("echo", &json!(1)).await;
    let mut current = served.client.events(&id, Some("1")).await;
    let mut behind = served.client.events(&id, Some("0")).await;
    assert_eq!(behind.event().await.unwrap().name, "snapshot");
    cancel(&served, &id).await;
    // Nothing came in between: version 1 was known.
    let events = current.rest().await;
    assert_eq!((names(&events), events[0].id.as_str()), (vec!["done"], "2"));
    assert_eq!(events[0].json()["status"], "canceled");
    assert_eq!(names(&behind.rest().await), ["done"]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_last_event_id_that_is_none_of_ours_means_nothing_was_seen() {
    let served = Served::idle().await;
    let id = served.client.submit("echo", &json!(1)).await;
    for garbage in ["", " ", "x", "-1", "1.5", "0x1", "99999999999999999999", "7", "1, 1", "\u{ff}", "🌧"] {
        let event = served.client.events(&id, Some(garbage)).await.event().await.unwrap();
        assert_eq!((event.name.as_str(), event.id.as_str()), ("snapshot", "1"), "{garbage:?}");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_stream_is_refused_like_any_other_read_and_to_who_cannot_read_it() {
    let served = Served::idle().await;
    let id = served.client.submit("echo", &json!(1)).await;
    let path = format!("/v1/jobs/{id}/events");
    let json_only = get(&served.client, &path, &[("accept", "application/json")]).await;
    assert_problem(&json_only, 406, "not-acceptable");
    let refused = get(&served.client, &path, &[("accept", "*/*, text/event-stream;q=0")]).await;
    assert_problem(&refused, 406, "not-acceptable");
    assert_problem(&get(&served.client, &format!("{path}?since=1"), &[]).await, 422, "input-invalid");
    assert_problem(&get(&served.client, "/v1/jobs/nonsense/events", &[]).await, 400, "malformed-request");
    let unknown = "/v1/jobs/01000000-0000-4000-8000-000000000000/events";
    assert_problem(&get(&served.client, unknown, &[]).await, 404, "job-not-found");
    assert_problem(&get(&served.client, unknown, &[("last-event-id", "3")]).await, 404, "job-not-found");
    assert_problem(&served.client.send(Method::POST, &path, &[], "").await, 405, "method-not-allowed");
    let head = served.client.send(Method::HEAD, &path, &[], "").await;
    assert_eq!((head.status, head.header("content-type"), head.body.len()), (200, "text/event-stream", 0));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_result_of_several_lines_arrives_as_the_json_it_is() {
    let served = Served::working().await;
    let pretty = "{\r\n  \"a\": [1,\n\n2],\r  \"b\": \"c\"\n}\n";
    let path = "/v1/kinds/echo/jobs";
    let answer = served.client.send(Method::POST, path, &[("content-type", "application/json")], pretty).await;
    let events = served.client.events(&answer.job_id(), None).await.rest().await;
    assert_eq!(events.last().unwrap().json()["result"]["value"], json!({"a": [1, 2], "b": "c"}));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_silent_stream_says_every_15_seconds_that_it_lives() {
    let served = Served::idle().await;
    let id = served.client.submit("echo", &json!(1)).await;
    let mut stream = served.client.events(&id, None).await;
    assert!(matches!(stream.said().await, Said::Event(_)));
    let started = now();
    assert_eq!(stream.said().await, Said::Comment);
    assert!((14..20).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_reader_that_reads_nothing_for_a_while_gets_the_newest_and_nothing_has_piled_up() {
    let served = Served::idle().await;
    let id = served.client.submit("echo", &json!(1)).await;
    let job = Claimed::of(&served).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut socket = socket.connect(served.address).await.unwrap();
    socket.write_all(format!("GET /v1/jobs/{id}/events HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    // Far more than the system and the server may hold back for one connection.
    for n in 0..=255 {
        job.reports(&served, n, &"x".repeat(60_000)).await;
    }
    job.ends(&served).await;
    let last = served.client.done(&id).await["version"].as_u64().unwrap();
    assert_eq!(last, 259);

    let mut said = Vec::new();
    let mut part = [0; 8192];
    while !said.ends_with(b"0\r\n\r\n") {
        let count = tokio::time::timeout(Duration::from_secs(20), socket.read(&mut part)).await.unwrap().unwrap();
        assert!(count > 0, "the stream broke");
        said.extend_from_slice(&part[..count]);
    }
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains(&format!("id: {last}\nevent: done\n")), "the newest came");
    let sent = said.matches("\nevent: ").count();
    assert!((2..200).contains(&sent), "{sent} of 259 versions were sent");
    assert!(served.stop().await);
}

/// The one job there is, taken by this test in place of a worker.
struct Claimed {
    fence: Fence,
    worker: WorkerId,
    lease: LeaseId,
}

impl Claimed {
    async fn of(served: &Served) -> Self {
        let (worker, lease) = (IdSource.worker(), IdSource.lease());
        served.store.leases.register(worker, "test", Duration::from_hours(1), false).await.unwrap();
        let claim = Claim { worker, lease, dispatches: Vec::new() };
        let (queues, kinds) = (["default".parse().unwrap()], ["echo".parse().unwrap()]);
        let claimed = served.store.attempts.claim_waiting(claim, &queues, &kinds, 1).await.unwrap();
        Self { fence: claimed[0].fence, worker, lease }
    }

    async fn reports(&self, served: &Served, percent: u8, message: &str) {
        let progress = Progress { percent: f64::from(percent) / 3.0, message: Some(message.to_owned()) };
        let report = ProgressReport { fence: self.fence, progress };
        let changes = served.store.attempts.report_progress(&[report]).await.unwrap();
        assert_eq!(changes.len(), 1);
        served.broker.wakeups.announce(Signal::Changed(changes));
    }

    async fn ends(&self, served: &Served) {
        let output = Output { content: Payload::json("1").into(), digest: [0; 32] };
        let (ended, lease_done) = (Ended::Succeeded(output), Some(self.lease));
        let finish = Finish { fence: self.fence, worker: self.worker, ended, lease_done };
        served.store.attempts.finish(&[finish]).await.unwrap();
    }
}

#[tokio::test]
async fn a_job_that_is_tried_again_says_so_as_a_status() {
    let served = Served::with(Work::Worker, &[("kinds.failing.backoff", "1ms")]).await;
    let path = "/v1/kinds/failing/jobs?max_attempts=3";
    let id = served.client.send(Method::POST, path, &[], "").await.job_id();
    let events = served.client.events(&id, None).await.rest().await;
    assert!(names(&events).iter().all(|name| *name != "progress"), "{:?}", names(&events));
    let end = events.last().unwrap().json();
    assert_eq!((&end["status"], &end["attempt"]), (&json!("failed"), &json!(3)));
    assert_eq!(end["attempts"].as_array().map(Vec::len), Some(3), "{end}");
    assert!(served.stop().await);
}
