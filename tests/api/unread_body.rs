//! Chunked bodies that are refused before their end: what is left of one is in the way of the next request.

use std::time::Duration;

use futures_util::future::join;
use raincheck_shared::domain::KeyText;
use raincheck_shared::lifecycle::IdSource;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::get;
use super::large::blobs;
use crate::contracts::blobs::noise;
use crate::harness::cluster::{new_database, required};
use crate::harness::served::{Served, Work};
use crate::harness::store::POSTGRES_URL;
use crate::harness::wait::until;

/// Sends a body in chunks and, behind it, another request; answers all that is said until the connection is closed.
async fn exchange(on: &Served, path: &str, header: &str, body: &[u8]) -> String {
    let (mut from, mut to) = TcpStream::connect(on.address).await.unwrap().into_split();
    let writing = async {
        let head = format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\n{header}transfer-encoding: chunked\r\n\r\n");
        to.write_all(head.as_bytes()).await?;
        for part in body.chunks(60_000) {
            to.write_all(format!("{:x}\r\n", part.len()).as_bytes()).await?;
            to.write_all(part).await?;
            to.write_all(b"\r\n").await?;
        }
        to.write_all(b"0\r\n\r\nGET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await
    };
    let mut said = Vec::new();
    let both = join(writing, from.read_to_end(&mut said));
    // Whether all of it could still be sent is a matter of speed.
    let (_sent, read) = timeout(Duration::from_secs(30), both).await.expect("the connection hangs");
    read.unwrap();
    String::from_utf8(said).unwrap()
}

#[track_caller]
fn assert_refused_and_closed(said: &str, status: u16) {
    assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
    assert!(said.contains("connection: close"), "{said}");
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "what comes behind such a body is not looked for: {said}");
}

#[tokio::test]
async fn a_connection_on_which_a_body_without_a_length_was_refused_is_closed() {
    let settings = [("blobs.in_database", "64KiB"), ("jobs.max_input", "8MiB")];
    let served = Served::with(Work::Nobody, &settings).await;
    let body = noise(9 << 20);
    for (path, status) in [("/v1/kinds/echo/jobs", 413), ("/v1/kinds/nothing/jobs", 404), ("/v1/nothing", 404)] {
        assert_refused_and_closed(&exchange(&served, path, "", &body).await, status);
    }
    until("nothing to be left", Duration::from_secs(15), async || blobs(&served).await.is_empty()).await;
    assert!(served.stop().await);
}

/// Such a connection used to fall silent for good: nothing was read of the body while its key was looked up, so all buffers
/// were full when it was refused, and nothing woke whoever was to read the rest.
#[tokio::test]
async fn a_body_that_is_refused_after_a_wait_with_all_buffers_full_leaves_no_silent_connection() {
    let url = new_database(&required(POSTGRES_URL)).await;
    let served = Served::with(Work::Nobody, &[("store.url", &url), ("auth.required", "true")]).await;
    let key = KeyText::new([IdSource.random(), IdSource.random(), IdSource.random()]);
    let header = format!("authorization: Bearer {}\r\n", key.expose());
    let mut lock = PgConnection::connect(&url).await.unwrap();
    lock.execute("BEGIN; LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let release = async {
        let mut side = PgConnection::connect(&url).await.unwrap();
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'api_keys'::regclass";
        until("the key to be looked up", Duration::from_secs(4), async || {
            sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut side).await.unwrap() > 0
        })
        .await;
        // One thread answers all requests, each in its turn: after some of these it has read what it would read of the body.
        for _ in 0..20 {
            assert_eq!(get(&served.client, "/livez", &[]).await.status, 200);
        }
        lock.execute("COMMIT").await.unwrap();
    };
    let (said, ()) = join(exchange(&served, "/v1/kinds/echo/jobs", &header, &noise(1 << 20)), release).await;
    assert_refused_and_closed(&said, 401);
    assert!(served.stop().await);
}
