//! Embedded mode, killed at any moment: what had its 202 is done after a restart.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::runs;
use crate::harness::client::Client;
use crate::harness::process::Raincheck;
use crate::harness::room;
use crate::harness::temp::{TempFolder, free_address};
use crate::harness::wait::{alongside, until};

struct Embedded {
    process: Raincheck,
    api: Client,
}

async fn start(folder: &TempFolder, address: &str) -> Embedded {
    let listen = format!("http.listen={address}");
    let process = Raincheck::run("up", &["up", "--set", &listen], &folder.0);
    let api = Client::new(address);
    until("embedded mode to be ready", Duration::from_secs(30), async || api.is_ready().await).await;
    Embedded { process, api }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_mode_killed_again_and_again_under_load_loses_nothing_that_had_a_202() {
    let _room = room::shared().await;
    let folder = TempFolder::new("raincheck-embedded");
    std::fs::write(folder.0.join("raincheck.toml"), runs::traced_kind(0.02)).unwrap();
    let address = free_address();
    let mut promised = HashSet::new();
    let told = Arc::new(AtomicUsize::new(0));
    for life in 0..5_usize {
        let mut embedded = start(&folder, &address).await;
        let clients: Vec<_> = (0..4)
            .map(|n| {
                let (api, told) = (embedded.api.clone(), Arc::clone(&told));
                alongside(async move {
                    let mut promised = Vec::new();
                    for k in 0..10_000 {
                        match api.try_submit("traced", &json!({ "client": n, "job": k })).await {
                            Ok(answer) if answer.status == 202 => {
                                promised.push(answer.job_id());
                                told.fetch_add(1, Ordering::SeqCst);
                            }
                            Ok(answer) => panic!("{}: {}", answer.status, answer.json()),
                            Err(_) => break,
                        }
                    }
                    promised
                })
            })
            .collect();
        // Each life ends at another moment: amid accepting, claiming, running and finishing of ever more jobs.
        let runs_file = folder.0.join("runs");
        let enough = (life + 1) * 20;
        until("some jobs to be promised and to have run", Duration::from_mins(1), async || {
            // Not each that runs was promised: the kill may come before its answer.
            told.load(Ordering::SeqCst) >= enough && runs::read(&runs_file).0.len() >= enough
        })
        .await;
        embedded.process.kill();
        for client in clients {
            promised.extend(client.await.unwrap());
        }
    }
    assert!(promised.len() >= 100, "only {} jobs were promised", promised.len());

    let mut embedded = start(&folder, &address).await;
    for id in &promised {
        let job = embedded.api.done(id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
        assert_eq!(job["attempt"], 1, "a crash burns no attempt: {job}");
    }
    assert!(embedded.process.terminate().await.success());
}
