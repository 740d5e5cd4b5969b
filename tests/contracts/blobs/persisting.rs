//! Who writes persistently goes on once the directory is back, without anybody making the bytes anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use raincheck_shared::blobs::{BlobError, Persistence};
use raincheck_shared::domain::BlobPart;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{BlobFixture, name, noise};

/// For a minute. At the first failure the directory comes back.
fn persistence(on: &BlobFixture, stop: &CancellationToken) -> (Persistence, Arc<AtomicUsize>) {
    let failures = Arc::new(AtomicUsize::new(0));
    let (counted, (place, aside)) = (Arc::clone(&failures), on.place());
    let heard = Box::new(move |_: &BlobError| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::fs::rename(&aside, &place).unwrap();
    });
    (Persistence { stop: stop.clone(), until: Instant::now() + Duration::from_mins(1), heard }, failures)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_taken_is_sent_again_wherever_that_was() {
    let on = BlobFixture::directory(4);
    on.keep(name(BlobPart::Input), b"first").await;
    let (place, aside) = on.place();
    // In one write; in parts, of which none has begun; in parts that wait for their end.
    for (size, before_it_begins) in [(100_000, true), (3 << 20, true), (3 << 20, false)] {
        let bytes = noise(size);
        let (persistence, failures) = persistence(&on, &CancellationToken::new());
        let mut writer = on.blobs.write(name(BlobPart::Output)).persistent(persistence);
        if before_it_begins {
            std::fs::rename(&place, &aside).unwrap();
        }
        writer.write(&bytes).await.expect("write");
        if !before_it_begins {
            std::fs::rename(&place, &aside).unwrap();
        }
        let blob = writer.finish().await.expect("finish");
        assert_eq!(failures.load(Ordering::Relaxed), 1);
        assert!(on.read(&blob, 0, blob.size).await.expect("read") == bytes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_told_to_stop_sends_nothing_again() {
    let on = BlobFixture::directory(4);
    on.keep(name(BlobPart::Input), b"first").await;
    let (place, aside) = on.place();
    std::fs::rename(&place, &aside).unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let (persistence, failures) = persistence(&on, &stop);
    let mut writer = on.blobs.write(name(BlobPart::Output)).persistent(persistence);
    writer.write(b"x").await.expect("it is in memory");
    let finished = writer.finish().await;
    assert!(matches!(finished, Err(BlobError::Unavailable(_))), "{finished:?}");
    assert_eq!(failures.load(Ordering::Relaxed), 0);
}
