//! Rows as they come, turned into what the domain knows; whatever does not fit is named.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};
use uuid::Uuid;

use crate::domain::{
    Band, BatchId, Blob, BlobOwner, Body, Cancel, Dispatch, DispatchId, Job, JobId, JobResult, JobWebhook, TenantName,
    UnknownEvent, Webhook, WorkerId,
};
use crate::store::{Change, StoreError};

/// The cells of one row of `table`.
pub(super) struct Cells<'r> {
    table: &'static str,
    row: &'r PgRow,
    job: Option<JobId>,
}

impl<'r> Cells<'r> {
    /// Cells of a row that is no job's.
    pub(super) fn of(table: &'static str, row: &'r PgRow) -> Self {
        Self { table, row, job: None }
    }

    /// Cells of a job's row, and its id.
    pub(super) fn of_job(row: &'r PgRow) -> Result<(Self, JobId), StoreError> {
        let mut cells = Self::of("jobs", row);
        let id = JobId::new(cells.get("id")?);
        cells.job = Some(id);
        Ok((cells, id))
    }

    pub(super) fn wrong(&self, column: &'static str, problem: impl Display) -> StoreError {
        StoreError::Inconsistent { table: self.table, column, row: self.job, problem: problem.to_string() }
    }

    pub(super) fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
    {
        self.row.try_get(column).map_err(|error| self.wrong(column, error))
    }

    /// Text that means something.
    pub(super) fn parse<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: FromStr<Err: Display>,
    {
        self.get::<&str>(column)?.parse().map_err(|error: T::Err| self.wrong(column, error))
    }

    /// A number that must fit a smaller type.
    pub(super) fn number<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: TryFrom<i64, Error: Display>,
    {
        T::try_from(self.get::<i64>(column)?).map_err(|error| self.wrong(column, error))
    }

    pub(super) fn json<T: serde::de::DeserializeOwned>(
        &self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| self.wrong(column, error))
    }

    pub(super) fn optional_json<T: serde::de::DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        self.get::<Option<&str>>(column)?.map(|text| self.json(column, text)).transpose()
    }

    /// SHA-256.
    pub(super) fn digest(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        let bytes: &[u8] = self.get(column)?;
        bytes.try_into().map_err(|_| self.wrong(column, format!("{} bytes instead of 32", bytes.len())))
    }

    pub(super) fn job_ids(&self, column: &'static str) -> Result<Vec<JobId>, StoreError> {
        Ok(self.get::<Vec<Uuid>>(column)?.into_iter().map(JobId::new).collect())
    }

    pub(super) fn band(&self) -> Result<Band, StoreError> {
        let number: i16 = self.get("band")?;
        Band::from_i16(number).ok_or_else(|| self.wrong("band", format!("there is no band {number}")))
    }

    /// Whose it is: nothing is stored for the default tenant.
    pub(super) fn tenant(&self) -> Result<TenantName, StoreError> {
        let Some(name) = self.get::<Option<&str>>("tenant")? else { return Ok(TenantName::default()) };
        name.parse().map_err(|error| self.wrong("tenant", error))
    }

    /// Text that means something, if there is any.
    pub(super) fn blob(&self, column: &'static str) -> Result<Option<Blob>, StoreError> {
        let text = self.get::<Option<&str>>(column)?;
        text.map(|text| text.parse().map_err(|error| self.wrong(column, error))).transpose()
    }

    /// A body: the blob that `blob` names, or what stands in `bytes`.
    pub(super) fn body(&self, bytes: &'static str, blob: &'static str) -> Result<Body, StoreError> {
        match self.blob(blob)? {
            Some(blob) => Ok(Body::Blob(blob)),
            None => Ok(Body::Inline(Bytes::from(self.get::<Vec<u8>>(bytes)?))),
        }
    }

    fn job_result(&self) -> Result<Option<JobResult>, StoreError> {
        let Some(content_type) = self.get::<Option<String>>("result_type")? else { return Ok(None) };
        let digest = self.digest("result_digest")?;
        if let Some(blob) = self.blob("result_blob")? {
            return Ok(Some(JobResult { content_type, size: blob.size, digest, inline: None }));
        }
        let size = self.get::<Option<i64>>("result_size")?.ok_or_else(|| self.wrong("result", "is missing"))?;
        Ok(Some(JobResult {
            content_type,
            size: u64::try_from(size).map_err(|error| self.wrong("result", error))?,
            digest,
            inline: self.get::<Option<Vec<u8>>>("result")?.map(Bytes::from),
        }))
    }

    fn webhook(&self) -> Result<Option<JobWebhook>, StoreError> {
        if self.get::<Option<&str>>("webhook_url")?.is_none() {
            return Ok(None);
        }
        let events = self.get::<Vec<String>>("webhook_events")?;
        let events = events.iter().map(|event| event.parse()).collect::<Result<_, _>>();
        let wish = Webhook {
            url: self.parse("webhook_url")?,
            events: events.map_err(|error: UnknownEvent| self.wrong("webhook_events", error))?,
        };
        Ok(Some(JobWebhook { wish, summary: self.optional_json("deliveries")? }))
    }

    fn cancel(&self) -> Result<Option<Cancel>, StoreError> {
        let Some(requested_at) = self.get("cancel_requested_at")? else { return Ok(None) };
        Ok(Some(Cancel {
            requested_at,
            reason: self.get("cancel_reason")?,
            acknowledged_at: self.get("cancel_acknowledged_at")?,
        }))
    }
}

/// A row of `find_jobs.sql`.
pub(super) fn job(row: &PgRow) -> Result<Job, StoreError> {
    let (cells, id) = Cells::of_job(row)?;
    let priority: i16 = cells.get("priority")?;
    let attempts = cells.get::<Vec<String>>("attempts")?;
    let erased_at = cells.get("erased_at")?;
    Ok(Job {
        id,
        tenant: cells.tenant()?,
        kind: cells.parse("kind")?,
        queue: cells.parse("queue")?,
        priority: u8::try_from(priority).map_err(|error| cells.wrong("priority", error))?,
        version: cells.get("version")?,
        status: cells.parse("status")?,
        attempt: cells.get("attempt")?,
        max_attempts: cells.get("max_attempts")?,
        run_at: cells.get("run_at")?,
        started_at: cells.get("started_at")?,
        finished_at: cells.get("finished_at")?,
        next_attempt_at: cells.get("next_attempt_at")?,
        expires_at: cells.get("expires_at")?,
        deadline: cells.get("deadline")?,
        run_timeout: Duration::from_millis(cells.number("run_timeout_ms")?),
        retention: Duration::from_secs(cells.number("retention_seconds")?),
        heartbeat_at: cells.get("heartbeat_at")?,
        worker: cells.get::<Option<Uuid>>("worker")?.map(WorkerId::new),
        progress: cells.optional_json("progress")?,
        cancel: cells.cancel()?,
        erased_at,
        result: if erased_at.is_none() { cells.job_result()? } else { None },
        error: cells.optional_json("error")?,
        attempts: attempts.iter().map(|text| cells.json("attempts", text)).collect::<Result<_, _>>()?,
        metadata: cells.get("metadata")?,
        tags: cells.get("tags")?,
        idempotency_key: cells.get("idempotency_key")?,
        concurrency_key: cells.get("concurrency_key")?,
        traceparent: cells.get("traceparent")?,
        retry_of: cells.get::<Option<Uuid>>("retry_of")?.map(JobId::new),
        batch: cells.get::<Option<Uuid>>("batch_id")?.map(BatchId::new),
        webhook: cells.webhook()?,
    })
}

/// A row of `list_blob_owners.sql`.
pub(super) fn blob_owner(row: &PgRow) -> Result<BlobOwner, StoreError> {
    let (cells, job) = Cells::of_job(row)?;
    let name = |column| Ok::<_, StoreError>(cells.blob(column)?.map(|blob| blob.name));
    Ok(BlobOwner { job, running: cells.get("running")?, input: name("input_blob")?, output: name("result_blob")? })
}

/// A row with `id`, `version` and `status` of a job.
pub(super) fn change(row: &PgRow) -> Result<Change, StoreError> {
    let (cells, id) = Cells::of_job(row)?;
    change_of(&cells, id.as_uuid())
}

/// The same when the id is known.
pub(super) fn change_of(cells: &Cells<'_>, id: Uuid) -> Result<Change, StoreError> {
    Ok(Change { id: JobId::new(id), version: cells.get("version")?, status: cells.parse("status")? })
}

/// A row with all of a dispatch; its number is in `id`.
pub(super) fn dispatch(row: &PgRow) -> Result<Dispatch, StoreError> {
    let cells = Cells::of("dispatches", row);
    numbered_dispatch(&cells, cells.get("id")?)
}

/// The same when its number is known.
pub(super) fn numbered_dispatch(cells: &Cells<'_>, id: DispatchId) -> Result<Dispatch, StoreError> {
    Ok(Dispatch {
        id,
        queue: cells.parse("queue")?,
        band: cells.band()?,
        kind: cells.parse("kind")?,
        jobs: cells.job_ids("jobs")?,
    })
}

/// A tenant as it is stored beside a job.
pub(super) fn stored_tenant(tenant: &TenantName) -> Option<&str> {
    (!tenant.is_default()).then_some(tenant.as_str())
}

/// The smallest and the largest of some ids: beside `id = ANY(…)` they tell which partitions can be left out.
pub(super) fn id_range(ids: &[Uuid]) -> (Uuid, Uuid) {
    (ids.iter().min().copied().unwrap_or(Uuid::nil()), ids.iter().max().copied().unwrap_or(Uuid::nil()))
}

/// Whole milliseconds, a century at most: more would overflow the database's calendar.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(100 * 366 * 86_400 * 1_000)
}
