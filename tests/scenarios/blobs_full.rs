//! The disk of the blob directory is full.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use raincheck_proof::stage::process::program;
use reqwest::{Body, Method};

use super::large_bodies::files;
use crate::harness::client::Client;
use crate::harness::process::Raincheck;
use crate::harness::room;
use crate::harness::temp::{TempFolder, free_address};
use crate::harness::wait::until;

const KINDS: &str = r#"
[http]
workers = 1
[kinds.cat]
command = ["cat"]
[kinds.growing]
command = ["head", "-c", "10000000", "/dev/zero"]
max_attempts = 1
"#;

/// Runs what follows with a file system of 12 MiB where blobs go, in a name space of its own: nobody else sees it, and it
/// goes with the process.
const ON_A_SMALL_DISK: [&str; 6] = [
    "--user",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    "mount -t tmpfs -o size=12m tmpfs raincheck-data/blobs && exec \"$@\"",
];
/// Runs what follows so that no file may be larger than 7 MiB, and a larger one is an error instead of a signal.
const WITH_SMALL_FILES: &str = "trap '' XFSZ; exec prlimit --fsize=7340032 \"$@\"";

/// raincheck, where blobs find room for one of 5 MiB and not for one of 10 MB beside it.
fn small_disk() -> Command {
    let may = Command::new("unshare").args(&ON_A_SMALL_DISK[..3]).arg("true").output();
    let mut command = if may.is_ok_and(|tried| tried.status.success()) {
        let mut command = Command::new("unshare");
        command.args(ON_A_SMALL_DISK);
        command
    } else {
        // Not everybody may have name spaces, as in many containers. The error is another one, and so is its number.
        let mut command = Command::new("sh");
        command.args(["-c", WITH_SMALL_FILES]);
        command
    };
    command.arg("sh").arg(program());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_large_bodies_keeps_nothing_of_them_and_lets_the_rest_go_on() {
    let _room = room::shared().await;
    let folder = TempFolder::new("raincheck-full");
    std::fs::write(folder.0.join("raincheck.toml"), KINDS).unwrap();
    std::fs::create_dir_all(folder.0.join("raincheck-data/blobs")).unwrap();
    let address = free_address();
    let mut command = small_disk();
    command.args(["up", "--set", &format!("http.listen={address}")]);
    let mut process = Raincheck::spawn("up", command, &folder.0);
    let api = Client::new(&address);
    until("embedded mode to be ready", Duration::from_secs(30), async || api.is_ready().await).await;
    // As the process sees it.
    let blobs = PathBuf::from(format!("/proc/{}/cwd/raincheck-data/blobs", process.pid()));

    let fits = vec![1_u8; 5 << 20];
    let later = "/v1/kinds/cat/jobs?delay=1h";
    assert_eq!(api.send(Method::PUT, later, &[], fits.clone()).await.status, 202);
    assert_eq!(files(&blobs).len(), 1);

    let large = Bytes::from(vec![2_u8; 10_000_000]);
    let chunks = [large.slice(..4_000_000), large.slice(4_000_000..)].map(Ok::<_, std::io::Error>);
    for body in [Body::from(large), Body::wrap_stream(stream::iter(chunks))] {
        let answer = api.send(Method::PUT, later, &[], body).await;
        assert_eq!(answer.status, 503, "{}", answer.json());
        assert_eq!(answer.json()["code"], "store-unavailable");
        assert!(answer.json()["detail"].as_str().unwrap().contains("no room"), "{}", answer.json());
        assert_ne!(answer.header("retry-after"), "");
        assert_eq!(files(&blobs).len(), 1, "half of it is gone when it is answered");
    }

    let small = api.send(Method::PUT, "/v1/kinds/cat/jobs?wait=20s", &[], "small").await;
    assert_eq!((small.status, &small.json()["status"]), (200, &"succeeded".into()), "{}", small.json());
    let grown = api.send(Method::PUT, "/v1/kinds/growing/jobs?wait=20s", &[], "").await.json();
    assert_eq!(grown["status"], "failed", "{grown}");
    assert!(grown["error"]["message"].as_str().unwrap().contains("cannot be kept"), "{grown}");
    until("half an output to be gone", Duration::from_secs(10), async || files(&blobs).len() == 1).await;

    assert_eq!(api.send(Method::PUT, later, &[], fits).await.status, 202, "nothing of those is in the way");
    assert_eq!(files(&blobs).len(), 2);
    assert!(api.is_ready().await);
    assert!(process.terminate().await.success());
}
