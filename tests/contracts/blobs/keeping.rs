//! What was written is there, whole, and nothing before it was whole.

use std::time::Duration;

use futures_util::FutureExt;
use raincheck_shared::domain::{BlobPart, TenantName};
use sha2::{Digest, Sha256};

use super::{BlobFixture, against_each_blob_store, name, noise};
use crate::harness::wait::until;

against_each_blob_store! {
    2;
    what_was_written_is_read_back_whole_and_in_parts,
    a_blob_is_not_there_before_it_is_whole,
    a_writer_that_goes_away_leaves_nothing,
    only_so_many_are_received_at_once_and_the_next_waits,
    those_that_wait_for_their_bytes_hold_up_nobody,
    a_probe_works_and_leaves_nothing,
}

async fn what_was_written_is_read_back_whole_and_in_parts(on: &BlobFixture) {
    let mib = 1 << 20;
    // Around one part of either store, and several of both.
    for length in [0, 1, mib - 1, mib, mib + 1, 5 * mib - 1, 5 * mib, 5 * mib + 1, 16 * mib + 12_345] {
        let bytes = noise(length);
        let blob = on.keep(name(BlobPart::Input), &bytes).await;
        assert_eq!(blob.size, length as u64);
        assert_eq!(blob.digest, <[u8; 32]>::from(Sha256::digest(&bytes)));
        if length == 0 {
            continue;
        }
        assert!(on.read(&blob, 0, blob.size).await.expect("read") == bytes, "{length} bytes");
        let (size, middle) = (blob.size, blob.size / 2);
        for (from, to) in [(0, 1), (size - 1, size), (middle, size), (0, middle.max(1)), (size / 3, size - size / 3)] {
            let (first, last) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
            assert!(on.read(&blob, from, to).await.expect("read") == bytes[first..last], "{from}..{to} of {length}");
        }
    }
}

async fn a_blob_is_not_there_before_it_is_whole(on: &BlobFixture) {
    let name = name(BlobPart::Output);
    let bytes = noise(12 << 20);
    let mut writer = on.blobs.write(name);
    writer.write(&bytes).await.expect("write");
    let whole = on.keep(super::name(BlobPart::Output), &bytes).await;
    let unfinished = raincheck_shared::domain::Blob { name, ..whole };
    assert!(on.read(&unfinished, 0, whole.size).await.is_err());
    let blob = writer.finish().await.expect("finish");
    assert!(on.read(&blob, 0, blob.size).await.expect("read") == bytes);
}

async fn a_writer_that_goes_away_leaves_nothing(on: &BlobFixture) {
    let mut given_up = on.blobs.write(name(BlobPart::Input));
    given_up.write(&noise(11 << 20)).await.expect("write");
    given_up.abort().await;
    assert_eq!(on.all().await, []);

    let mut dropped = on.blobs.write(name(BlobPart::Input));
    dropped.write(&noise(11 << 20)).await.expect("write");
    drop(dropped);
    until("nothing to be left", Duration::from_secs(10), async || on.all().await.is_empty()).await;
}

async fn only_so_many_are_received_at_once_and_the_next_waits(on: &BlobFixture) {
    let tenant = TenantName::default();
    let first = on.blobs.receive(name(BlobPart::Input), &tenant).await.expect("begin");
    let _second = on.blobs.receive(name(BlobPart::Input), &tenant).await.expect("begin");
    let mut third = Box::pin(on.blobs.receive(name(BlobPart::Input), &tenant));
    assert!((&mut third).now_or_never().is_none(), "it waits");
    drop(first);
    third.await.expect("its turn has come");
}

async fn those_that_wait_for_their_bytes_hold_up_nobody(on: &BlobFixture) {
    let bytes = noise(6 << 20);
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let name = name(BlobPart::Output);
        let mut writer = on.blobs.write(name);
        writer.write(&bytes).await.expect("write");
        waiting.push(writer);
    }
    let whole = on.keep(name(BlobPart::Output), &bytes).await;
    assert!(on.read(&whole, 0, whole.size).await.expect("read") == bytes);
    for writer in waiting {
        assert_eq!(writer.finish().await.expect("finish").digest, whole.digest);
    }
}

async fn a_probe_works_and_leaves_nothing(on: &BlobFixture) {
    on.blobs.probe().await.expect("probe");
    assert_eq!(on.blobs.days().await.expect("days"), Vec::<String>::new());
}
