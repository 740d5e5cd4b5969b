//! Migrations and health.

use std::time::Duration;

use raincheck_shared::lifecycle::SystemClock;
use raincheck_shared::store::StoreError;

use super::against_each_store;
use super::given::{accepted, find, job};
use crate::harness::store::StoreFixture;

against_each_store! {
    migrating_again_changes_nothing,
    the_store_tells_how_it_is,
    the_store_tells_its_time,
    a_closed_store_is_not_available,
}

async fn migrating_again_changes_nothing(on: &StoreFixture) {
    let new = job();
    accepted(on, vec![new.clone()]).await;
    on.store.schema.migrate().await.expect("migrate");
    let version = on.store.schema.version().await.expect("version");
    assert!(version.found == version.needed && version.needed > 0, "{version:?}");
    version.check().expect("the right schema");
    find(on, new.id).await;
}

async fn the_store_tells_how_it_is(on: &StoreFixture) {
    on.store.schema.ping().await.expect("ping");
    assert!(!on.store.schema.describe().await.expect("describe").is_empty());
}

async fn the_store_tells_its_time(on: &StoreFixture) {
    let before = on.store.schema.time().await.expect("time");
    let after = on.store.schema.time().await.expect("time");
    assert!(before <= after, "{before} {after}");
    let apart = (SystemClock::shared().now() - after).abs();
    assert!(apart < Duration::from_secs(10), "both run on this machine: {apart}");
}

async fn a_closed_store_is_not_available(on: &StoreFixture) {
    let new = job();
    accepted(on, vec![new.clone()]).await;
    on.store.schema.close().await;
    let read = on.store.jobs.find_jobs(&[new.id], 0).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    let written = on.store.jobs.accept(vec![job()]).await;
    assert!(matches!(written.answers[..], [Err(StoreError::Unavailable(_))]), "{written:?}");
    assert!(written.dispatches.is_empty());
}
