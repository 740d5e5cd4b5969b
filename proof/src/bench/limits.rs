//! What the machine allows, measured in the same run on the same servers: `pgbench` with one row for each commit, of a
//! table of nothing else and of `jobs`, point reads by key, and one confirmed publish at a time.

use std::process::Command;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, ConnectionProperties};
use raincheck_shared::lifecycle::IdSource;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::figures::percentile;
use crate::stage::process::program;
use crate::stage::services;
use crate::stage::temp::TempFolder;
use crate::stage::wait::now;

/// Rows that point reads choose from.
const ROWS: u32 = 100_000;

/// The limits of one PostgreSQL and one RabbitMQ.
pub struct Limits {
    postgres: String,
    rabbitmq: String,
    folder: TempFolder,
}

impl Limits {
    /// Makes the tables. `postgres`: the URL of a database for this alone.
    pub async fn prepare(postgres: &str, rabbitmq: &str) -> Self {
        let mut connection = PgConnection::connect(postgres).await.unwrap();
        connection.execute("CREATE TABLE rows (id bigserial PRIMARY KEY, payload bytea NOT NULL)").await.unwrap();
        let fill = format!(
            "INSERT INTO rows (payload) SELECT decode(repeat('78', 256), 'hex') FROM generate_series(1, {ROWS})"
        );
        connection.execute(sqlx::AssertSqlSafe(fill)).await.unwrap();
        connection.execute("VACUUM ANALYZE rows").await.unwrap();
        connection.close().await.unwrap();
        let migrated = Command::new(program()).arg("migrate").env("RAINCHECK__STORE__URL", postgres).output().unwrap();
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        Self {
            postgres: postgres.to_owned(),
            rabbitmq: rabbitmq.to_owned(),
            folder: TempFolder::new("raincheck-bench"),
        }
    }

    /// One-row inserts of 256 bytes, each its own commit, 64 clients: commits a second.
    pub fn inserts(&self, time: Duration) -> f64 {
        self.pgbench("INSERT INTO rows (payload) VALUES (decode(repeat('78', 256), 'hex'));", 64, time)
    }

    /// One-row inserts into `jobs` of what a job is when it is accepted, each its own commit, 64 clients: commits a second.
    /// That is what a service can accept at most that keeps each request by itself.
    pub fn job_inserts(&self, time: Duration) -> f64 {
        // Ids of this millisecond: in today's partition, and beside one another in its index, as those of a flood are.
        let id = IdSource.job().to_string();
        let (beginning, _) = id.split_at(id.len() - 12);
        let script = format!(
            "\\set n random(0, {})\n\
             INSERT INTO jobs (id, kind, queue, priority, dispatch_width, status, input, input_type, run_timeout_ms, \
             max_attempts, retention_seconds) VALUES (('{beginning}' || lpad(to_hex(:n::bigint), 12, '0'))::uuid, \
             'echo', 'default', 5, 64, 'queued', decode(repeat('78', 256), 'hex'), 'application/json', 3600000, 3, 86400);",
            (1_u64 << 48) - 1
        );
        self.pgbench(&script, 64, time)
    }

    /// Point reads by key, 16 clients: reads a second.
    pub fn reads(&self, time: Duration) -> f64 {
        let script = format!("\\set id random(1, {ROWS})\nSELECT id, payload FROM rows WHERE id = :id;");
        self.pgbench(&script, 16, time)
    }

    fn pgbench(&self, script: &str, clients: u32, time: Duration) -> f64 {
        let file = self.folder.path().join("script.sql");
        std::fs::write(&file, script).unwrap();
        let output = Command::new(services::postgres_program("pgbench"))
            .args([
                "-n",
                "-M",
                "prepared",
                "-j",
                "2",
                "-c",
                &clients.to_string(),
                "-T",
                &time.as_secs().to_string(),
                "-f",
            ])
            .arg(&file)
            .arg(&self.postgres)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.unwrap_or_else(|| panic!("pgbench: {said}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// What one job cannot do without, each step alone and one after the other: a commit, a confirmed publish to a quorum
    /// queue, a commit. The median of many.
    pub async fn one_job(&self, rounds: usize) -> Duration {
        let mut connection = PgConnection::connect(&self.postgres).await.unwrap();
        let broker = lapin::Connection::connect(&self.rabbitmq, ConnectionProperties::default()).await.unwrap();
        let channel = broker.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(10));
        let queue = format!("limit-{}", crate::stage::wait::unique());
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(queue.as_str().into(), options, arguments).await.unwrap();
        let mut waits = Vec::new();
        for _ in 0..rounds {
            let began = now();
            for step in 0..2 {
                connection
                    .execute("INSERT INTO rows (payload) VALUES (decode(repeat('78', 256), 'hex'))")
                    .await
                    .unwrap();
                if step == 0 {
                    let properties = BasicProperties::default().with_delivery_mode(2);
                    let options = BasicPublishOptions::default();
                    let published =
                        channel.basic_publish("".into(), queue.as_str().into(), options, &[0; 64], properties);
                    published.await.unwrap().await.unwrap();
                }
            }
            waits.push(began.elapsed());
        }
        channel.queue_delete(queue.as_str().into(), lapin::options::QueueDeleteOptions::default()).await.unwrap();
        broker.close(0, "".into()).await.unwrap();
        percentile(&waits, 0.5)
    }
}
