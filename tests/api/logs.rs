//! `GET /v1/jobs/{id}/logs`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_problem, get};
use crate::harness::events::Event;
use crate::harness::served::{Served, Work};
use crate::harness::wait::until;

/// A server whose kind `talking` runs in this folder: it says three lines, waits for a file `go`, and says two more, the last
/// without an end.
async fn talking(folder: &std::path::Path, settings: &[(&str, &str)]) -> Served {
    let own = [("kinds.talking.directory", folder.to_str().unwrap())];
    Served::with(Work::Worker, &[&own, settings].concat()).await
}

async fn submit(served: &Served) -> String {
    served.client.send(Method::POST, "/v1/kinds/talking/jobs", &[], "").await.job_id()
}

async fn page(served: &Served, id: &str, query: &str) -> Value {
    let answer = get(&served.client, &format!("/v1/jobs/{id}/logs{query}"), &[]).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

fn lines(page: &Value) -> Vec<&str> {
    page["lines"].as_array().unwrap().iter().map(|line| line["line"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_a_program_writes_to_stderr_is_read_while_it_runs_and_by_pages_afterwards() {
    let folder = crate::harness::temp::TempFolder::new("raincheck-logs");
    let served = talking(folder.path(), &[]).await;
    let id = submit(&served).await;
    until("the first lines", Duration::from_secs(10), async || page(&served, &id, "").await["last"] == 3).await;
    let early = page(&served, &id, "").await;
    assert_eq!((lines(&early), &early["complete"]), (vec!["one", "two", "\u{fffd}three"], &json!(false)));

    std::fs::write(folder.path().join("go"), "").unwrap();
    served.client.done(&id).await;
    // Who sees the end of the job sees the end of its log.
    let rest = page(&served, &id, "?after=3").await;
    assert_eq!((lines(&rest), &rest["last"], &rest["complete"]), (vec!["four", "five"], &json!(5), &json!(true)));
    let two = page(&served, &id, "?after=1&limit=2").await;
    assert_eq!((lines(&two), &two["last"], &two["complete"]), (vec!["two", "\u{fffd}three"], &json!(3), &json!(false)));
    assert_eq!((&two["lines"][0]["number"], &two["lines"][0]["attempt"]), (&json!(2), &json!(1)));
    assert!(two["lines"][0]["at"].is_string());
    let beyond = page(&served, &id, "?after=77").await;
    assert_eq!((lines(&beyond), &beyond["last"]), (vec![], &json!(77)));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_log_is_followed_as_a_stream_that_ends_with_the_job_and_goes_on_where_it_broke() {
    let folder = crate::harness::temp::TempFolder::new("raincheck-logs");
    let served = talking(folder.path(), &[]).await;
    let id = submit(&served).await;
    let path = format!("/v1/jobs/{id}/logs");
    let mut stream = served.client.try_events(&path, &[]).await.unwrap();
    let first = stream.event().await.unwrap();
    assert_eq!((first.name.as_str(), first.id.as_str(), &first.json()["line"]), ("line", "1", &json!("one")));
    drop(stream);

    let mut again = served.client.try_events(&path, &[("last-event-id", "1")]).await.unwrap();
    assert_eq!(again.event().await.unwrap().id, "2");
    std::fs::write(folder.path().join("go"), "").unwrap();
    let rest = again.rest().await;
    let told: Vec<(&str, &str)> = rest.iter().map(|event: &Event| (event.name.as_str(), event.id.as_str())).collect();
    assert_eq!(told, [("line", "3"), ("line", "4"), ("line", "5"), ("done", "5")]);

    let headers = [("accept", "text/event-stream"), ("last-event-id", "5")];
    assert_eq!(get(&served.client, &path, &headers).await.status, 204);
    let late = served.client.try_events(&path, &[("last-event-id", "garbage")]).await.unwrap().rest().await;
    assert_eq!(late.len(), 6);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_log_that_grows_too_long_is_cut_and_says_so() {
    let folder = crate::harness::temp::TempFolder::new("raincheck-logs");
    let served = talking(folder.path(), &[("jobs.max_log", "9")]).await;
    std::fs::write(folder.path().join("go"), "").unwrap();
    let id = submit(&served).await;
    served.client.done(&id).await;
    let all = page(&served, &id, "").await;
    assert_eq!(lines(&all), ["one", "two", "[the log was cut here: it may have 9 bytes, jobs.max_log]"]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_log_is_erased_with_its_job_and_one_that_was_never_written_is_empty() {
    let folder = crate::harness::temp::TempFolder::new("raincheck-logs");
    let served = talking(folder.path(), &[]).await;
    std::fs::write(folder.path().join("go"), "").unwrap();
    let id = submit(&served).await;
    served.client.done(&id).await;
    assert_eq!(page(&served, &id, "").await["last"], 5);
    assert_eq!(served.client.send(Method::DELETE, &format!("/v1/jobs/{id}"), &[], "").await.status, 204);
    assert_eq!(page(&served, &id, "").await, json!({"lines": [], "last": 0, "complete": true}));

    let silent = served.client.submit("echo", &json!(1)).await;
    served.client.done(&silent).await;
    assert_eq!(page(&served, &silent, "").await, json!({"lines": [], "last": 0, "complete": true}));
    for (query, pointer) in
        [("?after=-1", "/after"), ("?after=x", "/after"), ("?limit=0", "/limit"), ("?limit=1001", "/limit")]
    {
        let answer = get(&served.client, &format!("/v1/jobs/{id}/logs{query}"), &[]).await;
        assert_eq!(assert_problem(&answer, 422, "input-invalid"), [pointer]);
    }
    let unknown = "/v1/jobs/01000000-0000-4000-8000-000000000000/logs";
    assert_problem(&get(&served.client, unknown, &[]).await, 404, "job-not-found");
    let picture = get(&served.client, &format!("/v1/jobs/{id}/logs"), &[("accept", "image/png")]).await;
    assert_problem(&picture, 406, "not-acceptable");
    assert!(served.stop().await);
}
