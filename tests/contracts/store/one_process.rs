//! What only SQLite promises: one process owns the file, so a restart knows at once who is dead.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use raincheck_shared::domain::Timestamp;
use raincheck_shared::lifecycle::{Clock, IdSource, SystemClock};
use raincheck_shared::store::{StoreError, sqlite};

use super::given::{HOUR, job, running};
use crate::harness::store::StoreFixture;
use crate::harness::temp::TempFolder;

#[tokio::test]
async fn a_new_file_needs_a_migration() {
    let folder = TempFolder::new("raincheck-store");
    let store = sqlite::open(&folder.0.join("a/b/new.sqlite"), SystemClock::shared()).await.expect("open");
    let version = store.schema.version().await.expect("version");
    assert_eq!(version.found, 0);
    assert!(matches!(version.check(), Err(StoreError::WrongSchema { found: 0, .. })));
    store.schema.close().await;
}

#[tokio::test]
async fn a_file_in_use_cannot_be_opened_again() {
    let fixture = StoreFixture::sqlite().await;
    let path = fixture.sqlite_path().expect("a file");
    let Err(StoreError::Unavailable(source)) = sqlite::open(&path, SystemClock::shared()).await else {
        panic!("a file in use was opened");
    };
    let said = source.to_string();
    assert!(said.contains("raincheck.sqlite") && said.contains("another process"), "{said}");
    fixture.store.schema.close().await;
    sqlite::open(&path, SystemClock::shared()).await.expect("free once it is closed");
}

#[tokio::test]
async fn a_file_in_use_cannot_be_opened_by_another_name() {
    let folder = TempFolder::new("raincheck-store");
    let (path, link) = (folder.0.join("raincheck.sqlite"), folder.0.join("link.sqlite"));
    // Also while it is not there yet.
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    let opened = sqlite::open(&link, SystemClock::shared()).await.expect("open");
    let refused = sqlite::open(&path, SystemClock::shared()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "a file in use was opened");
    opened.schema.close().await;
    sqlite::open(&path, SystemClock::shared()).await.expect("free once it is closed");
}

#[tokio::test]
async fn a_file_in_use_cannot_be_opened_by_another_name_of_its_own() {
    let folder = TempFolder::new("raincheck-store");
    let (path, other) = (folder.0.join("raincheck.sqlite"), folder.0.join("other.sqlite"));
    let opened = sqlite::open(&path, SystemClock::shared()).await.expect("open");
    std::fs::hard_link(&path, &other).expect("a second name");
    let refused = sqlite::open(&other, SystemClock::shared()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "a file in use was opened");
    opened.schema.close().await;
    sqlite::open(&other, SystemClock::shared()).await.expect("free once it is closed");
}

#[tokio::test]
async fn what_is_made_is_for_its_users_eyes() {
    let folder = TempFolder::new("raincheck-store");
    let made = folder.0.join("data");
    let store = sqlite::open(&made.join("raincheck.sqlite"), SystemClock::shared()).await.expect("open");
    let rights = std::fs::metadata(&made).expect("a folder").permissions().mode();
    assert_eq!(rights & 0o777, 0o700);
    store.schema.close().await;
}

/// The machine's clock, by which it is an hour later once the laptop has slept.
#[derive(Default)]
struct Waking(AtomicBool);

impl Clock for Waking {
    fn now(&self) -> Timestamp {
        SystemClock.now() + if self.0.load(Ordering::SeqCst) { HOUR } else { Duration::ZERO }
    }

    fn monotonic(&self) -> Instant {
        SystemClock.monotonic()
    }
}

#[tokio::test]
async fn nobody_is_dead_because_the_time_of_day_has_leapt() {
    let folder = TempFolder::new("raincheck-store");
    let clock = Arc::new(Waking::default());
    let store = sqlite::open(&folder.0.join("raincheck.sqlite"), clock.clone()).await.expect("open");
    store.schema.migrate().await.expect("migrate");
    let (worker, ttl) = (IdSource.worker(), Duration::from_mins(1));
    let _lease = store.leases.register(worker, "w", ttl, true).await.expect("register");
    clock.0.store(true, Ordering::SeqCst);
    assert_eq!(store.upkeep.rescue_dead_worker(5, None, HOUR).await.expect("rescue"), None);
    store.schema.close().await;
}

#[tokio::test]
async fn what_an_earlier_process_ran_is_rescued_at_once_after_a_restart() {
    let fixture = StoreFixture::sqlite().await;
    let path = fixture.sqlite_path().expect("a file");
    let held = running(&fixture, job()).await;
    fixture.store.schema.close().await;

    let store = sqlite::open(&path, SystemClock::shared()).await.expect("open again");
    let moved = store.upkeep.rescue_dead_worker(5, None, HOUR).await.expect("rescue").expect("somebody is dead");
    assert_eq!(moved.changes.iter().map(|c| c.id).collect::<Vec<_>>(), [held.id]);
    assert_eq!(moved.dispatches.len(), 1);
    assert_eq!(store.upkeep.rescue_dead_worker(5, None, HOUR).await.expect("rescue"), None);
}
