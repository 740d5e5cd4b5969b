//! Whose large bodies are received: one tenant's leave room for another's.

use futures_util::FutureExt as _;
use raincheck_shared::blobs::BlobWriter;
use raincheck_shared::domain::{BlobName, BlobPart, Scope};
use raincheck_shared::lifecycle::IdSource;
use reqwest::{Body, Method};
use serde_json::{Value, json};

use super::keys::holder;
use super::large::{LARGE, SMALL_ROWS};
use super::leases::REMOTE;
use super::{JSON, assert_problem};
use crate::contracts::blobs::noise;
use crate::harness::client::Answer;
use crate::harness::served::{Served, Work};

/// A tenant with a job that may be tried again and one that it has leased.
struct Tenant<'a> {
    served: &'a Served,
    key: String,
    failed: String,
    held: Value,
}

impl<'a> Tenant<'a> {
    async fn named(name: &str, served: &'a Served) -> Self {
        let key = holder(served, name, &[Scope::JobsWrite, Scope::JobsRead, Scope::JobsWork]).await;
        let mut tenant = Self { served, key, failed: String::new(), held: Value::Null };
        let failed = tenant.send(Method::PUT, "/v1/kinds/failing/jobs?wait=20s", noise(LARGE)).await;
        assert_eq!(failed.json()["status"], "failed", "{failed:?}");
        tenant.failed = failed.job_id();
        assert_eq!(tenant.send(Method::PUT, "/v1/kinds/hauled/jobs", "small").await.status, 202);
        let wish = json!({"kinds": ["hauled"], "ttl": "5m"});
        let leased = tenant.send_as(JSON, Method::POST, "/v1/leases", wish.to_string()).await;
        tenant.held = leased.json()["leases"][0].clone();
        tenant
    }

    async fn send_as(&self, kind: (&str, &str), method: Method, path: &str, body: impl Into<Body>) -> Answer {
        self.served.client.send(method, path, &[kind, ("authorization", &self.key)], body).await
    }

    async fn send(&self, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        self.send_as(("content-type", "video/mp4"), method, path, body).await
    }

    async fn submit(&self) -> Answer {
        self.send(Method::PUT, "/v1/kinds/echo/jobs", noise(LARGE)).await
    }

    async fn retry(&self) -> Answer {
        self.send_as(JSON, Method::POST, &format!("/v1/jobs/{}/retry", self.failed), "").await
    }

    async fn complete(&self) -> Answer {
        self.send(Method::POST, self.held["links"]["complete"].as_str().unwrap(), noise(LARGE)).await
    }
}

/// Begins as many bodies of a tenant as are received at once.
fn all_that_are_received(of: &str, served: &Served) -> Vec<BlobWriter> {
    let tenant = of.parse().unwrap();
    let begin = || {
        let name = BlobName { job: IdSource.job(), part: BlobPart::Input, token: IdSource.random(), upload: None };
        served.blobs.receive(name, &tenant).now_or_never()?.ok()
    };
    std::iter::from_fn(begin).collect()
}

#[tokio::test]
async fn a_tenant_whose_large_bodies_fill_its_places_is_told_so_and_shuts_out_no_other() {
    let settings = [REMOTE, &SMALL_ROWS[..3], &[("blobs.writers", "4"), ("auth.required", "true")]].concat();
    let served = Served::with(Work::Worker, &settings).await;
    let (slow, other) = (Tenant::named("slow", &served).await, Tenant::named("other", &served).await);
    let held = all_that_are_received("slow", &served);
    for (answer, expected) in [(other.submit().await, 202), (other.retry().await, 202), (other.complete().await, 200)] {
        assert_eq!(answer.status, expected, "{answer:?}");
    }
    // What is left is not for it, whichever way it asks.
    let (submit, retry, complete) = tokio::join!(slow.submit(), slow.retry(), slow.complete());
    for answer in [submit, retry, complete] {
        assert_problem(&answer, 503, "queue-full");
        assert_ne!(answer.header("retry-after"), "");
        assert!(answer.json()["detail"].as_str().unwrap().contains("large bodies"), "{answer:?}");
    }
    drop(held);
    assert_eq!(slow.submit().await.status, 202);
    assert!(served.stop().await);
}
