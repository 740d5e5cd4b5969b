//! `POST /v1/jobs/{id}/retry`.

use reqwest::Method;
use serde_json::{Value, json};

use super::{JSON, assert_problem, get, post_job};
use crate::harness::client::{Answer, Client};
use crate::harness::served::{Served, Work};

async fn retry(client: &Client, id: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> = [JSON].into_iter().chain(headers.iter().copied()).collect();
    client.send(Method::POST, &format!("/v1/jobs/{id}/retry"), &headers, body.to_string()).await
}

async fn canceled(client: &Client, body: &Value) -> Value {
    let id = post_job(client, body, &[]).await.job_id();
    let answer = client.send(Method::POST, &format!("/v1/jobs/{id}/cancel"), &[], "").await;
    assert_eq!(answer.status, 200);
    answer.json()
}

#[tokio::test]
async fn a_retry_is_a_new_job_of_the_same_request_and_the_old_one_stays_as_it_is() {
    for served in Served::on_each_store(Work::Nobody).await {
        let body = json!({
            "kind": "echo", "input": [1, 2.50], "queue": "apart", "priority": 8, "max_attempts": 7,
            "timeouts": {"run": "3m"}, "retention": {"result": "2d"}, "delay": "1h",
            "tags": ["a", "b"], "metadata": {"order": "42"},
        });
        let old = canceled(&served.client, &body).await;
        let old_id = old["id"].as_str().unwrap();
        let answer = served.client.send(Method::POST, old["links"]["retry"].as_str().unwrap(), &[], "").await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let new = answer.json();
        assert_eq!(answer.header("location"), format!("/v1/jobs/{}", new["id"].as_str().unwrap()));
        assert_ne!(new["id"], old["id"]);
        assert_eq!(new["retry_of"], old["id"]);
        assert_eq!(new["status"], "queued", "its delay was about the first time");
        for same in ["kind", "queue", "max_attempts", "tags", "metadata"] {
            assert_eq!(new[same], old[same], "{same}");
        }
        let read = served.client.job(new["id"].as_str().unwrap()).await;
        assert_eq!(read["retry_of"], old["id"]);
        let input = served.store.jobs.find_input(new["id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(
            (&input.body.inline().unwrap()[..], input.content_type.as_str()),
            (&b"[1,2.5]"[..], "application/json")
        );
        assert_eq!(served.client.job(old_id).await, old);

        let other = retry(&served.client, old_id, &json!({"max_attempts": 1, "delay": "1h", "tags": ["c"]}), &[]).await;
        assert_eq!(other.status, 202);
        let other = other.json();
        assert_eq!((&other["max_attempts"], &other["status"]), (&json!(1), &json!("scheduled")));
        assert_eq!((&other["tags"], &other["metadata"]), (&json!(["c"]), &json!({"order": "42"})));
        let plan = retry(&served.client, old_id, &json!({"validate_only": true}), &[]).await;
        assert_eq!((plan.status, &plan.json()["retry_of"]), (200, &old["id"]));
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn what_has_not_failed_is_not_tried_again() {
    let served = Served::with(Work::Worker, &[]).await;
    let body = json!({"kind": "sleep", "input": {"seconds": 30}});
    let live = post_job(&served.client, &body, &[]).await.job_id();
    let refused = retry(&served.client, &live, &json!({}), &[]).await;
    assert_problem(&refused, 409, "job-not-finished");
    let done = post_job(&served.client, &json!({"kind": "echo"}), &[("prefer", "wait=15")]).await.job_id();
    let refused = retry(&served.client, &done, &json!({}), &[]).await;
    assert_problem(&refused, 409, "job-succeeded");
    assert_eq!(refused.json()["job_id"], done);
    let unknown = raincheck_shared::lifecycle::IdSource.job().to_string();
    assert_problem(&retry(&served.client, &unknown, &json!({}), &[]).await, 404, "job-not-found");
    let failed = post_job(&served.client, &json!({"kind": "failing"}), &[("prefer", "wait=15")]).await.job_id();
    for (body, pointer) in [
        (json!({"kind": "echo"}), "/kind"),
        (json!({"input": 1}), "/input"),
        (json!({"max_attempts": 0}), "/max_attempts"),
        (json!({"queue": "nowhere"}), "/queue"),
    ] {
        assert_eq!(assert_problem(&retry(&served.client, &failed, &body, &[]).await, 422, "input-invalid"), [pointer]);
    }
    let again = retry(&served.client, &failed, &json!({}), &[("prefer", "wait=15")]).await;
    assert_eq!((again.status, &again.json()["status"]), (200, &json!("failed")));
    served.client.send(Method::POST, &format!("/v1/jobs/{live}/cancel"), &[], "").await;
    served.client.done(&live).await;
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_retry_with_a_key_is_one_job_however_often_it_is_sent() {
    for served in Served::on_each_store(Work::Nobody).await {
        let old = canceled(&served.client, &json!({"kind": "echo", "input": 1})).await;
        let id = old["id"].as_str().unwrap();
        let key = [("idempotency-key", "again")];
        let body = json!({});
        let sent = (0..4).map(|_| retry(&served.client, id, &body, &key));
        let answers = futures_util::future::join_all(sent).await;
        assert!(answers.iter().all(|a| a.status == 202 && a.job_id() == answers[0].job_id()), "{answers:?}");
        assert_eq!(answers.iter().filter(|a| a.header("idempotency-replayed") == "false").count(), 1);
        let other = retry(&served.client, id, &json!({"priority": 9}), &key).await;
        assert_problem(&other, 422, "idempotency-key-reused");
        assert_eq!(get(&served.client, "/v1/jobs", &[]).await.json()["jobs"].as_array().unwrap().len(), 2);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_job_without_its_input_is_not_tried_again_but_a_repeated_request_is_still_answered() {
    for served in Served::on_each_store(Work::Nobody).await {
        let old = json!({"kind": "echo", "input": 1, "retention": {"input": "1h"}});
        let old = canceled(&served.client, &old).await;
        let id = old["id"].as_str().unwrap();
        let key = [("idempotency-key", "again")];
        let kept = retry(&served.client, id, &json!({}), &key).await;
        assert_eq!(kept.status, 202);
        let erased = served.client.send(Method::DELETE, &format!("/v1/jobs/{id}"), &[], "").await;
        assert_eq!(erased.status, 204);
        assert_problem(&retry(&served.client, id, &json!({}), &[]).await, 410, "input-expired");
        let again = retry(&served.client, id, &json!({}), &key).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"));
        assert_eq!(again.job_id(), kept.job_id());
        let other = retry(&served.client, id, &json!({"priority": 9}), &key).await;
        assert_problem(&other, 422, "idempotency-key-reused");
        let plan = retry(&served.client, id, &json!({"validate_only": true}), &key).await;
        assert_problem(&plan, 410, "input-expired");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_retry_of_a_job_that_is_being_removed_is_whole_or_refused() {
    for served in Served::on_each_store(Work::Worker).await {
        let body = json!({"kind": "failing", "input": "whole", "retention": {"result": "1s"}});
        let old = post_job(&served.client, &body, &[("prefer", "wait=15")]).await.job_id();
        let (mut made, mut refused) = (Vec::new(), 0);
        while refused < 3 {
            let removing = served.store.upkeep.remove_expired();
            let later = json!({"delay": "1h", "retention": {"result": "1d"}});
            let (answer, removed) =
                futures_util::future::join(retry(&served.client, &old, &later, &[]), removing).await;
            removed.unwrap();
            match answer.status {
                202 => made.push(answer.job_id()),
                // Its id is young: a job that its client wanted forgotten so soon is taken for one that never was.
                404 | 410 => refused += 1,
                _ => panic!("{answer:?}"),
            }
        }
        assert!(!made.is_empty());
        for id in made {
            let input = served.store.jobs.find_input(id.parse().unwrap()).await.unwrap().unwrap();
            assert_eq!(&input.body.inline().unwrap()[..], b"\"whole\"");
        }
        assert!(served.stop().await);
    }
}
