//! Event streams over real replicas: whichever one a client reaches, and whatever is broken meanwhile, it sees the end.

use std::time::Duration;

use serde_json::json;

use super::runs;
use crate::harness::cluster::{Cluster, PrivateBackends, shared_backends};
use crate::harness::events::Said;
use crate::harness::room;
use crate::harness::wait::{alongside, now, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_at_another_replica_when_its_own_is_killed_and_no_end_is_missed() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, &runs::traced_kind(2.0));
    let (a, b) = (cluster.api("a").await, cluster.api("b").await);
    let id = b.submit("traced", &json!(1)).await;
    let mut stream = a.events(&id, None).await;
    let seen = stream.event().await.unwrap();
    assert_eq!((seen.name.as_str(), seen.json()["status"].as_str()), ("snapshot", Some("queued")));

    cluster.process("a").kill();
    assert_eq!(stream.said().await, Said::End);
    // What happens while nobody listens is in the first event that comes.
    cluster.worker("worker");
    cluster.until_count("SELECT count(*) FROM jobs WHERE status = 'in_progress'", 1, Duration::from_secs(20)).await;
    let events = b.events(&id, Some(&seen.id)).await.rest().await;
    assert_eq!(events[0].name, "snapshot");
    assert_eq!(events[0].json()["status"], "in_progress");
    assert_eq!(events.last().unwrap().name, "done");
    assert_eq!(events.last().unwrap().json()["status"], "succeeded");
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_hears_of_every_change_within_seconds_while_rabbitmq_is_away() {
    let _room = room::shared().await;
    let private = PrivateBackends::start();
    let mut cluster = Cluster::new(&private.backends().await, &runs::traced_kind(1.0));
    let (a, b) = (cluster.api("a").await, cluster.api("b").await);
    cluster.worker("worker");
    // Warm: the worker has connected once.
    let id = b.submit("traced", &json!(0)).await;
    b.done(&id).await;

    private.rabbitmq.act("stop");
    let id = b.submit("traced", &json!(1)).await;
    let started = now();
    let events = a.events(&id, None).await.rest().await;
    assert_eq!(events.last().unwrap().json()["status"], "succeeded");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    private.rabbitmq.act("resume");
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_outlive_an_outage_of_postgres_and_one_that_comes_back_meanwhile_is_not_turned_away() {
    let _room = room::shared().await;
    let private = PrivateBackends::start();
    let mut cluster = Cluster::new(&private.backends().await, &runs::traced_kind(3.0));
    let api = cluster.api("api").await;
    let id = api.submit("traced", &json!(1)).await;
    let mut before = api.events(&id, None).await;
    assert_eq!(before.event().await.unwrap().name, "snapshot");

    private.postgres.act("crash");
    until("the API to notice", Duration::from_secs(20), async || !api.is_ready().await).await;
    // Who knows nothing yet gets an honest answer, who comes back is held: an EventSource gives up at any error.
    let path = format!("/v1/jobs/{id}/events");
    let refused = api.try_events(&path, &[]).await.unwrap_err();
    assert_eq!(refused.status().map(|status| status.as_u16()), Some(503));
    let during = api.events(&id, Some("1")).await;
    private.postgres.act("resume");

    cluster.worker("worker");
    let end = |mut stream: crate::harness::events::EventStream| async move {
        let events = stream.rest().await;
        events.last().map(|event| event.json()["status"].as_str().unwrap().to_owned())
    };
    let (before, during) = (alongside(end(before)), alongside(end(during)));
    assert_eq!(before.await.unwrap().as_deref(), Some("succeeded"));
    assert_eq!(during.await.unwrap().as_deref(), Some("succeeded"));
    cluster.assert_nothing_is_left().await;
}
