//! `GET /v1/kinds` and `GET /v1/kinds/{kind}`.

use serde_json::json;

use super::{assert_problem, get};
use crate::harness::served::{Served, Work};

#[tokio::test]
async fn a_kind_says_what_it_takes_and_within_which_limits() {
    let served = Served::idle().await;
    let answer = get(&served.client, "/v1/kinds/typed", &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "private, max-age=60");
    let kind = answer.json();
    assert_eq!(kind["name"], "typed");
    assert_eq!(kind["input_schema"]["required"], json!(["dish"]));
    assert_eq!(kind["limits"]["input_bytes"], 64 * 1024);
    assert_eq!(kind["limits"]["run_timeout"], "7d");
    assert_eq!((&kind["timeouts"]["run"], &kind["max_attempts"]), (&json!("10m"), &json!(3)));
    assert_eq!(kind["links"]["submit"], "/v1/kinds/typed/jobs");
    assert_eq!(kind["run_time"], json!(null));
    let pictures = get(&served.client, "/v1/kinds/pictures", &[]).await.json();
    assert_eq!(pictures["content_types"], json!(["image/*"]));
    assert_eq!(pictures["input_schema"], json!(null));
    // How a kind is run is nobody's business: commands and upstreams may hold what clients must not see.
    assert!(!get(&served.client, "/v1/kinds", &[]).await.json().to_string().contains("exit 3"));
    assert!(served.stop().await);
}

#[tokio::test]
async fn kinds_are_listed_by_name_and_need_not_be_read_twice() {
    let served = Served::idle().await;
    let answer = get(&served.client, "/v1/kinds", &[]).await;
    let listed = answer.json();
    let names: Vec<&str> = listed["kinds"].as_array().unwrap().iter().map(|k| k["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted() && names.contains(&"echo") && names.contains(&"apart"), "{names:?}");
    let again = get(&served.client, "/v1/kinds", &[("if-none-match", answer.header("etag"))]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), answer.header("etag"));
    assert_problem(&get(&served.client, "/v1/kinds/nobody", &[]).await, 404, "kind-not-found");
    assert_eq!(assert_problem(&get(&served.client, "/v1/kinds?page=2", &[]).await, 422, "input-invalid"), ["/page"]);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_kind_says_what_is_limited_of_it_over_all_workers_and_nothing_else() {
    let limits = [
        ("kinds.typed.concurrent_jobs", "4"),
        ("kinds.typed.rate", "600/60s"),
        ("kinds.typed.concurrent_per_key", "1"),
        ("kinds.typed.rate_per_key", "5/30s"),
        ("kinds.pictures.rate", "1/h"),
    ];
    let served = Served::with(Work::Nobody, &limits).await;
    let flow = async |kind: &str| {
        let kind = get(&served.client, &format!("/v1/kinds/{kind}"), &[]).await.json();
        ["concurrent_jobs", "rate", "concurrent_per_key", "rate_per_key"]
            .map(|limit| kind["limits"].get(limit).cloned())
    };
    assert_eq!(flow("typed").await, [json!(4), json!("600/m"), json!(1), json!("5/30s")].map(Some));
    assert_eq!(flow("pictures").await, [None, Some(json!("1/h")), None, None]);
    assert_eq!(flow("echo").await, [None, None, None, None]);
    assert!(served.stop().await);
}
