//! Reading: jobs, glimpses of them, results.

use bytes::Bytes;
use raincheck_shared::domain::{Body, Ended, JobId, NewJob, Output, Payload, Status};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Change, StoredResult};

use super::against_each_store;
use super::given::{HOUR, accepted, failure, find, finished, job, running, succeeded};
use crate::harness::store::StoreFixture;

against_each_store! {
    jobs_are_found_by_id_and_unknown_ones_left_out,
    glimpses_tell_version_and_status,
    a_result_comes_along_only_up_to_the_limit_and_only_as_text,
    a_result_is_read_whole_byte_for_byte,
    what_has_expired_is_not_found,
}

async fn jobs_are_found_by_id_and_unknown_ones_left_out(on: &StoreFixture) {
    let jobs: Vec<NewJob> = (0..3).map(|_| job()).collect();
    accepted(on, jobs.clone()).await;
    let asked = [jobs[2].id, IdSource.job(), jobs[0].id, jobs[0].id];
    let mut found: Vec<JobId> =
        on.store.jobs.find_jobs(&asked, 0).await.expect("read").into_iter().map(|j| j.id).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, [jobs[0].id, jobs[2].id]);
}

async fn glimpses_tell_version_and_status(on: &StoreFixture) {
    let (running, waiting) = (running(on, job()).await, job());
    accepted(on, vec![waiting.clone()]).await;
    let ids = [running.id, waiting.id, IdSource.job()];
    let mut glimpses = on.store.jobs.find_glimpses(&ids).await.expect("glimpse");
    glimpses.sort_by_key(|g| g.id);
    assert_eq!(
        glimpses,
        [
            Change { id: running.id, version: 2, status: Status::InProgress },
            Change { id: waiting.id, version: 1, status: Status::Queued },
        ]
    );
}

async fn made(on: &StoreFixture, content_type: &str, bytes: &[u8]) -> JobId {
    let running = running(on, job()).await;
    let payload = Payload { content_type: content_type.to_owned(), bytes: Bytes::copy_from_slice(bytes) };
    finished(on, &running, Ended::Succeeded(Output { content: payload.into(), digest: [3; 32] })).await;
    running.id
}

async fn a_result_comes_along_only_up_to_the_limit_and_only_as_text(on: &StoreFixture) {
    for (content_type, bytes, inline) in [
        ("application/json", &b"12345678"[..], true),
        ("application/problem+json; charset=utf-8", b"12345678", true),
        ("text/plain", b"12345678", true),
        ("text/plain", b"", true),
        ("text/plain", b"123456789", false),
        ("application/json", b"123456789", false),
        ("image/png", b"1234", false),
    ] {
        let id = made(on, content_type, bytes).await;
        let found = on.store.jobs.find_jobs(&[id], 8).await.expect("read").remove(0);
        let result = found.result.expect("a result");
        assert_eq!((result.content_type.as_str(), result.size), (content_type, bytes.len() as u64));
        assert_eq!(result.digest, [3; 32]);
        assert_eq!(result.inline, inline.then(|| Bytes::copy_from_slice(bytes)), "{content_type} {bytes:?}");
    }
}

async fn a_result_is_read_whole_byte_for_byte(on: &StoreFixture) {
    let every_byte: Vec<u8> = (0..=255_u8).cycle().take(300_000).collect();
    for bytes in [&b""[..], b"{ \"a\":\n1 }", &every_byte] {
        let id = made(on, "application/octet-stream", bytes).await;
        let expected = StoredResult {
            content_type: "application/octet-stream".to_owned(),
            digest: [3; 32],
            body: Body::Inline(Bytes::copy_from_slice(bytes)),
        };
        assert_eq!(on.store.jobs.find_result(id).await.expect("read"), Some(expected));
    }
    let failed = running(on, job()).await;
    assert_eq!(on.store.jobs.find_result(failed.id).await.expect("read"), None, "while it runs");
    finished(on, &failed, Ended::Failed(failure(1))).await;
    assert_eq!(on.store.jobs.find_result(failed.id).await.expect("read"), None, "when it failed");
    assert_eq!(on.store.jobs.find_result(IdSource.job()).await.expect("read"), None, "when there is no such job");
}

async fn what_has_expired_is_not_found(on: &StoreFixture) {
    let running = running(on, NewJob { retention: HOUR, ..job() }).await;
    finished(on, &running, succeeded(b"1")).await;
    find(on, running.id).await;
    on.age(HOUR).await;
    assert_eq!(on.store.jobs.find_jobs(&[running.id], 0).await.expect("read"), []);
    assert_eq!(on.store.jobs.find_result(running.id).await.expect("read"), None);
}
