//! PostgreSQL over TLS: encrypted where the server offers it, and checked where it is asked for.

use std::time::Duration;

use raincheck_shared::config::Secret;
use raincheck_shared::store::{Store, postgres};
use raincheck_shared::telemetry::Chain;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::one_server::eventually;
use crate::harness::authority::Authority;
use crate::harness::services::{PrivateServer, Server};
use crate::harness::temp::TempFolder;

/// Gives a server a certificate. The files are its own: it refuses others.
async fn encrypt(url: &str, certificate: &str, key: &str) {
    let mut side_door = PgConnection::connect(url).await.expect("connect");
    let statements = format!(
        "COPY (SELECT 1) TO PROGRAM $$umask 077; cat >/dev/null; printf '%s' '{certificate}' >server.crt$$;
         COPY (SELECT 1) TO PROGRAM $$umask 077; cat >/dev/null; printf '%s' '{key}' >server.key$$;"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut side_door).await.expect("files");
    for statement in ["ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"] {
        sqlx::query(statement).execute(&mut side_door).await.expect("set");
    }
    eventually("TLS", async || {
        let on: String = sqlx::query_scalar("SHOW ssl").fetch_one(&mut side_door).await.expect("ask");
        (on == "on").then_some(())
    })
    .await;
}

fn open(url: &str) -> Store {
    postgres::open(&Secret::new(url), 2, Duration::from_secs(3)).expect("a URL")
}

#[tokio::test]
async fn a_server_has_to_show_who_it_is_where_that_is_asked_for() {
    let folder = TempFolder::new("raincheck-store");
    let server = PrivateServer::start(Server::Postgres, &folder.0);
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let (certificate, key) = ours.certificate_of("127.0.0.1");
    let file = |name: &str, pem: String| {
        let path = folder.0.join(name);
        std::fs::write(&path, pem).expect("write");
        path.display().to_string()
    };
    let (ours, other) = (file("ours.pem", ours.pem()), file("other.pem", other.pem()));
    let encrypted = async |store: &Store| store.schema.ping().await.map_err(|error| Chain(&error).to_string());

    let plain = open(&format!("{}?sslmode=require", server.url));
    let refused = encrypted(&plain).await.expect_err("there is no TLS yet");
    assert!(refused.contains("TLS"), "{refused}");
    encrypt(&server.url, &certificate, &key).await;

    let known = open(&format!("{}?sslmode=verify-full&sslrootcert={ours}", server.url));
    encrypted(&known).await.expect("it is who it should be");
    let strange = open(&format!("{}?sslmode=verify-full&sslrootcert={other}", server.url));
    let refused = encrypted(&strange).await.expect_err("it is not");
    assert!(refused.contains("certificate"), "{refused}");
    let unchecked = open(&format!("{}?sslmode=require", server.url));
    encrypted(&unchecked).await.expect("encrypted, whoever it is");
    for store in [plain, known, strange, unchecked] {
        store.schema.close().await;
    }
}
