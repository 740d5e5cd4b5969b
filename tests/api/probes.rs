//! `/livez`, `/readyz` and `/`.

use serde_json::json;

use super::{assert_problem, get};
use crate::harness::served::Served;

#[tokio::test]
async fn a_server_that_is_well_is_alive_and_ready() {
    let served = Served::idle().await;
    assert_eq!(get(&served.client, "/livez", &[]).await.status, 200);
    let ready = get(&served.client, "/readyz", &[]).await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["store"], "ok");
    assert_eq!(ready.json()["broker"], "ok");
    assert!(ready.json()["loops"].is_object());
    let index = get(&served.client, "/", &[]).await.json();
    assert_eq!((&index["name"], &index["links"]["jobs"]), (&json!("raincheck"), &json!("/v1/jobs")));
    assert!(served.stop().await);
}

#[tokio::test]
async fn without_its_store_a_server_is_alive_but_not_ready_and_says_503() {
    let served = Served::idle().await;
    served.store.schema.close().await;
    let ready = get(&served.client, "/readyz", &[]).await;
    assert_problem(&ready, 503, "store-unavailable");
    assert_ne!(ready.header("retry-after"), "");
    assert_eq!(get(&served.client, "/livez", &[]).await.status, 200);
    let submit = served.client.try_submit("echo", &json!(1)).await.unwrap();
    assert_problem(&submit, 503, "store-unavailable");
    assert_ne!(submit.header("retry-after"), "");
    let read = get(&served.client, &format!("/v1/jobs/{}", raincheck_shared::lifecycle::IdSource.job()), &[]).await;
    assert_problem(&read, 503, "store-unavailable");
    served.stop().await;
}
