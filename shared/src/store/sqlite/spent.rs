//! Dispatches whose jobs wait no more though nobody claimed them: canceled, or expired.

use std::collections::HashSet;
use std::sync::PoisonError;

use sqlx::SqliteConnection;

use super::Sqlite;
use super::file::failed;
use super::rows::{self, Cell};
use crate::domain::{DispatchId, JobId};
use crate::store::StoreError;

/// Jobs of one look: whoever wants to write meanwhile hardly waits.
const AT_ONCE: usize = 2_000;

/// What one look found.
#[derive(Default)]
struct Found {
    /// Of which jobs wait no more, and those that do.
    dispatches: Vec<(DispatchId, Vec<JobId>)>,
    /// Jobs that wait no more.
    gone: u64,
    /// The last that was looked at; `None`: there are no more.
    last: Option<DispatchId>,
}

impl Sqlite {
    /// A job that waits again has a dispatch of its own, so one that does not wait now is never waited for here again.
    pub(super) async fn drop_spent_dispatches(&self) -> Result<u64, StoreError> {
        let after = *self.spent_after.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = look(&mut *self.file.reader().await?, after).await?;
        if found.gone > 0 {
            let mut writer = self.file.writer().await?;
            let mut write = writer.begin().await?;
            // Once more, since others have written in between.
            found = look(&mut write, after).await?;
            let (rest, spent): (Vec<_>, Vec<_>) = found.dispatches.iter().partition(|(_, rest)| !rest.is_empty());
            for (id, jobs) in rest {
                let query = sqlx::query(include_str!("sql/shorten_dispatch.sql")).bind(id).bind(rows::id_bytes(jobs));
                query.execute(&mut *write).await.map_err(failed)?;
            }
            let spent: Vec<DispatchId> = spent.into_iter().map(|(id, _)| *id).collect();
            let ids = serde_json::Value::from(spent).to_string();
            let query = sqlx::query(include_str!("sql/clear_dispatches.sql")).bind(ids);
            query.execute(&mut *write).await.map_err(failed)?;
            write.commit().await?;
        }
        *self.spent_after.lock().unwrap_or_else(PoisonError::into_inner) = found.last.unwrap_or(0);
        Ok(found.gone)
    }
}

async fn look(connection: &mut SqliteConnection, after: DispatchId) -> Result<Found, StoreError> {
    let query = sqlx::query(include_str!("sql/list_dispatches.sql")).bind(after).bind(rows::whole(AT_ONCE));
    let listed = query.fetch_all(&mut *connection).await.map_err(failed)?;
    let (mut page, mut jobs) = (Vec::new(), 0);
    for row in &listed {
        if jobs >= AT_ONCE {
            break;
        }
        let row = Cell::of("dispatches", row);
        let ids = rows::ids_of(&row, "jobs")?;
        jobs += ids.len();
        page.push((row.get::<DispatchId>("id")?, ids));
    }
    // Each holds one job at least, so of fewer than that many all were looked at.
    let is_last = page.len() == listed.len() && jobs < AT_ONCE;
    let mut found = Found { last: page.last().map(|(id, _)| *id).filter(|_| !is_last), ..Found::default() };
    let ids = rows::id_list(page.iter().flat_map(|(_, jobs)| jobs.iter().copied()));
    let queued = sqlx::query(include_str!("sql/list_queued.sql")).bind(ids);
    let queued = queued.fetch_all(connection).await.map_err(failed)?;
    let queued = queued.iter().map(rows::id_of).collect::<Result<HashSet<_>, _>>()?;
    for (id, mut jobs) in page {
        let held = jobs.len();
        jobs.retain(|job| queued.contains(job));
        if jobs.len() < held {
            found.gone += (held - jobs.len()) as u64;
            found.dispatches.push((id, jobs));
        }
    }
    Ok(found)
}
