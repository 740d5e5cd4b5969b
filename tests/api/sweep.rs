//! Which blobs the sweep removes, and which it must never touch.

use std::time::Duration;

use raincheck_shared::domain::{BlobName, BlobPart, JobId};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::Claim;
use reqwest::Method;
use uuid::Uuid;

use super::get;
use super::large::blobs;
use crate::contracts::blobs::noise;
use crate::harness::served::{Served, Work};
use crate::harness::wait::{now, until};

const LARGE: usize = 200_000;

const SWEPT: [(&str, &str); 3] = [("blobs.in_database", "64KiB"), ("jobs.max_input", "8MiB"), ("upkeep.blobs", "50ms")];

/// The id of a job that would have been accepted so many hours ago.
fn hours_ago(hours: u64) -> JobId {
    let millis = IdSource.job().created_at().unix_timestamp_nanos() / 1_000_000;
    let seconds = u64::try_from(millis / 1000).unwrap() - hours * 3600;
    JobId::new(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0)))
}

async fn plant(on: &Served, job: JobId, part: BlobPart, token: Uuid) -> BlobName {
    let name = BlobName { job, part, token, upload: None };
    loop {
        let mut writer = on.blobs.write(name);
        writer.write(b"left behind").await.unwrap();
        // A sweep may take it, as old as it is, before it is whole.
        if writer.finish().await.is_ok() {
            return name;
        }
    }
}

async fn until_gone(on: &Served, name: BlobName) {
    until("a blob to be swept", Duration::from_secs(10), async || !blobs(on).await.contains(&name)).await;
}

/// Whole sweeps have gone by: a blob that every sweep would remove was planted later, and is gone.
async fn after_a_sweep(on: &Served) {
    for _ in 0..2 {
        let bait = plant(on, hours_ago(30), BlobPart::Output, IdSource.random()).await;
        until_gone(on, bait).await;
    }
}

#[tokio::test]
async fn an_input_without_a_row_is_kept_while_a_submit_can_be_under_way() {
    let served = Served::with(Work::Nobody, &SWEPT).await;
    let young = plant(&served, hours_ago(23), BlobPart::Input, IdSource.random()).await;
    let old = plant(&served, hours_ago(25), BlobPart::Input, IdSource.random()).await;
    // A crash in the middle of writing leaves half of one.
    let half = BlobName { job: hours_ago(25), part: BlobPart::Input, token: IdSource.random(), upload: None };
    let file = served.folder.path().join("blobs").join(format!("{half}#1"));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "half").unwrap();
    until_gone(&served, old).await;
    until_gone(&served, half).await;
    after_a_sweep(&served).await;
    assert_eq!(blobs(&served).await, [young]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn what_a_row_names_is_kept_and_what_the_running_attempt_may_name() {
    let served = Served::with(Work::Nobody, &SWEPT).await;
    let path = "/v1/kinds/apart/jobs";
    let accepted = served.client.send(Method::POST, path, &[], noise(LARGE)).await;
    assert_eq!(accepted.status, 202);
    let job: JobId = accepted.job_id().parse().unwrap();
    let input = blobs(&served).await[0];
    assert_eq!(input.job, job);

    // Another input of the same job cannot be named any more, nor an output while nobody runs it.
    for part in [BlobPart::Input, BlobPart::Output] {
        let other = plant(&served, job, part, IdSource.random()).await;
        until_gone(&served, other).await;
    }

    let worker = IdSource.worker();
    let _life = served.store.leases.register(worker, "test", Duration::from_mins(1), false).await.unwrap();
    let (queue, kind) = ("apart".parse().unwrap(), "apart".parse().unwrap());
    let claim = Claim { worker, lease: IdSource.lease(), dispatches: Vec::new() };
    let claimed = served.store.attempts.claim_waiting(claim, &[queue], &[kind], 1).await.unwrap().remove(0);
    let running = plant(&served, job, BlobPart::Output, claimed.fence.token).await;
    let stale = plant(&served, job, BlobPart::Output, IdSource.random()).await;
    until_gone(&served, stale).await;
    after_a_sweep(&served).await;
    let mut kept = blobs(&served).await;
    kept.sort_by_key(ToString::to_string);
    assert_eq!(kept, [input, running]);

    // Taken away from its worker, by a cancel over its head: what that made is nobody's.
    served.store.attempts.drop_stray_leases(worker, &[], &[]).await.unwrap();
    until_gone(&served, running).await;
    after_a_sweep(&served).await;
    assert_eq!(blobs(&served).await, [input]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn the_blobs_of_a_job_go_when_its_retention_is_over_and_not_before() {
    let served = Served::with(Work::Worker, &SWEPT).await;
    let started = now();
    let path = "/v1/kinds/echo/jobs?wait=20s&result_retention=3s";
    let done = served.client.send(Method::POST, path, &[], noise(LARGE)).await;
    assert_eq!(done.status, 200, "{}", done.json());
    let result = format!("/v1/jobs/{}/result", done.job_id());
    loop {
        let answer = get(&served.client, &result, &[]).await;
        if answer.status != 200 {
            // A job that is forgotten sooner than its kind's retention says looks like one that never was. At the very moment
            // it can be its result that is missed first.
            let code = &answer.json()["code"];
            assert!(code == "job-not-found" || code == "result-expired", "{}", answer.json());
            break;
        }
        assert!(answer.body == noise(LARGE), "as long as it is there, it is all there");
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    until("its blobs to go", Duration::from_secs(10), async || blobs(&served).await.is_empty()).await;
    assert!(served.stop().await);
}
