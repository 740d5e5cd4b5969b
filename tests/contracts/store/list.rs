//! Lists: newest first, page by page, by filter.

use std::collections::BTreeMap;

use raincheck_shared::domain::{JobId, NewJob, Status};
use raincheck_shared::store::JobFilter;

use super::against_each_store;
use super::given::{HOUR, accepted, finished, job, keyed_job, kind, queue, running, scheduled_job, succeeded};
use crate::harness::store::StoreFixture;

against_each_store! {
    pages_follow_one_another_newest_first,
    each_filter_finds_its_jobs_and_they_add_up,
    a_listed_job_is_the_whole_job_without_its_result,
    a_page_of_an_empty_store_is_empty,
}

/// Every page, to the end.
fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn all(on: &StoreFixture, filter: &JobFilter, limit: u32) -> Vec<JobId> {
    let (mut ids, mut after) = (Vec::new(), None);
    for _ in 0..1000 {
        let page = on.store.jobs.list_jobs(filter, after, limit).await.expect("list");
        assert!(page.jobs.len() <= limit as usize);
        ids.extend(page.jobs.iter().map(|j| j.id));
        after = page.next;
        if after.is_none() {
            return ids;
        }
    }
    panic!("the list never ends");
}

async fn pages_follow_one_another_newest_first(on: &StoreFixture) {
    let jobs: Vec<NewJob> = (0..25).map(|_| job()).collect();
    accepted(on, jobs.clone()).await;
    let mut newest_first: Vec<JobId> = jobs.iter().map(|j| j.id).collect();
    newest_first.reverse();
    let filter = JobFilter::default();
    let first = on.store.jobs.list_jobs(&filter, None, 10).await.expect("list");
    assert_eq!(first.jobs.iter().map(|j| j.id).collect::<Vec<_>>(), newest_first[..10]);
    // What is accepted meanwhile does not shift the pages.
    accepted(on, vec![job()]).await;
    let second = on.store.jobs.list_jobs(&filter, first.next, 10).await.expect("list");
    assert_eq!(second.jobs.iter().map(|j| j.id).collect::<Vec<_>>(), newest_first[10..20]);
    let third = on.store.jobs.list_jobs(&filter, second.next, 10).await.expect("list");
    assert_eq!(third.jobs.iter().map(|j| j.id).collect::<Vec<_>>(), newest_first[20..]);
    assert_eq!(third.next, None);
    for limit in [1, 13, 26, 100] {
        assert_eq!(all(on, &filter, limit).await[1..], newest_first, "pages of {limit}");
    }
}

async fn each_filter_finds_its_jobs_and_they_add_up(on: &StoreFixture) {
    let plain = job();
    let other_kind = NewJob { kind: kind("test.other"), ..job() };
    let other_queue = NewJob { queue: queue("other"), ..job() };
    let tagged = NewJob { tags: vec!["a".to_owned(), "b \"c\" 🌧".to_owned()], ..job() };
    let almost = NewJob { tags: vec!["a b".to_owned(), "A".to_owned()], ..job() };
    let keyed = keyed_job("the key", 1);
    let keyed = NewJob { metadata: Some(r#"{"order":"42"}"#.to_owned()), ..keyed };
    let labelled = NewJob { metadata: Some(r#"{"a.'\"b":"","order":"42"}"#.to_owned()), ..job() };
    let later = NewJob { tags: vec!["a".to_owned()], ..scheduled_job(HOUR) };
    let jobs = [&plain, &other_kind, &other_queue, &tagged, &almost, &keyed, &labelled, &later];
    accepted(on, jobs.into_iter().cloned().collect()).await;
    let done = running(on, job()).await;
    finished(on, &done, succeeded(b"1")).await;

    let any = JobFilter::default;
    for (filter, expected) in [
        (JobFilter { kind: Some(kind("test.other")), ..any() }, vec![other_kind.id]),
        (JobFilter { queue: Some(queue("other")), ..any() }, vec![other_queue.id]),
        (JobFilter { tags: vec!["a".to_owned()], ..any() }, vec![later.id, tagged.id]),
        (JobFilter { tags: vec!["b \"c\" 🌧".to_owned()], ..any() }, vec![tagged.id]),
        (JobFilter { tags: vec!["c".to_owned()], ..any() }, vec![]),
        (JobFilter { tags: vec!["b \"c\" 🌧".to_owned(), "a".to_owned()], ..any() }, vec![tagged.id]),
        (JobFilter { tags: vec!["a".to_owned(), "a b".to_owned()], ..any() }, vec![]),
        (JobFilter { metadata: pairs(&[("order", "42")]), ..any() }, vec![labelled.id, keyed.id]),
        (JobFilter { metadata: pairs(&[("order", "42"), ("a.'\"b", "")]), ..any() }, vec![labelled.id]),
        (JobFilter { metadata: pairs(&[("order", "4")]), ..any() }, vec![]),
        (JobFilter { metadata: pairs(&[("b", "42")]), ..any() }, vec![]),
        (
            JobFilter { metadata: pairs(&[("order", "42")]), idempotency_key: Some("the key".to_owned()), ..any() },
            vec![keyed.id],
        ),
        (
            JobFilter { metadata: pairs(&[("order", "43")]), idempotency_key: Some("the key".to_owned()), ..any() },
            vec![],
        ),
        (JobFilter { idempotency_key: Some("the key".to_owned()), ..any() }, vec![keyed.id]),
        (JobFilter { idempotency_key: Some("no key".to_owned()), ..any() }, vec![]),
        (JobFilter { statuses: vec![Status::Scheduled], ..any() }, vec![later.id]),
        (JobFilter { statuses: vec![Status::Scheduled, Status::Succeeded], ..any() }, vec![done.id, later.id]),
        (JobFilter { statuses: vec![Status::Failed], ..any() }, vec![]),
        (
            JobFilter {
                statuses: vec![Status::Queued],
                kind: Some(kind("test.echo")),
                tags: vec!["a".to_owned()],
                ..any()
            },
            vec![tagged.id],
        ),
        (JobFilter { statuses: vec![Status::Failed], idempotency_key: Some("the key".to_owned()), ..any() }, vec![]),
    ] {
        for limit in [1, 10] {
            assert_eq!(all(on, &filter, limit).await, expected, "{filter:?} by {limit}");
        }
    }
    assert_eq!(all(on, &any(), 10).await.len(), 9);
}

async fn a_listed_job_is_the_whole_job_without_its_result(on: &StoreFixture) {
    let done = running(on, keyed_job("k", 1)).await;
    let mut found = finished(on, &done, succeeded(b"1")).await;
    let listed = on.store.jobs.list_jobs(&JobFilter::default(), None, 10).await.expect("list").jobs.remove(0);
    let result = found.result.as_mut().expect("a result");
    assert!(result.inline.is_some());
    result.inline = None;
    assert_eq!(listed, found);
}

async fn a_page_of_an_empty_store_is_empty(on: &StoreFixture) {
    let page = on.store.jobs.list_jobs(&JobFilter::default(), None, 10).await.expect("list");
    assert!(page.jobs.is_empty() && page.next.is_none());
}
