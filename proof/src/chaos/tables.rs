//! What the tables hold: asked of the database itself, past every proxy.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use raincheck_shared::domain::Blob;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ColumnIndex, ConnectOptions as _, Connection as _, Decode, PgConnection, SqliteConnection, Type};
use uuid::Uuid;

use super::handler::Order;
use super::history::Row;
use super::listener::Told;
use super::moment::Moment;

/// A look into a database that may be away at the moment, and into the folder of blobs.
#[derive(Debug, Clone)]
pub struct Tables {
    place: Place,
    blobs: PathBuf,
}

/// Where the tables are.
#[derive(Debug, Clone)]
pub enum Place {
    /// PostgreSQL at a URL.
    Postgres(String),
    /// SQLite in a file.
    Sqlite(PathBuf),
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Tables {
    /// Those of processes that run in `folder`.
    pub fn new(place: Place, folder: &Path) -> Self {
        Self { place, blobs: folder.join("raincheck-data/blobs") }
    }

    /// One number, or `None` while the database does not answer.
    pub async fn count(&self, sql: &'static str) -> Option<i64> {
        let asking = async {
            match &self.place {
                Place::Postgres(url) => sqlx::query_scalar(sql).fetch_one(&mut PgConnection::connect(url).await?).await,
                Place::Sqlite(file) => sqlx::query_scalar(sql).fetch_one(&mut open(file).await?).await,
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.ok()?.ok()
    }

    /// Every job.
    pub async fn rows(&self) -> Vec<Row> {
        match &self.place {
            Place::Postgres(url) => {
                const SQL: &str = "SELECT id, kind, status, version::bigint, attempt::bigint, crashes::bigint, worker,
                    (extract(epoch FROM started_at) * 1000000)::bigint AS started, idempotency_key, result, result_blob, error, webhook_url FROM jobs";
                let mut connection = PgConnection::connect(url).await.unwrap();
                let rows = sqlx::query(SQL).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row_of(row, &self.blobs)).collect()
            }
            Place::Sqlite(file) => {
                const SQL: &str = "SELECT id, kind, status, version, attempt, crashes, worker, started_at AS started,
                    idempotency_key, result, result_blob, error, webhook_url FROM jobs";
                let mut connection = open(file).await.unwrap();
                let rows = sqlx::query(SQL).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row_of(row, &self.blobs)).collect()
            }
        }
    }

    /// Deliveries of jobs' events.
    pub async fn deliveries(&self) -> HashSet<Told> {
        const SQL: &str = "SELECT job_id, CAST(version AS bigint) FROM deliveries WHERE version > 0";
        let found: Vec<(Uuid, i64)> = match &self.place {
            Place::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::query_as(SQL).fetch_all(&mut connection).await.unwrap()
            }
            Place::Sqlite(file) => sqlx::query_as(SQL).fetch_all(&mut open(file).await.unwrap()).await.unwrap(),
        };
        found.into_iter().map(|(job, version)| (job.to_string(), version)).collect()
    }

    /// Keys and their jobs.
    pub async fn keys(&self) -> Vec<(String, String)> {
        const SQL: &str = "SELECT key, job_id FROM idempotency_keys";
        let keys: Vec<(String, Uuid)> = match &self.place {
            Place::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::query_as(SQL).fetch_all(&mut connection).await.unwrap()
            }
            Place::Sqlite(file) => sqlx::query_as(SQL).fetch_all(&mut open(file).await.unwrap()).await.unwrap(),
        };
        keys.into_iter().map(|(key, job)| (key, job.to_string())).collect()
    }
}

async fn open(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE).connect().await
}

/// Whole, or a panic: what a row names is durable.
fn read_blob(folder: &Path, blob: &str) -> Vec<u8> {
    let blob: Blob = blob.parse().unwrap();
    let bytes = std::fs::read(folder.join(blob.name.to_string())).unwrap();
    assert_eq!(bytes.len() as u64, blob.size, "{blob}");
    bytes
}

fn row_of<'r, R>(row: &'r R, blobs: &Path) -> Row
where
    R: sqlx::Row,
    &'static str: ColumnIndex<R>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    let blob = row.get::<Option<String>, _>("result_blob").map(|blob| read_blob(blobs, &blob));
    let result: Option<Vec<u8>> = blob.or_else(|| row.get("result"));
    Row {
        id: row.get::<Uuid, _>("id").to_string(),
        kind: row.get("kind"),
        status: row.get("status"),
        version: row.get("version"),
        attempt: row.get("attempt"),
        crashes: row.get("crashes"),
        worker: row.get::<Option<Uuid>, _>("worker").map(|worker| worker.to_string()),
        started: row.get::<Option<i64>, _>("started").map(Moment::of_wall),
        key: row.get("idempotency_key"),
        output: result.as_ref().and_then(|result| serde_json::from_slice(result).ok()),
        echo: result.as_ref().and_then(|result| serde_json::from_slice(result).ok()).map(|order: Order| order.number),
        has_result: result.is_some(),
        error: row.get("error"),
        has_webhook: row.get::<Option<String>, _>("webhook_url").is_some(),
    }
}
