//! The disk of the blob directory is full.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use raincheck_proof::stage::process::program;
use reqwest::{Body, Method};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

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
command = ["sh", "-c", "echo run >> ran; exec head -c 10000000 /dev/zero"]
directory = "."
max_attempts = 1
"#;

/// Runs what follows in a name space of its own: nobody else sees what it mounts, and that goes with the process.
const APART: [&str; 3] = ["--user", "--map-root-user", "--mount"];
/// Runs what follows so that no file may be larger than 7 MiB, and a larger one is an error instead of a signal.
const WITH_SMALL_FILES: &str = "trap '' XFSZ; exec prlimit --fsize=7340032: \"$@\"";

/// raincheck with a file system of its own in that folder, of so many KiB. False: without one, and with small files instead. Not
/// everybody may have name spaces, as in many containers; the error is another one then, and so is its number.
pub(super) fn small_disk(folder: &str, size: u32) -> (Command, bool) {
    let may = Command::new("unshare").args(APART).arg("true").output();
    let small = may.is_ok_and(|tried| tried.status.success());
    let mut command = if small {
        let mount = format!("mount -t tmpfs -o size={size}k tmpfs {folder} && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(APART).args(["sh", "-c", &mount]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", WITH_SMALL_FILES]);
        command
    };
    command.arg("sh").arg(program());
    (command, small)
}

async fn erase(api: &Client, id: &str) {
    assert_eq!(api.send(Method::DELETE, &format!("/v1/jobs/{id}"), &[], "").await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_large_bodies_keeps_nothing_of_them_and_lets_the_rest_go_on() {
    let _room = room::shared().await;
    let folder = TempFolder::new("raincheck-full");
    std::fs::write(folder.0.join("raincheck.toml"), KINDS).unwrap();
    std::fs::create_dir_all(folder.0.join("raincheck-data/blobs")).unwrap();
    let address = free_address();
    // There is room for a blob of 5 MiB, and not for one of 10 MB beside it.
    let (mut command, is_small) = small_disk("raincheck-data/blobs", 12 << 10);
    command.args(["up", "--set", &format!("http.listen={address}")]);
    let mut process = Raincheck::spawn("up", command, &folder.0);
    let api = Client::new(&address);
    until("embedded mode to be ready", Duration::from_secs(30), async || api.is_ready().await).await;
    // As the process sees it.
    let blobs = PathBuf::from(format!("/proc/{}/cwd/raincheck-data/blobs", process.pid()));

    let fits = vec![1_u8; 5 << 20];
    let later = "/v1/kinds/cat/jobs?delay=1h";
    let kept = api.send(Method::PUT, later, &[], fits.clone()).await.job_id();
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

    // An output that does not fit waits for room, and is not made anew.
    let grown = api.send(Method::PUT, "/v1/kinds/growing/jobs", &[], "").await.job_id();
    until("there to be no room for an output", Duration::from_secs(20), async || {
        process.log().contains("its output cannot be kept yet: trying again")
    })
    .await;
    assert_eq!(api.send(Method::POST, &format!("/v1/jobs/{kept}/cancel"), &[], "").await.status, 200);
    erase(&api, &kept).await;
    if !is_small {
        let pid = Pid::from_raw(i32::try_from(process.pid()).unwrap());
        prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
    }
    let job = api.done(&grown).await;
    assert_eq!((&job["status"], &job["attempt"]), (&"succeeded".into(), &1.into()), "{job}");
    assert_eq!(std::fs::read_to_string(folder.0.join("ran")).unwrap(), "run\n");
    erase(&api, &grown).await;
    assert_eq!(files(&blobs).len(), 0);

    assert_eq!(api.send(Method::PUT, later, &[], fits).await.status, 202, "nothing of those is in the way");
    assert_eq!(files(&blobs).len(), 1);
    assert!(api.is_ready().await);
    assert!(process.terminate().await.success());
}
