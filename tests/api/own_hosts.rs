//! Names by which the API is asked while nobody has to show a key.

use raincheck_shared::domain::Scope;
use reqwest::Method;

use super::{JSON, assert_problem, get, keys};
use crate::harness::served::{Served, Work};

#[tokio::test]
async fn a_page_whose_name_was_made_to_lead_here_reads_and_changes_nothing() {
    let served = Served::idle().await;
    let port = served.address.port();
    for name in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "api", "evil.example."] {
        let host = format!("{name}:{port}");
        let origin = format!("http://{host}");
        let page = [JSON, ("host", host.as_str()), ("origin", origin.as_str())];
        let submitted = served.client.send(Method::POST, "/v1/kinds/echo/jobs", &page, "1").await;
        assert_problem(&submitted, 403, "host-not-allowed");
        for path in ["/v1/jobs", "/v1/kinds", "/v1/queues", "/metrics"] {
            assert_problem(&get(&served.client, path, &[("host", &host)]).await, 403, "host-not-allowed");
        }
        // What tells nobody anything.
        for path in ["/livez", "/readyz", "/"] {
            assert_eq!(get(&served.client, path, &[("host", &host)]).await.status, 200, "{name}");
        }
    }
    assert_eq!(get(&served.client, "/v1/jobs", &[]).await.json()["jobs"], serde_json::json!([]));
    assert!(served.stop().await);
}

#[tokio::test]
async fn the_apis_own_names_are_addresses_localhost_and_what_is_configured() {
    let settings = [
        ("http.public_url", "https://jobs.example.com/api"),
        ("http.allowed_origins", "https://app.example.com"),
        ("http.allowed_hosts", "jobs.internal,Other.internal"),
    ];
    let served = Served::with(Work::Nobody, &settings).await;
    for host in [
        "localhost",
        "LocalHost:1",
        "app.localhost:3000",
        "127.0.0.1",
        "192.168.1.7:80",
        "[::1]:8080",
        "jobs.example.com",
        "app.example.com:8443",
        "JOBS.internal:9",
        "other.internal",
    ] {
        assert_eq!(get(&served.client, "/v1/jobs", &[("host", host)]).await.status, 200, "{host}");
    }
    assert_problem(&get(&served.client, "/v1/jobs", &[("host", "example.com")]).await, 403, "host-not-allowed");
    assert!(served.stop().await);

    let served = Served::with(Work::Nobody, &[("http.allowed_hosts", "*")]).await;
    assert_eq!(get(&served.client, "/v1/jobs", &[("host", "any.example")]).await.status, 200);
    assert!(served.stop().await);
}

#[tokio::test]
async fn an_api_that_listens_beyond_loopback_is_asked_by_its_name_in_a_network_of_containers() {
    let settings = [("http.listen", "0.0.0.0:0"), ("http.listen_without_keys", "true")];
    let served = Served::with(Work::Nobody, &settings).await;
    assert_eq!(get(&served.client, "/v1/jobs", &[("host", "api:8080")]).await.status, 200);
    assert_problem(&get(&served.client, "/v1/jobs", &[("host", "api.evil.example")]).await, 403, "host-not-allowed");
    assert!(served.stop().await);
}

#[tokio::test]
async fn where_keys_are_needed_any_name_will_do() {
    let served = Served::with(Work::Nobody, &[("auth.required", "true")]).await;
    let key = keys::holder(&served, "default", &[Scope::JobsRead]).await;
    let named = [("host", "any.example"), ("authorization", key.as_str())];
    assert_eq!(get(&served.client, "/v1/jobs", &named).await.status, 200);
    assert_problem(&get(&served.client, "/v1/jobs", &named[..1]).await, 401, "unauthenticated");
    assert!(served.stop().await);
}
