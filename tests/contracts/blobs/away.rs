//! A blob store that is away is said to be, within a time, and is used again when it is back.

use std::time::Duration;

use raincheck_shared::blobs::{BlobError, Blobs};
use raincheck_shared::config::BlobPlace;
use raincheck_shared::domain::BlobPart;
use raincheck_shared::lifecycle::Shutdown;

use super::{BlobFixture, name, noise, s3, settings};
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
    let place = on.folder.as_ref().unwrap().0.join("some/where");
    let aside = place.with_file_name("aside");
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
