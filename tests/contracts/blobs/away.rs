//! A blob store that is away is said to be, within a time, and is used again when it is back.

use std::time::Duration;

use raincheck_shared::blobs::{BlobError, Blobs};
use raincheck_shared::config::{BlobPlace, S3Settings};
use raincheck_shared::domain::{BlobName, BlobPart};
use raincheck_shared::lifecycle::Shutdown;

use super::{BlobFixture, S3_URL, long_ago, name, noise, s3, settings};
use crate::harness::cluster::required;
use crate::harness::services::{PrivateServer, Server};
use crate::harness::temp::TempFolder;
use crate::harness::wait::{now, until};

async fn assert_away(on: &BlobFixture) {
    let started = now();
    let mut writer = on.blobs.write(name(BlobPart::Input));
    let written = async {
        writer.write(&noise(6 << 20)).await?;
        writer.finish().await
    };
    let written = written.await;
    assert!(matches!(written, Err(BlobError::Unavailable(_))), "{written:?}");
    assert!(matches!(on.blobs.days().await, Err(BlobError::Unavailable(_))));
    assert!(matches!(on.blobs.probe().await, Err(BlobError::Unavailable(_))));
    assert!(started.elapsed() < Duration::from_mins(2), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_away_is_said_to_be_and_is_used_when_it_is_back() {
    let on = BlobFixture::directory(4);
    let blob = on.keep(name(BlobPart::Input), b"kept").await;
    let (place, aside) = on.place();
    std::fs::rename(&place, &aside).unwrap();
    // In its place something that is no folder, as a mount that went wrong.
    std::fs::write(&place, "").unwrap();
    assert_away(&on).await;
    std::fs::remove_file(&place).unwrap();
    std::fs::rename(&aside, &place).unwrap();
    assert_eq!(on.read(&blob, 0, 4).await.expect("read"), "kept");
    on.keep(name(BlobPart::Input), &noise(3 << 20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_not_there_has_lost_nothing_and_nothing_is_kept_in_its_place() {
    let on = BlobFixture::directory(4);
    let recent = on.keep(name(BlobPart::Input), b"kept").await;
    let old = on.keep(BlobName { job: long_ago(), ..name(BlobPart::Input) }, b"kept").await;
    let (place, aside) = on.place();
    std::fs::rename(&place, &aside).unwrap();
    for mounted_on in [false, true] {
        if mounted_on {
            std::fs::create_dir(&place).unwrap();
        }
        for blob in [&recent, &old] {
            let read = on.read(blob, 0, 4).await;
            assert!(matches!(read, Err(BlobError::Unavailable(_))), "{read:?}");
        }
        for size in [10, 3 << 20] {
            let mut writer = on.blobs.write(name(BlobPart::Input));
            let written = async {
                writer.write(&noise(size)).await?;
                writer.finish().await
            };
            let written = written.await;
            assert!(matches!(written, Err(BlobError::Unavailable(_))), "{written:?}");
        }
        assert_eq!(std::fs::read_dir(&place).map_or(0, Iterator::count), 0);
    }

    // A process that starts meanwhile takes it for a new one. What is older than that is not lost.
    let settings = settings(BlobPlace::Directory { path: place.clone() }, 4);
    let blobs = Blobs::open(&settings, &Shutdown::new()).expect("open it");
    let late = BlobFixture { blobs, folder: None };
    for _ in 0..2 {
        let read = late.read(&old, 0, 4).await;
        assert!(matches!(read, Err(BlobError::Unavailable(_))), "{read:?}");
        late.keep(name(BlobPart::Input), b"here").await;
    }

    std::fs::remove_dir_all(&place).unwrap();
    std::fs::rename(&aside, &place).unwrap();
    for fixture in [&on, &late] {
        assert_eq!(fixture.read(&old, 0, 4).await.expect("read"), "kept");
        fixture.keep(name(BlobPart::Input), &noise(3 << 20)).await;
    }
    on.blobs.remove_blob(recent.name).await.expect("remove");
    let read = on.read(&recent, 0, 4).await;
    assert!(matches!(read, Err(BlobError::Lost(_))), "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_a_release_that_did_not_mark_it_is_known_by_its_blobs() {
    let on = BlobFixture::directory(4);
    let old = on.keep(BlobName { job: long_ago(), ..name(BlobPart::Input) }, b"kept").await;
    on.keep(name(BlobPart::Input), b"kept").await;
    let (place, _) = on.place();
    std::fs::remove_file(place.join("raincheck-blobs")).unwrap();
    let settings = settings(BlobPlace::Directory { path: place }, 4);
    let blobs = Blobs::open(&settings, &Shutdown::new()).expect("open it");
    let on = BlobFixture { blobs, folder: None };
    on.blobs.remove_blob(old.name).await.expect("remove");
    let read = on.read(&old, 0, 4).await;
    assert!(matches!(read, Err(BlobError::Lost(_))), "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_not_there_has_lost_nothing() {
    let on = BlobFixture::s3(4);
    let kept = on.keep(name(BlobPart::Input), b"kept").await;
    let elsewhere = s3(&required(S3_URL));
    let place = BlobPlace::S3(S3Settings { bucket: "raincheck-nowhere".to_owned(), ..elsewhere });
    let blobs = Blobs::open(&settings(place, 4), &Shutdown::new()).expect("set up a client");
    let read = BlobFixture { blobs, folder: None }.read(&kept, 0, 4).await;
    assert!(matches!(read, Err(BlobError::Unavailable(_))), "{read:?}");

    on.blobs.remove_blob(kept.name).await.expect("remove");
    let read = on.read(&kept, 0, 4).await;
    assert!(matches!(read, Err(BlobError::Lost(_))), "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_s3_server_that_is_killed_is_said_to_be_away_and_is_used_when_it_is_back() {
    let folder = TempFolder::new("raincheck-s3");
    let server = PrivateServer::start(Server::S3, &folder.0);
    let place = BlobPlace::S3(s3(&server.url));
    let blobs = Blobs::open(&settings(place, 4), &Shutdown::new()).expect("set up a client");
    let on = BlobFixture { blobs, folder: None };
    let bytes = noise(6 << 20);
    let blob = on.keep(name(BlobPart::Input), &bytes).await;
    server.act("kill");
    assert_away(&on).await;
    server.act("resume");
    // It answers before all parts of it do.
    until("the server to be well", Duration::from_secs(30), async || on.blobs.probe().await.is_ok()).await;
    assert!(on.read(&blob, 0, blob.size).await.expect("read") == bytes);
    on.keep(name(BlobPart::Input), &bytes).await;
}
