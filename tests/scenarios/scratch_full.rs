//! The disk is full that programs have their folders on. No job pays for that, and no result is lost.

use std::path::PathBuf;
use std::time::Duration;

use raincheck_proof::stage::wait::until;
use reqwest::Method;

use super::blobs_full::small_disk;
use crate::harness::client::Client;
use crate::harness::process::Raincheck;
use crate::harness::room;
use crate::harness::temp::{TempFolder, free_address};

const KINDS: &str = r#"
[http]
workers = 1
[worker]
scratch = "scratch"
[kinds.filling]
command = ["sh", "-c", "echo run >> ran; head -c 1000000 /dev/zero > $TMPDIR/filling; echo done"]
directory = "."
max_attempts = 1
[kinds.cat]
command = ["cat"]
max_attempts = 1
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_scratch_disk_takes_no_result_and_puts_off_what_has_not_begun() {
    let _room = room::shared().await;
    let folder = TempFolder::new("raincheck-scratch");
    std::fs::write(folder.0.join("raincheck.toml"), KINDS).unwrap();
    std::fs::create_dir(folder.0.join("scratch")).unwrap();
    let address = free_address();
    let (mut command, is_small) = small_disk("scratch", 256);
    command.args(["up", "--set", &format!("http.listen={address}")]);
    let mut process = Raincheck::spawn("up", command, &folder.0);
    let api = Client::new(&address);
    until("embedded mode to be ready", Duration::from_secs(30), async || api.is_ready().await).await;

    // Full when the program ends.
    let filled = api.send(Method::PUT, "/v1/kinds/filling/jobs", &[], "").await.job_id();
    let job = api.done(&filled).await;
    assert_eq!((&job["status"], &job["attempt"]), (&"succeeded".into(), &1.into()), "{job}");
    assert_eq!(std::fs::read_to_string(folder.0.join("ran")).unwrap(), "run\n");

    // Full before it begins. Where there is no small disk nothing can be full.
    let filling = PathBuf::from(format!("/proc/{}/cwd/scratch/filling", process.pid()));
    if is_small {
        let full = std::fs::write(&filling, vec![1; 1 << 20]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }
    let later = api.send(Method::PUT, "/v1/kinds/cat/jobs", &[], "said").await.job_id();
    if is_small {
        until("it to be put off", Duration::from_secs(20), async || {
            process.log().contains("it could not be given a folder: putting off such jobs")
        })
        .await;
        std::fs::remove_file(&filling).unwrap();
    }
    let job = api.done(&later).await;
    assert_eq!((&job["status"], &job["attempt"]), (&"succeeded".into(), &1.into()), "{job}");
    assert!(process.terminate().await.success());
}
