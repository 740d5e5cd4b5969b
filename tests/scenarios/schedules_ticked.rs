//! Schedules over three replicas that are killed at the worst moments: each tick has one job.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::room;
use crate::harness::wait::until;

const SCHEDULES: i64 = 40;
const SOON: Duration = Duration::from_secs(30);

/// Whoever moves a schedule on has made its jobs in the same transaction. Here it waits, while a test holds the lock.
const HOLD: &str = "
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(7), pg_sleep(0.02);
        RETURN NEW;
    END $$;
    CREATE TRIGGER hold BEFORE UPDATE OF last_at ON schedules FOR EACH ROW EXECUTE FUNCTION hold();
";

const HELD: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted";

const BEHIND: &str = "SELECT count(*) FROM schedules WHERE next_at < now() - interval '1 minute'";

/// Schedules that have not as many different ticks with a job as have passed.
const UNLIKE: &str = "
    SELECT count(*) FROM schedules s WHERE missed <> 0 OR (
        SELECT count(DISTINCT j.metadata::json ->> 'tick') FROM jobs j WHERE j.metadata::json ->> 'schedule' = s.name
    ) <> extract(epoch FROM s.last_at - (s.options::json -> 'metadata' ->> 'first')::timestamptz) / 60 + 1";

const TWICE: &str = "
    SELECT count(*) - count(DISTINCT (metadata::json ->> 'schedule', metadata::json ->> 'tick')::text) FROM jobs";

async fn door(cluster: &Cluster) -> PgConnection {
    PgConnection::connect(&cluster.postgres_url).await.unwrap()
}

async fn run(door: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(door).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_make_one_job_for_each_tick_though_they_are_killed_between_the_job_and_the_step() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, "[upkeep]\nschedules = \"200ms\"\n");
    let first = cluster.api("one").await;
    for replica in ["two", "three"] {
        cluster.api(replica).await;
    }
    for n in 0..SCHEDULES {
        let body = json!({"cron": "* * * * *", "kind": "echo", "catch_up": "all", "input": n});
        let json = [("content-type", "application/json")];
        let made = first.send(Method::PUT, &format!("/v1/schedules/s{n}"), &json, body.to_string()).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let (mut lock, mut door) = (door(&cluster).await, door(&cluster).await);
    run(&mut lock, "SELECT pg_advisory_lock(7)").await;
    run(&mut door, HOLD).await;
    // Ten minutes in which nobody was there. When they began is noted where jobs and schedules both keep it.
    let away = "
        UPDATE schedules SET next_at = date_trunc('minute', now()) - interval '10 minutes',
            options = jsonb_set(options::jsonb, '{metadata,first}',
                to_jsonb((date_trunc('minute', now()) - interval '10 minutes')::text))::text";
    run(&mut door, away).await;

    // Two of the three are killed, so one at least that waits here.
    cluster.until_count(HELD, 2, SOON).await;
    assert_eq!(cluster.count("SELECT count(*) FROM jobs").await, 0, "nothing is committed");
    cluster.process("one").kill();
    cluster.process("two").kill();
    run(&mut lock, "SELECT pg_advisory_unlock(7)").await;
    // The third goes on; the others come back in the middle, and go again.
    for replica in ["one", "two"] {
        cluster.until_count("SELECT count(*) FROM jobs", 50, SOON).await;
        cluster.api_unready(replica);
    }
    cluster.until_count("SELECT count(*) FROM jobs", 200, SOON).await;
    cluster.process("three").kill();
    cluster.api("one").await;
    until("everything to be caught up with", Duration::from_mins(1), async || cluster.count(BEHIND).await == 0).await;
    assert!(cluster.count("SELECT count(*) FROM jobs").await >= SCHEDULES * 11);
    assert_eq!(cluster.count(TWICE).await, 0, "a tick has more than one job");
    until("each tick to have a job", SOON, async || cluster.count(UNLIKE).await == 0).await;
}
