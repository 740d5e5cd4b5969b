//! What a job made, believed when it meets its digest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::digest::{SHA256, digest};
use serde::de::DeserializeOwned;

use crate::fault::Fault;
use crate::request::Answer;

/// The output of a job, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobResult {
    /// As its handler wrote it.
    pub body: Bytes,
    /// What its handler says it is.
    pub content_type: String,
    /// Whether it came with a SHA-256 that it meets. One that does not is never given out.
    pub verified: bool,
}

impl JobResult {
    /// Parsed.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// As text.
    pub fn text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.body)
    }

    pub(crate) fn read(answer: &Answer) -> Result<Self, Fault> {
        let given = answer.header("content-digest").and_then(sha256_in);
        let verified = given.is_some();
        if given.is_some_and(|given| STANDARD.encode(digest(&SHA256, &answer.body)) != given) {
            return Err(Fault::Damaged);
        }
        let content_type = answer.header("content-type").unwrap_or("application/octet-stream").to_owned();
        Ok(Self { body: answer.body.clone(), content_type, verified })
    }
}

/// The SHA-256 of a `Content-Digest`, in base64.
pub(crate) fn sha256_in(field: &str) -> Option<&str> {
    field.split("sha-256=:").nth(1)?.split(':').next()
}
