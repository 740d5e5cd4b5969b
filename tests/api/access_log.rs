//! `log.access`: a line for each request, and nothing in it that a client chose.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{get, post_job};
use crate::harness::client::Client;
use crate::harness::process::Raincheck;
use crate::harness::temp::{TempFolder, free_address};
use crate::harness::wait::until;

async fn logging(folder: &TempFolder, settings: &[&str]) -> (Raincheck, Client) {
    let address = free_address();
    let listen = format!("http.listen={address}");
    let mut arguments = vec!["up", "--set", &listen, "--set", "log.format=json"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let process = Raincheck::run("up", &arguments, &folder.0);
    let client = Client::new(&address);
    until("it to be ready", Duration::from_secs(30), async || client.is_ready().await).await;
    (process, client)
}

/// The lines of one request.
fn lines(process: &Raincheck, request_id: &str) -> Vec<Value> {
    let log = process.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let fields = lines.map(|mut line| if line["fields"].is_object() { line["fields"].take() } else { line });
    fields.filter(|line| line["request_id"] == request_id).collect()
}

async fn line(process: &Raincheck, request_id: &str) -> Value {
    until(request_id, Duration::from_secs(10), async || !lines(process, request_id).is_empty()).await;
    let found = lines(process, request_id);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[tokio::test]
async fn each_request_is_one_line_with_its_route_its_end_and_its_job() {
    let folder = TempFolder::new("raincheck-access");
    let (mut process, client) = logging(&folder, &["log.access=true"]).await;
    let submitted = post_job(&client, &json!({"kind": "echo"}), &[("x-request-id", "submit-1")]).await;
    let id = submitted.job_id();
    let told = line(&process, "submit-1").await;
    assert_eq!((&told["method"], &told["route"]), (&json!("POST"), &json!("/v1/jobs")));
    assert_eq!((&told["status"], &told["job.id"]), (&json!(submitted.status), &json!(id)));
    assert_eq!(told["bytes"], submitted.body.len());
    assert!(told["took_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{told}");

    client.done(&id).await;
    let read = get(&client, &format!("/v1/jobs/{id}/result"), &[("x-request-id", "read-1")]).await;
    let told = line(&process, "read-1").await;
    assert_eq!((&told["route"], &told["job.id"]), (&json!("/v1/jobs/{id}/result"), &json!(id)));
    assert_eq!(told["bytes"], read.body.len());
    let forgotten = get(&client, "/v1/jobs/0192f0c1-2345-7abc-8def-0123456789ab", &[("x-request-id", "none-1")]).await;
    let told = line(&process, "none-1").await;
    assert_eq!((&told["status"], &told["bytes"]), (&json!(410), &json!(forgotten.body.len())));
    assert_eq!(told["job.id"], "0192f0c1-2345-7abc-8def-0123456789ab");
    let made = get(&client, "/livez", &[]).await;
    assert_eq!(line(&process, made.header("x-request-id")).await["route"], "/livez");
    assert!(process.terminate().await.success());
}

#[tokio::test]
async fn nothing_that_a_client_chose_reaches_the_log() {
    let folder = TempFolder::new("raincheck-access");
    let (mut process, client) = logging(&folder, &["log.access=true"]).await;
    let odd = Method::from_bytes(b"SECRETVERB").unwrap();
    for (n, (method, path)) in [
        (Method::GET, "/v1/jobs?ticket=secretticket&idempotency_key=secretkey"),
        (Method::GET, "/secretpath/%0a%1b[31m"),
        (Method::POST, "/v1/kinds/secretkind/jobs"),
        (odd, "/v1/jobs"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("odd-{n}");
        let headers =
            [("x-request-id", id.as_str()), ("authorization", "Bearer secretbearer"), ("user-agent", "secretagent")];
        client.send(method, path, &headers, "secretbody").await;
        line(&process, &id).await;
    }
    let forged = get(&client, "/livez", &[("x-request-id", "a\" forged=\"yes")]).await;
    line(&process, forged.header("x-request-id")).await;
    let log = process.log();
    assert!(!log.to_lowercase().contains("secret") && !log.contains("forged"), "{log}");
    assert!(log.contains("\"OTHER\"") && log.contains("/v1/kinds/{kind}/jobs"), "{log}");
    assert!(process.terminate().await.success());
}

#[tokio::test]
async fn without_the_setting_no_request_is_logged() {
    let folder = TempFolder::new("raincheck-access");
    let (mut process, client) = logging(&folder, &[]).await;
    let answer = get(&client, "/livez", &[("x-request-id", "quiet-1")]).await;
    assert_eq!(answer.status, 200);
    assert!(process.terminate().await.success());
    assert!(!process.log().contains("quiet-1"));
}
