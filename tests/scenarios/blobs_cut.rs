//! A process is killed between a blob and the commit that was to name it.

use std::path::Path;
use std::time::Duration;

use raincheck_shared::domain::{BlobName, JobId};
use raincheck_shared::lifecycle::IdSource;
use reqwest::Method;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use uuid::Uuid;

use super::large_bodies::{KINDS, files};
use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::room;
use crate::harness::wait::until;

/// Keeps everybody else from changing jobs.
async fn lock_jobs(cluster: &Cluster) -> PgConnection {
    let mut lock = PgConnection::connect(&cluster.postgres_url).await.unwrap();
    lock.execute("BEGIN; LOCK TABLE jobs IN EXCLUSIVE MODE").await.unwrap();
    lock
}

/// Waits until somebody is about to change one.
async fn until_held_up(lock: &mut PgConnection) {
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    until("a commit to be held up", Duration::from_secs(10), async || {
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *lock).await.unwrap() > 0
    })
    .await;
}

/// Lets jobs be changed again, though not by those who wait for it.
async fn release_for_others(mut lock: PgConnection) {
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND wait_event_type = 'Lock'";
    sqlx::query_scalar::<_, i64>(end).fetch_one(&mut lock).await.unwrap();
    lock.execute("COMMIT").await.unwrap();
    lock.close().await.unwrap();
}

/// Whole blobs whose file begins like this.
fn whole(blobs: &Path, part: &str) -> usize {
    files(blobs).iter().filter(|file| file.starts_with(part) && !file.contains('#')).count()
}

/// Names the one blob that is not of `job` as if its upload had begun so many hours ago.
fn age(blobs: &Path, job: &str, hours: u64) {
    let folders = |path: &Path| {
        std::fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let of_jobs: Vec<_> = folders(blobs).iter().flat_map(|day| folders(day)).collect();
    let others: Vec<_> = of_jobs.iter().filter(|folder| !folder.ends_with(job)).collect();
    let [other] = others.as_slice() else { panic!("{of_jobs:?}") };
    let millis = IdSource.job().created_at().unix_timestamp_nanos() / 1_000_000;
    let seconds = u64::try_from(millis / 1000).unwrap() - hours * 3600;
    let old = JobId::new(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0)));
    let day = blobs.join(BlobName::day_of(old));
    std::fs::create_dir_all(&day).unwrap();
    std::fs::rename(other, day.join(old.to_string())).unwrap();
}

async fn result(api: &Client, id: &str) -> Vec<u8> {
    api.send(Method::GET, &format!("/v1/jobs/{id}/result"), &[], "").await.body.to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_killed_between_an_upload_and_its_commit_accepted_nothing_and_what_it_left_is_swept() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, KINDS);
    let api = cluster.api("api").await;
    let blobs = cluster.path("raincheck-data/blobs");
    let input = vec![1_u8; 3 << 20];
    let promised = api.send(Method::POST, "/v1/kinds/cat/jobs", &[], input.clone()).await;
    assert_eq!(promised.status, 202);

    let mut lock = lock_jobs(&cluster).await;
    let mut socket = TcpStream::connect(api.address()).await.unwrap();
    let head = "PUT /v1/kinds/cat/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000000\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&vec![2; 4_000_000]).await.unwrap();
    until("a whole input", Duration::from_secs(30), async || whole(&blobs, "input-") == 2).await;
    until_held_up(&mut lock).await;
    cluster.process("api").kill();
    release_for_others(lock).await;

    let api = cluster.api("api").await;
    let listed = api.send(Method::GET, "/v1/jobs", &[], "").await.json();
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(files(&blobs).len(), 2, "an upload may still be under way, for all that anybody knows");
    age(&blobs, &promised.job_id(), 25);
    until("the orphan to be swept", Duration::from_secs(10), async || files(&blobs).len() == 1).await;
    cluster.worker("worker");
    assert_eq!(api.done(&promised.job_id()).await["status"], "succeeded");
    assert!(result(&api, &promised.job_id()).await == input);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_between_its_output_and_the_commit_has_not_finished_and_what_it_left_is_swept() {
    let _room = room::shared().await;
    let settings = format!("{KINDS}[worker]\nlease = \"3s\"\nheartbeat = \"500ms\"\n");
    let mut cluster = Cluster::new(&shared_backends().await, &settings);
    let api = cluster.api("api").await;
    let blobs = cluster.path("raincheck-data/blobs");
    cluster.worker("first");
    let input = vec![3_u8; 3 << 20];
    let id = api.send(Method::POST, "/v1/kinds/half/jobs", &[], input.clone()).await.job_id();
    until("it to run", Duration::from_secs(30), async || api.job(&id).await["status"] == "in_progress").await;

    let mut lock = lock_jobs(&cluster).await;
    std::fs::write(cluster.path("go"), "").unwrap();
    until("a whole output", Duration::from_secs(30), async || whole(&blobs, "output-") == 1).await;
    until_held_up(&mut lock).await;
    let left = files(&blobs);
    cluster.process("first").kill();
    release_for_others(lock).await;

    cluster.worker("second");
    let job = api.done(&id).await;
    assert_eq!((&job["status"], &job["attempt"]), (&"succeeded".into(), &1.into()), "{job}");
    assert!(result(&api, &id).await == [&input[..], b"whole\n"].concat());
    until("the first output to be swept", Duration::from_secs(10), async || files(&blobs).len() == 2).await;
    assert_eq!(files(&blobs).iter().filter(|file| left.contains(file)).count(), 1, "the input, and another output");
}
