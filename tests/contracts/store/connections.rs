//! How Postgres connections are lent to statements.

use std::time::Duration;

use futures_util::future::join_all;

use raincheck_shared::domain::{Job, JobId, TenantName};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::StoreError;

use super::given::{accepted, job};
use crate::harness::store::StoreFixture;

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
