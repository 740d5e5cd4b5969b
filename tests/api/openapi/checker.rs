//! That the check of every answer against the document can fail.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{get, post_job};
use crate::harness::client::Answer;
use crate::harness::contract::CONTRACT;
use crate::harness::served::Served;

fn with_body(answer: &Answer, change: impl FnOnce(&mut Value)) -> Answer {
    let mut body = answer.json();
    change(&mut body);
    Answer { body: body.to_string().into(), ..answer.clone() }
}

fn without(answer: &Answer, header: &str) -> Answer {
    let mut answer = answer.clone();
    assert!(answer.headers.remove(header).is_some(), "{header}");
    answer
}

fn with(answer: &Answer, header: &'static str, value: &str) -> Answer {
    let mut answer = answer.clone();
    answer.headers.insert(header, value.parse().unwrap());
    answer
}

#[tokio::test]
async fn an_answer_that_the_document_does_not_allow_is_found() {
    let served = Served::idle().await;
    let submitted = post_job(&served.client, &json!({"kind": "echo"}), &[]).await;
    let path = format!("/v1/jobs/{}?wait=0s", submitted.job_id());
    let read = get(&served.client, &path, &[]).await;
    let missing = get(&served.client, "/v1/jobs/0192f0c1-2345-7abc-8def-0123456789ab", &[]).await;
    let faults = |answer: &Answer| CONTRACT.faults(&Method::GET, &path, answer);
    assert_eq!(faults(&read), Vec::<String>::new());
    assert_eq!(faults(&missing), Vec::<String>::new());

    for (what, answer) in [
        ("another status", Answer { status: 201, ..read.clone() }),
        ("no entity tag", without(&read, "etag")),
        ("no request id", without(&read, "x-request-id")),
        ("an unknown header", with(&read, "x-new", "1")),
        ("a header of another form", with(&read, "retry-after", "soon")),
        ("another type", with(&read, "content-type", "text/html")),
        ("no JSON", Answer { body: "{".into(), ..read.clone() }),
        ("an unknown field", with_body(&read, |job| job["new"] = json!(1))),
        ("an unknown field inside", with_body(&read, |job| job["links"]["new"] = json!("/"))),
        ("a field of another type", with_body(&read, |job| job["done"] = json!("no"))),
        ("no instant", with_body(&read, |job| job["created_at"] = json!("today"))),
        ("a missing field", with_body(&read, |job| drop(job.as_object_mut().unwrap().remove("tags")))),
        ("an unknown status of the job", with_body(&read, |job| job["status"] = json!("stuck"))),
        ("a code of another endpoint", with_body(&missing, |problem| problem["code"] = json!("invalid-cursor"))),
        ("a problem with a new field", with_body(&missing, |problem| problem["trace"] = json!("at main.rs"))),
    ] {
        assert!(!faults(&answer).is_empty(), "{what} was not found");
    }
    let elsewhere = CONTRACT.faults(&Method::GET, "/v1/nowhere", &read);
    assert!(!elsewhere.is_empty(), "a success at a path that is not listed");
    let removed = CONTRACT.faults(&Method::DELETE, "/openapi.json", &missing);
    assert!(!removed.is_empty(), "a method that is not listed");
    assert!(served.stop().await);
}
