//! Faults of PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use super::{Fault, Ground};
use crate::stage::services::Server;

/// More than the server has left: `max_connections` is 300.
const GREED: usize = 320;

pub(super) async fn happen(fault: &Fault, ground: &Arc<Ground>) {
    match fault.kind.name {
        "kill-postgres" => stop_for(fault, ground, "kill", "resume").await,
        "crash-postgres" => stop_for(fault, ground, "crash", "resume").await,
        "freeze-postgres" => stop_for(fault, ground, "pause", "continue").await,
        "fill-disk" => fill_disk(fault, ground).await,
        "terminate-backends" => terminate_backends(ground).await,
        "take-connections" => take_connections(fault, ground).await,
        _ => lock_tables(fault, ground).await,
    }
}

async fn stop_for(fault: &Fault, ground: &Arc<Ground>, stop: &'static str, start: &'static str) {
    ground.act(Server::Postgres, stop).await;
    tokio::time::sleep(fault.lasts).await;
    ground.act(Server::Postgres, start).await;
}

/// The server may stop over it, and does not start again before there is room.
async fn fill_disk(fault: &Fault, ground: &Arc<Ground>) {
    let Some(disk) = &ground.disk else { return };
    disk.fill();
    tokio::time::sleep(fault.lasts).await;
    disk.free();
    // Stopped first: a server that is just going down would be taken for one that stands.
    ground.act(Server::Postgres, "stop").await;
    ground.act(Server::Postgres, "resume").await;
}

/// A connection of the fault's own. The server stands: no other fault strikes it meanwhile.
async fn connect(ground: &Ground) -> PgConnection {
    PgConnection::connect(&ground.database).await.unwrap()
}

async fn terminate_backends(ground: &Ground) {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
               AND datname = current_database()";
    sqlx::query(sql).execute(&mut connect(ground).await).await.unwrap();
}

/// Takes every connection that the server has left, so that nobody can open another.
async fn take_connections(fault: &Fault, ground: &Ground) {
    let mut taken = Vec::new();
    for _ in 0..GREED {
        let Ok(connection) = PgConnection::connect(&ground.database).await else { break };
        taken.push(connection);
    }
    ground.crew.has_no_connections();
    tokio::time::sleep(fault.lasts).await;
    // Not closed one by one: the server notices.
    drop(taken);
    tokio::time::sleep(Duration::from_millis(300)).await;
    ground.crew.has_connections();
}

async fn lock_tables(fault: &Fault, ground: &Ground) {
    let mut connection = connect(ground).await;
    let mut transaction = connection.begin().await.unwrap();
    let sql = "SET LOCAL lock_timeout = '5s'";
    sqlx::query(sql).execute(&mut *transaction).await.unwrap();
    // In the way of claims, finishes and new jobs; heartbeats go on.
    let locked = sqlx::query("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE").execute(&mut *transaction).await;
    if locked.is_ok() {
        tokio::time::sleep(fault.lasts).await;
    }
    let _ = transaction.rollback().await;
}
