//! Rows that name blobs: in place of an input or a result, and for those who look for blobs that nobody names.

use raincheck_shared::domain::{
    Blob, BlobName, BlobOwner, BlobPart, Body, Content, Ended, Fence, JobId, NewJob, Output,
};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::StoredResult;

use super::against_each_store;
use super::given::{DAY, HOUR, failure, find, finished, job, retry, running};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_blob_takes_the_place_of_an_input_in_every_attempt,
    a_blob_takes_the_place_of_a_result,
    rows_say_which_blobs_they_need,
}

fn blob(job: JobId, part: BlobPart, token: uuid::Uuid) -> Blob {
    Blob { name: BlobName { job, part, token, upload: None }, size: 100 << 20, digest: [0xa7; 32] }
}

fn content(blob: Blob) -> Content {
    Content { content_type: "video/mp4".to_owned(), body: Body::Blob(blob) }
}

fn with_input() -> (NewJob, Blob) {
    let new = job();
    let blob = blob(new.id, BlobPart::Input, IdSource.random());
    (NewJob { input: content(blob), ..new }, blob)
}

fn made(fence: Fence) -> (Ended, Blob) {
    let blob = blob(fence.job, BlobPart::Output, fence.token);
    (Ended::Succeeded(Output { content: content(blob), digest: blob.digest }), blob)
}

async fn owners(on: &StoreFixture, jobs: &[JobId]) -> Vec<BlobOwner> {
    on.store.upkeep.list_blob_owners(jobs).await.expect("list")
}

async fn a_blob_takes_the_place_of_an_input_in_every_attempt(on: &StoreFixture) {
    let (new, blob) = with_input();
    let first = running(on, new.clone()).await;
    finished(on, &first, retry(std::time::Duration::ZERO)).await;
    let dispatches = super::given::fire(on).await.dispatches;
    let (worker, _life) = super::given::worker(on).await;
    let claimed = super::given::claim(on, worker, dispatches).await;
    assert_eq!(claimed[0].input, content(blob));
    // Its neighbour in the same batch has none.
    let (small, large) = (job(), with_input().0);
    let dispatches = super::given::accepted(on, vec![small.clone(), large.clone()]).await;
    let claimed = super::given::claim(on, worker, dispatches).await;
    let input_of = |id| &claimed.iter().find(|c| c.fence.job == id).expect("claimed").input;
    assert_eq!((input_of(small.id), input_of(large.id)), (&small.input, &large.input));
}

async fn a_blob_takes_the_place_of_a_result(on: &StoreFixture) {
    let running = running(on, job()).await;
    let (ended, blob) = made(running.fence);
    let done = finished(on, &running, ended).await;
    let result = done.result.expect("a result");
    assert_eq!((result.size, result.digest, result.inline), (blob.size, blob.digest, None));
    let expected = StoredResult { content_type: "video/mp4".to_owned(), digest: blob.digest, body: Body::Blob(blob) };
    assert_eq!(on.store.jobs.find_result(running.id).await.expect("read"), Some(expected));
}

async fn rows_say_which_blobs_they_need(on: &StoreFixture) {
    let (new, input) = with_input();
    let run = running(on, NewJob { retention: HOUR, ..new }).await;
    let unknown = IdSource.job();
    let nothing = BlobOwner { job: run.id, running: None, input: None, output: None };
    let while_it_runs = BlobOwner { running: Some(run.fence.token), input: Some(input.name), ..nothing };
    assert_eq!(owners(on, &[run.id, unknown]).await, [while_it_runs]);

    let (ended, output) = made(run.fence);
    finished(on, &run, ended).await;
    let done = BlobOwner { input: Some(input.name), output: Some(output.name), ..nothing };
    assert_eq!(owners(on, &[run.id]).await, [done]);
    assert!(done.needs(&input.name) && done.needs(&output.name));

    // A recorded end keeps its token; that is no right to record another.
    let failed = running(on, job()).await;
    finished(on, &failed, Ended::Failed(failure(1))).await;
    let owner = owners(on, &[failed.id]).await[0];
    assert_eq!(owner.running, None);

    on.age(DAY).await;
    assert_eq!(owners(on, &[run.id]).await, [nothing], "its retention is over");
    assert_eq!(on.store.jobs.find_jobs(&[run.id], 0).await.expect("read"), []);
    find(on, failed.id).await;
}
