//! Bodies that are too large for the database: in and out through the blob store.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{TryStreamExt, stream};
use raincheck_shared::domain::BlobName;
use reqwest::{Body, Method};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{assert_problem, get, post_job};
use crate::contracts::blobs::{S3_URL, noise};
use crate::harness::client::Answer;
use crate::harness::cluster::required;
use crate::harness::served::{Served, Work};
use crate::harness::wait::{unique, until};

const ECHO: &str = "/v1/kinds/echo/jobs";
pub(super) const LARGE: usize = 3 << 20;

/// One that keeps at most 64 KiB in the database.
pub(super) const SMALL_ROWS: [(&str, &str); 4] =
    [("blobs.in_database", "64KiB"), ("jobs.max_input", "8MiB"), ("jobs.max_output", "8MiB"), ("blobs.writers", "2")];

async fn served(work: Work) -> Served {
    Served::with(work, &SMALL_ROWS).await
}

/// The same with a real server that speaks S3.
async fn served_from_s3(work: Work) -> Served {
    let (place, endpoint) = (format!("s3://raincheck-tests/api/{}", unique()), required(S3_URL));
    let s3 = [
        ("blobs.url", place.as_str()),
        ("blobs.endpoint", &endpoint),
        ("blobs.access_key_id", "raincheck"),
        ("blobs.secret_access_key", "raincheck-secret"),
    ];
    Served::with(work, &[&SMALL_ROWS[..], &s3].concat()).await
}

async fn send(on: &Served, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    on.client.send(Method::PUT, path, headers, body).await
}

/// Everything in the blob store that has a blob's name, half written ones too.
pub(super) async fn blobs(on: &Served) -> Vec<BlobName> {
    let mut names = Vec::new();
    for day in on.blobs.days().await.unwrap() {
        let found: Vec<_> = on.blobs.of_day(&day).try_collect().await.unwrap();
        names.extend(found.into_iter().map(|found| found.name));
    }
    names
}

pub(super) async fn until_blobs(on: &Served, count: usize) {
    until("the blobs that there should be", Duration::from_secs(15), async || blobs(on).await.len() == count).await;
}

pub(super) fn digest_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    format!("sha-256=:{}:", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(bytes)))
}

/// A body whose length is not announced.
pub(super) fn in_chunks(bytes: &[u8]) -> Body {
    let chunks: Vec<_> =
        bytes.chunks(50_000).map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk))).collect();
    Body::wrap_stream(stream::iter(chunks))
}

#[tokio::test]
async fn a_large_body_comes_back_byte_for_byte_whole_and_in_parts() {
    comes_back(served(Work::Worker).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_comes_back_from_s3_byte_for_byte_whole_and_in_parts() {
    comes_back(served_from_s3(Work::Worker).await).await;
}

async fn comes_back(served: Served) {
    let bytes = noise(LARGE);
    let path = format!("{ECHO}?wait=20s");
    for body in [Body::from(bytes.clone()), in_chunks(&bytes)] {
        let job = send(&served, &path, &[("content-type", "video/mp4")], body).await;
        assert_eq!(job.status, 200, "{}", job.json());
        let result = &job.json()["result"];
        let expected = json!({
            "content_type": "video/mp4", "size": LARGE, "digest": digest_of(&bytes), "url": job.json()["links"]["result"],
        });
        assert_eq!(*result, expected);

        let path = format!("/v1/jobs/{}/result", job.job_id());
        let whole = get(&served.client, &path, &[]).await;
        assert_eq!((whole.status, whole.header("content-type")), (200, "video/mp4"));
        assert_eq!(whole.header("content-digest"), digest_of(&bytes));
        assert_eq!(whole.header("content-length"), LARGE.to_string());
        assert!(whole.body == bytes);

        let last = LARGE - 1;
        for (range, from, to) in [
            ("bytes=0-0".to_owned(), 0, 1),
            ("bytes=65535-65536".to_owned(), 65_535, 65_537),
            (format!("bytes={last}-"), last, LARGE),
            ("bytes=-70000".to_owned(), LARGE - 70_000, LARGE),
            (format!("bytes=1-{}", LARGE * 9), 1, LARGE),
        ] {
            let part = get(&served.client, &path, &[("range", &range)]).await;
            assert_eq!(part.status, 206, "{range}");
            assert_eq!(part.header("content-range"), format!("bytes {from}-{}/{LARGE}", to - 1));
            assert_eq!(part.header("content-length"), (to - from).to_string());
            assert!(part.body == bytes[from..to], "{range}");
        }
        let beyond = get(&served.client, &path, &[("range", &format!("bytes={LARGE}-"))]).await;
        assert_problem(&beyond, 416, "range-not-satisfiable");

        let head = served.client.send(Method::HEAD, &path, &[], "").await;
        assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, &*LARGE.to_string(), 0));
        let tag = head.header("etag").to_owned();
        assert_eq!(get(&served.client, &path, &[("if-none-match", &tag)]).await.status, 304);
        let part = get(&served.client, &path, &[("range", "bytes=0-9"), ("if-range", &tag)]).await;
        assert_eq!(part.status, 206);
        assert_eq!(get(&served.client, &path, &[("range", "bytes=0-9"), ("if-range", "\"x\"")]).await.status, 200);
    }
    assert_eq!(blobs(&served).await.len(), 4, "an input and an output each");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_body_of_the_databases_limit_stays_there_and_one_more_byte_does_not() {
    let served = served(Work::Worker).await;
    for (length, kept) in [(64 * 1024, 0), (64 * 1024 + 1, 2)] {
        for body in [Body::from(noise(length)), in_chunks(&noise(length))] {
            let before = blobs(&served).await.len();
            let job = send(&served, &format!("{ECHO}?wait=20s"), &[], body).await;
            assert_eq!((job.status, job.json()["result"]["size"].as_u64()), (200, Some(length as u64)));
            assert_eq!(blobs(&served).await.len() - before, kept, "{length}");
        }
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_digest_that_does_not_fit_is_refused_and_nothing_is_kept() {
    let served = served(Work::Nobody).await;
    let other = digest_of(b"other");
    for length in [10, LARGE] {
        let bytes = noise(length);
        let answer = send(&served, ECHO, &[("content-digest", &other)], bytes.clone()).await;
        assert_problem(&answer, 400, "digest-mismatch");
        let answer = send(&served, ECHO, &[("content-digest", "sha-256=:x:")], bytes.clone()).await;
        assert_problem(&answer, 400, "malformed-request");
        until_blobs(&served, 0).await;
        for right in [digest_of(&bytes), "sha-512=:AAAA:".to_owned()] {
            let answer = send(&served, ECHO, &[("content-digest", &right)], bytes.clone()).await;
            assert_eq!(answer.status, 202, "{}", answer.json());
        }
    }
    until_blobs(&served, 2).await;
    assert!(served.stop().await);
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    let served = served(Work::Nobody).await;
    let bytes = noise(LARGE);
    for (path, headers, status, code) in [
        ("/v1/kinds/nothing/jobs", &[][..], 404, "kind-not-found"),
        ("/v1/kinds/pictures/jobs", &[], 415, "unsupported-media-type"),
        ("/v1/kinds/echo/jobs?priority=99", &[], 422, "input-invalid"),
        ("/v1/kinds/echo/jobs?deadline=2001-01-01T00:00:00Z", &[], 422, "deadline-in-past"),
        // It is looked at as a whole, so it has to fit in memory.
        (ECHO, &[("content-type", "application/json")], 413, "payload-too-large"),
    ] {
        assert_problem(&send(&served, path, headers, in_chunks(&bytes)).await, status, code);
    }
    for body in [Body::from(noise(9 << 20)), in_chunks(&noise(9 << 20))] {
        assert_problem(&send(&served, ECHO, &[], body).await, 413, "payload-too-large");
    }
    let large = format!("\"{}\"", "x".repeat(100_000));
    let answer = post_job(&served.client, &json!({"kind": "echo", "input": large}), &[]).await;
    assert_problem(&answer, 413, "payload-too-large");
    let valid = send(&served, "/v1/kinds/echo/jobs?validate_only=true", &[], bytes).await;
    assert_eq!((valid.status, valid.json()["valid"].as_bool()), (200, Some(true)));
    until_blobs(&served, 0).await;
    assert_eq!(get(&served.client, "/v1/jobs", &[]).await.json()["jobs"], json!([]));
    assert!(served.stop().await);
}

#[tokio::test]
async fn an_upload_that_is_cut_leaves_nothing() {
    let served = served(Work::Nobody).await;
    let heads = [format!("content-length: {LARGE}"), "transfer-encoding: chunked".to_owned()];
    for head in heads {
        let mut socket = TcpStream::connect(served.address).await.unwrap();
        let head = format!("PUT {ECHO} HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n{}", "");
        socket.write_all(head.as_bytes()).await.unwrap();
        let body = noise(2 << 20);
        if head.contains("chunked") {
            socket.write_all(format!("{:x}\r\n", body.len()).as_bytes()).await.unwrap();
        }
        socket.write_all(&body).await.unwrap();
        until_blobs(&served, 1).await;
        drop(socket);
        until_blobs(&served, 0).await;
    }
    assert_eq!(get(&served.client, "/v1/jobs", &[]).await.json()["jobs"], json!([]));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_large_request_that_is_repeated_is_the_same_job_and_the_second_body_goes() {
    let served = served(Work::Nobody).await;
    let (key, bytes) = ([("idempotency-key", "k")], noise(LARGE));
    let first = send(&served, ECHO, &key, bytes.clone()).await;
    let again = send(&served, ECHO, &key, in_chunks(&bytes)).await;
    assert_eq!((first.status, again.status), (202, 202), "{}", again.json());
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.job_id(), again.job_id());
    let other = send(&served, ECHO, &key, noise(LARGE - 1)).await;
    assert_problem(&other, 422, "idempotency-key-reused");
    until_blobs(&served, 1).await;
    assert_eq!(blobs(&served).await[0].job.to_string(), first.job_id());
    assert!(served.stop().await);
}

#[tokio::test]
async fn many_uploads_at_once_take_turns() {
    let served = served(Work::Worker).await;
    let bytes = noise(LARGE);
    let path = format!("{ECHO}?wait=20s");
    let all = (0..12).map(|_| send(&served, &path, &[], bytes.clone()));
    for answer in join_all(all).await {
        // Two write at once; who waits for too long is told so.
        if answer.status == 200 {
            assert_eq!(answer.json()["result"]["digest"], digest_of(&bytes));
        } else {
            assert_problem(&answer, 503, "queue-full");
            assert_ne!(answer.header("retry-after"), "");
        }
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_blob_store_that_is_away_refuses_large_bodies_and_takes_small_ones() {
    let served = served(Work::Worker).await;
    let bytes = noise(LARGE);
    let path = format!("{ECHO}?wait=20s");
    let done = send(&served, &path, &[], bytes.clone()).await;
    let result = format!("/v1/jobs/{}/result", done.job_id());

    let (place, aside) = (served.folder.path().join("blobs"), served.folder.path().join("aside"));
    std::fs::rename(&place, &aside).unwrap();
    std::fs::write(&place, "").unwrap();
    for answer in [send(&served, ECHO, &[], bytes.clone()).await, get(&served.client, &result, &[]).await] {
        assert_problem(&answer, 503, "store-unavailable");
        assert_ne!(answer.header("retry-after"), "");
    }
    assert_eq!(send(&served, &path, &[], "small").await.status, 200);

    std::fs::remove_file(&place).unwrap();
    std::fs::rename(&aside, &place).unwrap();
    assert!(get(&served.client, &result, &[]).await.body == bytes);
    assert_eq!(send(&served, &path, &[], bytes.clone()).await.status, 200);
    assert!(served.stop().await);
}

#[tokio::test]
async fn what_is_erased_is_gone_from_the_blob_store_when_it_is_answered() {
    is_gone(served(Work::Worker).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_is_gone_from_s3_when_it_is_answered() {
    is_gone(served_from_s3(Work::Worker).await).await;
}

async fn is_gone(served: Served) {
    let done = send(&served, &format!("{ECHO}?wait=20s"), &[], noise(LARGE)).await;
    let other = send(&served, &format!("{ECHO}?wait=20s"), &[], noise(LARGE)).await;
    let path = format!("/v1/jobs/{}", done.job_id());
    for _ in 0..2 {
        assert_eq!(served.client.send(Method::DELETE, &path, &[], "").await.status, 204);
        let left = blobs(&served).await;
        assert_eq!(left.len(), 2);
        assert!(left.iter().all(|name| name.job.to_string() == other.job_id()));
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_large_job_that_is_tried_again_has_an_input_of_its_own() {
    let served = served(Work::Worker).await;
    let bytes = noise(LARGE);
    let failed = send(&served, "/v1/kinds/failing/jobs?wait=20s", &[], bytes.clone()).await;
    assert_eq!(failed.json()["status"], "failed", "{}", failed.json());
    let path = format!("/v1/jobs/{}", failed.job_id());
    let again = served.client.send(Method::POST, &format!("{path}/retry"), &[], "").await;
    assert_eq!(again.status, 202, "{}", again.json());
    served.client.done(&again.job_id()).await;
    let mut owners: Vec<String> = blobs(&served).await.iter().map(|name| name.job.to_string()).collect();
    owners.sort();
    let mut expected = [failed.job_id(), again.job_id()];
    expected.sort();
    assert_eq!(owners, expected);
    assert_eq!(served.client.send(Method::DELETE, &path, &[], "").await.status, 204);
    let left = blobs(&served).await;
    assert_eq!((left.len(), left[0].job.to_string()), (1, again.job_id()));
    assert!(served.stop().await);
}
