//! Keys of callers, and shared secrets.

use std::time::Duration;

use raincheck_shared::domain::{ApiKey, KeyId, KeyText, Scope, Timestamp};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{FoundKeys, StoreError};

use super::against_each_store;
use super::given::{DAY, now};
use crate::harness::store::StoreFixture;

against_each_store! {
    without_any_key_there_is_none,
    a_key_is_kept_as_it_was_made,
    an_id_is_taken_once,
    a_revoked_key_stays_revoked_and_stays_there,
    a_use_is_noted_for_the_keys_that_exist,
    the_first_secret_of_a_name_is_everybodys,
}

fn key(name: &str) -> ApiKey {
    let text = KeyText::new([IdSource.random(), IdSource.random(), IdSource.random()]);
    ApiKey {
        id: text.id().clone(),
        tenant: "acme".parse().expect("a tenant's name"),
        name: name.to_owned(),
        hash: text.hash(),
        scopes: vec![Scope::JobsWrite, Scope::Admin],
        created_at: now(),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    }
}

async fn made(on: &StoreFixture, key: &ApiKey) {
    on.store.keys.create_key(key).await.expect("make a key");
}

async fn found(on: &StoreFixture, ids: &[KeyId]) -> FoundKeys {
    on.store.keys.find_keys(ids).await.expect("find keys")
}

fn recent(at: Option<Timestamp>) -> bool {
    at.is_some_and(|at| (now() - at).abs() < Duration::from_mins(1))
}

async fn without_any_key_there_is_none(on: &StoreFixture) {
    let stranger = key("never made").id;
    assert_eq!(found(on, &[]).await, FoundKeys::default());
    assert_eq!(found(on, std::slice::from_ref(&stranger)).await, FoundKeys::default());
    assert_eq!(on.store.keys.list_keys().await.expect("list keys"), []);
    assert_eq!(on.store.keys.revoke_key(&stranger).await.expect("revoke"), None);
}

async fn a_key_is_kept_as_it_was_made(on: &StoreFixture) {
    let one = key("with \"quotes\" and ünïcode 🌧");
    let other = ApiKey { expires_at: Some(now() + DAY), scopes: vec![], ..key("the other") };
    made(on, &one).await;
    made(on, &other).await;
    let mut all = found(on, &[one.id.clone(), other.id.clone(), key("a stranger").id]).await;
    assert!(all.any);
    all.keys.sort_by_key(|key| key.created_at);
    assert_eq!(all.keys, [one.clone(), other.clone()]);
    assert_eq!(found(on, &[]).await, FoundKeys { any: true, keys: vec![] });
    assert_eq!(on.store.keys.list_keys().await.expect("list keys"), [one, other]);
}

async fn an_id_is_taken_once(on: &StoreFixture) {
    let first = key("first");
    made(on, &first).await;
    let again = on.store.keys.create_key(&ApiKey { name: "second".to_owned(), ..first.clone() }).await;
    assert!(matches!(again, Err(StoreError::Rejected(_))), "{again:?}");
    assert_eq!(found(on, std::slice::from_ref(&first.id)).await.keys, [first]);
}

async fn a_revoked_key_stays_revoked_and_stays_there(on: &StoreFixture) {
    let (one, other) = (key("one"), key("other"));
    made(on, &one).await;
    made(on, &other).await;
    let revoked = on.store.keys.revoke_key(&one.id).await.expect("revoke").expect("the key");
    assert!(recent(revoked.revoked_at), "{revoked:?}");
    let again = on.store.keys.revoke_key(&one.id).await.expect("revoke").expect("the key");
    assert_eq!(again, revoked, "when it was revoked is not forgotten");
    let all = found(on, &[one.id, other.id.clone()]).await;
    assert!(all.any && all.keys.contains(&revoked) && all.keys.contains(&other));
}

async fn a_use_is_noted_for_the_keys_that_exist(on: &StoreFixture) {
    let (used, unused) = (key("used"), key("unused"));
    made(on, &used).await;
    made(on, &unused).await;
    on.store.keys.record_key_uses(&[used.id.clone(), key("a stranger").id]).await.expect("note a use");
    on.store.keys.record_key_uses(&[]).await.expect("note nothing");
    for (key, expected) in [(used, true), (unused, false)] {
        let kept = found(on, std::slice::from_ref(&key.id)).await.keys.remove(0);
        assert_eq!(recent(kept.last_used_at), expected, "{kept:?}");
    }
}

async fn the_first_secret_of_a_name_is_everybodys(on: &StoreFixture) {
    let ask =
        |name, fresh: &'static [u8]| async move { on.store.keys.find_secret(name, fresh).await.expect("a secret") };
    let answers = tokio::join!(ask("a", b"1"), ask("a", b"2"), ask("a", b"3"), ask("b", b"4"));
    assert!(answers.0 == answers.1 && answers.1 == answers.2, "{answers:?}");
    assert_eq!(answers.3, b"4");
    assert_eq!(ask("a", b"5").await, answers.0);
}
