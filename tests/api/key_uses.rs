//! When a key was last used, as it is kept: it was shown over HTTP, it was good, and nobody else's.

use std::collections::BTreeMap;

use raincheck_shared::domain::{Scope, Timestamp};
use raincheck_shared::lifecycle::{Clock, SystemClock};
use reqwest::Method;

use super::keys::{make, send_as};
use super::{assert_problem, get};
use crate::harness::served::{Served, Work};

#[tokio::test]
async fn a_key_that_was_shown_says_when_and_one_that_was_not_or_was_guessed_says_never() {
    let closed = [("auth.required", "true")];
    let on_postgres = Served::on_postgres(Work::Nobody, &closed).await;
    for served in [Served::with(Work::Nobody, &closed).await, on_postgres] {
        let mut keys = BTreeMap::new();
        for name in ["shown", "unused", "guessed", "revoked", "refused"] {
            let scopes = if name == "refused" { [Scope::JobsWork] } else { [Scope::JobsRead] };
            keys.insert(name, make(&served, name, &scopes, None).await);
        }
        served.store.keys.revoke_key(&keys["revoked"].0.id).await.unwrap();
        let began = SystemClock.now();
        let ask = async |key: &str| send_as(&served, Method::GET, "/v1/jobs", key, "").await.status;
        assert_eq!(ask(&keys["shown"].1).await, 200);
        // The id of one key with the secret of another.
        let (id, other) = (keys["guessed"].0.id.to_string(), keys["shown"].0.id.to_string());
        let guess = keys["shown"].1.replace(&other, &id);
        assert_ne!(guess, keys["shown"].1);
        assert_eq!((ask(&guess).await, ask(&keys["revoked"].1).await), (401, 401));
        assert_eq!(ask(&keys["refused"].1).await, 403, "good, and for something else");
        assert!(served.drain().await, "what was not noted by then is noted at the end");
        let listed = served.store.keys.list_keys().await.unwrap();
        let last = |name: &str| listed.iter().find(|key| key.id == keys[name].0.id).unwrap().last_used_at;
        let recent = |at: Option<Timestamp>| at.is_some_and(|at| at >= began - time::Duration::SECOND);
        assert!(recent(last("shown")) && recent(last("refused")), "{listed:?}");
        assert_eq!((last("unused"), last("guessed"), last("revoked")), (None, None, None));
        assert!(served.stop().await);
    }
}

#[tokio::test]
async fn a_key_in_a_url_opens_nothing() {
    let served = Served::with(Work::Nobody, &[("auth.required", "true")]).await;
    let (_, shown) = make(&served, "default", &[Scope::JobsRead], None).await;
    let key = shown.trim_start_matches("Bearer ");
    assert_eq!(send_as(&served, Method::GET, "/v1/jobs", &shown, "").await.status, 200);
    assert_problem(&get(&served.client, &format!("/v1/jobs?ticket={key}"), &[]).await, 401, "unauthenticated");
    assert!(served.stop().await);
}
