//! In which order Postgres' statements take what they change. Two that take the same rows in different orders deadlock: one is
//! undone after a second, and its jobs wait for that.

use std::future::Future;

use raincheck_shared::domain::TenantName;

use super::given::{HOUR, accepted, claim, finished, job, rescue_all, running, succeeded, worker};
use super::one_server::eventually;
use crate::harness::store::StoreFixture;

const DISPATCHES: &str = "SELECT FROM dispatches FOR UPDATE";
const JOBS: &str = "SELECT FROM jobs FOR UPDATE";
const LEASES: &str = "SELECT FROM leases FOR UPDATE";

/// Does `work` while others hold `first`; once it waits for that, it must not hold what it takes `then`.
async fn takes<T>(on: &StoreFixture, first: &str, then: &str, work: impl Future<Output = T>) -> T {
    on.run("BEGIN".to_owned()).await;
    on.run(first.to_owned()).await;
    let others = async {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("it waits", async || (on.number(waiting.to_owned()).await > 0).then_some(())).await;
        on.run(format!("{then} NOWAIT")).await;
        on.run("COMMIT".to_owned()).await;
    };
    tokio::join!(work, others).0
}

#[tokio::test]
async fn a_claim_takes_dispatches_before_their_jobs() {
    let on = StoreFixture::postgres().await;
    let dispatches = accepted(&on, vec![job()]).await;
    let (worker, _life) = worker(&on).await;
    let claimed = takes(&on, DISPATCHES, JOBS, claim(&on, worker, dispatches)).await;
    assert_eq!(claimed.len(), 1);
    on.close().await;
}

#[tokio::test]
async fn who_drops_what_waits_no_more_waits_for_no_claim() {
    let on = StoreFixture::postgres().await;
    let id = accepted(&on, vec![job()]).await[0].jobs[0];
    on.store.jobs.cancel_job(&TenantName::default(), id, None, HOUR).await.expect("cancel");
    on.run("BEGIN".to_owned()).await;
    on.run(DISPATCHES.to_owned()).await;
    assert_eq!(on.store.outbox.drop_spent().await.expect("drop"), 0);
    on.run("COMMIT".to_owned()).await;
    assert_eq!(on.store.outbox.drop_spent().await.expect("drop"), 1);
    on.close().await;
}

#[tokio::test]
async fn an_end_takes_jobs_before_their_leases() {
    let on = StoreFixture::postgres().await;
    let running = running(&on, job()).await;
    takes(&on, JOBS, LEASES, finished(&on, &running, succeeded(b"1"))).await;
    assert_eq!(on.count("leases").await, 0);
    on.close().await;
}

#[tokio::test]
async fn a_rescue_takes_jobs_before_their_leases() {
    let on = StoreFixture::postgres().await;
    let _running = running(&on, job()).await;
    on.age(HOUR).await;
    let rescued = takes(&on, JOBS, LEASES, rescue_all(&on, 3)).await;
    assert_eq!(rescued.iter().map(|moved| moved.changes.len()).sum::<usize>(), 1);
    assert_eq!(on.count("leases").await, 0);
    on.close().await;
}

#[tokio::test]
async fn a_worker_that_forgets_claims_takes_jobs_before_their_leases() {
    let on = StoreFixture::postgres().await;
    let running = running(&on, job()).await;
    let forget = on.store.attempts.drop_stray_leases(running.worker, &[], &[]);
    let changes = takes(&on, JOBS, LEASES, forget).await.expect("forget");
    assert_eq!((changes.len(), on.count("leases").await), (1, 0));
    on.close().await;
}

#[tokio::test]
async fn a_rescue_that_others_were_in_the_way_of_is_no_outage() {
    let on = StoreFixture::postgres().await;
    let _running = running(&on, job()).await;
    on.run(
        "CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE 'in the way' USING ERRCODE = 'deadlock_detected'; END $$"
            .to_owned(),
    )
    .await;
    on.run("CREATE TRIGGER deadlock BEFORE DELETE ON workers EXECUTE FUNCTION deadlock()".to_owned()).await;
    on.age(HOUR).await;
    let rescue = || on.store.upkeep.rescue_dead_worker(3, Some(HOUR), HOUR);
    assert!(rescue().await.expect("the store answered").is_none());
    on.run("DROP TRIGGER deadlock ON workers".to_owned()).await;
    assert!(rescue().await.expect("rescue").is_some());
    on.close().await;
}
