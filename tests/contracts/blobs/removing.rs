//! Blobs are found by their names, and removed one by one or with their job.

use std::time::Duration;

use raincheck_shared::blobs::BlobError;
use raincheck_shared::domain::{Blob, BlobName, BlobPart};
use raincheck_shared::lifecycle::{Clock, IdSource, SystemClock};

use super::{BlobFixture, against_each_blob_store, long_ago, name, noise};

against_each_blob_store! {
    4;
    what_is_there_is_listed_by_day,
    what_was_removed_is_gone_and_may_be_removed_again,
    all_of_a_job_is_removed_and_nothing_of_others,
    a_blob_that_is_not_what_was_written_is_lost,
}

async fn what_is_there_is_listed_by_day(on: &BlobFixture) {
    assert_eq!(on.all().await, []);
    let mut kept = vec![name(BlobPart::Input), name(BlobPart::Output)];
    kept.extend([BlobPart::Input, BlobPart::Output].map(|part| BlobName {
        job: long_ago(),
        part,
        token: IdSource.random(),
        upload: None,
    }));
    let twice = BlobName { upload: Some(IdSource.random()), ..name(BlobPart::Output) };
    kept.extend([twice, BlobName { upload: Some(IdSource.random()), ..twice }]);
    for name in &kept {
        on.keep(*name, b"x").await;
    }
    let days = on.blobs.days().await.expect("days");
    assert_eq!(days[0], "2023-11-14");
    assert_eq!(days.len(), 2);
    let mut all = on.all().await;
    let by_text = |name: &BlobName| name.to_string();
    all.sort_by_key(by_text);
    kept.sort_by_key(by_text);
    assert_eq!(all, kept);
}

#[tokio::test]
async fn folders_in_which_nothing_came_to_be_are_removed() {
    let on = BlobFixture::directory(4);
    let (root, _) = on.place();
    let entries = || std::fs::read_dir(&root).expect("list").flatten();
    let folders = || entries().filter(|entry| entry.path().is_dir()).count();
    let mut given_up = on.blobs.write(name(BlobPart::Input));
    given_up.write(&noise(3 << 20)).await.expect("write");
    assert_eq!(folders(), 1);
    given_up.abort().await;
    assert_eq!(folders(), 0);
    // As a crash leaves them.
    for job in [long_ago(), IdSource.job()] {
        std::fs::create_dir_all(root.join(BlobName::day_of(job)).join(job.to_string())).expect("make");
    }
    let yesterday = SystemClock.now() - Duration::from_hours(24);
    for (day, removed) in on.blobs.days().await.expect("days").iter().zip([1, 0]) {
        assert_eq!(on.blobs.tidy_day(day, yesterday).await.expect("tidy"), removed);
    }
    assert_eq!(folders(), 1);
}

async fn what_was_removed_is_gone_and_may_be_removed_again(on: &BlobFixture) {
    let blob = on.keep(name(BlobPart::Input), &noise(100_000)).await;
    for _ in 0..2 {
        on.blobs.remove_blob(blob.name).await.expect("remove");
        let read = on.read(&blob, 0, blob.size).await;
        assert!(matches!(read, Err(BlobError::Lost(name)) if name == blob.name), "{read:?}");
    }
    assert_eq!(on.all().await, []);
    // Its folders went with it; they come back.
    let again = on.keep(blob.name, b"again").await;
    assert_eq!(on.read(&again, 0, 5).await.expect("read"), "again");
}

async fn all_of_a_job_is_removed_and_nothing_of_others(on: &BlobFixture) {
    let (input, other) = (name(BlobPart::Input), name(BlobPart::Input));
    let outputs =
        [IdSource.random(), IdSource.random()].map(|token| BlobName { part: BlobPart::Output, token, ..input });
    for name in [input, other].into_iter().chain(outputs) {
        on.keep(name, b"x").await;
    }
    on.blobs.remove_job(input.job).await.expect("remove");
    assert_eq!(on.all().await, [other]);
    on.blobs.remove_job(input.job).await.expect("there is nothing to remove");
}

async fn a_blob_that_is_not_what_was_written_is_lost(on: &BlobFixture) {
    let blob = on.keep(name(BlobPart::Input), &noise(10_000)).await;
    for size in [9_999, 10_001] {
        let other = Blob { size, ..blob };
        let read = on.read(&other, 0, size).await;
        assert!(matches!(read, Err(BlobError::Lost(_))), "{size}: {read:?}");
    }
}
