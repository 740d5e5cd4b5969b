//! What is told to some is not held up by others.

use std::time::Duration;

use raincheck_shared::domain::Scope;
use serde_json::json;

use super::keys::holder;
use super::post_job;
use super::webhooks::{SECRET, served};
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::served::Work;
use crate::harness::wait::now;

#[tokio::test]
async fn one_tenants_receivers_that_never_answer_delay_no_other_tenants() {
    let (silent, well) = (Receiver::at("0.0.0.0:0", |_, _| Reply::Silence).await, Receiver::answering(200).await);
    let settings = [
        ("auth.required", "true"),
        ("webhooks.secrets.quiet", SECRET),
        ("webhooks.secrets.other", SECRET),
        ("webhooks.allow", "127.0.0.0/8"),
        ("webhooks.concurrency", "8"),
        ("webhooks.timeout", "10s"),
    ];
    let served = served(Work::Worker, &settings).await;
    let (quiet, other) =
        (holder(&served, "quiet", &[Scope::JobsWrite]).await, holder(&served, "other", &[Scope::JobsWrite]).await);
    let port = silent.address.rsplit(':').next().unwrap();
    // Each a receiver of its own, of whom nothing is known.
    for host in 1..=40 {
        let body = json!({"kind": "echo", "webhook": {"url": format!("http://127.0.1.{host}:{port}/")}});
        assert_eq!(post_job(&served.client, &body, &[("authorization", &quiet)]).await.status, 202);
    }
    silent.until(2).await;
    let began = now();
    for count in 1..=3 {
        let body = json!({"kind": "echo", "webhook": {"url": well.url()}});
        assert_eq!(post_job(&served.client, &body, &[("authorization", &other)]).await.status, 202);
        well.until(count).await;
    }
    assert!(began.elapsed() < Duration::from_secs(7), "before any of them is given up: {:?}", began.elapsed());
    assert_eq!(silent.heard().len(), 2, "half of what there is for those that nobody knows");
    assert!(served.stop().await);
}
