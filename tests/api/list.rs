//! `GET /v1/jobs`.

use serde_json::{Value, json};

use super::{assert_problem, get, post_job};
use crate::harness::served::Served;

fn ids(page: &Value) -> Vec<String> {
    page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pages_go_from_the_newest_to_the_oldest_without_gap_or_repetition() {
    let served = Served::idle().await;
    let mut submitted = Vec::new();
    for n in 0..7 {
        submitted.push(served.client.submit("echo", &json!(n)).await);
    }
    submitted.reverse();
    let (mut listed, mut path) = (Vec::new(), "/v1/jobs?limit=3&kind=echo&status=queued&status=failed".to_owned());
    let mut pages = 0;
    loop {
        let page = get(&served.client, &path, &[]).await;
        assert_eq!(page.status, 200, "{path}");
        let page = page.json();
        listed.extend(ids(&page));
        pages += 1;
        let Some(next) = page["links"]["next"].as_str() else {
            assert_eq!(page["next_cursor"], json!(null));
            break;
        };
        assert!(next.contains(page["next_cursor"].as_str().unwrap()));
        next.clone_into(&mut path);
    }
    assert_eq!(listed, submitted);
    assert!(pages >= 3);
    assert!(served.stop().await);
}

#[tokio::test]
async fn filters_choose_and_odd_values_travel_through_the_next_link() {
    let served = Served::idle().await;
    let tag = "a&b=c d/ü%";
    let encoded = "a%26b%3Dc%20d%2F%C3%BC%25";
    let mut tagged = Vec::new();
    for n in 0..3 {
        let body = json!({"kind": "echo", "input": n, "tags": [tag]});
        tagged.push(post_job(&served.client, &body, &[("idempotency-key", &format!("key-{n}"))]).await.job_id());
    }
    let apart = served.client.submit("apart", &json!(1)).await;
    let later = post_job(&served.client, &json!({"kind": "echo", "delay": "1h"}), &[]).await.job_id();
    tagged.reverse();

    let page = get(&served.client, &format!("/v1/jobs?tag={encoded}&limit=2"), &[]).await.json();
    assert_eq!(ids(&page), tagged[..2]);
    let next = get(&served.client, page["links"]["next"].as_str().unwrap(), &[]).await.json();
    assert_eq!(ids(&next), tagged[2..]);
    for (query, expected) in [
        ("queue=apart", &apart),
        ("kind=apart", &apart),
        ("status=scheduled", &later),
        ("idempotency_key=key-2", &tagged[0]),
    ] {
        let page = get(&served.client, &format!("/v1/jobs?{query}"), &[]).await.json();
        assert_eq!(ids(&page), std::slice::from_ref(expected), "{query}");
    }
    let body = json!({"kind": "echo", "tags": [tag, "second"], "metadata": {"a b": "&=ü", "n": "1"}});
    let labelled = post_job(&served.client, &body, &[]).await.job_id();
    post_job(&served.client, &json!({"kind": "echo", "metadata": {"n": "1"}}), &[]).await;
    let path = format!("/v1/jobs?tag={encoded}&tag=second&metadata.a%20b=%26%3D%C3%BC&metadata.n=1");
    let page = get(&served.client, &path, &[]).await.json();
    assert_eq!(ids(&page), [labelled]);
    assert_eq!(page["jobs"][0]["metadata"], json!({"a b": "&=ü", "n": "1"}));
    let first = get(&served.client, "/v1/jobs?metadata.n=1&limit=1", &[]).await.json();
    let second = get(&served.client, first["links"]["next"].as_str().unwrap(), &[]).await.json();
    assert_eq!(ids(&second), ids(&page));
    assert_eq!(ids(&get(&served.client, "/v1/jobs?kind=nobody", &[]).await.json()), Vec::<String>::new());
    assert!(served.stop().await);
}

#[tokio::test]
async fn what_cannot_be_listed_is_told() {
    let served = Served::idle().await;
    for (query, pointer) in [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=x", "/limit"),
        ("status=done", "/status"),
        ("kind=%20", "/kind"),
        ("queue=-", "/queue"),
        ("tag=%00", "/tag"),
        ("page=2", "/page"),
        ("limit=1&limit=2", "/limit"),
        ("metadata.a=1&metadata.a=2", "/metadata.a"),
    ] {
        let answer = get(&served.client, &format!("/v1/jobs?{query}"), &[]).await;
        assert_eq!(assert_problem(&answer, 422, "input-invalid"), [pointer], "{query}");
    }
    for cursor in ["x", "AA", "%F0%9F%8C%A7", "AgAAAAAAAAAAAAAAAAAAAAA"] {
        let answer = get(&served.client, &format!("/v1/jobs?cursor={cursor}"), &[]).await;
        assert_problem(&answer, 400, "invalid-cursor");
    }
    assert!(served.stop().await);
}
