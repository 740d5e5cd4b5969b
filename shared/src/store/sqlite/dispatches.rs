//! Dispatches: jobs of one tenant, kind, queue and band that wait together, in messages no wider than their kind allows.

use std::time::Duration;

use sqlx::SqliteConnection;

use super::file::failed;
use super::rows;
use crate::domain::{Band, Dispatch, JobId, KindName, NewJob, QueueName, TenantName};
use crate::store::StoreError;

/// How long whoever was handed a dispatch has to publish it before another does.
pub(super) const PUBLISH_WITHIN: Duration = Duration::from_secs(2);

/// Where a job waits, and with how many others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) tenant: TenantName,
    pub(super) queue: QueueName,
    pub(super) band: Band,
    pub(super) kind: KindName,
    pub(super) width: usize,
    /// Where it waits for a permit before; none: it needs none.
    pub(super) line: Option<String>,
}

impl Place {
    pub(super) fn of(new: &NewJob) -> Self {
        let (tenant, queue, kind) = (new.tenant.clone(), new.queue.clone(), new.kind.clone());
        Self { tenant, queue, band: new.band(), kind, width: new.dispatch_width.max(1), line: new.line.clone() }
    }
}

impl Place {
    /// The same for one that has its permits.
    pub(super) fn let_through(self) -> Self {
        Self { line: None, ..self }
    }
}

/// Jobs that wait from this commit on, by place.
#[derive(Default)]
pub(super) struct Waiting(Vec<(Place, Vec<JobId>)>);

impl Waiting {
    pub(super) fn add(&mut self, place: Place, id: JobId) {
        match self.0.iter_mut().find(|(other, _)| *other == place) {
            Some((_, ids)) => ids.push(id),
            None => self.0.push((place, vec![id])),
        }
    }

    /// Records their dispatches; those that need permits wait in line for them first. Until `publish_after` whoever is handed them is the one to publish them.
    pub(super) async fn dispatch(
        self,
        connection: &mut SqliteConnection,
        now: i64,
        publish_after: i64,
    ) -> Result<Vec<Dispatch>, StoreError> {
        let mut dispatches = Vec::new();
        for (place, ids) in self.0 {
            if let Some(line) = &place.line {
                park(connection, line, &place, &ids, now).await?;
                continue;
            }
            for ids in ids.chunks(place.width) {
                let query = sqlx::query(include_str!("sql/insert_dispatch.sql"))
                    .bind(place.queue.as_str())
                    .bind(place.band.as_i16())
                    .bind(place.kind.as_str())
                    .bind(rows::id_bytes(ids))
                    .bind(now)
                    .bind(publish_after)
                    .bind(rows::stored_tenant(&place.tenant));
                let id = query.execute(&mut *connection).await.map_err(failed)?.last_insert_rowid();
                let (queue, kind) = (place.queue.clone(), place.kind.clone());
                dispatches.push(Dispatch { id, queue, band: place.band, kind, jobs: ids.to_vec() });
            }
        }
        Ok(dispatches)
    }
}

async fn park(
    connection: &mut SqliteConnection,
    line: &str,
    place: &Place,
    ids: &[JobId],
    now: i64,
) -> Result<(), StoreError> {
    for id in ids {
        let query = sqlx::query(include_str!("sql/park_job.sql"))
            .bind(id.as_uuid())
            .bind(line)
            .bind(place.band.as_i16())
            .bind(place.queue.as_str())
            .bind(rows::stored_tenant(&place.tenant))
            .bind(now);
        query.execute(&mut *connection).await.map_err(failed)?;
    }
    Ok(())
}
