//! Accepting: what was answered with `New` is kept, whole, and found at once.

use std::time::Duration;

use bytes::Bytes;
use raincheck_shared::domain::{Band, Dispatch, Event, NewJob, Payload, Status, Webhook};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Accepted, StoreError};

use super::against_each_store;
use super::given::{DAY, HOUR, accepted, claim, find, job, keyed_job, kind, now, queue, scheduled_job, worker};
use crate::harness::store::StoreFixture;

against_each_store! {
    every_field_of_a_job_comes_back_as_it_went_in,
    what_only_one_job_of_a_batch_has_is_kept_of_it_alone,
    jobs_that_are_alike_and_one_that_is_not_are_each_kept_as_they_are,
    whatever_a_job_has_besides_its_input_is_kept_where_it_has_nothing_else,
    inputs_come_back_byte_for_byte,
    a_row_that_cannot_be_kept_fails_alone,
    an_id_that_is_taken_fails_alone,
    jobs_of_one_kind_queue_and_band_share_dispatches_of_their_width,
    a_job_with_a_time_ahead_is_scheduled_and_has_no_dispatch,
    a_batch_of_none_is_answered_with_none,
    a_large_batch_is_kept_in_order,
    an_accept_that_is_given_up_is_kept_whole_or_not_at_all,
}

async fn every_field_of_a_job_comes_back_as_it_went_in(on: &StoreFixture) {
    let new = NewJob {
        kind: kind("report.render"),
        queue: queue("slow"),
        priority: 9,
        input: Payload { content_type: "image/png".to_owned(), bytes: Bytes::from_static(&[0, 159, 146, 150, 0]) }
            .into(),
        run_at: Some(now() + HOUR),
        start_by: Some(now() + 2 * HOUR),
        deadline: Some(now() + 3 * HOUR),
        run_timeout: Duration::from_millis(61_234),
        max_attempts: 7,
        retention: 3 * DAY,
        metadata: Some("{\"order\":\"42\",\"weird\":\"\u{202e}🌧 \\\" ' \u{7f}\"}".to_owned()),
        tags: vec!["march".to_owned(), "with, comma \"and\" 'quotes' {}".to_owned(), "ß🌧\u{202e}\\".to_owned()],
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        retry_of: Some(IdSource.job()),
        batch: Some(IdSource.batch()),
        ..keyed_job("a key, 'quoted'", 9)
    };
    accepted(on, vec![new.clone()]).await;

    let found = find(on, new.id).await;
    assert_eq!(found.id, new.id);
    assert_eq!(found.kind, new.kind);
    assert_eq!(found.queue, new.queue);
    assert_eq!(found.priority, 9);
    assert_eq!(found.version, 1);
    assert_eq!(found.status, Status::Scheduled);
    assert_eq!((found.attempt, found.max_attempts), (0, 7));
    assert_eq!(found.run_at, new.run_at);
    assert_eq!(found.deadline, new.deadline);
    assert_eq!(
        (found.started_at, found.finished_at, found.next_attempt_at, found.expires_at),
        (None, None, None, None)
    );
    assert_eq!(found.run_timeout, new.run_timeout);
    assert_eq!(found.retention, new.retention);
    assert_eq!((found.worker, found.progress, found.cancel), (None, None, None));
    assert_eq!((found.result, found.error), (None, None));
    assert_eq!(found.attempts, []);
    assert_eq!(found.metadata, new.metadata);
    assert_eq!(found.tags, new.tags);
    assert_eq!(found.idempotency_key.as_deref(), Some("a key, 'quoted'"));
    assert_eq!(found.traceparent, new.traceparent);
    assert_eq!((found.retry_of, found.batch), (new.retry_of, new.batch));
}

async fn whatever_a_job_has_besides_its_input_is_kept_where_it_has_nothing_else(on: &StoreFixture) {
    let webhook =
        Webhook { url: "https://hooks.example.com/a".parse().expect("a URL"), events: vec![Event::Succeeded] };
    let jobs = [
        NewJob { run_at: Some(now() + HOUR), ..job() },
        NewJob { start_by: Some(now() + HOUR), ..job() },
        NewJob { deadline: Some(now() + HOUR), ..job() },
        NewJob { input_retention: Some(HOUR), ..job() },
        NewJob { metadata: Some("{\"a\":\"b\"}".to_owned()), ..job() },
        NewJob { tags: vec!["a".to_owned()], ..job() },
        NewJob { concurrency_key: Some("a".to_owned()), ..job() },
        NewJob { line: Some("test.echo default a".to_owned()), ..job() },
        NewJob { retry_of: Some(IdSource.job()), ..job() },
        NewJob { batch: Some(IdSource.batch()), ..job() },
        NewJob { webhook: Some(webhook), ..job() },
        NewJob { traceparent: Some("00-aa-bb-01".to_owned()), ..job() },
        keyed_job("alone", 1),
    ];
    for new in jobs {
        let before = (on.count("erasures").await, on.count("parked_jobs").await);
        let dispatches = accepted(on, vec![new.clone()]).await;
        let found = find(on, new.id).await;
        let timed = new.run_at.is_some() || new.expires_unstarted_at().is_some();
        assert_eq!(on.timers_of(new.id).await, i64::from(timed), "{new:?}");
        assert_eq!((found.run_at, found.deadline), (new.run_at, new.deadline));
        assert_eq!((&found.metadata, &found.tags), (&new.metadata, &new.tags));
        assert_eq!(found.concurrency_key, new.concurrency_key);
        assert_eq!((found.retry_of, found.batch), (new.retry_of, new.batch));
        assert_eq!(found.webhook.map(|webhook| webhook.wish), new.webhook);
        assert_eq!(found.traceparent, new.traceparent);
        assert_eq!(found.idempotency_key.is_some(), new.idempotency.is_some());
        let kept = (
            on.count("erasures").await - before.0,
            on.count("parked_jobs").await - before.1,
            i64::try_from(dispatches.len()).expect("few"),
        );
        let waits = new.run_at.is_none() && new.line.is_none();
        let expected = (i64::from(new.input_retention.is_some()), i64::from(new.line.is_some()), i64::from(waits));
        assert_eq!(kept, expected, "{new:?}");
    }
}

async fn what_only_one_job_of_a_batch_has_is_kept_of_it_alone(on: &StoreFixture) {
    let tagged = NewJob { tags: vec!["a".to_owned()], metadata: Some("{\"a\":\"b\"}".to_owned()), ..job() };
    let (plain, delayed) = (job(), scheduled_job(HOUR));
    let keyed = keyed_job("one of many", 1);
    accepted(on, vec![plain.clone(), tagged.clone(), delayed.clone(), keyed.clone()]).await;
    for new in [&plain, &tagged, &delayed, &keyed] {
        let found = find(on, new.id).await;
        assert_eq!((&found.metadata, &found.tags, found.run_at), (&new.metadata, &new.tags, new.run_at));
        assert_eq!(found.status, if new.run_at.is_some() { Status::Scheduled } else { Status::Queued });
        assert_eq!(found.idempotency_key.is_some(), new.idempotency.is_some());
    }
}

async fn jobs_that_are_alike_and_one_that_is_not_are_each_kept_as_they_are(on: &StoreFixture) {
    let like = || NewJob { dispatch_width: 3, ..job() };
    let image = Payload { content_type: "image/png".to_owned(), bytes: Bytes::from_static(b"i") };
    let odd_ones = [
        NewJob { input: Payload::json(&b"[1]"[..]).into(), traceparent: Some("00-aa-bb-01".to_owned()), ..like() },
        NewJob { tenant: "acme".parse().expect("a tenant"), ..like() },
        NewJob { kind: kind("test.other"), ..like() },
        NewJob { queue: queue("other"), ..like() },
        NewJob { priority: 4, ..like() },
        NewJob { priority: 9, ..like() },
        NewJob { express: true, ..like() },
        NewJob { dispatch_width: 1, ..like() },
        NewJob { input: image.into(), ..like() },
        NewJob { run_timeout: HOUR, ..like() },
        NewJob { max_attempts: 9, ..like() },
        NewJob { retention: DAY, ..like() },
    ];
    let keyed = |key: &str| keyed_job(key, 7).idempotency;
    for (n, (odd, keys)) in odd_ones.iter().flat_map(|odd| [(odd, false), (odd, true)]).enumerate() {
        // Not in the order of their ids.
        let mut batch = vec![like(), NewJob { id: IdSource.job(), ..odd.clone() }, like(), like()];
        if keys {
            for (place, job) in batch.iter_mut().enumerate() {
                job.idempotency = keyed(&format!("{n} {}", 9 - place));
            }
        }
        let dispatches = accepted(on, batch.clone()).await;
        for new in &batch {
            let found = find(on, new.id).await;
            assert_eq!((&found.tenant, &found.kind, &found.queue), (&new.tenant, &new.kind, &new.queue));
            assert_eq!((found.priority, found.status, found.version), (new.priority, Status::Queued, 1));
            assert_eq!((found.run_timeout, found.retention), (new.run_timeout, new.retention));
            assert_eq!((found.max_attempts, &found.traceparent), (new.max_attempts, &new.traceparent));
            let key = new.idempotency.as_ref().map(|idempotency| idempotency.key.as_str());
            assert_eq!(found.idempotency_key.as_deref(), key);
            let input = on.store.jobs.find_input(new.id).await.expect("read").expect("kept");
            assert_eq!(format!("{input:?}"), format!("{:?}", new.input));
            let own: Vec<_> = dispatches.iter().filter(|dispatch| dispatch.jobs.contains(&new.id)).collect();
            let [Dispatch { queue, band, kind, jobs, .. }] = own[..] else { panic!("in one dispatch: {own:?}") };
            assert_eq!((queue, *band, kind), (&new.queue, new.band(), &new.kind));
            assert!(jobs.len() <= new.dispatch_width);
        }
    }
}

async fn inputs_come_back_byte_for_byte(on: &StoreFixture) {
    let every_byte: Vec<u8> = (0..=255_u8).cycle().take(100_000).collect();
    let inputs: Vec<(&str, Vec<u8>)> = vec![
        ("application/octet-stream", Vec::new()),
        ("application/json; charset=utf-8", b"{ \"a\" :  1.0, \"a\": 2 }\n".to_vec()),
        ("application/octet-stream", every_byte),
        ("text/plain", "\u{feff}ä\0🌧".as_bytes().to_vec()),
    ];
    let jobs: Vec<NewJob> = inputs
        .iter()
        .map(|(content_type, bytes)| NewJob {
            input: Payload { content_type: (*content_type).to_owned(), bytes: Bytes::from(bytes.clone()) }.into(),
            ..job()
        })
        .collect();
    let dispatches = accepted(on, jobs.clone()).await;
    let (worker, _life) = worker(on).await;
    let mut claimed = claim(on, worker, dispatches).await;
    claimed.sort_by_key(|c| c.fence.job);
    assert_eq!(claimed.len(), jobs.len());
    for (got, new) in claimed.into_iter().zip(jobs) {
        assert_eq!(got.fence.job, new.id);
        assert_eq!(got.input, new.input);
        assert_eq!(on.store.jobs.find_input(new.id).await.expect("read an input"), Some(new.input));
    }
    assert_eq!(on.store.jobs.find_input(IdSource.job()).await.expect("read an input"), None);
}

async fn a_row_that_cannot_be_kept_fails_alone(on: &StoreFixture) {
    let bad = [
        NewJob { metadata: Some("{\"a\":\"\0\"}".to_owned()), ..job() },
        NewJob { tags: vec!["a\0b".to_owned()], ..keyed_job("of a bad row", 1) },
        NewJob { traceparent: Some("\0".to_owned()), ..job() },
        NewJob { input: Payload { content_type: "text/\0".to_owned(), bytes: Bytes::new() }.into(), ..job() },
    ];
    let good: Vec<NewJob> = (0..5).map(|_| NewJob { dispatch_width: 10, ..job() }).collect();
    let mut batch = Vec::new();
    for (index, job) in good.iter().enumerate() {
        batch.push(job.clone());
        batch.extend(bad.get(index).cloned());
    }

    let answered = on.store.jobs.accept(batch.clone()).await;
    assert_eq!(answered.answers.len(), batch.len());
    for (new, answer) in batch.iter().zip(&answered.answers) {
        if good.contains(new) {
            assert!(matches!(answer, Ok(Accepted::New { id, status: Status::Queued }) if *id == new.id), "{answer:?}");
            find(on, new.id).await;
        } else {
            assert!(matches!(answer, Err(StoreError::Rejected(_))), "{answer:?}");
            assert_eq!(on.store.jobs.find_jobs(&[new.id], 0).await.expect("read"), []);
        }
    }
    let mut dispatched: Vec<_> = answered.dispatches.into_iter().flat_map(|d| d.jobs).collect();
    dispatched.sort_unstable();
    assert_eq!(dispatched, good.iter().map(|j| j.id).collect::<Vec<_>>());
    // The key of a row that was not kept is still free.
    accepted(on, vec![keyed_job("of a bad row", 2)]).await;
}

async fn an_id_that_is_taken_fails_alone(on: &StoreFixture) {
    let first = job();
    accepted(on, vec![first.clone()]).await;
    let neighbour = job();
    let again = NewJob { id: first.id, priority: 9, ..job() };
    let answered = on.store.jobs.accept(vec![again, neighbour.clone()]).await;
    assert!(matches!(answered.answers[0], Err(StoreError::Rejected(_))), "{:?}", answered.answers);
    assert!(matches!(answered.answers[1], Ok(Accepted::New { .. })), "{:?}", answered.answers);
    assert_eq!(find(on, first.id).await.priority, 5);
    assert_eq!(find(on, neighbour.id).await.status, Status::Queued);
    assert_eq!(answered.dispatches.iter().flat_map(|d| d.jobs.clone()).collect::<Vec<_>>(), [neighbour.id]);
}

async fn jobs_of_one_kind_queue_and_band_share_dispatches_of_their_width(on: &StoreFixture) {
    let wide = || NewJob { dispatch_width: 4, ..job() };
    let mut batch: Vec<NewJob> = (0..10).map(|_| wide()).collect();
    batch.extend((0..2).map(|_| NewJob { priority: 8, ..wide() }));
    batch.extend((0..2).map(|_| NewJob { queue: queue("other"), ..wide() }));
    batch.extend((0..3).map(|_| NewJob { kind: kind("test.other"), dispatch_width: 1, ..job() }));
    batch.push(scheduled_job(HOUR));
    let dispatches = accepted(on, batch.clone()).await;

    assert_eq!(i64::try_from(dispatches.len()).expect("few"), on.count("dispatches").await);
    for Dispatch { queue, band, kind, jobs, .. } in &dispatches {
        assert!(!jobs.is_empty());
        for id in jobs {
            let new = batch.iter().find(|j| j.id == *id).expect("one of ours");
            assert_eq!((queue, *band, kind), (&new.queue, new.band(), &new.kind));
            assert!(jobs.len() <= new.dispatch_width);
        }
    }
    let mut ids: Vec<_> = dispatches.iter().flat_map(|d| d.jobs.iter().copied()).collect();
    ids.sort_unstable();
    assert_eq!(ids, batch[..17].iter().map(|j| j.id).collect::<Vec<_>>(), "each once, none that is scheduled");
    let of = |q: &str, b: Band, k: &str| {
        dispatches.iter().filter(|d| d.queue == queue(q) && d.band == b && d.kind == kind(k)).count()
    };
    assert_eq!(of("default", Band::Normal, "test.echo"), 3);
    assert_eq!(of("default", Band::High, "test.echo"), 1);
    assert_eq!(of("other", Band::Normal, "test.echo"), 1);
    assert_eq!(of("default", Band::Normal, "test.other"), 3);
}

async fn a_job_with_a_time_ahead_is_scheduled_and_has_no_dispatch(on: &StoreFixture) {
    let (ahead, past) = (scheduled_job(HOUR), NewJob { run_at: Some(now() - HOUR), ..job() });
    let answered = on.store.jobs.accept(vec![ahead.clone(), past.clone()]).await;
    assert_eq!(answered.answers[0].clone().ok(), Some(Accepted::New { id: ahead.id, status: Status::Scheduled }));
    assert_eq!(answered.answers[1].clone().ok(), Some(Accepted::New { id: past.id, status: Status::Queued }));
    assert_eq!(find(on, ahead.id).await.status, Status::Scheduled);
    let past_found = find(on, past.id).await;
    assert_eq!((past_found.status, past_found.run_at), (Status::Queued, past.run_at));
    assert_eq!(answered.dispatches.len(), 1);
    assert_eq!(answered.dispatches[0].jobs, [past.id]);
    assert_eq!(on.timers_of(ahead.id).await, 1);
    assert_eq!(on.timers_of(past.id).await, 0);
}

async fn a_batch_of_none_is_answered_with_none(on: &StoreFixture) {
    let answered = on.store.jobs.accept(Vec::new()).await;
    assert!(answered.answers.is_empty() && answered.dispatches.is_empty());
    assert!(on.store.attempts.finish(&[]).await.expect("finish none").is_empty());
    assert!(on.store.attempts.report_progress(&[]).await.expect("report none").is_empty());
    assert!(on.store.jobs.find_jobs(&[], 0).await.expect("find none").is_empty());
    assert!(on.store.jobs.find_glimpses(&[]).await.expect("glimpse none").is_empty());
    on.store.outbox.mark_published(&[]).await.expect("mark none");
}

async fn a_large_batch_is_kept_in_order(on: &StoreFixture) {
    let batch: Vec<NewJob> = (0..1000).map(|_| NewJob { dispatch_width: 64, ..job() }).collect();
    let answered = on.store.jobs.accept(batch.clone()).await;
    for (new, answer) in batch.iter().zip(&answered.answers) {
        assert!(matches!(answer, Ok(Accepted::New { id, .. }) if *id == new.id), "{answer:?}");
    }
    assert_eq!(answered.dispatches.len(), 16);
    let ids: Vec<_> = batch.iter().map(|j| j.id).collect();
    assert_eq!(on.store.jobs.find_jobs(&ids, 0).await.expect("read").len(), 1000);
}

async fn an_accept_that_is_given_up_is_kept_whole_or_not_at_all(on: &StoreFixture) {
    for patience in [0, 50, 100, 200, 400, 800, 1600, 3200] {
        let batch: Vec<NewJob> = (0..20).map(|_| NewJob { dispatch_width: 20, ..job() }).collect();
        let ids: Vec<_> = batch.iter().map(|j| j.id).collect();
        let given_up = on.store.jobs.accept(batch);
        let answered = tokio::time::timeout(Duration::from_micros(patience), given_up).await;
        // The store is as good as before for whoever comes next.
        let next = job();
        accepted(on, vec![next.clone()]).await;
        find(on, next.id).await;
        let kept = on.store.jobs.find_jobs(&ids, 0).await.expect("read").len();
        if answered.is_ok() {
            assert_eq!(kept, 20);
        }
        assert!(kept == 0 || kept == 20, "{kept} of 20 were kept");
    }
}
