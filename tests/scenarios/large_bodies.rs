//! A body of 100 MB through everything: in by the API, through a program, and out again, with nobody holding it in memory.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use raincheck_proof::stage::wait::now;
use reqwest::{Body, Method};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::contracts::blobs::S3_URL;
use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, required, shared_backends};
use crate::harness::process::Raincheck;
use crate::harness::room;
use crate::harness::temp::{TempFolder, free_address};
use crate::harness::wait::{unique, until};

const SIZE: u64 = 100_000_000;
const PIECE: u64 = 250_000;
/// What a process may hold at most, in MiB. It starts with some 40, not optimised as it is here; the body alone would be 95.
const MOST: u64 = 90;
/// The same with S3, whose client takes some more, and whose parts are larger.
const MOST_WITH_S3: u64 = 115;

/// A program that gives back what it reads, and one that waits for a file before it goes on.
pub(super) const KINDS: &str = r#"
[http]
workers = 1
[kinds.cat]
command = ["cat"]
output_type = "application/x-noise"
[kinds.half]
command = ["sh", "-c", "cat; until test -e go; do sleep 0.05; done; echo whole"]
directory = "."
[kinds.hauled]
remote = true
[upkeep]
blobs = "100ms"
"#;

fn piece(n: u64) -> Vec<u8> {
    (0..PIECE / 8).flat_map(|k| (n * PIECE / 8 + k).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()).collect()
}

/// The body, made while it is sent, and its SHA-256.
fn body() -> (Body, [u8; 32]) {
    let mut sum = Sha256::new();
    (0..SIZE / PIECE).for_each(|n| sum.update(piece(n)));
    let pieces = stream::iter((0..SIZE / PIECE).map(|n| Ok::<_, std::io::Error>(Bytes::from(piece(n)))));
    (Body::wrap_stream(pieces), sum.finalize().into())
}

/// The most memory that a process has ever held, in MiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Reads a result as it comes, slowly at first: what the server holds for a client that takes nothing is seen meanwhile.
async fn download(address: &str, path: &str) -> ([u8; 32], u64) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let mut head = Vec::new();
    let at = loop {
        let count = socket.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "it closed within its headers");
        head.extend_from_slice(&buffer[..count]);
        if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&head[..at]).to_lowercase();
    assert!(text.starts_with("http/1.1 200"), "{text}");
    assert!(text.contains("content-digest: sha-256=:") || path.ends_with("/input"), "{text}");
    let (mut sum, mut size) = (Sha256::new(), (head.len() - at) as u64);
    sum.update(&head[at..]);
    // Long enough for a server that reads ahead to have read all of it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    loop {
        let count = socket.read(&mut buffer).await.unwrap();
        if count == 0 {
            return (sum.finalize().into(), size);
        }
        sum.update(&buffer[..count]);
        size += count as u64;
    }
}

/// Says a figure, for whoever asks for it with `--nocapture`.
#[expect(clippy::print_stderr, reason = "figures for docs/benchmarks.md")]
fn say(figure: std::fmt::Arguments<'_>) {
    eprintln!("{figure}");
}

async fn there_and_back(api: &Client) {
    let (body, digest) = body();
    let started = now();
    let answer = api.send(Method::PUT, "/v1/kinds/cat/jobs", &[], body).await;
    assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
    let accepted = started.elapsed();
    let id = answer.job_id();
    let job = api.done(&id).await;
    assert_eq!((&job["status"], &job["result"]["size"]), (&"succeeded".into(), &SIZE.into()), "{job}");
    let done = started.elapsed();
    let (received, size) = download(api.address(), &format!("/v1/jobs/{id}/result")).await;
    assert_eq!((received, size), (digest, SIZE), "other bytes came back");
    let downloaded = started.elapsed();
    say(format_args!("100 MB accepted after {accepted:?}, done after {done:?}, downloaded after {downloaded:?}"));
}

/// The same by a remote worker: it reads its input over HTTP, and its result is the body of a request.
async fn there_and_back_by_lease(api: &Client) {
    let (input, digest) = body();
    let id = api.send(Method::PUT, "/v1/kinds/hauled/jobs", &[], input).await.job_id();
    let json = [("content-type", "application/json"), ("prefer", "wait=20")];
    let held = api.send(Method::POST, "/v1/leases", &json, "{}").await.json()["leases"][0].clone();
    let (received, size) = download(api.address(), held["links"]["input"].as_str().unwrap()).await;
    assert_eq!((received, size), (digest, SIZE), "other bytes than were submitted");
    let (result, _) = body();
    let ended = api.send(Method::POST, held["links"]["complete"].as_str().unwrap(), &[], result).await;
    assert_eq!((ended.status, &ended.json()["status"]), (200, &"succeeded".into()));
    let (received, size) = download(api.address(), &format!("/v1/jobs/{id}/result")).await;
    assert_eq!((received, size), (digest, SIZE), "other bytes came back");
}

/// Names of files under a folder of blobs, without its mark.
pub(super) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() != "raincheck-blobs" {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_through_embedded_mode_without_being_held() {
    let _room = room::shared().await;
    let folder = TempFolder::new("raincheck-large");
    std::fs::write(folder.0.join("raincheck.toml"), KINDS).unwrap();
    let address = free_address();
    let mut process = Raincheck::run("up", &["up", "--set", &format!("http.listen={address}")], &folder.0);
    let api = Client::new(&address);
    until("embedded mode to be ready", Duration::from_secs(30), async || api.is_ready().await).await;
    there_and_back(&api).await;
    let held = peak(process.pid());
    say(format_args!("embedded: {held} MiB at most"));
    assert!(held < MOST, "{held} MiB");
    assert!(process.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_through_api_and_worker_without_being_held() {
    pass_without_being_held(KINDS, MOST).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_through_api_worker_and_s3_without_being_held() {
    let blobs = format!(
        "[blobs]\nurl = \"s3://raincheck-tests/large/{}\"\nendpoint = \"{}\"\naccess_key_id = \"raincheck\"\n\
         secret_access_key = \"raincheck-secret\"\n",
        unique(),
        required(S3_URL)
    );
    pass_without_being_held(&format!("{KINDS}{blobs}"), MOST_WITH_S3).await;
}

async fn pass_without_being_held(settings: &str, most: u64) {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, settings);
    let api = cluster.api("api").await;
    cluster.worker("worker");
    there_and_back(&api).await;
    for name in ["api", "worker"] {
        let held = peak(cluster.process(name).pid());
        say(format_args!("{name}: {held} MiB at most"));
        assert!(held < most, "{name}: {held} MiB");
    }
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_to_a_remote_worker_and_back_without_being_held() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, KINDS);
    let api = cluster.api("api").await;
    there_and_back_by_lease(&api).await;
    let held = peak(cluster.process("api").pid());
    say(format_args!("api, of a remote worker: {held} MiB at most"));
    assert!(held < MOST, "{held} MiB");
    cluster.assert_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_amid_its_output_leaves_nothing_and_its_job_is_done_by_another() {
    let _room = room::shared().await;
    let settings = format!("{KINDS}[worker]\nlease = \"3s\"\nheartbeat = \"500ms\"\n");
    let mut cluster = Cluster::new(&shared_backends().await, &settings);
    let api = cluster.api("api").await;
    cluster.worker("first");
    let input = vec![7_u8; 4 << 20];
    let answer = api.send(Method::POST, "/v1/kinds/half/jobs", &[], input.clone()).await;
    assert_eq!(answer.status, 202);
    let blobs = cluster.path("raincheck-data/blobs");
    let is_half = |file: &String| file.starts_with("output-") && file.contains('#');
    let half = || files(&blobs).iter().filter(|file| is_half(file)).count();
    until("half an output", Duration::from_secs(30), async || half() == 1).await;
    cluster.process("first").kill();
    std::fs::write(cluster.path("go"), "").unwrap();
    cluster.worker("second");
    let job = api.done(&answer.job_id()).await;
    assert_eq!((&job["status"], &job["attempt"]), (&"succeeded".into(), &1.into()), "{job}");
    let result = api.send(Method::GET, &format!("/v1/jobs/{}/result", answer.job_id()), &[], "").await;
    assert!(result.body[..input.len()] == input[..] && result.body[input.len()..] == b"whole\n"[..]);
    until("the half to be swept", Duration::from_secs(10), async || half() == 0).await;
    assert_eq!(files(&blobs).len(), 2, "an input and an output: {:?}", files(&blobs));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_killed_amid_an_upload_or_after_it_promised_nothing_and_one_that_promised_has_it() {
    let _room = room::shared().await;
    let mut cluster = Cluster::new(&shared_backends().await, KINDS);
    let api = cluster.api("api").await;
    let blobs = cluster.path("raincheck-data/blobs");
    let mut promised = Vec::new();
    for round in 0..4_u8 {
        let input = vec![round; 3 << 20];
        let kept = api.send(Method::POST, "/v1/kinds/cat/jobs", &[], input.clone()).await;
        assert_eq!(kept.status, 202);
        promised.push((kept.job_id(), input));
        // Another is in the middle of it, at the latest when its file is there.
        let mut socket = TcpStream::connect(api.address()).await.unwrap();
        let head = "PUT /v1/kinds/cat/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&vec![round; 4 << 20]).await.unwrap();
        let half = usize::from(round) + 1;
        let staged = || files(&blobs).iter().filter(|file| file.contains('#')).count();
        until("half an input", Duration::from_secs(30), async || staged() == half).await;
        cluster.process("api").kill();
        cluster.api("api").await;
    }
    cluster.worker("worker");
    for (id, input) in promised {
        let job = api.done(&id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
        assert!(api.send(Method::GET, &format!("/v1/jobs/{id}/result"), &[], "").await.body == input);
    }
    let listed = api.send(Method::GET, "/v1/jobs", &[], "").await.json();
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 4, "nothing else was accepted");
}
