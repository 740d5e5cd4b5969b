//! How statements are gone about: by an index, however much else there is.

use raincheck_shared::domain::{NewJob, Payload, TenantName};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::Finish;
use raincheck_shared::store::postgres::parts::Parts;

use super::given::{accepted, claim, job, succeeded, worker};
use crate::harness::services::{PrivateServer, Server};
use crate::harness::store::StoreFixture;
use crate::harness::temp::TempFolder;

const LOOKS: [(&str, &str); 2] = [
    (
        include_str!("../../../shared/src/store/sqlite/sql/find_leasable.sql"),
        include_str!("../../../shared/src/store/postgres/sql/lease_jobs.sql"),
    ),
    (
        include_str!("../../../shared/src/store/sqlite/sql/find_waiting_of_kind.sql"),
        include_str!("../../../shared/src/store/postgres/sql/find_waiting_kinds.sql"),
    ),
];

/// Jobs of another kind and of other tenants, each with a dispatch of its own.
async fn crowded(on: &StoreFixture) {
    let other = |n: usize| NewJob {
        kind: if n.is_multiple_of(2) { "test.other" } else { "test.echo" }.parse().expect("a kind"),
        tenant: if n.is_multiple_of(2) {
            TenantName::default()
        } else {
            format!("t{}", n % 7).parse().expect("a tenant")
        },
        dispatch_width: 1,
        ..job()
    };
    for _ in 0..8 {
        accepted(on, (0..500).map(other).collect()).await;
    }
}

/// The statement with these in the places of what is bound; the highest number first, since `$1` is in `$10` too.
fn with(statement: &str, mark: char, values: &[&str]) -> String {
    (1..=values.len()).rev().fold(statement.to_owned(), |text, n| text.replace(&format!("{mark}{n}"), values[n - 1]))
}

#[tokio::test]
async fn a_look_of_a_remote_worker_reads_no_table_of_what_waits_in_sqlite() {
    let on = StoreFixture::sqlite().await;
    crowded(&on).await;
    let leasable = with(LOOKS[0].0, '?', &["'[\"default\"]'", "'[\"test.nothing\"]'", "NULL", "1"]);
    let waiting = with(LOOKS[1].0, '?', &["'test.nothing'", "NULL", "'[\"default\"]'"]);
    for statement in [leasable, waiting] {
        let plan = on.plan(&statement).await;
        assert!(
            plan.iter().any(|step| step.contains("dispatches_waiting (kind=? AND queue=? AND tenant=?")),
            "{plan:#?}"
        );
        assert!(!plan.iter().any(|step| step.starts_with("SCAN d")), "{plan:#?}");
    }
    on.close().await;
}

#[tokio::test]
async fn a_look_of_a_remote_worker_reads_no_table_of_what_waits_in_postgres() {
    let on = StoreFixture::postgres().await;
    crowded(&on).await;
    for tenant in ["NULL", "'t1'"] {
        let near = LOOKS[0].1.split("taken AS").next().expect("the part that looks").trim_end().trim_end_matches(',');
        let near = with(near, '$', &["'{default}'", "'{test.nothing}'", tenant, "1"]);
        let kinds = format!("ARRAY[{tenant}]");
        let waiting = with(LOOKS[1].1, '$', &[&kinds, "'{test.nothing}'", "'{default}'"]);
        for statement in [format!("{near} SELECT * FROM near"), waiting] {
            let plan = on.plan(&statement).await.join("\n");
            let index = if tenant == "NULL" { "using dispatches_waiting on" } else { "using dispatches_of_tenants on" };
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains("Seq Scan on dispatches") && !plan.contains("dispatches_pkey"), "{plan}");
        }
    }
    on.close().await;
}

#[tokio::test]
async fn no_statement_of_the_hot_paths_and_of_the_loops_reads_all_jobs_in_sqlite() {
    let on = StoreFixture::sqlite().await;
    crowded(&on).await;
    let runs = include_str!("../../../shared/src/store/sqlite/sql/list_recent_runs.sql");
    let claim = include_str!("../../../shared/src/store/sqlite/sql/claim_jobs.sql");
    let finish = include_str!("../../../shared/src/store/sqlite/sql/finish_jobs.sql");
    let keys = include_str!("../../../shared/src/store/sqlite/sql/find_keys.sql");
    let overdue = include_str!("../../../shared/src/store/sqlite/sql/list_overdue_runs.sql");
    for analyzed in [false, true] {
        if analyzed {
            // As somebody may with a shell.
            on.run("ANALYZE".to_owned()).await;
        }
        for (statement, table) in [(runs, "seen"), (claim, "jobs"), (finish, "jobs"), (keys, "j"), (overdue, "j")] {
            let plan = on.plan(statement).await;
            let lookup = format!("SEARCH {table} USING INDEX sqlite_autoindex_jobs_1 (id");
            assert!(plan.iter().any(|step| step.starts_with(&lookup)), "{plan:#?}");
            assert!(!plan.iter().any(|step| step.starts_with(&format!("SCAN {table}"))), "{plan:#?}");
        }
        let plan = on.plan(keys).await;
        assert!(plan.contains(&"SEARCH k USING PRIMARY KEY (key=? AND tenant=?)".to_owned()), "{plan:#?}");
    }
    on.close().await;
}

static FINISH: Parts<2> =
    Parts::new(include_str!("../../../shared/src/store/postgres/sql/finish_jobs.sql"), ["mixed", "again"]);

/// As the store's own connections, whose plans are made once, for any values.
const AS_PREPARED: &str =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off";

#[tokio::test]
async fn claims_and_ends_come_upon_their_jobs_by_id_and_in_the_order_of_ids_in_postgres() {
    let on = StoreFixture::postgres().await;
    crowded(&on).await;
    on.run(format!("ANALYZE jobs; {AS_PREPARED}")).await;
    let ids = format!("'{{{}}}'::uuid[]", IdSource.job());
    let (first, last) = ("'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'");
    let id = first;
    let claim = include_str!("../../../shared/src/store/postgres/sql/claim_jobs.sql");
    on.run(format!("PREPARE claim AS {claim}")).await;
    let claims =
        on.plan(&format!("EXECUTE claim('{{1}}', {id}, {id}, {ids}, {first}, {last}, {ids})")).await.join("\n");
    let mut plans = vec![(claims, "Index Cond: ((id = ANY ($4))")];
    let none = |count| vec!["'{}'"; count].join(", ");
    for (name, parts) in [("well", [false, false]), ("mixed", [true, false]), ("again", [true, true])] {
        on.run(format!("PREPARE {name} AS {}", FINISH.with(parts))).await;
        let rare = if parts[0] { format!(", {}", none(4)) } else { String::new() };
        let ends =
            on.plan(&format!("EXECUTE {name}({ids}, {}, {ids}, {first}, {last}{rare})", none(6))).await.join("\n");
        // To look through the batch for each job would be the square of it.
        assert!(ends.contains("Hash Join"), "{ends}");
        plans.push((ends, "Index Cond: ((id = ANY ($1))"));
    }
    for (plan, condition) in plans {
        // A range of ids would take in all that others have between the first and the last.
        assert!(plan.contains(condition) && !plan.contains("Index Cond: ((id >="), "{plan}");
        assert!(!plan.contains("Seq Scan on jobs") && !plan.contains("Bitmap"), "{plan}");
    }
    on.close().await;
}

#[tokio::test]
async fn dispatches_are_found_by_their_key_however_many_were_cleared_in_postgres() {
    let on = StoreFixture::postgres().await;
    // The table and its indexes are full of what is gone, so that the planner holds one index for as good as another: with fewer
    // or smaller rows than these it does not.
    let gone = "INSERT INTO dispatches (queue, band, kind, jobs)
        SELECT 'default', 1, 'test.echo', array_fill(gen_random_uuid(), ARRAY[16]) FROM generate_series(1, 20000);
        DELETE FROM dispatches WHERE id <= 19997";
    on.run(format!("{gone}; ANALYZE dispatches; {AS_PREPARED}")).await;
    let ids = format!("'{{{}}}'::uuid[]", IdSource.job());
    let (id, one) = ("'00000000-0000-0000-0000-000000000000'", "'{1}'");
    for (name, statement, values) in [
        (
            "claim",
            include_str!("../../../shared/src/store/postgres/sql/claim_jobs.sql"),
            format!("{one}, {id}, {id}, {ids}, {id}, {id}, {ids}"),
        ),
        ("mark", include_str!("../../../shared/src/store/postgres/sql/mark_dispatches_published.sql"), one.to_owned()),
        (
            "take",
            include_str!("../../../shared/src/store/postgres/sql/take_unpublished_dispatches.sql"),
            "10, 1, 0".to_owned(),
        ),
        (
            "lost",
            include_str!("../../../shared/src/store/postgres/sql/take_lost_dispatches.sql"),
            "'default', 1::smallint, 1, 10, '{}'".to_owned(),
        ),
        ("spent", include_str!("../../../shared/src/store/postgres/sql/drop_spent_dispatches.sql"), "0, 10".to_owned()),
    ] {
        on.run(format!("PREPARE {name} AS {statement}")).await;
        let plan = on.plan(&format!("EXECUTE {name}({values})")).await.join("\n");
        let by_id = plan.split("Index Scan using ").filter(|scan| scan.contains("Index Cond: (id = ANY"));
        let indexes: Vec<_> = by_id.filter_map(|scan| scan.split_whitespace().next()).collect();
        assert!(indexes.contains(&"dispatches_pkey"), "{name}: {plan}");
        assert!(!indexes.contains(&"dispatches_waiting"), "{name}: {plan}");
    }
    on.close().await;
}

#[tokio::test]
async fn jobs_with_results_as_large_as_their_inputs_stay_on_their_pages_in_postgres() {
    // A page is tidied once nobody can see what was on it, and the transactions of other databases blur whether anybody
    // can: so it has a server to itself.
    let folder = TempFolder::new("raincheck-pages");
    let server = PrivateServer::start(Server::Postgres, folder.path());
    let on = StoreFixture::postgres_on(&server.url).await;
    on.run("ALTER SYSTEM SET autovacuum = off".to_owned()).await;
    on.run("SELECT pg_reload_conf()".to_owned()).await;
    let body = format!("\"{}\"", "x".repeat(254));
    let input = Payload::json(body.clone().into_bytes());
    let jobs = (0..60).map(|_| NewJob { input: input.clone().into(), dispatch_width: 60, ..job() }).collect();
    let dispatches = accepted(&on, jobs).await;
    on.run("CREATE TABLE began AS SELECT id, (ctid::text::point)[0] AS page FROM jobs".to_owned()).await;

    let (worker, _life) = worker(&on).await;
    let ends: Vec<_> = claim(&on, worker, dispatches)
        .await
        .into_iter()
        .map(|claimed| Finish { fence: claimed.fence, worker, ended: succeeded(body.as_bytes()), lease_done: None })
        .collect();
    assert!(on.store.attempts.finish(&ends).await.expect("finish").iter().all(Result::is_ok));

    // Whoever moves to another page writes its index as well.
    let moved = "SELECT count(*) FROM jobs JOIN began USING (id) WHERE (jobs.ctid::text::point)[0] <> began.page";
    assert_eq!(on.number(moved.to_owned()).await, 0);
    assert_eq!(on.number("SELECT count(*) FROM jobs WHERE status = 'succeeded'".to_owned()).await, 60);
    on.close().await;
}
