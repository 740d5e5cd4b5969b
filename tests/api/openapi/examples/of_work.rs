//! Examples of what remote workers say and hear, of attempts that are made once more, of kinds and keys.

use raincheck_shared::domain::JobId;
use reqwest::Method;
use serde_json::{Value, json};

use super::Examples;
use crate::api::leases::REMOTE;
use crate::api::webhooks::{SIGNING_KEY, settings};
use crate::api::{JSON, get, post_job};
use crate::harness::served::{Served, Work};

/// A job that is leased, told of and ended, in each way there is.
pub(super) async fn leases(examples: &mut Examples) {
    let served = Served::with(Work::Nobody, REMOTE).await;
    let client = &served.client;
    let wish = json!({"kinds": ["hauled"], "max": 1, "ttl": "30s", "worker": "press-3"});
    examples.add("lease-request", wish.clone());
    let renewals = [
        ("heartbeat", "nothing", json!({})),
        ("progress", "progress-request", json!({"percent": 40, "message": "page 4 of 10"})),
        ("logs", "log-request", json!({"lines": ["loading", "rendering"]})),
    ];
    let ends = [
        ("complete", "", json!({"pages": 10})),
        ("fail", "fail-request", json!({"message": "out of paper", "retryable": true, "retry_after": "5m"})),
        ("release", "release-request", json!({"delay": "30s"})),
    ];
    for (n, (end, request, body)) in ends.into_iter().enumerate() {
        client.submit("hauled", &json!({"month": 3})).await;
        let leased = client.send(Method::POST, "/v1/leases", &[JSON, ("prefer", "wait=15")], wish.to_string()).await;
        let held = leased.json()["leases"][0].clone();
        let say = async |verb: &str, body: &Value| {
            client.send(Method::POST, held["links"][verb].as_str().unwrap(), &[JSON], body.to_string()).await
        };
        if n == 0 {
            examples.keep("leases", &leased);
            for (verb, request, body) in &renewals {
                examples.add(request, body.clone());
                let renewed = say(verb, body).await;
                assert_eq!(renewed.status, 200, "{renewed:?}");
                if *verb == "heartbeat" {
                    examples.keep("lease-renewed", &renewed);
                }
            }
        }
        let ended = say(end, &body).await;
        assert_eq!(ended.status, 200, "{ended:?}");
        if n == 0 {
            examples.keep("lease-ended", &ended);
        } else {
            examples.add(request, body);
        }
    }
    assert!(served.stop().await);
}

/// A job that failed, alone and among many.
pub(super) async fn more_attempts(examples: &mut Examples) {
    let served = Served::working().await;
    let client = &served.client;
    let failed = post_job(client, &json!({"kind": "failing"}), &[("prefer", "wait=15")]).await;
    assert_eq!(failed.json()["status"], "failed");
    let wish = json!({"filter": {"kind": "failing", "error_code": "handler-error"}, "limit": 100});
    examples.add("redrive-request", wish.clone());
    let redriven = client.send(Method::POST, "/v1/jobs/redrive", &[JSON], wish.to_string()).await;
    examples.keep("redriven", &redriven);
    let again: JobId = redriven.json()["jobs"][0]["retried_by"].as_str().unwrap().parse().unwrap();
    client.done(&again.to_string()).await;
    let options = json!({"timeouts": {"run": "30m"}, "max_attempts": 5});
    examples.add("retry-request", options.clone());
    let retry = format!("/v1/jobs/{again}/retry");
    let retried = client.send(Method::POST, &retry, &[JSON], options.to_string()).await;
    assert_eq!((retried.status, &retried.json()["max_attempts"]), (202, &json!(5)), "{retried:?}");
    assert!(served.stop().await);
}

/// What can be asked for, and what signatures are checked with.
pub(super) async fn kinds_and_keys(examples: &mut Examples) {
    let limits = [
        ("kinds.typed.concurrent_jobs", "4"),
        ("kinds.typed.rate", "10/s"),
        ("kinds.typed.description", "Cooks a dish."),
        ("webhooks.signing_keys", SIGNING_KEY),
    ];
    let served = Served::with(Work::Nobody, &settings(&limits)).await;
    let kind = get(&served.client, "/v1/kinds/typed", &[]).await;
    examples.keep("kind", &kind);
    let all = get(&served.client, "/v1/kinds", &[]).await.json()["kinds"].as_array().unwrap().clone();
    // There are as many as are configured, and all look like this one.
    let mut listed = all;
    listed.retain(|listed| *listed == kind.json());
    assert_eq!(listed.len(), 1);
    examples.add("kinds", json!({"kinds": listed}));
    examples.keep("key-set", &get(&served.client, "/.well-known/jwks.json", &[]).await);
    assert!(served.stop().await);
}
