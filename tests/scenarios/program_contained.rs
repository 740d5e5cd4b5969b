//! Programs that behave badly, under a real worker: each harms its own job, and nothing of it is left.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, shared_backends};
use crate::harness::room;
use crate::harness::wait::until;

/// Moves to a session of its own, without an environment, and starts another that does.
const DAEMON: &str = "echo $$ >> daemons; setsid sleep 1000 & echo $! >> daemons; exec sleep 1001\n";

/// Kinds, of which some write who they are into the folder that all processes run in.
const KINDS: &str = r#"
[worker]
concurrency = 16
scratch = "."
[jobs]
max_output = "1MiB"
max_log = "64KiB"
cancel_grace = "5s"

[kinds.good]
command = ["sh", "-c", "cat; sleep 0.3; echo ', said the good one'"]

[kinds.daemon]
command = ["sh", "-c", '''
    (env -i "PATH=$PATH" setsid sh daemon.sh </dev/null >/dev/null 2>&1 &)
    while [ "$(wc -l < daemons)" -lt 2 ]; do sleep 0.02; done
    if [ "$(cat)" = '"stay"' ]; then sleep 1000; fi
    echo left two
''']
directory = "."
timeout = "30s"
max_attempts = 1

[kinds.deaf]
command = ["sh", "-c", "trap '' TERM INT; echo $$ >> deaf; while :; do sleep 0.05; done"]
directory = "."
timeout = "1s"
max_attempts = 1

[kinds.forking]
command = ["sh", "-c", '''
    spawn() { if [ "$1" -gt 0 ]; then spawn $(($1 - 1)) & spawn $(($1 - 1)) & fi; exec sleep 1002; }
    spawn 6 & wait
''']
timeout = "1s"
max_attempts = 1

[kinds.flooding]
command = ["sh", "-c", "yes 'more and more' >&2 & exec yes"]
max_attempts = 1

[kinds.leaking]
command = ["sh", "-c", '''
    leak() { (head -c 40M /dev/zero; sleep 30) | tail -c 40M >/dev/null & }
    leak; leak; leak; leak; wait; echo survived
''']
memory = "96MiB"
max_attempts = 3

[kinds.sharing]
command = ["sh", "-c", '''
    x=$(head -c 12M /dev/zero | tr '\0' x); x=$x$x$x
    for n in 1 2 3 4 5 6 7 8 9 10 11 12; do (sleep 1; true) & done; wait; echo shared
''']
memory = "256MiB"
max_attempts = 1

[kinds.signalled]
command = ["sh", "-c", "kill -SEGV $$"]
max_attempts = 1

[kinds.closing]
command = ["sh", "-c", "exec <&-; sleep 0.2; echo never read it"]

[kinds.littering]
command = ["sh", "-c", "mkdir -p a/b && head -c 100000 /dev/zero > a/b/c && chmod 500 a/b a; mktemp >/dev/null; pwd"]
"#;

struct Yard {
    cluster: Cluster,
    api: Client,
}

impl Yard {
    async fn open() -> Self {
        let mut cluster = Cluster::new(&shared_backends().await, KINDS);
        fs::write(cluster.path("daemons"), "").unwrap();
        fs::write(cluster.path("deaf"), "").unwrap();
        fs::write(cluster.path("daemon.sh"), DAEMON).unwrap();
        let api = cluster.api("api").await;
        cluster.worker("first");
        Self { cluster, api }
    }

    async fn submit(&self, kind: &str, input: &str) -> String {
        self.api.submit(kind, &json!(input)).await
    }

    async fn cancel(&self, id: &str) {
        let answer = self.api.send(Method::POST, &format!("/v1/jobs/{id}/cancel"), &[], "").await;
        assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
    }

    async fn done(&self, kind: &str, input: &str) -> Value {
        let id = self.submit(kind, input).await;
        self.api.done(&id).await
    }

    /// The processes whose ids stand in a file, as soon as there are so many.
    async fn pids(&self, file: &str, count: usize) -> Vec<u32> {
        let path = self.cluster.path(file);
        let read = || -> Vec<u32> {
            let text = fs::read_to_string(&path).unwrap_or_default();
            text.lines().filter_map(|line| line.trim().parse().ok()).collect()
        };
        until("processes to say who they are", Duration::from_secs(20), async || read().len() >= count).await;
        read()
    }

    /// Jobs that have nothing to do with the one on trial run on meanwhile, and no folder of an attempt is left.
    async fn assert_unharmed(self) {
        let job = self.done("good", "hello").await;
        assert_eq!(job["result"]["value"], "\"hello\", said the good one\n", "{job}");
        let scratch = self.cluster.path(".");
        let left = || attempts(&scratch);
        until("no folder of an attempt to be left", Duration::from_secs(10), async || left().is_empty()).await;
        self.cluster.assert_nothing_is_left().await;
    }
}

/// The folders of attempts that are there.
fn attempts(scratch: &Path) -> BTreeSet<String> {
    let workers = fs::read_dir(scratch).unwrap().flatten().filter(|entry| {
        entry.file_name().to_string_lossy().starts_with("raincheck-attempts-") && entry.path().is_dir()
    });
    workers
        .flat_map(|worker| fs::read_dir(worker.path()).into_iter().flatten().flatten())
        .map(|attempt| attempt.path().display().to_string())
        .collect()
}

/// Waits until a process is gone, or a zombie that somebody else has to reap.
async fn gone(pids: &[u32]) {
    let lives = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty())
    };
    until(&format!("processes {pids:?} to be gone"), Duration::from_secs(10), async || !pids.iter().any(lives)).await;
}

/// How many processes run with this as an argument.
fn running(argument: &str) -> usize {
    let lines =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|part| part == argument.as_bytes())).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemons_in_sessions_of_their_own_without_an_environment_end_with_the_program() {
    let _room = room::shared().await;
    let yard = Yard::open().await;
    let job = yard.done("daemon", "go").await;
    assert_eq!(job["result"]["value"], "left two\n", "{job}");
    gone(&yard.pids("daemons", 2).await).await;
    yard.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_ends_a_program_with_all_its_daemons() {
    let _room = room::shared().await;
    let yard = Yard::open().await;
    let id = yard.submit("daemon", "stay").await;
    let pids = yard.pids("daemons", 2).await;
    yard.cancel(&id).await;
    assert_eq!(yard.api.done(&id).await["status"], "canceled");
    gone(&pids).await;
    yard.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_and_daemons_of_a_killed_worker_end_with_it_and_the_next_one_clears_their_folders() {
    let _room = room::shared().await;
    let mut yard = Yard::open().await;
    let id = yard.submit("daemon", "stay").await;
    let deaf = yard.submit("deaf", "").await;
    let mut pids = yard.pids("daemons", 2).await;
    pids.extend(yard.pids("deaf", 1).await);
    yard.cluster.process("first").kill();
    gone(&pids).await;
    assert_eq!(attempts(&yard.cluster.path(".")).len(), 2, "nobody was there to remove them");
    yard.cluster.worker("second");
    // Rescued, and run again by the second.
    yard.pids("daemons", 4).await;
    yard.cancel(&id).await;
    assert_eq!(yard.api.done(&id).await["status"], "canceled");
    assert_eq!(yard.api.done(&deaf).await["error"]["code"], "run-timeout");
    yard.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_ignores_sigterm_is_killed_when_its_time_is_over() {
    let _room = room::shared().await;
    let yard = Yard::open().await;
    let job = yard.done("deaf", "").await;
    assert_eq!(job["error"]["code"], "run-timeout", "{job}");
    gone(&yard.pids("deaf", 1).await).await;
    yard.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_forks_and_forks_ends_with_all_its_descendants() {
    let _room = room::shared().await;
    let yard = Yard::open().await;
    let id = yard.submit("forking", "").await;
    until("many processes", Duration::from_secs(20), async || running("1002") >= 64).await;
    assert_eq!(yard.api.done(&id).await["error"]["code"], "run-timeout");
    until("none of them to be left", Duration::from_secs(10), async || running("1002") == 0).await;
    yard.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_floods_stdout_and_stderr_fails_and_its_log_is_cut() {
    let _room = room::shared().await;
    let yard = Yard::open().await;
    let id = yard.submit("flooding", "").await;
    assert_eq!(yard.api.done(&id).await["error"]["code"], "output-too-large");
    let log = yard.api.send(Method::GET, &format!("/v1/jobs/{id}/logs"), &[], "").await;
    assert!(log.status == 200 && log.body.len() < 128 << 10, "{}: {} bytes of log", log.status, log.body.len());
    yard.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_leaks_memory_in_several_processes_fails_for_good_and_says_so() {
    let _room = room::shared().await;
    let yard = Yard::open().await;
    let job = yard.done("leaking", "").await;
    assert_eq!(job["status"], "failed", "{job}");
    assert_eq!(job["error"]["message"], "used more memory than the 96MiB it may", "{job}");
    assert_eq!(job["attempt"], 1, "{job}");
    yard.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_may_have_processes_that_share_memory_which_counts_once() {
    let _room = room::shared().await;
    let yard = Yard::open().await;
    let job = yard.done("sharing", "").await;
    assert_eq!(job["result"]["value"], "shared\n", "{job}");
    yard.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_dies_by_a_signal_fails_by_its_name() {
    let _room = room::shared().await;
    let yard = Yard::open().await;
    let job = yard.done("signalled", "").await;
    assert_eq!(job["error"]["message"], "killed by signal 11", "{job}");
    yard.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_closes_its_stdin_early_may_succeed() {
    let _room = room::shared().await;
    let yard = Yard::open().await;
    let job = yard.done("closing", &"x".repeat(1 << 19)).await;
    assert_eq!(job["result"]["value"], "never read it\n", "{job}");
    yard.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_program_leaves_in_its_folder_is_removed_whatever_it_did_to_it() {
    let _room = room::shared().await;
    let yard = Yard::open().await;
    let job = yard.done("littering", "").await;
    let folder = job["result"]["value"].as_str().unwrap().trim().to_owned();
    until("the folder to be gone", Duration::from_secs(10), async || !Path::new(&folder).exists()).await;
    yard.assert_unharmed().await;
}
