//! The directory of blobs goes away and comes back.

use std::time::Duration;

use reqwest::Method;

use crate::harness::client::Client;
use crate::harness::process::Raincheck;
use crate::harness::room;
use crate::harness::temp::{TempFolder, free_address};
use crate::harness::wait::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_blob_store_is_one_line_of_the_log_when_it_begins_and_one_when_it_ends() {
    let _room = room::shared().await;
    let folder = TempFolder::new("raincheck-away");
    let address = free_address();
    let set = ["blobs.in_database=64KiB", "jobs.max_input=1MiB", "jobs.max_output=1MiB"];
    let listen = format!("http.listen={address}");
    let arguments: Vec<_> =
        ["up"].into_iter().chain(set.iter().chain([&listen.as_str()]).flat_map(|set| ["--set", set])).collect();
    let mut process = Raincheck::run("up", &arguments, &folder.0);
    let api = Client::new(&address);
    until("embedded mode to be ready", Duration::from_secs(30), async || api.is_ready().await).await;

    let large = async || api.send(Method::PUT, "/v1/kinds/echo/jobs?wait=20s", &[], vec![b'1'; 100_000]).await;
    let done = large().await;
    assert_eq!((done.status, &done.json()["status"]), (200, &"succeeded".into()), "{}", done.json());
    let result = format!("/v1/jobs/{}/result", done.job_id());
    let fetch = async || api.send(Method::GET, &result, &[], "").await;

    let (blobs, elsewhere) = (folder.0.join("raincheck-data/blobs"), folder.0.join("unmounted"));
    std::fs::rename(&blobs, &elsewhere).unwrap();
    // An empty mount point. Many times, in turns: that one thing fails says nothing of the other.
    std::fs::create_dir(&blobs).unwrap();
    for _ in 0..6 {
        assert_eq!((large().await.status, fetch().await.status), (503, 503));
    }
    std::fs::remove_dir(&blobs).unwrap();
    std::fs::rename(&elsewhere, &blobs).unwrap();
    for _ in 0..3 {
        assert_eq!((large().await.status, fetch().await.status), (200, 200));
    }
    assert!(process.terminate().await.success());

    let log = process.log();
    let told = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!(log.lines().filter(|line| line.contains("WARN") && line.contains("blob")).count(), 2, "{log}");
    assert_eq!(told("the blob store takes nothing: large inputs are refused"), 1, "{log}");
    assert_eq!(told("the blob store takes large inputs again"), 1, "{log}");
    assert_eq!(told("the blob store cannot be read: large bodies are refused"), 1, "{log}");
    assert_eq!(told("the blob store can be read again"), 1, "{log}");
}
