//! Lines that handlers wrote.

use raincheck_shared::domain::{Fence, NewJob};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{LogBatch, LogEntry, LoggedLine};

use super::against_each_store;
use super::given::{DAY, finished, job, now, retry, running, running_again, succeeded};
use crate::harness::store::StoreFixture;

against_each_store! {
    lines_are_numbered_over_batches_and_read_back_by_pages,
    whatever_can_be_written_is_read_back,
    lines_of_a_stale_attempt_are_not_kept,
    a_full_log_takes_no_more,
    logs_go_with_the_job_that_is_erased,
    logs_go_with_the_job_that_is_forgotten,
    a_second_attempt_writes_on_behind_the_first,
}

fn batch(fence: Fence, lines: &[&str]) -> LogBatch {
    let entry = |line: &&str| LogEntry { at: now(), line: (*line).to_owned() };
    LogBatch { fence, entries: lines.iter().map(entry).collect() }
}

async fn append(on: &StoreFixture, batches: &[LogBatch]) {
    on.store.logs.append_logs(batches, 1 << 20).await.expect("append");
}

async fn read(on: &StoreFixture, fence: Fence, after: u32, limit: u32) -> Vec<LoggedLine> {
    on.store.logs.list_logs(fence.job, after, limit).await.expect("read")
}

fn texts(lines: &[LoggedLine]) -> Vec<(u32, &str)> {
    lines.iter().map(|line| (line.number, line.line.as_str())).collect()
}

async fn lines_are_numbered_over_batches_and_read_back_by_pages(on: &StoreFixture) {
    let (run, other) = (running(on, job()).await, running(on, job()).await);
    append(on, &[batch(run.fence, &["a", "b", "c"]), batch(other.fence, &["x"])]).await;
    append(on, &[batch(run.fence, &["d"])]).await;
    append(on, &[batch(run.fence, &["e", "f"])]).await;
    let all = [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e"), (6, "f")];
    for after in 0..8_u32 {
        for limit in 1..8_u32 {
            let wanted: Vec<(u32, &str)> = all.into_iter().filter(|(n, _)| *n > after).take(limit as usize).collect();
            assert_eq!(texts(&read(on, run.fence, after, limit).await), wanted, "{limit} after {after}");
        }
    }
    assert_eq!(texts(&read(on, other.fence, 0, 9).await), [(1, "x")]);
    assert!(on.store.logs.list_logs(IdSource.job(), 0, 9).await.expect("read").is_empty());
}

async fn whatever_can_be_written_is_read_back(on: &StoreFixture) {
    let run = running(on, job()).await;
    let odd = ["", " ", "\"quoted\" \\ and \u{0} NUL", "🌧 ünïcode", "\u{1b}[31mred"];
    let written = batch(run.fence, &odd);
    append(on, std::slice::from_ref(&written)).await;
    let lines = read(on, run.fence, 0, 9).await;
    let found: Vec<LogEntry> = lines.iter().map(|l| LogEntry { at: l.at, line: l.line.clone() }).collect();
    assert_eq!(found, written.entries);
    assert!(lines.iter().all(|line| line.attempt == 1));
}

async fn lines_of_a_stale_attempt_are_not_kept(on: &StoreFixture) {
    let run = running(on, job()).await;
    let forged = Fence { token: IdSource.random(), ..run.fence };
    append(on, &[batch(forged, &["forged"])]).await;
    finished(on, &run, succeeded(b"1")).await;
    append(on, &[batch(run.fence, &["late"])]).await;
    assert!(read(on, run.fence, 0, 9).await.is_empty());
}

async fn a_full_log_takes_no_more(on: &StoreFixture) {
    let run = running(on, job()).await;
    for line in ["1234", "5678", "9"] {
        on.store.logs.append_logs(&[batch(run.fence, &[line])], 10).await.expect("append");
    }
    assert_eq!(texts(&read(on, run.fence, 0, 9).await), [(1, "1234"), (2, "5678")]);
}

async fn logs_go_with_the_job_that_is_erased(on: &StoreFixture) {
    let (run, other) = (running(on, job()).await, running(on, job()).await);
    append(on, &[batch(run.fence, &["a"]), batch(other.fence, &["b"])]).await;
    finished(on, &run, succeeded(b"1")).await;
    on.store.erasures.erase_job(run.id).await.expect("erase");
    assert!(read(on, run.fence, 0, 9).await.is_empty());
    assert_eq!(on.count("job_logs").await, 1);
}

async fn logs_go_with_the_job_that_is_forgotten(on: &StoreFixture) {
    // Of a day without a partition, so that its job stands in the default one, of which rows are deleted.
    let old = NewJob { id: super::one_server::id_of(40), ..job() };
    let (run, other) = (running(on, old).await, running(on, job()).await);
    append(on, &[batch(run.fence, &["a"]), batch(other.fence, &["b"])]).await;
    finished(on, &run, succeeded(b"1")).await;
    on.age(8 * DAY).await;
    while on.store.upkeep.remove_expired().await.expect("remove") {}
    assert_eq!(on.count("job_logs").await, 1);
    assert_eq!(texts(&read(on, other.fence, 0, 9).await), [(1, "b")]);
}

async fn a_second_attempt_writes_on_behind_the_first(on: &StoreFixture) {
    let run = running(on, job()).await;
    append(on, &[batch(run.fence, &["first"])]).await;
    finished(on, &run, retry(std::time::Duration::from_millis(1))).await;
    on.age(DAY).await;
    let moved = super::given::fire(on).await;
    let again = running_again(on, run.id, moved.dispatches).await;
    append(on, &[batch(again.fence, &["second"])]).await;
    let lines = read(on, again.fence, 0, 9).await;
    assert_eq!(texts(&lines), [(1, "first"), (2, "second")]);
    assert_eq!(lines.iter().map(|line| line.attempt).collect::<Vec<_>>(), [1, 2]);
}
