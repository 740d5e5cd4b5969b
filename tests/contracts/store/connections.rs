//! How Postgres connections are lent to statements.

use std::time::Duration;

use futures_util::future::join_all;

use raincheck_shared::config::Secret;
use raincheck_shared::domain::{Job, JobId, TenantName};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{StoreError, postgres};
use raincheck_shared::telemetry::Chain;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use super::batches::batch;
use super::given::{accepted, job};
use crate::harness::store::{POSTGRES_URL, StoreFixture};

/// The id of no job.
fn unknown() -> JobId {
    IdSource.job()
}

/// Reads, which takes a connection.
async fn read(on: &StoreFixture) -> Result<Vec<Job>, StoreError> {
    on.store.jobs.find_jobs(&[unknown()], 0).await
}

/// How many sessions the store has, the side door left out.
async fn sessions(on: &StoreFixture) -> i64 {
    on.number(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            .to_owned(),
    )
    .await
}

#[tokio::test]
async fn statements_one_after_another_share_a_connection_and_many_at_once_no_more_than_there_may_be() {
    let on = StoreFixture::postgres().await;
    for _ in 0..20 {
        read(&on).await.expect("a read");
    }
    assert_eq!(sessions(&on).await, 1);
    let all = join_all((0..100).map(|_| read(&on))).await;
    assert!(all.iter().all(Result::is_ok));
    let open = sessions(&on).await;
    assert!((1..=4).contains(&open), "{open} of at most 4 for reads");
    on.close().await;
}

#[tokio::test]
async fn a_statement_that_was_given_up_answers_nobody_else_and_keeps_no_place() {
    let on = StoreFixture::postgres().await;
    let (locked, other) = (job(), job());
    accepted(&on, vec![locked.clone(), other.clone()]).await;
    on.run("BEGIN".to_owned()).await;
    on.run(format!("SELECT FROM jobs WHERE id = '{}' FOR UPDATE", locked.id)).await;
    let tenant = TenantName::default();
    // More of them than there are connections, and each is given up while it waits for the row.
    for _ in 0..6 {
        let cancel = on.store.jobs.cancel_job(&tenant, locked.id, None, Duration::from_secs(1));
        assert!(tokio::time::timeout(Duration::from_millis(50), cancel).await.is_err(), "the row is locked");
    }
    let found = on.store.jobs.find_jobs(&[other.id], 0).await.expect("a read");
    assert_eq!(found.iter().map(|job| job.id).collect::<Vec<_>>(), [other.id]);
    accepted(&on, vec![job()]).await;
    on.run("ROLLBACK".to_owned()).await;
    on.close().await;
}

#[tokio::test]
async fn a_refused_statement_leaves_its_connection_as_it_was() {
    let on = StoreFixture::postgres().await;
    let first = job();
    accepted(&on, vec![first.clone()]).await;
    let before = sessions(&on).await;
    // The same id again is refused by the table.
    let again = on.store.jobs.accept(vec![first]).await.answers.remove(0);
    assert!(again.is_err(), "{again:?}");
    accepted(&on, vec![job()]).await;
    assert_eq!(sessions(&on).await, before);
    on.close().await;
}

#[tokio::test]
async fn a_closed_store_leaves_no_session_behind() {
    let on = StoreFixture::postgres().await;
    join_all((0..10).map(|_| read(&on))).await;
    on.store.schema.close().await;
    // The server takes leave of a session a moment after the client did.
    tokio::time::timeout(Duration::from_secs(10), async {
        while sessions(&on).await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("all sessions end");
    assert!(read(&on).await.is_err());
    on.close().await;
}

/// What a database that cannot be used is said to be.
async fn told(url: &str) -> String {
    let store = postgres::open(&Secret::new(url), 4, Duration::from_millis(500)).expect("connects when first asked");
    let error = store.schema.version().await.expect_err("there is none");
    store.schema.close().await;
    Chain(&error).to_string()
}

#[tokio::test]
async fn a_wait_for_a_connection_that_runs_out_says_why_the_last_try_failed() {
    // Nobody listens there.
    assert_eq!(
        told("postgres://nobody@127.0.0.1:1/nothing").await,
        "the store is not available: there was no connection to the database in time: Connection refused (os error 111)"
    );
    // Somebody does, and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().expect("its address");
    assert_eq!(
        told(&format!("postgres://nobody@{silent}/nothing")).await,
        "the store is not available: there was no connection to the database in time"
    );
}

#[tokio::test]
async fn what_the_server_refuses_is_said_once_and_without_its_own_source_lines() {
    let server: PgConnectOptions = std::env::var(POSTGRES_URL).expect(POSTGRES_URL).parse().expect("a Postgres URL");
    let url = server.database("no_such_database").to_url_lossy().to_string();
    assert_eq!(told(&url).await, "the store is not available: database \"no_such_database\" does not exist");
}

#[tokio::test]
async fn a_transaction_that_waits_in_vain_for_a_connection_says_why_as_well() {
    let url = Secret::new("postgres://nobody@127.0.0.1:1/nothing");
    let store = postgres::open(&url, 4, Duration::from_millis(500)).expect("connects when first asked");
    let error = store.batches.accept_batch(batch(vec![job()])).await.expect_err("nobody is there");
    assert!(Chain(&error).to_string().ends_with("in time: Connection refused (os error 111)"), "{error:?}");
}
