//! What the tables hold: asked of the database itself, past every proxy.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Row as _};

use super::history::Row;
use super::moment::Moment;

/// A look into a database that may be away at the moment.
#[derive(Debug, Clone)]
pub struct Tables {
    url: String,
}

impl Tables {
    /// The tables at a URL.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let connecting = PgConnection::connect(&self.url);
        tokio::time::timeout(Duration::from_secs(5), connecting).await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    /// One number, or `None` while the database does not answer.
    pub async fn count(&self, sql: &'static str) -> Option<i64> {
        let asking = async {
            let mut connection = self.connect().await.ok()?;
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.ok()
        };
        tokio::time::timeout(Duration::from_secs(10), asking).await.ok()?
    }

    /// Every job.
    pub async fn rows(&self) -> Vec<Row> {
        const SQL: &str =
            "SELECT id::text, kind, status, version::bigint, attempt::bigint, crashes::bigint, worker::text,
            (extract(epoch FROM started_at) * 1000000)::bigint AS started, idempotency_key, result, error FROM jobs";
        let mut connection = self.connect().await.unwrap();
        let rows = sqlx::query(SQL).fetch_all(&mut connection).await.unwrap();
        rows.iter()
            .map(|row| {
                let result: Option<Vec<u8>> = row.get("result");
                Row {
                    id: row.get("id"),
                    kind: row.get("kind"),
                    status: row.get("status"),
                    version: row.get("version"),
                    attempt: row.get("attempt"),
                    crashes: row.get("crashes"),
                    worker: row.get("worker"),
                    started: row.get::<Option<i64>, _>("started").map(Moment::of_wall),
                    key: row.get("idempotency_key"),
                    output: result.as_ref().and_then(|result| serde_json::from_slice(result).ok()),
                    has_result: result.is_some(),
                    error: row.get("error"),
                }
            })
            .collect()
    }

    /// Keys and their jobs.
    pub async fn keys(&self) -> Vec<(String, String)> {
        let mut connection = self.connect().await.unwrap();
        let sql = "SELECT key, job_id::text FROM idempotency_keys";
        sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
    }
}
