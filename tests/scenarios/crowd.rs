//! Everything at once, on three replicas, by 64 clients: no answer contradicts one that was heard before.

use std::time::Duration;

use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::room;
use raincheck_proof::crowd::gather;

const CLIENTS: u64 = 64;

/// Ten seconds; `RAINCHECK_CROWD_SECONDS=60` makes it a minute, `RAINCHECK_CROWD_SEED` repeats what clients choose.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_of_three_replicas_under_64_clients_contradicts_an_earlier_one() {
    let _room = room::shared().await;
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let time = Duration::from_secs(number("RAINCHECK_CROWD_SECONDS").unwrap_or(10));
    let seed = number("RAINCHECK_CROWD_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let kinds = "[kinds.fails]\ncommand = [\"false\"]\nmax_attempts = 2\nbackoff = \"100ms\"\n";
    let mut cluster = Cluster::new(&shared_backends().await, kinds);
    let replicas = [cluster.api("a").await, cluster.api("b").await, cluster.api("c").await];
    for name in ["one", "two"] {
        cluster.worker(name);
    }
    let tally = gather(&replicas, CLIENTS, seed, time).await;
    eprintln!("seed {seed}, {} s: {tally:?}", time.as_secs());
    assert!(
        tally.answers > 100 * time.as_secs() / 5 && tally.ended > 20,
        "seed {seed}: hardly anything was asked: {tally:?}"
    );
}
