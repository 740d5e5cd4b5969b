//! Results of remote workers that are too large for the database: once, twice the same, and two that race.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use raincheck_shared::domain::{BlobName, BlobPart};
use raincheck_shared::lifecycle::IdSource;
use reqwest::{Body, Method};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::large::{LARGE, SMALL_ROWS, blobs, digest_of, in_chunks, until_blobs};
use super::leases::{REMOTE, lease};
use super::{assert_problem, get};
use crate::contracts::blobs::noise;
use crate::harness::client::Answer;
use crate::harness::served::{Served, Work};

async fn on_each_store() -> [Served; 2] {
    let all = [REMOTE, &SMALL_ROWS].concat();
    [Served::with(Work::Nobody, &all).await, Served::on_postgres(Work::Nobody, &all).await]
}

async fn complete(on: &Served, held: &Value, body: Body) -> Answer {
    let path = held["links"]["complete"].as_str().unwrap();
    on.client.send(Method::POST, path, &[("content-type", "video/mp4")], body).await
}

/// A body that is sent in two halves, the second one when all of them have come so far.
fn in_step(bytes: &[u8], barrier: &Arc<Barrier>) -> Body {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let (first, second) = (Bytes::copy_from_slice(first), Bytes::copy_from_slice(second));
    let barrier = Arc::clone(barrier);
    let rest = stream::once(async move {
        barrier.wait().await;
        Ok::<_, std::io::Error>(second)
    });
    Body::wrap_stream(stream::iter([Ok(first)]).chain(rest))
}

#[tokio::test]
async fn a_large_result_of_a_remote_worker_is_read_whole_in_parts_and_by_its_head() {
    for served in on_each_store().await {
        let client = &served.client;
        for (n, length) in [64 * 1024, 64 * 1024 + 1, LARGE].into_iter().enumerate() {
            let bytes = noise(length);
            let id = client.submit("hauled", &json!(n)).await;
            let held = lease(client, "hauled", "30s").await;
            let done = complete(&served, &held, in_chunks(&bytes)).await;
            assert_eq!((done.status, &done.json()["status"]), (200, &json!("succeeded")));
            assert_eq!(blobs(&served).await.len(), n, "the first one is not larger than rows may be");
            let job = client.job(&id).await;
            assert_eq!((&job["result"]["size"], &job["result"]["digest"]), (&json!(length), &json!(digest_of(&bytes))));
            let path = format!("/v1/jobs/{id}/result");
            let seen = client.send(Method::HEAD, &path, &[], "").await;
            assert_eq!((seen.status, seen.header("content-length")), (200, &*length.to_string()));
            assert_eq!((seen.header("accept-ranges"), seen.body.len()), ("bytes", 0));
            let tag = seen.header("etag").to_owned();
            // A download that was cut goes on where it was.
            let (mut read, step) = (Vec::new(), length / 3 + 1);
            while read.len() < length {
                let range = format!("bytes={}-{}", read.len(), read.len() + step - 1);
                let part = get(client, &path, &[("range", &range), ("if-range", &tag)]).await;
                assert_eq!((part.status, part.header("content-type")), (206, "video/mp4"));
                read.extend_from_slice(&part.body);
            }
            assert!(read == bytes, "other bytes came back");
            assert!(get(client, &path, &[]).await.body == bytes);

            // Its answer was lost: the same once more changes nothing, and another is refused. Neither is kept.
            let again = complete(&served, &held, bytes.clone().into()).await;
            assert_eq!((again.status, again.json()), (200, done.json()));
            assert_problem(&complete(&served, &held, noise(length - 1).into()).await, 409, "lease-lost");
            assert!(get(client, &path, &[]).await.body == bytes);
            assert_eq!(blobs(&served).await.len(), n);
        }
        let too_large = complete_anew(&served, noise(9 << 20)).await;
        assert_problem(&too_large, 413, "payload-too-large");
        until_blobs(&served, 2).await;
        assert!(served.stop().await);
    }
}

async fn complete_anew(on: &Served, bytes: Vec<u8>) -> Answer {
    on.client.submit("hauled", &json!(1)).await;
    let held = lease(&on.client, "hauled", "30s").await;
    complete(on, &held, in_chunks(&bytes)).await
}

#[tokio::test]
async fn of_two_large_results_of_one_lease_that_race_one_is_recorded_whole_and_the_other_is_told() {
    for served in on_each_store().await {
        let client = &served.client;
        for round in 0..4 {
            let (one, other) = (noise(LARGE), noise(LARGE + 1));
            let id = client.submit("hauled", &json!(round)).await;
            let held = lease(client, "hauled", "30s").await;
            let barrier = Arc::new(Barrier::new(2));
            let (first, second) = tokio::join!(
                complete(&served, &held, in_step(&one, &barrier)),
                complete(&served, &held, in_step(&other, &barrier)),
            );
            let (won, lost, bytes) = if first.status == 200 { (first, second, one) } else { (second, first, other) };
            assert_eq!((won.status, &won.json()["status"]), (200, &json!("succeeded")), "{won:?}");
            assert_problem(&lost, 409, "lease-lost");
            let result = get(client, &format!("/v1/jobs/{id}/result"), &[]).await;
            assert!(result.body == bytes, "the other's bytes, or a mixture");
            assert_eq!(result.header("content-digest"), digest_of(&bytes));
            until_blobs(&served, round + 1).await;
        }
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn the_same_large_result_sent_twice_at_once_is_recorded_once_and_the_other_copy_is_swept() {
    for served in on_each_store().await {
        let client = &served.client;
        let bytes = noise(LARGE);
        let id = client.submit("hauled", &json!(1)).await;
        let held = lease(client, "hauled", "30s").await;
        let barrier = Arc::new(Barrier::new(2));
        let twice = || complete(&served, &held, in_step(&bytes, &barrier));
        let (first, second) = tokio::join!(twice(), twice());
        assert_eq!((first.status, second.status), (200, 200), "{second:?}");
        assert_eq!(first.json(), second.json());
        assert_eq!(blobs(&served).await.len(), 2, "nobody knows which is the one that is recorded");
        assert!(get(client, &format!("/v1/jobs/{id}/result"), &[]).await.body == bytes);
        assert!(served.stop().await);
    }
    // The sweep goes by what the row names.
    let swept = [REMOTE, &SMALL_ROWS, &[("upkeep.blobs", "50ms")]].concat();
    let served = Served::with(Work::Nobody, &swept).await;
    let id = served.client.submit("hauled", &json!(1)).await;
    let held = lease(&served.client, "hauled", "30s").await;
    let other = BlobName { upload: Some(IdSource.random()), ..named(&held) };
    let mut writer = served.blobs.write(other);
    writer.write(b"of another request").await.unwrap();
    writer.finish().await.unwrap();
    let bytes = noise(LARGE);
    assert_eq!(complete(&served, &held, bytes.clone().into()).await.status, 200);
    until_blobs(&served, 1).await;
    assert!(get(&served.client, &format!("/v1/jobs/{id}/result"), &[]).await.body == bytes);
    assert!(served.stop().await);
}

/// The name that a result of this lease's attempt has, but for the upload's part.
fn named(held: &Value) -> BlobName {
    let (job, token) = held["token"].as_str().unwrap().split_once('.').unwrap();
    BlobName { job: job.parse().unwrap(), part: BlobPart::Output, token: token.parse().unwrap(), upload: None }
}

#[tokio::test]
async fn of_two_small_results_of_one_lease_that_race_only_one_is_told_that_it_is_recorded() {
    for served in on_each_store().await {
        let client = &served.client;
        for round in 0..20 {
            let id = client.submit("hauled", &json!(round)).await;
            let held = lease(client, "hauled", "30s").await;
            let (first, second) =
                tokio::join!(complete(&served, &held, "one".into()), complete(&served, &held, "another".into()));
            let won = if first.status == 200 { "one" } else { "another" };
            let mut statuses = [first.status, second.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 409]);
            assert_eq!(get(client, &format!("/v1/jobs/{id}/result"), &[]).await.body, won);
        }
        assert!(served.stop().await);
    }
}
