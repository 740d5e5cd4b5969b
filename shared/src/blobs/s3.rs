//! Blobs in S3, or in what speaks its language.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::SpawnedReqwestConnector;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use tokio::runtime::Handle;

use super::BlobError;
use crate::config::S3Settings;

/// Bytes of one part of an upload: the least that S3 takes, so that each writer holds as little as can be.
pub(super) const PART: usize = 5 << 20;

const CONNECT: Duration = Duration::from_secs(5);
/// Between two packets of an answer.
const SILENCE: Duration = Duration::from_secs(20);

/// The first pause before a request is sent again, and for how long that is done.
const RETRY: Duration = Duration::from_millis(200);
const RETRY_FOR: Duration = Duration::from_secs(15);

/// A client. Nothing is sent yet.
pub(super) fn open(settings: &S3Settings) -> Result<AmazonS3, BlobError> {
    crate::tls::install();
    let S3Settings { bucket, prefix: _, endpoint, region, access_key_id, secret_access_key } = settings;
    // A large body may take its time; each wait has its own bound, here and around each request.
    let client = ClientOptions::new().with_timeout_disabled().with_connect_timeout(CONNECT).with_read_timeout(SILENCE);
    let backoff = BackoffConfig { init_backoff: RETRY, max_backoff: 25 * RETRY, base: 2.0 };
    let retries = RetryConfig { backoff, max_retries: 6, retry_timeout: RETRY_FOR };
    let mut builder = match (access_key_id, secret_access_key) {
        (Some(id), Some(secret)) => {
            AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret.expose())
        }
        // The environment, or the role of the machine or pod.
        _ => AmazonS3Builder::from_env(),
    };
    builder = builder.with_bucket_name(bucket).with_client_options(client).with_retry(retries);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    if let Ok(runtime) = Handle::try_current() {
        // HTTP workers have runtimes of their own, and a connection belongs to the one that opened it.
        builder = builder.with_http_connector(SpawnedReqwestConnector::new(runtime));
    }
    builder.build().map_err(BlobError::unavailable)
}
