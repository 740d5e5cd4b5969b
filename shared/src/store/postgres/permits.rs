//! Letting jobs through that wait for permits.
//!
//! A transaction under a lock, so that looks come one after the other. The order of its statements matters: a job that is
//! seen to wait in line here cannot have run since, so what is counted afterwards holds no permit of an earlier run of it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout_at;
use uuid::Uuid;

use super::database::{Database, Lane};
use super::parts::Parts;
use super::refusal::{refusal, timed_out};
use super::rows::{Cells, dispatch, id_range, millis};
use crate::domain::{FlowRules, JobId, ParkedJob, Turnstile};
use crate::store::permits::{heads_of_each, names_wanted};
use crate::store::{LetGo, Look, Permits, StoreError};

static DROP_SPENT: Parts<1> = Parts::new(include_str!("sql/drop_spent_permits.sql"), ["named"]);
static NOTE_STARTS: Parts<1> = Parts::new(include_str!("sql/note_starts_of_permits.sql"), ["named"]);

/// A job at the head of its line.
struct Head {
    id: JobId,
    /// What it is, unless it does not wait any more.
    waits: Option<ParkedJob>,
}

fn head(row: &PgRow) -> Result<Head, StoreError> {
    let (cells, id) = Cells::of_job(row)?;
    if !cells.get::<bool>("waits")? {
        return Ok(Head { id, waits: None });
    }
    let waits = ParkedJob {
        id,
        line: cells.get("line")?,
        band: cells.band()?,
        tenant: cells.tenant()?,
        kind: cells.parse("kind")?,
        key: cells.get("concurrency_key")?,
    };
    Ok(Head { id, waits: Some(waits) })
}

/// An answer that cannot be read ends the transaction like any other failure.
fn unreadable(error: StoreError) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

async fn find_heads(connection: &mut PgConnection, look: &Look, found: &mut LetGo) -> Result<Vec<Head>, sqlx::Error> {
    let mut lines = look.first.clone();
    if look.lines > 0 {
        let query =
            sqlx::query(include_str!("sql/list_lines.sql")).bind(look.after.as_str()).bind(i64::from(look.lines));
        let rows = query.fetch_all(&mut *connection).await?;
        let next = rows.iter().map(|row| Cells::of("parked_jobs", row).get::<String>("line"));
        let next = next.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        let full = next.len() == usize::try_from(look.lines).unwrap_or(usize::MAX);
        found.next = next.last().filter(|_| full).cloned();
        lines.extend(next);
    }
    lines.sort_unstable();
    lines.dedup();
    let each = heads_of_each(lines.len());
    let query = sqlx::query(include_str!("sql/list_parked_heads.sql")).bind(lines).bind(each);
    query.fetch_all(connection).await?.iter().map(head).collect::<Result<_, _>>().map_err(unreadable)
}

/// How many permits of each name count, and when the first of a rate counts no more.
async fn count_permits(
    connection: &mut PgConnection,
    names: &[String],
) -> Result<(HashMap<String, u32>, Option<Duration>), sqlx::Error> {
    sqlx::query(DROP_SPENT.with([true])).bind(names).execute(&mut *connection).await?;
    sqlx::query(NOTE_STARTS.with([true])).bind(names).execute(&mut *connection).await?;
    let rows = sqlx::query(include_str!("sql/count_permits.sql")).bind(names).fetch_all(connection).await?;
    let (mut used, mut soonest) = (HashMap::new(), None);
    for row in &rows {
        let cells = Cells::of("permits", row);
        let count = cells.number("used").map_err(unreadable)?;
        used.insert(cells.get("name").map_err(unreadable)?, count);
        let micros: Option<i64> = cells.get("soonest_microseconds").map_err(unreadable)?;
        let until = micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
        soonest = [soonest, until].into_iter().flatten().min();
    }
    Ok((used, soonest))
}

impl Database {
    async fn look(
        &self,
        rules: &FlowRules,
        turnstile: &mut Turnstile,
        look: &Look,
        deadline: Instant,
    ) -> Result<LetGo, sqlx::Error> {
        let mut found = LetGo { any_parked: true, ..LetGo::default() };
        let mut loan = self.lend_durable(deadline).await?;
        let mut transaction = loan.connection.begin().await?;
        sqlx::query(include_str!("sql/lock_permits.sql")).execute(&mut *transaction).await?;
        let heads = find_heads(&mut transaction, look, &mut found).await?;
        let waiting: Vec<ParkedJob> = heads.iter().filter_map(|head| head.waits.clone()).collect();
        let names = names_wanted(rules, &waiting);
        let (used, soonest) = count_permits(&mut transaction, &names).await?;

        let chosen = turnstile.choose(rules, &waiting, used);
        found.soonest = soonest.filter(|_| chosen.len() < waiting.len());
        let through: Vec<Uuid> = chosen.iter().map(|one| one.id.as_uuid()).collect();
        let not_waiting = heads.iter().filter(|head| head.waits.is_none()).map(|head| head.id.as_uuid());
        let gone: Vec<Uuid> = through.iter().copied().chain(not_waiting).collect();
        found.moved = !gone.is_empty();
        if found.moved {
            let permits = || chosen.iter().flat_map(|one| one.limits.iter().map(|limit| (one.id, limit)));
            let (first, last) = id_range(&through);
            let query = sqlx::query(include_str!("sql/let_through.sql"))
                .bind(gone)
                .bind(permits().map(|(_, limit)| limit.name.as_str()).collect::<Vec<_>>())
                .bind(permits().map(|(id, _)| id.as_uuid()).collect::<Vec<_>>())
                .bind(permits().map(|(_, limit)| limit.period.map(millis)).collect::<Vec<_>>())
                .bind(&through)
                .bind(first)
                .bind(last);
            let rows = query.fetch_all(&mut *transaction).await?;
            found.dispatches = rows.iter().map(dispatch).collect::<Result<_, _>>().map_err(unreadable)?;
        }
        transaction.commit().await?;
        loan.give_back();
        let lines: HashMap<JobId, String> = waiting.into_iter().map(|job| (job.id, job.line)).collect();
        found.jobs = chosen.iter().filter_map(|one| Some((one.id, lines.get(&one.id)?.clone()))).collect();
        Ok(found)
    }
}

#[async_trait]
impl Permits for Database {
    async fn let_through(
        &self,
        rules: &FlowRules,
        turnstile: &mut Turnstile,
        look: &Look,
    ) -> Result<LetGo, StoreError> {
        let rows = self.fetch(Lane::Relaxed, sqlx::query(include_str!("sql/find_parked.sql"))).await?;
        let any = rows.first().map(|row| Cells::of("parked_jobs", row).get("any_parked")).transpose()?;
        if any != Some(true) {
            return Ok(LetGo::default());
        }
        let deadline = self.deadline();
        let looked = timeout_at(deadline.into(), self.look(rules, turnstile, look, deadline)).await;
        looked.unwrap_or_else(|_| Err(timed_out())).map_err(refusal)
    }

    async fn forget_permits(&self) -> Result<(), StoreError> {
        let deadline = self.deadline();
        let work = async {
            let mut loan = self.lend_durable(deadline).await?;
            let mut transaction = loan.connection.begin().await?;
            // Looks take permits in any order as well.
            sqlx::query(include_str!("sql/lock_permits.sql")).execute(&mut *transaction).await?;
            sqlx::query(DROP_SPENT.with([false])).execute(&mut *transaction).await?;
            sqlx::query(NOTE_STARTS.with([false])).execute(&mut *transaction).await?;
            transaction.commit().await?;
            loan.give_back();
            Ok(())
        };
        timeout_at(deadline.into(), work).await.unwrap_or_else(|_| Err(timed_out())).map_err(refusal)
    }
}
