//! Letting jobs through that wait for permits. There is one writer, so looks come one after the other.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::Sqlite;
use super::dispatches::{PUBLISH_WITHIN, Waiting};
use super::file::failed;
use super::moves::lock_jobs;
use super::rows::{self, Cell};
use crate::domain::{FlowRules, JobId, LetThrough, ParkedJob, Turnstile};
use crate::store::permits::{heads_of_each, names_wanted};
use crate::store::{LetGo, Look, Permits, StoreError};

/// A job at the head of its line; `Err`: it does not wait any more.
type Head = Result<ParkedJob, JobId>;

fn head(row: &SqliteRow) -> Result<Head, StoreError> {
    let id = rows::id_of(row)?;
    let row = Cell::of_job(row, id);
    if !row.get::<bool>("waits")? {
        return Ok(Err(id));
    }
    Ok(Ok(ParkedJob {
        id,
        line: row.get("line")?,
        band: rows::band(&row)?,
        tenant: rows::tenant(&row)?,
        kind: row.parse("kind")?,
        key: row.get("concurrency_key")?,
    }))
}

async fn find_heads(
    connection: &mut SqliteConnection,
    look: &Look,
    found: &mut LetGo,
) -> Result<Vec<Head>, StoreError> {
    let mut lines = look.first.clone();
    if look.lines > 0 {
        let query = sqlx::query_scalar(include_str!("sql/list_lines.sql")).bind(&look.after).bind(look.lines);
        let next: Vec<String> = query.fetch_all(&mut *connection).await.map_err(failed)?;
        let full = next.len() == usize::try_from(look.lines).unwrap_or(usize::MAX);
        found.next = next.last().filter(|_| full).cloned();
        lines.extend(next);
    }
    lines.sort_unstable();
    lines.dedup();
    let each = heads_of_each(lines.len());
    let mut heads = Vec::new();
    for line in lines {
        let query = sqlx::query(include_str!("sql/list_parked_heads.sql")).bind(line).bind(each);
        for row in query.fetch_all(&mut *connection).await.map_err(failed)? {
            heads.push(head(&row)?);
        }
    }
    Ok(heads)
}

/// How many permits of each name count; notes when the first of a rate counts no more.
async fn count_permits(
    connection: &mut SqliteConnection,
    names: &[String],
    now: i64,
    found: &mut LetGo,
) -> Result<HashMap<String, u32>, StoreError> {
    let names = rows::text_list(names.iter().map(String::as_str));
    let query = sqlx::query(include_str!("sql/drop_spent_permits.sql")).bind(&names).bind(now);
    query.execute(&mut *connection).await.map_err(failed)?;
    let query = sqlx::query(include_str!("sql/note_starts_of_permits.sql")).bind(&names);
    query.execute(&mut *connection).await.map_err(failed)?;
    let query = sqlx::query(include_str!("sql/count_permits.sql")).bind(&names);
    let mut used = HashMap::new();
    for row in query.fetch_all(connection).await.map_err(failed)? {
        let row = Cell::of("permits", &row);
        used.insert(row.get("name")?, row.number("used")?);
        let spent: Option<i64> = row.get("spent_at")?;
        found.soonest = [found.soonest, spent.map(|at| rows::until(now, at))].into_iter().flatten().min();
    }
    Ok(used)
}

async fn give_permits(connection: &mut SqliteConnection, chosen: &[LetThrough], now: i64) -> Result<(), StoreError> {
    for one in chosen {
        for limit in &one.limits {
            let query = sqlx::query(include_str!("sql/give_permit.sql"))
                .bind(&limit.name)
                .bind(one.id.as_uuid())
                .bind(limit.period.map(rows::span))
                .bind(now);
            query.execute(&mut *connection).await.map_err(failed)?;
        }
    }
    Ok(())
}

#[async_trait]
impl Permits for Sqlite {
    async fn let_through(
        &self,
        rules: &FlowRules,
        turnstile: &mut Turnstile,
        look: &Look,
    ) -> Result<LetGo, StoreError> {
        let query = sqlx::query(include_str!("sql/find_parked.sql"));
        let any = query.fetch_one(&mut *self.file.reader().await?).await.map_err(failed)?;
        if !any.try_get::<bool, _>(0).map_err(failed)? {
            return Ok(LetGo::default());
        }
        let mut found = LetGo { any_parked: true, ..LetGo::default() };
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let now = self.now();
        let heads = find_heads(&mut write, look, &mut found).await?;
        let waiting: Vec<ParkedJob> = heads.iter().flatten().cloned().collect();
        let names = names_wanted(rules, &waiting);
        let used = count_permits(&mut write, &names, now, &mut found).await?;

        let chosen = turnstile.choose(rules, &waiting, used);
        found.soonest = found.soonest.filter(|_| chosen.len() < waiting.len());
        let gone: Vec<JobId> = chosen
            .iter()
            .map(|one| one.id)
            .chain(heads.iter().filter_map(|head| head.as_ref().err().copied()))
            .collect();
        found.moved = !gone.is_empty();
        if found.moved {
            let query = sqlx::query(include_str!("sql/unpark_jobs.sql")).bind(rows::id_list(gone));
            query.execute(&mut *write).await.map_err(failed)?;
            give_permits(&mut write, &chosen, now).await?;
            let mut through = Waiting::default();
            let jobs = lock_jobs(&mut write, chosen.iter().map(|one| one.id)).await?;
            for job in chosen.iter().filter_map(|one| jobs.get(&one.id)) {
                through.add(job.place().let_through(), job.id);
            }
            found.dispatches = through.dispatch(&mut write, now, rows::later(now, PUBLISH_WITHIN)).await?;
        }
        write.commit().await?;
        let lines: HashMap<JobId, String> = waiting.into_iter().map(|job| (job.id, job.line)).collect();
        found.jobs = chosen.iter().filter_map(|one| Some((one.id, lines.get(&one.id)?.clone()))).collect();
        Ok(found)
    }

    async fn forget_permits(&self) -> Result<(), StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/drop_spent_permits.sql")).bind(None::<String>).bind(self.now());
        query.execute(&mut *write).await.map_err(failed)?;
        let query = sqlx::query(include_str!("sql/note_starts_of_permits.sql")).bind(None::<String>);
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await
    }
}
