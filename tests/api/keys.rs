//! Who may call: keys, scopes, tickets, and what a tenant sees of another's jobs: nothing.

use std::time::Duration;

use raincheck_shared::domain::{ApiKey, KeyText, Scope, Timestamp};
use raincheck_shared::lifecycle::{Clock, IdSource, SystemClock};
use reqwest::Method;

use super::{JSON, assert_problem, get};
use crate::harness::client::{Answer, Client};
use crate::harness::served::{Served, Work};
use crate::harness::wait::{self, now};

const ALL: &[Scope] = &[Scope::JobsWrite, Scope::JobsRead, Scope::JobsWork, Scope::Admin];

/// Makes a key; answers it and the header that shows it.
pub(super) async fn make(
    served: &Served,
    tenant: &str,
    scopes: &[Scope],
    expires_at: Option<Timestamp>,
) -> (ApiKey, String) {
    let text = KeyText::new([IdSource.random(), IdSource.random(), IdSource.random()]);
    let key = ApiKey {
        id: text.id().clone(),
        tenant: tenant.parse().unwrap(),
        name: "of a test".to_owned(),
        hash: text.hash(),
        scopes: scopes.to_vec(),
        created_at: SystemClock.now(),
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    served.store.keys.create_key(&key).await.unwrap();
    (key, format!("Bearer {}", text.expose()))
}

pub(super) async fn holder(served: &Served, tenant: &str, scopes: &[Scope]) -> String {
    make(served, tenant, scopes, None).await.1
}

async fn send(served: &Served, method: Method, path: &str, key: &str) -> Answer {
    let body = if path == "/v1/jobs" && method == Method::POST { r#"{"kind":"echo","input":1}"# } else { "" };
    send_as(served, method, path, key, body).await
}

/// Sends a request with a key.
pub(super) async fn send_as(served: &Served, method: Method, path: &str, key: &str, body: &'static str) -> Answer {
    let headers = [JSON, ("authorization", key)];
    Client::unchecked(served.client.address()).send(method, path, &headers, body).await
}

async fn submit(served: &Served, key: &str) -> String {
    let answer = send(served, Method::POST, "/v1/jobs", key).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.job_id()
}

#[tokio::test]
async fn each_scope_opens_its_endpoints_and_no_other() {
    let served = Served::with(Work::Nobody, &[("auth.required", "true")]).await;
    let writer = holder(&served, "default", &[Scope::JobsWrite]).await;
    let reader = holder(&served, "default", &[Scope::JobsRead]).await;
    let admin = holder(&served, "default", &[Scope::Admin]).await;
    let id = submit(&served, &writer).await;
    let job = format!("/v1/jobs/{id}");
    let table = [
        (Method::POST, "/v1/jobs".to_owned(), Some("jobs:write")),
        (Method::POST, "/v1/kinds/echo/jobs".to_owned(), Some("jobs:write")),
        (Method::PUT, "/v1/kinds/echo/jobs".to_owned(), Some("jobs:write")),
        (Method::PUT, job.clone(), Some("jobs:write")),
        (Method::POST, format!("{job}/retry"), Some("jobs:write")),
        (Method::POST, format!("{job}/cancel"), Some("jobs:write")),
        (Method::GET, "/v1/jobs".to_owned(), Some("jobs:read")),
        (Method::GET, job.clone(), Some("jobs:read")),
        (Method::HEAD, job.clone(), Some("jobs:read")),
        (Method::GET, format!("{job}/result"), Some("jobs:read")),
        (Method::GET, format!("{job}/events?x=1"), Some("jobs:read")),
        (Method::POST, format!("{job}/tickets"), Some("jobs:read")),
        (Method::GET, "/v1/kinds".to_owned(), Some("jobs:read")),
        (Method::GET, "/v1/kinds/echo".to_owned(), Some("jobs:read")),
        (Method::GET, "/metrics".to_owned(), Some("admin")),
        (Method::GET, "/%6Detrics".to_owned(), Some("admin")),
        (Method::POST, "/v1/queues/default/pause".to_owned(), Some("admin")),
        (Method::GET, "/".to_owned(), None),
        (Method::GET, "/livez".to_owned(), None),
        (Method::GET, "/readyz".to_owned(), None),
        (Method::GET, "/openapi.json".to_owned(), None),
    ];
    for (method, path, needed) in table {
        for (scope, key) in
            [("jobs:write", &writer), ("jobs:read", &reader), ("admin", &admin), ("none", &String::new())]
        {
            let answer = send(&served, method.clone(), &path, key).await;
            let shown = format!("{method} {path} with {scope}: {answer:?}");
            match needed {
                Some(needed) if scope == "none" => {
                    assert_eq!(answer.status, 401, "{shown}");
                    assert!(!answer.header("www-authenticate").is_empty(), "{needed}: {shown}");
                }
                Some(needed) if scope != needed => {
                    assert_eq!(answer.status, 403, "{shown}");
                    if method != Method::HEAD {
                        assert_problem(&answer, 403, "forbidden");
                        assert!(answer.json()["detail"].as_str().unwrap().contains(needed), "{shown}");
                    }
                    assert!(answer.header("www-authenticate").contains(&format!("scope=\"{needed}\"")), "{shown}");
                }
                _ => assert!(!matches!(answer.status, 401 | 403), "{shown}"),
            }
        }
    }
    for path in ["/v1/nothing", "/v1/jobss", "/nothing"] {
        assert_problem(&send(&served, Method::GET, path, &reader).await, 404, "route-not-found");
        assert_eq!(send(&served, Method::GET, path, "").await.status, 401, "{path}");
    }
    assert!(served.stop().await);
}

#[tokio::test]
async fn what_is_no_good_key_is_refused_whatever_it_looks_like() {
    let served = Served::with(Work::Nobody, &[("auth.required", "true")]).await;
    let good = holder(&served, "default", ALL).await;
    let (_, expired) = make(&served, "default", ALL, Some(SystemClock.now() - Duration::from_secs(1))).await;
    assert_eq!(send(&served, Method::GET, "/v1/jobs", &good).await.status, 200);
    assert_eq!(send(&served, Method::GET, "/v1/jobs", &good.replace("Bearer", "bEaReR")).await.status, 200);
    let secret_of_another = {
        let (a, b) = (good.rsplit_once('_').unwrap().0, expired.rsplit_once('_').unwrap().1);
        format!("{a}_{b}")
    };
    for bad in [
        expired.as_str(),
        &secret_of_another,
        &good[..good.len() - 1],
        &format!("{good}0"),
        &good.to_uppercase(),
        &good.replace("Bearer ", ""),
        &good.replace("Bearer", "Basic"),
        &good.replace(' ', "\t"),
        "Bearer",
        "Bearer ",
        "Bearer rk_",
        "Bearer rt_",
        "Bearer rt_0.0.default.00",
        "Bearer ' OR 1=1 --",
        &format!("Bearer rk_{}", "0".repeat(10_000)),
        "é",
    ] {
        let answer = send(&served, Method::GET, "/v1/jobs", bad).await;
        assert_problem(&answer, 401, "unauthenticated");
        assert!(answer.header("www-authenticate").contains("invalid_token"), "{bad}");
        let shown = String::from_utf8_lossy(&answer.body);
        assert!(!shown.contains(good.rsplit_once('_').unwrap().1), "a secret was repeated: {shown}");
    }
    let twice = [("authorization", good.as_str()), ("authorization", good.as_str())];
    assert_problem(&get(&served.client, "/v1/jobs", &twice).await, 401, "unauthenticated");
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_key_closes_the_door_and_a_revoked_one_stops_working_within_seconds() {
    let served = Served::idle().await;
    assert_eq!(get(&served.client, "/v1/jobs", &[]).await.status, 200, "without any key nobody is asked for one");
    assert_eq!(send(&served, Method::GET, "/v1/jobs", "Bearer nonsense").await.status, 200);
    let (key, shown) = make(&served, "default", ALL, None).await;
    until(&served, "", 401).await;
    assert_eq!(send(&served, Method::GET, "/v1/jobs", &shown).await.status, 200);
    served.store.keys.revoke_key(&key.id).await.unwrap();
    until(&served, &shown, 401).await;
    assert_eq!(send(&served, Method::GET, "/v1/jobs", "").await.status, 401, "the door stays closed");
    assert!(served.stop().await);
}

/// Waits for a status, as long as the documents say that it may take, and a little.
async fn until(served: &Served, key: &str, status: u16) {
    wait::until(&format!("status {status}"), Duration::from_secs(7), async || {
        send(served, Method::GET, "/v1/jobs", key).await.status == status
    })
    .await;
}

#[tokio::test]
async fn while_the_store_is_away_nobody_gets_in_whom_it_has_not_vouched_for() {
    for settings in [&[][..], &[("auth.required", "true")]] {
        let served = Served::with(Work::Nobody, settings).await;
        let key = holder(&served, "default", ALL).await;
        until(&served, "", 401).await;
        served.store.schema.close().await;
        let answer = send(&served, Method::GET, "/v1/kinds", &key).await;
        assert_problem(&answer, 503, "store-unavailable");
        assert!(!answer.header("retry-after").is_empty());
        assert_eq!(send(&served, Method::GET, "/v1/kinds", "").await.status, 401, "this needs no store to know");
        assert_eq!(get(&served.client, "/livez", &[]).await.status, 200);
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_store_that_cannot_say_whether_there_are_keys_opens_no_door() {
    let served = Served::idle().await;
    served.store.schema.close().await;
    // What it said before is good for some seconds.
    wait::until("the door to close", Duration::from_secs(7), async || {
        send(&served, Method::GET, "/v1/kinds", "").await.status == 503
    })
    .await;
    assert_problem(&send(&served, Method::GET, "/v1/kinds", "").await, 503, "store-unavailable");
    assert!(served.stop().await);
}

#[tokio::test]
async fn requests_with_a_known_key_ask_the_store_nothing_about_it() {
    let served = Served::with(Work::Nobody, &[("auth.required", "true")]).await;
    let key = holder(&served, "default", ALL).await;
    let known = now();
    assert_eq!(send(&served, Method::GET, "/v1/kinds", &key).await.status, 200);
    served.store.schema.close().await;
    for n in 0..200 {
        let answer = send(&served, Method::GET, "/v1/kinds", &key).await;
        if n > 0 && known.elapsed() > Duration::from_secs(4) {
            // After five it would rightly be asked for again.
            break;
        }
        assert_eq!(answer.status, 200, "request {n}");
    }
    // Another key has to be asked for.
    let other = format!("Bearer {}", KeyText::new([IdSource.random(), IdSource.random(), IdSource.random()]).expose());
    assert_eq!(send(&served, Method::GET, "/v1/kinds", &other).await.status, 503);
    assert!(served.stop().await);
}

#[tokio::test]
async fn another_tenants_job_is_like_one_that_never_was() {
    for served in Served::on_each_store(Work::Nobody).await {
        let (ours, theirs) = (holder(&served, "a", ALL).await, holder(&served, "b", ALL).await);
        until(&served, "", 401).await;
        let (job, never) = (submit(&served, &ours).await, IdSource.job().to_string());
        let asks = [
            (Method::GET, ""),
            (Method::HEAD, ""),
            (Method::GET, "?wait=1s"),
            (Method::GET, "/result"),
            (Method::GET, "/events"),
            (Method::POST, "/cancel"),
            (Method::POST, "/retry"),
            (Method::POST, "/tickets"),
        ];
        for (method, what) in asks {
            let [real, unreal] = [&job, &never].map(|id| format!("/v1/jobs/{id}{what}"));
            let told = |answer: Answer, id: &str| {
                let body = String::from_utf8_lossy(&answer.body).replace(id, "ID");
                let request = answer.header("x-request-id").to_owned();
                let mut headers: Vec<String> =
                    answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
                headers.retain(|line| !line.starts_with("date:"));
                headers.sort_unstable();
                (answer.status, body.replace(&request, "REQUEST"), headers.join("\n").replace(&request, "REQUEST"))
            };
            let real = told(send(&served, method.clone(), &real, &theirs).await, &job);
            let unreal = told(send(&served, method.clone(), &unreal, &theirs).await, &never);
            assert_eq!(real, unreal, "{method} {what}");
            assert_eq!(real.0, 404, "{method} {what}");
        }
        let list = |key: String| {
            let served = &served;
            async move { send(served, Method::GET, "/v1/jobs", &key).await.json()["jobs"].as_array().unwrap().len() }
        };
        assert_eq!((list(ours.clone()).await, list(theirs).await), (1, 0));
        let answer = send(&served, Method::GET, &format!("/v1/jobs/{job}"), &ours).await;
        assert_eq!(answer.json()["status"], "queued", "and nobody has touched it");
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_key_of_two_tenants_is_two_keys() {
    let served = Served::with(Work::Nobody, &[("auth.required", "true")]).await;
    let mut jobs = Vec::new();
    for tenant in ["a", "b", "a"] {
        let key = holder(&served, tenant, ALL).await;
        let headers = [JSON, ("authorization", &key), ("idempotency-key", "k")];
        let answer = served.client.send(Method::POST, "/v1/jobs", &headers, r#"{"kind":"echo","input":1}"#).await;
        jobs.push((answer.job_id(), answer.header("idempotency-replayed").to_owned()));
    }
    assert_ne!(jobs[0].0, jobs[1].0);
    assert_eq!(jobs[2], (jobs[0].0.clone(), "true".to_owned()));
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_ticket_reads_its_job_and_nothing_else() {
    let served = Served::with(Work::Worker, &[("auth.required", "true")]).await;
    let key = holder(&served, "a", ALL).await;
    let (job, other) = (submit(&served, &key).await, submit(&served, &key).await);
    let done = send(&served, Method::GET, &format!("/v1/jobs/{job}?wait=10s"), &key).await;
    assert_eq!(done.json()["status"], "succeeded");

    let issued =
        served.client.send(Method::POST, &format!("/v1/jobs/{job}/tickets"), &[("authorization", &key)], "").await;
    assert_eq!(issued.status, 201, "{issued:?}");
    let (issued, now) = (issued.json(), SystemClock.now());
    let ticket = issued["ticket"].as_str().unwrap();
    let expires = issued["expires_at"].as_str().unwrap();
    let expires = Timestamp::parse(expires, &time::format_description::well_known::Rfc3339).unwrap();
    let left = expires - now;
    assert!((14 * 60..=15 * 60).contains(&left.whole_seconds()), "{left}");

    for link in ["self", "result"] {
        let link = issued["links"][link].as_str().unwrap();
        assert_eq!(get(&served.client, link, &[]).await.status, 200, "{link}");
    }
    let bearer = format!("Bearer {ticket}");
    assert_eq!(send(&served, Method::GET, &format!("/v1/jobs/{job}/result"), &bearer).await.status, 200);
    let mut events = served.client.try_events(issued["links"]["events"].as_str().unwrap(), &[]).await.unwrap();
    let event = events.event().await.expect("an event");
    assert_eq!(event.name, "done");

    for (method, path) in [
        (Method::GET, format!("/v1/jobs/{other}")),
        (Method::GET, format!("/v1/jobs/{other}/result")),
        (Method::GET, format!("/v1/jobs/{job}/logs")),
        (Method::GET, "/v1/jobs".to_owned()),
        (Method::GET, "/v1/kinds".to_owned()),
        (Method::POST, format!("/v1/jobs/{job}/cancel")),
        (Method::POST, format!("/v1/jobs/{job}/tickets")),
        (Method::POST, "/v1/jobs".to_owned()),
        (Method::GET, "/metrics".to_owned()),
    ] {
        let answer = send(&served, method.clone(), &path, &bearer).await;
        assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
    }
    // In a query it is looked at where something is read, and nowhere else.
    let answer = Client::unchecked(served.client.address());
    let answer = answer.send(Method::POST, &format!("/v1/jobs/{job}/cancel?ticket={ticket}"), &[], "").await;
    assert_eq!(answer.status, 401);
    assert!(served.stop().await);
}

#[tokio::test]
async fn a_ticket_that_was_changed_or_has_expired_or_is_another_installations_is_refused() {
    let settings = [("auth.required", "true"), ("auth.ticket_lifetime", "1s")];
    let served = Served::with(Work::Nobody, &settings).await;
    let elsewhere = Served::with(Work::Nobody, &[("auth.required", "true")]).await;
    let key = holder(&served, "a", ALL).await;
    let job = submit(&served, &key).await;
    let issue = || async { send(&served, Method::POST, &format!("/v1/jobs/{job}/tickets"), &key).await.json() };
    let ticket = issue().await["ticket"].as_str().unwrap().to_owned();
    let read = |served: &Served, ticket: String| {
        let (client, path) = (served.client.clone(), format!("/v1/jobs/{job}?ticket={ticket}"));
        async move { get(&client, &path, &[]).await.status }
    };
    assert_eq!(read(&elsewhere, ticket.clone()).await, 401);
    for at in (0..ticket.len()).step_by(3) {
        let mut changed = ticket.clone().into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(read(&served, changed.clone()).await, 401, "{changed}");
    }
    let fresh = issue().await["ticket"].as_str().unwrap().to_owned();
    wait::until("the ticket to end", Duration::from_secs(5), async || read(&served, fresh.clone()).await == 401).await;
    assert!(served.stop().await && elsewhere.stop().await);
}

#[tokio::test]
async fn forged_hosts_and_forwarding_headers_change_no_link() {
    let served = Served::with(Work::Nobody, &[("http.allowed_hosts", "*")]).await;
    let plain = served.client.send(Method::POST, "/v1/jobs", &[JSON], r#"{"kind":"echo","input":1}"#).await;
    let forged = [
        JSON,
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-prefix", "/evil"),
        ("x-original-url", "/evil"),
        ("forwarded", "host=evil.example;proto=https"),
    ];
    let answer = served.client.send(Method::POST, "/v1/jobs", &forged, r#"{"kind":"echo","input":1}"#).await;
    assert!(!format!("{answer:?}").contains("evil"), "{answer:?}");
    let links = |answer: &Answer| answer.json()["links"].to_string().replace(&answer.job_id(), "ID");
    assert_eq!(links(&answer), links(&plain));
    assert_eq!(answer.header("location"), format!("/v1/jobs/{}", answer.job_id()));
    for path in ["/", "/v1/jobs", "/v1/kinds", "/v1/nothing", "/openapi.json"] {
        let answer = Client::unchecked(served.client.address()).send(Method::GET, path, &forged, "").await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("evil"), "{path}");
    }
    let ticket = served.client.send(Method::POST, &format!("/v1/jobs/{}/tickets", answer.job_id()), &forged, "").await;
    assert!(ticket.json()["links"]["self"].as_str().unwrap().starts_with("/v1/jobs/"), "{ticket:?}");
    assert!(served.stop().await);
}
