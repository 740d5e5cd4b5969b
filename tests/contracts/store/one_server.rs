//! What only Postgres promises: other sessions, partitions, and a server that can go away under a running process.

use std::time::Duration;

use raincheck_shared::config::Secret;
use raincheck_shared::domain::{Dispatch, JobId, NewJob, Status, WorkerReport};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{Accepted, LogBatch, LogEntry, Store, StoreError, postgres};
use raincheck_shared::telemetry::Chain;
use uuid::Uuid;

use super::given::{
    DAY, HOUR, accepted, claim, find, finished, job, keyed_job, now, rescue_all, running, succeeded, worker,
    worker_with,
};
use crate::harness::services::{PrivateServer, Server};
use crate::harness::store::StoreFixture;
use crate::harness::temp::TempFolder;

/// Asks until the answer is there.
pub(super) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..400 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain: {what}");
}

async fn partitions(on: &StoreFixture) -> i64 {
    on.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'jobs'::regclass".to_owned()).await
}

/// An id of that many days ago.
pub(super) fn id_of(days_ago: u32) -> JobId {
    let seconds = (now() - days_ago * DAY).unix_timestamp().cast_unsigned();
    let random = IdSource.random().as_u128() & ((1 << 62) - 1);
    let time = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0)).as_u128() >> 64 << 64;
    JobId::new(Uuid::from_u128(time | 0b10 << 62 | random))
}

/// Makes the partition of that many days ago.
async fn make_partition(on: &StoreFixture, days_ago: u32) -> String {
    let bound = |day: time::Date| {
        let millis = day.midnight().assume_utc().unix_timestamp_nanos() / 1_000_000;
        Uuid::from_u128(u128::try_from(millis).expect("after 1970") << 80)
    };
    let day = (now() - days_ago * DAY).date();
    let (from, to) = (bound(day), bound(day.next_day().expect("a next day")));
    let name = format!("jobs_{:04}{:02}{:02}", day.year(), u8::from(day.month()), day.day());
    on.run(format!("CREATE TABLE {name} PARTITION OF jobs FOR VALUES FROM ('{from}') TO ('{to}')")).await;
    name
}

#[tokio::test]
async fn a_message_of_another_life_of_the_database_clears_nothing() {
    let on = StoreFixture::postgres().await;
    let here =
        accepted(&on, vec![job(), NewJob { dispatch_width: 2, ..job() }, NewJob { dispatch_width: 2, ..job() }]).await;
    let (worker, _life) = worker(&on).await;
    // Of a backup's time the numbers are given once more, to other jobs.
    let old = here.iter().map(|dispatch| Dispatch { jobs: vec![IdSource.job(), IdSource.job()], ..dispatch.clone() });
    assert_eq!(claim(&on, worker, old.collect()).await, []);
    assert_eq!(on.count("dispatches").await, 2);
    assert_eq!(claim(&on, worker, here).await.len(), 3);
    assert_eq!(on.count("dispatches").await, 0);
    on.close().await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_not_well() {
    let on = StoreFixture::postgres().await;
    on.store.schema.ping().await.expect("it takes them");
    on.run("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$"
        .to_owned())
        .await;
    on.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        .to_owned())
        .await;
    let refusal = async || on.store.schema.ping().await.err().map(|error| Chain(&error).to_string());
    eventually("a refusal", async || refusal().await.filter(|said| said.contains("it takes no writes"))).await;
    on.close().await;
}

#[tokio::test]
async fn a_new_database_needs_a_migration() {
    let on = StoreFixture::postgres().await;
    on.run("DROP TABLE _sqlx_migrations".to_owned()).await;
    let version = on.store.schema.version().await.expect("version");
    assert_eq!(version.found, 0);
    assert!(matches!(version.check(), Err(StoreError::WrongSchema { found: 0, .. })));
    on.close().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_available_within_the_timeout() {
    // Nobody listens on the discard port of this machine; if somebody does, it speaks no Postgres.
    let url = Secret::new("postgres://nobody@127.0.0.1:9/nothing");
    let store = postgres::open(&url, 4, Duration::from_secs(1)).expect("connects when first asked");
    let ask = async {
        assert!(matches!(store.jobs.find_jobs(&[id_of(0)], 0).await, Err(StoreError::Unavailable(_))));
        let answers = store.jobs.accept(vec![job(), keyed_job("k", 1)]).await.answers;
        assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))), "{answers:?}");
        assert!(matches!(store.schema.ping().await, Err(StoreError::Unavailable(_))));
    };
    tokio::time::timeout(Duration::from_secs(10), ask).await.expect("no method waits for ever");
}

#[tokio::test]
async fn a_key_that_is_not_decided_yet_is_in_flight_and_holds_up_nobody_else() {
    let on = StoreFixture::postgres().await;
    let blocked = keyed_job("undecided", 1);
    on.run("BEGIN".to_owned()).await;
    on.run(format!(
        "INSERT INTO idempotency_keys (key, job_id, fingerprint) VALUES ('undecided', '{}', '\\x00')",
        blocked.id
    ))
    .await;

    let (plain, free) = (job(), keyed_job("free", 1));
    let batch = on.store.jobs.accept(vec![blocked.clone(), plain.clone(), free.clone()]).await;
    assert!(matches!(batch.answers[0], Err(StoreError::KeyInFlight)), "{:?}", batch.answers);
    assert!(matches!(batch.answers[1], Ok(Accepted::New { .. })), "{:?}", batch.answers);
    assert!(matches!(batch.answers[2], Ok(Accepted::New { .. })), "{:?}", batch.answers);
    assert_eq!(batch.dispatches.len(), 2);

    // The first submit is undone, and the key free.
    on.run("ROLLBACK".to_owned()).await;
    accepted(&on, vec![blocked]).await;
    on.close().await;
}

#[tokio::test]
async fn a_worker_whose_session_is_gone_is_dead_before_its_lease_ends() {
    let on = StoreFixture::postgres().await;
    let worker = IdSource.worker();
    let mut life = on.store.leases.register(worker, "locked", Duration::from_secs(10), true).await.expect("register");
    let dispatches = accepted(&on, vec![job()]).await;
    let held = claim(&on, worker, dispatches).await;
    life.renew(&raincheck_shared::domain::WorkerReport::default()).await.expect("renew");
    on.age(Duration::from_secs(4)).await;
    assert!(rescue_all(&on, 5).await.is_empty(), "late, but its lock is held");

    drop(life);
    // The server sees the end of the session in its own time, and must itself have been up for a lease.
    let moved = eventually("a rescue", async || {
        let moved = on.store.upkeep.rescue_dead_worker(5, Some(HOUR), HOUR).await.expect("rescue");
        on.age(Duration::from_millis(1)).await;
        moved
    })
    .await;
    assert_eq!(moved.changes.iter().map(|c| c.id).collect::<Vec<_>>(), [held[0].fence.job]);
    on.close().await;
}

#[tokio::test]
async fn a_look_for_dead_workers_that_a_frozen_server_reads_when_it_thaws_buries_nobody() {
    let folder = TempFolder::new("raincheck-frozen");
    let server = PrivateServer::start(Server::Postgres, folder.path());
    let on = StoreFixture::postgres_on(&server.url).await;
    let url = on.postgres_url("impatient").expect("a server");
    let impatient = postgres::open(&url, 2, Duration::from_secs(1)).expect("open");
    // A look as whoever has seen the store answer ever since it began.
    let look = async |store: &Store| store.upkeep.rescue_dead_worker(5, None, HOUR).await;
    for store in [&impatient, &on.store] {
        assert_eq!(look(store).await.expect("a look"), None);
    }
    let ttl = Duration::from_secs(2);
    let (_worker, mut life) = worker_with(&on, ttl).await;
    // Or no lease could have run out.
    tokio::time::sleep(ttl).await;
    life.renew(&WorkerReport::default()).await.expect("renew");

    server.act("pause");
    assert!(matches!(look(&impatient).await, Err(StoreError::Unavailable(_))), "it hangs");
    let thaw = async {
        tokio::time::sleep(2 * ttl).await;
        server.act("continue");
    };
    // This one hears of the thaw, and that the store was away.
    let (answer, ()) = futures_util::future::join(look(&on.store), thaw).await;
    let first = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'impatient'
        AND query LIKE '%one dead worker%'";
    eventually("the first look to be over", async || (on.number(first.to_owned()).await == 0).then_some(())).await;
    life.renew(&WorkerReport::default()).await.expect("it was never dead");
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert_eq!(look(&on.store).await.expect("a look"), None);
    impatient.schema.close().await;
    on.close().await;
}

#[tokio::test]
async fn the_loss_of_all_connections_costs_one_answer_and_no_lease() {
    let on = StoreFixture::postgres().await;
    let worker = IdSource.worker();
    let mut life = on.store.leases.register(worker, "locked", 10 * HOUR, true).await.expect("register");
    // Several idle connections, all about to be lost.
    let batch = || async { on.store.jobs.accept(vec![job()]).await.answers.remove(0) };
    let all = futures_util::future::join_all((0..8).map(|_| batch())).await;
    assert!(all.iter().all(Result::is_ok));
    on.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()"
            .to_owned(),
    )
    .await;

    let mut failed = 0;
    for _ in 0..8 {
        match batch().await {
            Ok(_) => {}
            Err(StoreError::Unavailable(_)) => failed += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(failed <= 1, "{failed} of 8 failed for one outage");
    life.renew(&raincheck_shared::domain::WorkerReport::default()).await.expect("renew on a new connection");
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE locktype = 'advisory' AND datname = current_database() AND granted";
    assert_eq!(on.number(locks.to_owned()).await, 1, "and the lock is taken again");
    life.end().await.expect("end");
    eventually("the lock is free", async || (on.number(locks.to_owned()).await == 0).then_some(())).await;
    on.close().await;
}

#[tokio::test]
async fn jobs_land_in_the_partition_of_their_day() {
    let on = StoreFixture::postgres().await;
    assert_eq!(partitions(&on).await, 5, "today, three days ahead, and the default");
    accepted(&on, vec![job()]).await;
    assert_eq!(on.count("jobs_default").await, 0);
    // Of a day for which there is none.
    let old = NewJob { id: id_of(40), ..job() };
    accepted(&on, vec![old.clone()]).await;
    assert_eq!(on.count("jobs_default").await, 1);
    assert_eq!(find(&on, old.id).await.status, Status::Queued);
    on.close().await;
}

#[tokio::test]
async fn a_day_whose_jobs_are_in_the_default_partition_already_gets_none() {
    let on = StoreFixture::postgres().await;
    let today = now().date();
    let name = format!("jobs_{:04}{:02}{:02}", today.year(), u8::from(today.month()), today.day());
    on.run(format!("DROP TABLE {name}")).await;
    accepted(&on, vec![job()]).await;
    let prepare = || on.store.upkeep.prepare_partitions();
    let all = futures_util::future::join_all((0..4).map(|_| prepare())).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!((partitions(&on).await, on.count("jobs_default").await), (4, 1));
    on.close().await;
}

#[tokio::test]
async fn a_partition_is_dropped_when_next_to_nothing_in_it_is_live() {
    let on = StoreFixture::postgres().await;
    let name = make_partition(&on, 3).await;
    let brief = |new: NewJob| NewJob { id: id_of(3), retention: HOUR, ..new };
    let (done, keyed) = (running(&on, brief(job())).await, running(&on, brief(keyed_job("done", 1))).await);
    let (held, waits) = (running(&on, brief(keyed_job("held", 1))).await, brief(job()));
    accepted(&on, vec![waits.clone()]).await;
    for run in [&done, &held] {
        let entry = LogEntry { at: now(), line: "a line".to_owned() };
        let batch = LogBatch { fence: run.fence, entries: vec![entry] };
        on.store.logs.append_logs(&[batch], 1 << 20).await.expect("append");
    }
    finished(&on, &done, succeeded(b"1")).await;
    finished(&on, &keyed, succeeded(b"1")).await;
    // More than one run looks at by itself.
    for (id, count) in [(done.id, 20_000), (held.id, 1)] {
        on.run(format!(
            "INSERT INTO deliveries (job_id, version, event, receiver, state, next_at)
             SELECT '{id}', n, 'job.started', 'example.com', 'delivered', NULL FROM generate_series(1, {count}) n"
        ))
        .await;
    }
    assert_eq!(on.count(&name).await, 4);
    let before = partitions(&on).await;

    on.age(2 * DAY).await;
    while on.store.upkeep.remove_expired().await.expect("remove") {}
    assert_eq!(partitions(&on).await, before - 1);
    assert_eq!(on.number(format!("SELECT count(*) FROM pg_class WHERE relname LIKE '%{name}'")).await, 0);
    assert_eq!((on.count("jobs").await, on.count("jobs_default").await), (2, 2));
    assert_eq!(on.count("idempotency_keys").await, 1, "only the key of a live job");
    assert_eq!(on.count("job_logs").await, 1, "and only its log");
    assert_eq!(on.count("deliveries").await, 1, "and only what was told of it");
    // What was live goes on as if nothing had happened.
    assert_eq!(find(&on, waits.id).await.status, Status::Queued);
    finished(&on, &held, succeeded(b"2")).await;
    // And when it is forgotten too, it is deleted from where it was moved to.
    on.age(2 * DAY).await;
    while on.store.upkeep.remove_expired().await.expect("remove") {}
    assert_eq!((on.count("jobs").await, on.count("idempotency_keys").await), (1, 0));
    on.close().await;
}

#[tokio::test]
async fn what_can_be_removed_is_removed_although_a_partition_is_in_use() {
    let on = StoreFixture::postgres().await;
    let name = make_partition(&on, 3).await;
    // The second is of a day without a partition.
    for days_ago in [3, 40] {
        let done = running(&on, NewJob { id: id_of(days_ago), retention: HOUR, ..job() }).await;
        finished(&on, &done, succeeded(b"1")).await;
    }
    on.run(
        "INSERT INTO batches (id, retention_seconds, finished_at, expires_at)
         SELECT gen_random_uuid(), 1, now(), now() FROM generate_series(1, 1500)"
            .to_owned(),
    )
    .await;
    on.age(2 * DAY).await;

    // As a dump of the database does, for as long as that takes.
    on.run("BEGIN".to_owned()).await;
    on.run(format!("SELECT FROM {name}")).await;
    for batches in [500, 0] {
        assert!(on.store.upkeep.remove_expired().await.is_err(), "the partition could not be dropped");
        assert_eq!((on.count("jobs_default").await, on.count("batches").await), (0, batches));
    }
    on.run("COMMIT".to_owned()).await;
    while on.store.upkeep.remove_expired().await.expect("remove") {}
    assert_eq!(on.count("jobs").await, 0);
    on.close().await;
}

#[tokio::test]
async fn a_partition_left_between_two_commits_is_dropped_by_the_next_run() {
    let on = StoreFixture::postgres().await;
    let name = make_partition(&on, 3).await;
    let (forgotten, late) = (running(&on, NewJob { id: id_of(3), ..job() }).await, NewJob { id: id_of(3), ..job() });
    finished(&on, &forgotten, succeeded(b"1")).await;
    accepted(&on, vec![late.clone()]).await;
    on.age(30 * DAY).await;
    on.run(format!("ALTER TABLE jobs DETACH PARTITION {name}")).await;
    on.run(format!("ALTER TABLE {name} RENAME TO retired_{name}")).await;

    let all = futures_util::future::join_all((0..3).map(|_| on.store.upkeep.remove_expired())).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(on.number(format!("SELECT count(*) FROM pg_class WHERE relname LIKE '%{name}'")).await, 0);
    assert_eq!(on.count("jobs").await, 1);
    assert_eq!(find(&on, late.id).await.status, Status::Queued);
    on.close().await;
}
