//! Between rows and the domain: instants are microseconds since the epoch, ids 16 bytes, other lists and objects JSON.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use uuid::Uuid;

use super::file::failed;
use crate::domain::{
    Band, BatchId, Blob, BlobOwner, Body, Cancel, Dispatch, Job, JobId, JobResult, JobWebhook, Payload, Progress,
    Status, TenantName, Timestamp, UnknownEvent, Webhook, WorkerId,
};
use crate::store::StoreError;

/// The last instant that can be kept, the end of the year 9999: whatever lies beyond is then.
const LAST_INSTANT: i64 = 253_402_300_799_999_999;

/// An instant as it is kept.
pub(super) fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1000)).unwrap_or(LAST_INSTANT)
}

/// The instant `after` an instant.
pub(super) fn later(at: i64, after: Duration) -> i64 {
    at.saturating_add(span(after)).min(LAST_INSTANT)
}

/// A span of time, in microseconds.
pub(super) fn span(of: Duration) -> i64 {
    i64::try_from(of.as_micros()).unwrap_or(LAST_INSTANT)
}

/// How long from one instant until another; nothing when that is past.
pub(super) fn until(from: i64, to: i64) -> Duration {
    Duration::from_micros(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

/// A span in another unit, as it is kept.
pub(super) fn whole(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// Ids as one JSON list, to be taken apart by `json_each` and `unhex`.
pub(super) fn id_list(ids: impl IntoIterator<Item = JobId>) -> String {
    let mut list = String::from("[");
    for id in ids {
        if list.len() > 1 {
            list.push(',');
        }
        list.push('"');
        list.push_str(id.as_uuid().simple().encode_lower(&mut Uuid::encode_buffer()));
        list.push('"');
    }
    list.push(']');
    list
}

/// Texts as one JSON list.
pub(super) fn text_list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    serde_json::Value::from_iter(texts).to_string()
}

/// Ids as they are kept: 16 bytes each, one after another.
pub(super) fn id_bytes(ids: &[JobId]) -> Vec<u8> {
    ids.iter().flat_map(|id| *id.as_uuid().as_bytes()).collect()
}

/// The same, read back.
pub(super) fn ids_of(row: &Cell<'_>, column: &'static str) -> Result<Vec<JobId>, StoreError> {
    let bytes: &[u8] = row.get(column)?;
    let (ids, rest) = bytes.as_chunks::<16>();
    if rest.is_empty() {
        Ok(ids.iter().map(|id| JobId::new(Uuid::from_bytes(*id))).collect())
    } else {
        Err(row.inconsistent(column, "not a list of ids"))
    }
}

/// Anything as JSON.
pub(super) fn json(of: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(of).map_err(|error| StoreError::Rejected(Arc::new(error)))
}

/// Bodies one after another, for a statement of many rows to take them apart by `substr`: JSON has no bytes.
#[derive(Default)]
pub(super) struct Pieces(Vec<u8>);

impl Pieces {
    /// Where this one begins, counted from 1, and how long it is.
    pub(super) fn add(&mut self, piece: &[u8]) -> (usize, usize) {
        let begin = self.0.len() + 1;
        self.0.extend_from_slice(piece);
        (begin, piece.len())
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A row, with the name of its table for whoever must mend it.
pub(super) struct Cell<'r> {
    row: &'r SqliteRow,
    table: &'static str,
    job: Option<JobId>,
}

impl<'r> Cell<'r> {
    /// A row of a table other than `jobs`.
    pub(super) fn of(table: &'static str, row: &'r SqliteRow) -> Self {
        Self { row, table, job: None }
    }

    /// A row of `jobs`.
    pub(super) fn of_job(row: &'r SqliteRow, id: JobId) -> Self {
        Self { row, table: "jobs", job: Some(id) }
    }

    /// A value as SQLite has it.
    pub(super) fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row.try_get(column).map_err(failed)
    }

    /// A number in a smaller type than SQLite's.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        T::try_from(self.get(column)?).map_err(|_| self.inconsistent(column, "out of range"))
    }

    /// A text with a meaning.
    pub(super) fn parse<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        self.get::<&str>(column)?.parse().map_err(|error| self.inconsistent(column, error))
    }

    /// JSON, if there is any.
    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(serde_json::from_str).transpose().map_err(|error| self.inconsistent(column, error))
    }

    /// An instant, if there is one.
    pub(super) fn instant(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = self.get(column)?;
        at.map(|at| Timestamp::from_unix_timestamp_nanos(i128::from(at) * 1000))
            .transpose()
            .map_err(|error| self.inconsistent(column, error))
    }

    /// A digest, which the schema says is there.
    pub(super) fn digest(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        let bytes: &[u8] = self.get(column)?;
        bytes.try_into().map_err(|_| self.inconsistent(column, "not 32 bytes"))
    }

    /// A blob, if one is named.
    fn blob(&self, column: &'static str) -> Result<Option<Blob>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(str::parse).transpose().map_err(|error| self.inconsistent(column, error))
    }

    /// A body: the blob that `blob` names, or what stands in `bytes`.
    pub(super) fn body(&self, bytes: &'static str, blob: &'static str) -> Result<Body, StoreError> {
        match self.blob(blob)? {
            Some(blob) => Ok(Body::Blob(blob)),
            None => Ok(Body::Inline(Bytes::from(self.get::<Vec<u8>>(bytes)?))),
        }
    }

    /// What is stored contradicts itself.
    pub(super) fn inconsistent(&self, column: &'static str, problem: impl std::fmt::Display) -> StoreError {
        StoreError::Inconsistent { table: self.table, column, row: self.job, problem: problem.to_string() }
    }
}

/// The id in a row of `jobs`.
pub(super) fn id_of(row: &SqliteRow) -> Result<JobId, StoreError> {
    row.try_get("id").map(JobId::new).map_err(failed)
}

/// A dispatch.
pub(super) fn dispatch(row: &SqliteRow) -> Result<Dispatch, StoreError> {
    let row = Cell::of("dispatches", row);
    Ok(Dispatch {
        id: row.get("id")?,
        queue: row.parse("queue")?,
        band: band(&row)?,
        kind: row.parse("kind")?,
        jobs: ids_of(&row, "jobs")?,
    })
}

/// A row of `list_blob_owners.sql`.
pub(super) fn blob_owner(row: &SqliteRow) -> Result<BlobOwner, StoreError> {
    let job = id_of(row)?;
    let row = Cell::of_job(row, job);
    let name = |column| Ok::<_, StoreError>(row.blob(column)?.map(|blob| blob.name));
    Ok(BlobOwner { job, running: row.get("running")?, input: name("input_blob")?, output: name("result_blob")? })
}

/// The band in a row of `dispatches`.
pub(super) fn band(row: &Cell<'_>) -> Result<Band, StoreError> {
    Band::from_i16(row.number("band")?).ok_or_else(|| row.inconsistent("band", "no such band"))
}

/// Whose a job is: nothing is stored for the default tenant.
pub(super) fn tenant(row: &Cell<'_>) -> Result<TenantName, StoreError> {
    let Some(name) = row.get::<Option<&str>>("tenant")? else { return Ok(TenantName::default()) };
    name.parse().map_err(|error| row.inconsistent("tenant", error))
}

/// The same as it is stored.
pub(super) fn stored_tenant(tenant: &TenantName) -> Option<&str> {
    (!tenant.is_default()).then_some(tenant.as_str())
}

/// A whole job.
pub(super) fn job(row: &SqliteRow) -> Result<Job, StoreError> {
    let id = id_of(row)?;
    let row = Cell::of_job(row, id);
    let status: Status = row.parse("status")?;
    let erased_at = row.instant("erased_at")?;
    Ok(Job {
        id,
        tenant: tenant(&row)?,
        kind: row.parse("kind")?,
        queue: row.parse("queue")?,
        priority: row.number("priority")?,
        version: row.number("version")?,
        status,
        attempt: row.number("attempt")?,
        max_attempts: row.number("max_attempts")?,
        run_at: row.instant("run_at")?,
        started_at: row.instant("started_at")?,
        finished_at: row.instant("finished_at")?,
        next_attempt_at: row.instant("next_attempt_at")?,
        expires_at: row.instant("expires_at")?,
        deadline: row.instant("deadline")?,
        run_timeout: Duration::from_millis(row.number("run_timeout_ms")?),
        retention: Duration::from_secs(row.number("retention_seconds")?),
        heartbeat_at: row.instant("heartbeat_at")?,
        worker: row.get::<Option<Uuid>>("worker")?.map(WorkerId::new),
        progress: row.json::<Progress>("progress")?,
        cancel: cancel(&row)?,
        erased_at,
        result: if status == Status::Succeeded && erased_at.is_none() { Some(result(&row)?) } else { None },
        error: row.json("error")?,
        attempts: row.json("attempts")?.unwrap_or_default(),
        metadata: row.get("metadata")?,
        tags: row.json("tags")?.unwrap_or_default(),
        idempotency_key: row.get("idempotency_key")?,
        concurrency_key: row.get("concurrency_key")?,
        traceparent: row.get("traceparent")?,
        retry_of: row.get::<Option<Uuid>>("retry_of")?.map(JobId::new),
        batch: row.get::<Option<Uuid>>("batch_id")?.map(BatchId::new),
        webhook: webhook(&row)?,
    })
}

/// A job's webhook and what became of its deliveries.
fn webhook(row: &Cell<'_>) -> Result<Option<JobWebhook>, StoreError> {
    let Some(wish) = wish(row)? else { return Ok(None) };
    Ok(Some(JobWebhook { wish, summary: row.json("deliveries")? }))
}

/// What the client of a job wishes to be told.
pub(super) fn wish(row: &Cell<'_>) -> Result<Option<Webhook>, StoreError> {
    if row.get::<Option<&str>>("webhook_url")?.is_none() {
        return Ok(None);
    }
    let events: Vec<String> = row.json("webhook_events")?.unwrap_or_default();
    let events = events.iter().map(|event| event.parse()).collect::<Result<_, _>>();
    let events = events.map_err(|error: UnknownEvent| row.inconsistent("webhook_events", error))?;
    Ok(Some(Webhook { url: row.parse("webhook_url")?, events }))
}

fn cancel(row: &Cell<'_>) -> Result<Option<Cancel>, StoreError> {
    let Some(requested_at) = row.instant("cancel_requested_at")? else { return Ok(None) };
    Ok(Some(Cancel {
        requested_at,
        reason: row.get("cancel_reason")?,
        acknowledged_at: row.instant("cancel_acknowledged_at")?,
    }))
}

fn result(row: &Cell<'_>) -> Result<JobResult, StoreError> {
    let content_type: String = row.get("result_type")?;
    let digest = row.digest("result_digest")?;
    if let Some(blob) = row.blob("result_blob")? {
        return Ok(JobResult { content_type, size: blob.size, digest, inline: None });
    }
    let readable = Payload::is_json_type(&content_type) || Payload::is_text_type(&content_type);
    let inline: Option<Vec<u8>> = if readable { row.get("inline")? } else { None };
    Ok(JobResult { content_type, size: row.number("result_size")?, digest, inline: inline.map(Bytes::from) })
}
