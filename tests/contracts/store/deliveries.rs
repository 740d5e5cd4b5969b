//! The courier's side: what is due is taken by one at a time, and what became of it is recorded once.

use std::time::Duration;

use raincheck_shared::domain::{DeliveryAttempt, DeliveryId, DeliveryState, Event, JobId, NewJob, TenantName, Webhook};
use raincheck_shared::lifecycle::IdSource;
use raincheck_shared::store::{AfterAttempt, DueDelivery, DuePage, Room};

use super::against_each_store;
use super::announcements::{deliveries, told, told_job};
use super::given::{DAY, HOUR, find, finished, job, now, running, succeeded};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_delivery_is_one_couriers_until_his_time_is_over,
    an_attempt_is_recorded_and_seen_in_its_job,
    what_is_put_off_unsent_has_not_been_tried,
    a_history_keeps_the_latest_attempts,
    a_full_receiver_hides_nobody_and_nobody_gets_more_than_there_is_room_for,
    receivers_are_seen_in_pages_with_whose_turn_it_is,
    couriers_that_look_at_once_never_share_a_delivery,
    a_delivery_can_be_asked_for_once_more_whatever_became_of_it,
    deliveries_are_listed_in_pages_the_latest_first,
    deliveries_go_with_their_job,
}

const HOLD: Duration = Duration::from_secs(30);
const MANY: u32 = 100;

/// Takes what is due, no more than so much of each receiver.
async fn claim(on: &StoreFixture, of_each: u32) -> Vec<DueDelivery> {
    claim_for(on, of_each, HOLD).await
}

/// The same, for so long.
pub(super) async fn claim_for(on: &StoreFixture, of_each: u32, hold: Duration) -> Vec<DueDelivery> {
    let receivers = list_due(on, None, 1000).await.due.into_iter().map(|due| due.receiver);
    let room: Vec<Room> = receivers.map(|receiver| Room { receiver, deliveries: of_each }).collect();
    on.store.deliveries.claim_due(&room, hold).await.expect("claim deliveries")
}

async fn list_due(on: &StoreFixture, after: Option<&str>, limit: u32) -> DuePage {
    on.store.deliveries.list_due(after, limit).await.expect("list receivers")
}

async fn record(on: &StoreFixture, due: &DueDelivery, status: Option<u16>, after: AfterAttempt) -> bool {
    on.store.deliveries.record_attempt(due.claim, Some(&attempt(status)), after).await.expect("record an attempt")
}

fn attempt(status: Option<u16>) -> DeliveryAttempt {
    let response = Some("\"no\" – ünïcode 🌧 {}".to_owned());
    DeliveryAttempt { at: now(), latency_ms: 12, status, response, error: Some("it said 'no'".to_owned()) }
}

/// A job that has ended, to be told to `host`.
async fn ended_for(on: &StoreFixture, host: &str) -> JobId {
    ended_of(on, host, TenantName::default()).await
}

async fn ended_of(on: &StoreFixture, host: &str, tenant: TenantName) -> JobId {
    let url = format!("https://{host}/in").parse().expect("a URL");
    let webhook = Some(Webhook { url, events: Event::ENDS.to_vec() });
    let running = running(on, NewJob { webhook, tenant, ..job() }).await;
    finished(on, &running, succeeded(b"1")).await.id
}

async fn a_delivery_is_one_couriers_until_his_time_is_over(on: &StoreFixture) {
    let id = ended_for(on, "a.example").await;
    let first = claim(on, MANY).await;
    assert_eq!(first.len(), 1);
    let due = &first[0];
    assert_eq!((due.claim.id.job(), due.event, due.tries), (Some(id), Event::Succeeded, 0));
    assert_eq!(due.receiver, "a.example");
    assert_eq!(Some(due.created_at), find(on, id).await.finished_at);
    assert_eq!(claim(on, MANY).await, [], "somebody has it");

    on.age(HOLD).await;
    let second = claim(on, MANY).await;
    assert_eq!(second.len(), 1, "taken for dead");
    let delivered = AfterAttempt::Over(DeliveryState::Delivered);
    assert!(!record(on, due, Some(200), delivered).await, "fenced");
    assert_eq!(deliveries(on, id).await[0].attempts, 0);
    assert!(record(on, &second[0], Some(200), delivered).await);
    assert!(!record(on, &second[0], Some(200), delivered).await, "once");
    on.age(DAY).await;
    assert_eq!(claim(on, MANY).await, [], "it is through");
}

async fn an_attempt_is_recorded_and_seen_in_its_job(on: &StoreFixture) {
    let id = ended_for(on, "a.example").await;
    let before = find(on, id).await;
    let summary =
        |job: &raincheck_shared::domain::Job| job.webhook.as_ref().and_then(|w| w.summary).expect("a summary");
    let seen = summary(&before);
    assert_eq!((seen.state, seen.attempts, seen.last_status, seen.changes), (DeliveryState::Pending, 0, None, 0));

    let due = claim(on, MANY).await.remove(0);
    assert_eq!(summary(&find(on, id).await).changes, 0, "a claim is nobody's business");
    assert!(record(on, &due, Some(503), AfterAttempt::Again(HOUR)).await);
    let after = find(on, id).await;
    let seen = summary(&after);
    assert_eq!((seen.state, seen.attempts, seen.last_status, seen.changes), (DeliveryState::Pending, 1, Some(503), 1));
    assert_eq!(after.version, before.version, "the job itself has not changed");
    let delivery = deliveries(on, id).await.remove(0);
    let ahead = delivery.next_attempt_at.expect("due again") - now();
    assert!(ahead > Duration::from_mins(59) && ahead <= HOUR, "{ahead}");
    assert_eq!(delivery.history.len(), 1);
    let kept = &delivery.history[0];
    assert_eq!(*kept, DeliveryAttempt { at: kept.at, ..attempt(Some(503)) });

    assert_eq!(claim(on, MANY).await, [], "not yet");
    on.age(HOUR).await;
    let due = claim(on, MANY).await.remove(0);
    assert_eq!(due.tries, 1);
    assert!(record(on, &due, None, AfterAttempt::Over(DeliveryState::Failed)).await);
    let seen = summary(&find(on, id).await);
    assert_eq!((seen.state, seen.attempts, seen.last_status, seen.changes), (DeliveryState::Failed, 2, None, 2));
}

async fn what_is_put_off_unsent_has_not_been_tried(on: &StoreFixture) {
    let id = ended_for(on, "a.example").await;
    let before = find(on, id).await.webhook;
    let due = claim(on, MANY).await.remove(0);
    let again = AfterAttempt::Again(HOUR);
    assert!(on.store.deliveries.record_attempt(due.claim, None, again).await.expect("record"));
    assert_eq!(find(on, id).await.webhook, before, "nobody sees any of it");
    assert_eq!(claim(on, MANY).await, [], "not yet");
    on.age(HOUR).await;
    assert_eq!(claim(on, MANY).await[0].tries, 0);
}

async fn a_history_keeps_the_latest_attempts(on: &StoreFixture) {
    let id = ended_for(on, "a.example").await;
    let kept = u16::try_from(DeliveryAttempt::KEPT).expect("few");
    for status in 0..kept + 3 {
        let due = claim(on, MANY).await.remove(0);
        assert!(record(on, &due, Some(status), AfterAttempt::Again(Duration::ZERO)).await);
    }
    let delivery = deliveries(on, id).await.remove(0);
    assert_eq!(delivery.attempts, i32::from(kept) + 3);
    let statuses: Vec<u16> = delivery.history.iter().filter_map(|attempt| attempt.status).collect();
    assert_eq!(statuses, (3..kept + 3).collect::<Vec<_>>());
}

async fn a_full_receiver_hides_nobody_and_nobody_gets_more_than_there_is_room_for(on: &StoreFixture) {
    for _ in 0..20 {
        ended_for(on, "busy.example").await;
    }
    for host in ["a.example", "b.example:8443", "z.example"] {
        ended_for(on, host).await;
    }
    let of = |receiver: &str, deliveries| Room { receiver: receiver.to_owned(), deliveries };
    let room = [of("z.example", 1), of("nobody.example", 9), of("a.example", 2), of("busy.example", 0)];
    let claimed = on.store.deliveries.claim_due(&room, HOLD).await.expect("claim");
    let mut receivers: Vec<String> = claimed.into_iter().map(|due| due.receiver).collect();
    receivers.sort();
    assert_eq!(receivers, ["a.example", "z.example"]);
    assert_eq!(claim(on, 7).await.len(), 8);
    assert_eq!(on.store.deliveries.claim_due(&[], HOLD).await.expect("claim"), []);
}

async fn receivers_are_seen_in_pages_with_whose_turn_it_is(on: &StoreFixture) {
    assert_eq!(list_due(on, None, 2).await, DuePage { due: Vec::new(), next: None });
    let acme = "acme".parse::<TenantName>().expect("a tenant");
    for (host, tenant) in [("z.example", &acme), ("b.example:8443", &acme), ("b.example", &TenantName::default())] {
        for _ in 0..3 {
            ended_of(on, host, tenant.clone()).await;
        }
    }
    ended_for(on, "a.example").await;
    let later = claim(on, 1).await.into_iter().find(|due| due.receiver == "a.example").expect("one of each");
    assert!(record(on, &later, Some(500), AfterAttempt::Again(HOUR)).await);

    let seen = async |after, limit| {
        let page = list_due(on, after, limit).await;
        let due = page.due.into_iter().map(|due| (due.receiver, due.tenant.expect("a tenant").to_string()));
        (due.collect::<Vec<_>>(), page.next)
    };
    let named = |receiver: &str, tenant: &str| (receiver.to_owned(), tenant.to_owned());
    let (b, b8443, z) = (named("b.example", "default"), named("b.example:8443", "acme"), named("z.example", "acme"));
    assert_eq!(seen(None, 2).await, (vec![b.clone()], Some("b.example".to_owned())), "to the first nothing is due yet");
    assert_eq!(seen(Some("b.example"), 2).await, (vec![b8443.clone(), z.clone()], Some("z.example".to_owned())));
    assert_eq!(seen(Some("z.example"), 2).await, (Vec::new(), None));
    assert_eq!(seen(None, 5).await, (vec![b, b8443, z], None));

    let mut expected = deliveries(on, ended_of(on, "c.example", acme).await).await;
    let since = list_due(on, Some("b.example:8443"), 1).await.due[0].since;
    assert_eq!(Some(since), expected.remove(0).next_attempt_at);
}

async fn couriers_that_look_at_once_never_share_a_delivery(on: &StoreFixture) {
    for n in 0..40 {
        ended_for(on, if n % 2 == 0 { "a.example" } else { "b.example" }).await;
    }
    let look = || async { claim(on, 7).await };
    let found = tokio::join!(look(), look(), look(), look());
    let mut ids: Vec<DeliveryId> =
        [found.0, found.1, found.2, found.3].into_iter().flatten().map(|due| due.claim.id).collect();
    loop {
        let rest = look().await;
        if rest.is_empty() {
            break;
        }
        ids.extend(rest.iter().map(|due| due.claim.id));
    }
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), all), (40, 40));
}

async fn a_delivery_can_be_asked_for_once_more_whatever_became_of_it(on: &StoreFixture) {
    let id = ended_for(on, "a.example").await;
    let delivery = deliveries(on, id).await.remove(0).id;
    for state in [DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Superseded] {
        let due = claim(on, MANY).await.remove(0);
        assert!(record(on, &due, Some(500), AfterAttempt::Again(Duration::ZERO)).await);
        let due = claim(on, MANY).await.remove(0);
        assert!(record(on, &due, Some(500), AfterAttempt::Over(state)).await);
        assert_eq!(claim(on, MANY).await, []);
        let again = on.store.deliveries.redeliver(delivery).await.expect("redeliver").expect("a delivery");
        assert_eq!((again.id, again.state), (delivery, DeliveryState::Pending));
        assert!(!again.history.is_empty(), "it keeps its history");
    }
    // Also one that is on its way: what comes of that does not count any more.
    let due = claim(on, MANY).await.remove(0);
    assert_eq!(due.tries, 0, "with its whole schedule before it");
    on.store.deliveries.redeliver(delivery).await.expect("redeliver").expect("a delivery");
    assert!(!record(on, &due, Some(200), AfterAttempt::Over(DeliveryState::Delivered)).await);
    assert_eq!(claim(on, MANY).await.len(), 1);

    let unknown = [
        DeliveryId::Job { id, version: 99 },
        DeliveryId::Job { id: IdSource.job(), version: 2 },
        DeliveryId::of_numbers(id.as_uuid(), 0),
    ];
    for unknown in unknown {
        assert_eq!(on.store.deliveries.redeliver(unknown).await.expect("redeliver"), None);
    }
    on.age(8 * DAY).await;
    assert_eq!(on.store.deliveries.redeliver(delivery).await.expect("redeliver"), None, "its job is forgotten");
}

async fn deliveries_are_listed_in_pages_the_latest_first(on: &StoreFixture) {
    let mut all = Event::ENDS.to_vec();
    all.push(Event::Started);
    let running = running(on, told(&all, job())).await;
    finished(on, &running, succeeded(b"1")).await;
    let list = async |before, limit| {
        let page = on.store.deliveries.list_deliveries(running.id, before, limit).await.expect("list");
        page.iter().filter_map(|delivery| delivery.id.version()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 10).await, [3, 2]);
    assert_eq!(list(None, 1).await, [3]);
    assert_eq!(list(Some(3), 10).await, [2]);
    assert_eq!(on.store.deliveries.list_deliveries(IdSource.job(), None, 10).await.expect("list"), []);
}

async fn deliveries_go_with_their_job(on: &StoreFixture) {
    let (short, long) = (NewJob { retention: HOUR, ..told_job() }, told_job());
    for new in [short, long] {
        let running = running(on, new).await;
        finished(on, &running, succeeded(b"1")).await;
    }
    assert_eq!(on.count("deliveries").await, 2);
    on.age(HOUR).await;
    while on.store.upkeep.remove_expired().await.expect("remove") {}
    assert_eq!(on.count("deliveries").await, 1);
}
