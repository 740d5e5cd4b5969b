//! Batches: the body of a submit, and what is answered.

use bytes::Bytes;
use raincheck_shared::domain::{Batch, BatchCounts, BatchId, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use time::serde::rfc3339;

use super::Fields;
use super::job::WebhookView;
use super::links::LinkBase;
use super::submission::{ReadSubmission, read_item, read_webhook};
use crate::engine::WebhookOptions;
use crate::http::code::Code;
use crate::http::problem::{Finding, Problem};

/// An item as it was read: its submission and its own key, or why it could not be read.
pub(crate) type ReadItem = Result<(ReadSubmission, Option<String>), Problem>;

/// A body that was read.
#[derive(Debug)]
pub(crate) struct ReadBatch {
    pub(crate) items: Vec<ReadItem>,
    /// Only look at all of them.
    pub(crate) validate_only: bool,
    /// Where the end of the whole is to be told.
    pub(crate) webhook: Option<WebhookOptions>,
}

/// Reads the body of `POST /v1/batches`, of 1 to `most` items. What is wrong with an item is that item's.
pub(crate) fn read_batch(body: &Bytes, most: usize) -> Result<ReadBatch, Problem> {
    let mut fields = Fields::of_body(body)?;
    let validate_only = fields.flag("validate_only");
    let webhook = read_webhook(&mut fields);
    let items: Option<Vec<&RawValue>> = fields.list("jobs");
    let count = items.as_ref().map_or(0, Vec::len);
    if fields.findings.is_empty() && !(1..=most).contains(&count) {
        fields.fault("jobs", format!("must be a list of 1 to {most} jobs"));
    }
    let findings = fields.finish();
    if !findings.is_empty() {
        return Err(Problem::of_findings(Code::InputInvalid, findings));
    }
    let items = items.unwrap_or_default();
    let items = items.into_iter().map(|item| read_item(&body.slice_ref(item.get().as_bytes()))).collect();
    Ok(ReadBatch { items, validate_only, webhook })
}

/// A finding about a key of an item's own.
pub(crate) fn key_finding(detail: String) -> Finding {
    Finding::new("/idempotency_key", detail)
}

/// A batch as it stands.
#[derive(Debug, Serialize)]
pub(crate) struct BatchView<'a> {
    id: String,
    done: bool,
    total: u32,
    counts: Counts,
    progress: Progress,
    #[serde(with = "rfc3339")]
    created_at: Timestamp,
    #[serde(with = "rfc3339::option")]
    cancel_requested_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    finished_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    expires_at: Option<Timestamp>,
    webhook: Option<WebhookView>,
    idempotency_key: Option<&'a str>,
    links: BatchLinks,
}

#[derive(Debug, Serialize)]
struct Counts {
    scheduled: u32,
    queued: u32,
    in_progress: u32,
    retrying: u32,
    succeeded: u32,
    failed: u32,
    canceled: u32,
    expired: u32,
}

#[derive(Debug, Serialize)]
struct Progress {
    /// 0 to 100
    percent: f64,
    ended: u32,
}

/// Where a batch and its jobs are.
#[derive(Debug, Serialize)]
pub(crate) struct BatchLinks {
    #[serde(rename = "self")]
    itself: String,
    jobs: String,
    cancel: String,
    deliveries: String,
}

impl BatchLinks {
    /// Of one batch.
    pub(crate) fn of(id: BatchId, links: &LinkBase) -> Self {
        let path = format!("/v1/batches/{id}");
        Self {
            jobs: links.to(&format!("/v1/jobs?batch={id}")),
            cancel: links.to(&format!("{path}/cancel")),
            deliveries: links.to(&format!("{path}/deliveries")),
            itself: links.to(&path),
        }
    }
}

impl<'a> BatchView<'a> {
    /// How it stands.
    pub(crate) fn new(batch: &'a Batch, links: &LinkBase) -> Self {
        let BatchCounts { scheduled, queued, in_progress, retrying, succeeded, failed, canceled, expired } =
            batch.counts;
        let ended = batch.counts.ended();
        Self {
            id: batch.id.to_string(),
            done: batch.finished_at.is_some(),
            total: batch.total,
            counts: Counts { scheduled, queued, in_progress, retrying, succeeded, failed, canceled, expired },
            progress: Progress { percent: 100.0 * f64::from(ended) / f64::from(batch.total.max(1)), ended },
            created_at: batch.id.created_at(),
            cancel_requested_at: batch.cancel_requested_at,
            finished_at: batch.finished_at,
            expires_at: batch.expires_at,
            webhook: batch.webhook.as_ref().map(|webhook| WebhookView::new(webhook.summary, false)),
            idempotency_key: batch.key.as_deref(),
            links: BatchLinks::of(batch.id, links),
        }
    }
}
