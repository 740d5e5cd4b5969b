//! A tenant's secret that is taken away while something is still to be told.

use reqwest::Method;
use serde_json::json;

use super::webhooks::{deliveries, settings, until_webhook};
use super::{get, post_job};
use crate::harness::cluster::{new_database, required};
use crate::harness::receiver::Receiver;
use crate::harness::served::{Served, Work};
use crate::harness::store::POSTGRES_URL;

#[tokio::test]
async fn what_cannot_be_signed_any_more_says_so_and_is_sent_once_there_is_a_secret_again() {
    let url = new_database(&required(POSTGRES_URL)).await;
    let receiver = Receiver::answering(200).await;
    let with_secret = settings(&[("store.url", &url)]);
    let without: Vec<_> = with_secret.iter().copied().filter(|(key, _)| !key.starts_with("webhooks.secrets")).collect();

    let served = Served::with(Work::Nobody, &with_secret).await;
    let submit = json!({"kind": "echo", "input": 1, "webhook": {"url": receiver.url()}});
    let id = post_job(&served.client, &submit, &[]).await.job_id();
    assert!(served.stop().await);

    let served = Served::with(Work::Worker, &without).await;
    let job = until_webhook(&served.client, &id, "failed").await;
    assert_eq!(job["webhook"], json!({"state": "failed", "attempts": 4, "last_status": null}));
    let delivery = deliveries(&served.client, &id).await.remove(0);
    for attempt in delivery["attempts"].as_array().unwrap() {
        let error = "nothing was sent: the setting webhooks.secrets has no secret of default any more to sign with";
        assert_eq!((&attempt["error"], &attempt["status"]), (&json!(error), &json!(null)), "{attempt}");
    }
    assert!(receiver.heard().is_empty(), "nothing goes out without a signature");
    let refused = post_job(&served.client, &submit, &[]).await;
    assert_eq!((refused.status, &refused.json()["code"]), (422, &json!("webhook-url-rejected")), "no promise is made");
    assert!(served.stop().await);

    let served = Served::with(Work::Nobody, &with_secret).await;
    let redeliver = delivery["links"]["redeliver"].as_str().unwrap();
    assert_eq!(served.client.send(Method::POST, redeliver, &[], "").await.status, 202);
    let job = until_webhook(&served.client, &id, "delivered").await;
    assert_eq!(job["webhook"], json!({"state": "delivered", "attempts": 5, "last_status": 200}));
    assert_eq!(receiver.heard().len(), 1);
    assert_eq!(get(&served.client, &format!("/v1/jobs/{id}"), &[]).await.json()["status"], "succeeded");
    assert!(served.stop().await);
}
