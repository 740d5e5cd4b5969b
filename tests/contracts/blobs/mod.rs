//! What both blob stores promise. Each contract is written once and run against a directory and against a server that
//! speaks S3.

mod away;
mod keeping;
mod persisting;
mod removing;

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use raincheck_shared::blobs::{BlobError, Blobs};
use raincheck_shared::config::{BlobPlace, BlobSettings, S3Settings, Secret};
use raincheck_shared::domain::{Blob, BlobName, BlobPart, JobId};
use raincheck_shared::lifecycle::{IdSource, Shutdown};

use uuid::Uuid;

use crate::harness::cluster::required;
use crate::harness::temp::TempFolder;
use crate::harness::wait::unique;

/// Where the S3 server for tests is; `scripts/services` knows its key.
pub(crate) const S3_URL: &str = "RAINCHECK_TEST_S3_URL";

/// An empty blob store of its own.
pub(crate) struct BlobFixture {
    pub(crate) blobs: Blobs,
    /// Of a directory.
    folder: Option<TempFolder>,
}

/// How the store of a fixture is set.
pub(crate) fn settings(place: BlobPlace, writers: usize) -> BlobSettings {
    BlobSettings { place, in_database: 1 << 20, writers, keep_orphans: Duration::from_hours(24) }
}

/// A bucket on the server at `endpoint`, under a prefix that nobody else has.
pub(crate) fn s3(endpoint: &str) -> S3Settings {
    S3Settings {
        bucket: "raincheck-tests".to_owned(),
        prefix: format!("contracts/{}", unique()),
        endpoint: Some(endpoint.to_owned()),
        region: None,
        access_key_id: Some("raincheck".to_owned()),
        secret_access_key: Some(Secret::new("raincheck-secret")),
    }
}

impl BlobFixture {
    pub(crate) fn directory(writers: usize) -> Self {
        let folder = TempFolder::new("raincheck-blobs");
        let place = BlobPlace::Directory { path: folder.0.join("some/where") };
        let blobs = Blobs::open(&settings(place, writers), &Shutdown::new()).expect("open a directory");
        Self { blobs, folder: Some(folder) }
    }

    pub(crate) fn s3(writers: usize) -> Self {
        let place = BlobPlace::S3(s3(&required(S3_URL)));
        let blobs = Blobs::open(&settings(place, writers), &Shutdown::new()).expect("set up a client");
        Self { blobs, folder: None }
    }

    /// Writes a blob in pieces of an odd length.
    async fn keep(&self, name: BlobName, bytes: &[u8]) -> Blob {
        let mut writer = self.blobs.write(name);
        for piece in bytes.chunks(70_001) {
            writer.write(piece).await.expect("write");
        }
        writer.finish().await.expect("finish")
    }

    /// Of a directory: where it is, and where it is put while it is away.
    fn place(&self) -> (PathBuf, PathBuf) {
        let place = self.folder.as_ref().expect("a folder").0.join("some/where");
        let aside = place.with_file_name("aside");
        (place, aside)
    }

    async fn read(&self, blob: &Blob, from: u64, to: u64) -> Result<Bytes, BlobError> {
        let pieces = self.blobs.read(blob, from..to).await?;
        let all = pieces.try_fold(BytesMut::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        Ok(all.await?.freeze())
    }

    /// Everything that is listed, of all days.
    async fn all(&self) -> Vec<BlobName> {
        let mut names = Vec::new();
        for day in self.blobs.days().await.expect("days") {
            let mut found = self.blobs.of_day(&day);
            while let Some(found) = found.try_next().await.expect("list") {
                names.push(found.name);
            }
        }
        names
    }
}

fn long_ago() -> JobId {
    JobId::new(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, 1_700_000_000, 0)))
}

fn name(part: BlobPart) -> BlobName {
    BlobName { job: IdSource.job(), part, token: IdSource.random(), upload: None }
}

/// So many bytes of which no two neighbourhoods are alike.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let words = (0..length.div_ceil(8) as u64).flat_map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    words.take(length).collect()
}

/// Runs contracts, `async fn(&BlobFixture)`, against each store, with so many writers at once. To be called once in a file.
macro_rules! against_each_blob_store {
    ($writers:literal; $($contract:ident),+ $(,)?) => {
        mod directory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    super::$contract(&crate::contracts::blobs::BlobFixture::directory($writers)).await;
                }
            )+
        }

        mod s3 {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $contract() {
                    super::$contract(&crate::contracts::blobs::BlobFixture::s3($writers)).await;
                }
            )+
        }
    };
}
use against_each_blob_store;
