//! What only SQLite promises: one process owns the file, so a restart knows at once who is dead.

use raincheck_shared::lifecycle::SystemClock;
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
