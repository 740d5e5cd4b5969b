//! Schedules: kept, changed, listed, and run once for each tick.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use raincheck_shared::domain::{
    CatchUp, NewJob, Payload, Schedule, ScheduleDefinition, ScheduleName, ScheduleOptions, ScheduleSource, Status,
    TenantName, Timestamp,
};
use raincheck_shared::store::{Fired, Firing, NewSchedule, PutSchedule, ScheduleOwner, StoreError};

use super::against_each_store;
use super::given::{HOUR, find, job, now};
use crate::harness::store::StoreFixture;

against_each_store! {
    a_schedule_is_read_as_it_was_put,
    the_same_once_more_changes_nothing_and_another_keeps_what_it_can,
    a_tenant_has_no_more_schedules_than_it_may_and_sees_no_others,
    a_pause_takes_the_next_tick_away_and_a_resume_brings_one,
    what_a_configuration_has_no_client_can_change,
    of_two_configurations_the_one_that_started_last_decides_while_it_lives,
    the_due_are_listed_in_their_order_page_by_page,
    a_tick_is_run_by_one_of_many_and_its_job_waits_like_any_other,
    a_job_that_cannot_be_kept_leaves_its_tick_due,
    a_problem_is_noted_until_its_tick_is_run,
    a_change_while_a_tick_is_run_loses_neither,
}

const MOST: ScheduleOwner = ScheduleOwner::Client { most: 10 };

fn name(text: &str) -> ScheduleName {
    text.parse().expect("a name")
}

fn whole_second() -> Timestamp {
    now().replace_nanosecond(0).expect("a smaller nanosecond")
}

/// A schedule whose next tick is then.
fn wish(called: &str, next_at: Timestamp) -> NewSchedule {
    NewSchedule {
        tenant: TenantName::default(),
        name: name(called),
        definition: ScheduleDefinition {
            cron: "Europe/Zurich 0 7 * * 1-5".parse().expect("a cron"),
            catch_up: CatchUp::All { most: 7 },
            kind: "test.echo".parse().expect("a kind"),
            input: Payload { content_type: "text/plain".to_owned(), bytes: "a ü\n".into() },
            options: ScheduleOptions {
                queue: Some("other".to_owned()),
                priority: Some(9),
                start_timeout: Some(Duration::from_millis(1_500)),
                metadata: BTreeMap::from([("a".to_owned(), "b \"c\"".to_owned())]),
                tags: vec!["x".to_owned()],
                webhook_url: Some("https://example.com/".to_owned()),
                concurrency_key: Some("customer-7".to_owned()),
                ..ScheduleOptions::default()
            },
        },
        by: MOST,
        now: now(),
        next_at: Some(next_at),
    }
}

async fn put(on: &StoreFixture, new: &NewSchedule) -> PutSchedule {
    on.store.schedules.put_schedule(new).await.expect("put")
}

async fn kept(on: &StoreFixture, new: &NewSchedule) -> Schedule {
    match put(on, new).await {
        PutSchedule::Created(schedule) | PutSchedule::Changed(schedule) | PutSchedule::Unchanged(schedule) => *schedule,
        other => panic!("{other:?}"),
    }
}

async fn read(on: &StoreFixture, called: &str) -> Option<Schedule> {
    on.store.schedules.find_schedule(&TenantName::default(), &name(called)).await.expect("find")
}

/// One job for the tick that is due.
fn firing(schedule: &Schedule, next_at: Timestamp) -> Firing {
    let new = job();
    let last = schedule.next_at.map(|tick| (tick, new.id));
    Firing { schedule: schedule.clone(), jobs: vec![new], last, missed: 2, next_at: Some(next_at) }
}

async fn a_schedule_is_read_as_it_was_put(on: &StoreFixture) {
    let new = wish("nightly", whole_second() + HOUR);
    let PutSchedule::Created(made) = put(on, &new).await else { panic!("there was none") };
    assert_eq!((made.version, made.source, &made.definition), (1, ScheduleSource::Api, &new.definition));
    assert_eq!((made.next_at, made.created_at, made.paused_at), (new.next_at, new.now, None));
    assert_eq!((made.last_at, made.last_job, made.missed, &made.problem), (None, None, 0, &None));
    assert_eq!(read(on, "nightly").await, Some(*made));
    assert_eq!(read(on, "nightl").await, None);
    let mut definition = new.definition.clone();
    definition.options.concurrency_key = None;
    assert_eq!(kept(on, &NewSchedule { definition, ..new.clone() }).await.definition.options.concurrency_key, None);
    assert_eq!(read(on, "nightly").await.expect("it").definition.options.concurrency_key, None);
    for catch_up in [CatchUp::Skip, CatchUp::One, CatchUp::All { most: 1_000 }] {
        let definition = ScheduleDefinition { catch_up, ..new.definition.clone() };
        kept(on, &NewSchedule { definition, ..new.clone() }).await;
        assert_eq!(read(on, "nightly").await.expect("it").definition.catch_up, catch_up);
    }
    assert!(on.store.schedules.delete_schedule(&TenantName::default(), &name("nightly")).await.expect("delete"));
    assert!(!on.store.schedules.delete_schedule(&TenantName::default(), &name("nightly")).await.expect("delete"));
    assert_eq!(read(on, "nightly").await, None);
}

async fn the_same_once_more_changes_nothing_and_another_keeps_what_it_can(on: &StoreFixture) {
    let first = wish("a", whole_second() + HOUR);
    let made = kept(on, &first).await;
    let again = NewSchedule { now: now() + HOUR, next_at: Some(whole_second() + 2 * HOUR), ..first.clone() };
    assert_eq!(put(on, &again).await, PutSchedule::Unchanged(Box::new(made.clone())));

    let definition = ScheduleDefinition { kind: "test.other".parse().expect("a kind"), ..first.definition.clone() };
    let PutSchedule::Changed(other) = put(on, &NewSchedule { definition, ..again.clone() }).await else { panic!() };
    assert_eq!((other.version, other.next_at, other.created_at), (2, made.next_at, made.created_at), "the same times");
    let definition = ScheduleDefinition { cron: "0 8 * * *".parse().expect("a cron"), ..first.definition.clone() };
    let PutSchedule::Changed(later) = put(on, &NewSchedule { definition, ..again.clone() }).await else { panic!() };
    assert_eq!((later.version, later.next_at), (3, again.next_at), "other times");
    assert_eq!(read(on, "a").await, Some(*later));
}

async fn a_tenant_has_no_more_schedules_than_it_may_and_sees_no_others(on: &StoreFixture) {
    let tick = whole_second() + HOUR;
    let by = ScheduleOwner::Client { most: 3 };
    for called in ["b", "B", "a-1"] {
        kept(on, &NewSchedule { by, ..wish(called, tick) }).await;
    }
    assert_eq!(put(on, &NewSchedule { by, ..wish("c", tick) }).await, PutSchedule::Full);
    assert!(matches!(put(on, &NewSchedule { by, ..wish("b", tick) }).await, PutSchedule::Unchanged(_)));
    let other: TenantName = "other".parse().expect("a tenant");
    kept(on, &NewSchedule { by, tenant: other.clone(), ..wish("c", tick) }).await;

    let list = async |tenant: &TenantName, after: Option<&str>, limit: u32| -> Vec<String> {
        let after = after.map(name);
        let found = on.store.schedules.list_schedules(tenant, after.as_ref(), limit).await.expect("list");
        found.iter().map(|schedule| schedule.name.to_string()).collect()
    };
    let own = TenantName::default();
    assert_eq!(list(&own, None, 10).await, ["B", "a-1", "b"], "by their bytes");
    assert_eq!(list(&own, None, 2).await, ["B", "a-1"]);
    assert_eq!(list(&own, Some("a-1"), 2).await, ["b"]);
    assert_eq!(list(&other, None, 2).await, ["c"]);
    assert_eq!(on.store.schedules.find_schedule(&other, &name("b")).await.expect("find"), None);
}

async fn a_pause_takes_the_next_tick_away_and_a_resume_brings_one(on: &StoreFixture) {
    let tick = whole_second() - HOUR;
    let made = kept(on, &wish("a", tick)).await;
    let at = now();
    on.store.schedules.pause_schedule(&made.tenant, &made.name, at).await.expect("pause");
    on.store.schedules.pause_schedule(&made.tenant, &made.name, at + HOUR).await.expect("once more");
    let paused = read(on, "a").await.expect("it");
    assert_eq!((paused.paused_at, paused.next_at, paused.version), (Some(at), None, 2));
    assert!(on.store.ticks.list_due_schedules(now(), None, 10).await.expect("due").is_empty());
    // Whoever read it before the pause comes too late.
    let fired = on.store.ticks.fire_schedule(&firing(&made, tick + HOUR)).await.expect("fire");
    assert!(matches!(fired, Fired::Elsewhere), "{fired:?}");
    let definition = ScheduleDefinition { cron: "0 8 * * *".parse().expect("a cron"), ..made.definition.clone() };
    let changed = kept(on, &NewSchedule { definition, ..wish("a", tick) }).await;
    assert_eq!((changed.paused_at, changed.next_at), (Some(at), None), "it stays paused");

    let next = whole_second() + HOUR;
    let resume = async |schedule: &Schedule| {
        on.store.schedules.resume_schedule(schedule, Some(next), now()).await.expect("resume")
    };
    assert!(!resume(&paused).await, "it is another by now");
    assert!(resume(&changed).await && !resume(&changed).await);
    let resumed = read(on, "a").await.expect("it");
    assert_eq!((resumed.paused_at, resumed.next_at, resumed.version), (None, Some(next), 4));
}

fn process(started: Timestamp, at: Timestamp) -> ScheduleOwner {
    ScheduleOwner::Process { started, alive_since: at - Duration::from_mins(2) }
}

async fn what_a_configuration_has_no_client_can_change(on: &StoreFixture) {
    let (at, tick) = (now(), whole_second() + HOUR);
    let mine = kept(on, &wish("a", tick)).await;
    let configured = NewSchedule { by: process(at, at), now: at, ..wish("a", tick) };
    let PutSchedule::Changed(taken) = put(on, &configured).await else { panic!("it takes a client's place") };
    assert_eq!((taken.source, taken.version, taken.next_at), (ScheduleSource::Config, 2, mine.next_at));
    assert_eq!(put(on, &wish("a", tick)).await, PutSchedule::Configured);
    assert!(!on.store.schedules.delete_schedule(&mine.tenant, &mine.name).await.expect("delete"));
    on.store.schedules.pause_schedule(&mine.tenant, &mine.name, now()).await.expect("pause");
    let again = NewSchedule { now: at + HOUR, by: process(at, at + HOUR), ..configured };
    let PutSchedule::Unchanged(confirmed) = put(on, &again).await else { panic!("it is the same") };
    assert!(confirmed.paused_at.is_some(), "it stays paused");
    // Those of a configuration are no tenant's share.
    let by = ScheduleOwner::Client { most: 2 };
    kept(on, &NewSchedule { by, ..wish("b", tick) }).await;
}

async fn of_two_configurations_the_one_that_started_last_decides_while_it_lives(on: &StoreFixture) {
    let (start, tick) = (now(), whole_second() + HOUR);
    let minute = Duration::from_mins(1);
    let definition =
        |kind: &str| ScheduleDefinition { kind: kind.parse().expect("a kind"), ..wish("x", tick).definition };
    // What a process says, so long after the start of the old one. The new one starts a minute after it.
    let says = async |started: u32, kind: &str, called: &str, after: u32| {
        let at = start + minute * after;
        let by = process(start + minute * started, at);
        put(on, &NewSchedule { definition: definition(kind), by, now: at, ..wish(called, tick) }).await
    };
    let kind = async |called: &str| read(on, called).await.map(|schedule| schedule.definition.kind.to_string());
    let remove = async |after: u32| {
        let before = start + minute * after - Duration::from_mins(2);
        let removed = on.store.ticks.remove_unconfirmed_schedules(before).await.expect("remove");
        removed.into_iter().map(|(_, name)| name.to_string()).collect::<Vec<_>>()
    };
    assert!(matches!(says(0, "old", "both", 0).await, PutSchedule::Created(_)));
    assert!(matches!(says(0, "old", "gone", 0).await, PutSchedule::Created(_)));
    assert!(matches!(says(1, "new", "both", 1).await, PutSchedule::Changed(_)));
    assert!(matches!(says(1, "new", "added", 1).await, PutSchedule::Created(_)));
    assert_eq!(remove(1).await, [] as [&str; 0]);
    // Both live: the new one's word stands, and what only the old one has stays.
    assert_eq!(says(0, "old", "both", 2).await, PutSchedule::Configured);
    assert!(matches!(says(0, "old", "gone", 2).await, PutSchedule::Unchanged(_)));
    assert!(matches!(says(1, "new", "both", 2).await, PutSchedule::Unchanged(_)));
    assert_eq!((kind("both").await.as_deref(), remove(2).await.len()), (Some("new"), 0));
    // The old one crashes and comes back with what it had: it has started last. Until it ends for good.
    assert!(matches!(says(3, "old", "both", 3).await, PutSchedule::Changed(_)));
    assert!(matches!(says(3, "old", "gone", 3).await, PutSchedule::Unchanged(_)));
    assert_eq!(says(1, "new", "both", 4).await, PutSchedule::Configured);
    assert!(matches!(says(1, "new", "added", 4).await, PutSchedule::Unchanged(_)));
    assert!(matches!(says(1, "new", "both", 6).await, PutSchedule::Changed(_)));
    assert!(matches!(says(1, "new", "added", 6).await, PutSchedule::Unchanged(_)));
    assert_eq!(remove(6).await, ["gone"]);
    assert_eq!((kind("both").await.as_deref(), kind("added").await.as_deref()), (Some("new"), Some("new")));
}

async fn the_due_are_listed_in_their_order_page_by_page(on: &StoreFixture) {
    let at = whole_second();
    for (called, ahead) in [("c", 1), ("b", 1), ("a", 2), ("later", 4)] {
        kept(on, &wish(called, at + Duration::from_secs(ahead))).await;
    }
    let due = async |now: Timestamp, after: Option<&Schedule>, limit: u32| {
        on.store.ticks.list_due_schedules(now, after, limit).await.expect("due")
    };
    assert!(due(at, None, 10).await.is_empty());
    let all = due(at + Duration::from_secs(3), None, 10).await;
    assert_eq!(all.iter().map(|schedule| schedule.name.as_str()).collect::<Vec<_>>(), ["b", "c", "a"]);
    assert_eq!(all[0], read(on, "b").await.expect("it"), "all of it");
    assert_eq!(due(at + Duration::from_secs(3), None, 2).await, all[..2]);
    assert_eq!(due(at + Duration::from_secs(3), Some(&all[0]), 1).await, all[1..2]);
    assert_eq!(due(at + Duration::from_secs(3), Some(&all[1]), 5).await, all[2..]);
    assert_eq!(
        on.store.ticks.next_tick(at + Duration::from_secs(3)).await.expect("next"),
        Some(at + Duration::from_secs(4))
    );
    assert_eq!(on.store.ticks.next_tick(at + Duration::from_secs(4)).await.expect("next"), None);
}

async fn a_tick_is_run_by_one_of_many_and_its_job_waits_like_any_other(on: &StoreFixture) {
    let tick = whole_second() - HOUR;
    let made = kept(on, &wish("a", tick)).await;
    let firings: Vec<Firing> = (0..8).map(|_| firing(&made, tick + 2 * HOUR)).collect();
    let outcomes = join_all(firings.iter().map(|firing| on.store.ticks.fire_schedule(firing))).await;
    let mut won = Vec::new();
    for (firing, outcome) in firings.iter().zip(outcomes) {
        if let Fired::Made(accepted) = outcome.expect("fire") {
            won.push((firing, accepted));
        }
    }
    assert_eq!((won.len(), on.count("jobs").await, on.count("dispatches").await), (1, 1, 1));
    let (firing, accepted) = &won[0];
    let id = firing.jobs[0].id;
    assert_eq!((accepted.dispatches.len(), &accepted.dispatches[0].jobs[..]), (1, &[id][..]));
    assert_eq!(find(on, id).await.status, Status::Queued);
    let moved = read(on, "a").await.expect("it");
    assert_eq!((moved.next_at, moved.last_at, moved.last_job), (Some(tick + 2 * HOUR), Some(tick), Some(id)));
    assert_eq!((moved.missed, moved.version), (2, 1), "nobody has changed it");

    // Passed over: nothing is made, and what was last stays.
    let nothing = Firing { schedule: moved, jobs: Vec::new(), last: None, missed: 5, next_at: None };
    assert!(matches!(on.store.ticks.fire_schedule(&nothing).await.expect("fire"), Fired::Made(_)));
    let moved = read(on, "a").await.expect("it");
    assert_eq!((moved.next_at, moved.last_job, moved.missed), (None, Some(id), 7));
}

async fn a_job_that_cannot_be_kept_leaves_its_tick_due(on: &StoreFixture) {
    let tick = whole_second() - HOUR;
    let made = kept(on, &wish("a", tick)).await;
    let mut bad = firing(&made, tick + HOUR);
    bad.jobs.push(NewJob { tags: vec!["a\0b".to_owned()], ..job() });
    let refused = on.store.ticks.fire_schedule(&bad).await;
    assert!(matches!(refused, Err(StoreError::Rejected(_) | StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!((on.count("jobs").await, on.count("dispatches").await), (0, 0));
    assert_eq!(read(on, "a").await, Some(made.clone()));
    let fired = on.store.ticks.fire_schedule(&firing(&made, tick + HOUR)).await.expect("fire");
    assert!(matches!(fired, Fired::Made(_)));
}

async fn a_problem_is_noted_until_its_tick_is_run(on: &StoreFixture) {
    let tick = whole_second() - HOUR;
    let made = kept(on, &wish("a", tick)).await;
    on.store.ticks.note_schedule_problem(&made, Some("there is no room")).await.expect("note");
    let noted = read(on, "a").await.expect("it");
    assert_eq!((noted.problem.as_deref(), noted.version), (Some("there is no room"), 1));
    on.store.ticks.fire_schedule(&firing(&noted, tick + HOUR)).await.expect("fire");
    assert_eq!(read(on, "a").await.expect("it").problem, None);
    // Whoever says so of a tick that another has run meanwhile comes too late.
    on.store.ticks.note_schedule_problem(&noted, Some("there is no room")).await.expect("note");
    assert_eq!(read(on, "a").await.expect("it").problem, None);
}

async fn a_change_while_a_tick_is_run_loses_neither(on: &StoreFixture) {
    for round in 0..20 {
        let called = format!("s{round}");
        let tick = whole_second() - HOUR;
        let new = NewSchedule { by: ScheduleOwner::Client { most: 100 }, ..wish(&called, tick) };
        let made = kept(on, &new).await;
        let definition = ScheduleDefinition { kind: "test.other".parse().expect("a kind"), ..made.definition.clone() };
        let other = NewSchedule { definition, ..new };
        let firing = firing(&made, tick + HOUR);
        let (fired, changed) = tokio::join!(on.store.ticks.fire_schedule(&firing), put(on, &other));
        assert!(matches!(changed, PutSchedule::Changed(_)), "{changed:?}");
        let is = read(on, &called).await.expect("it");
        // The same times: it goes on from where it is, and the tick is run once, now or with the next look.
        let expected = if matches!(fired, Ok(Fired::Made(_))) { tick + HOUR } else { tick };
        assert_eq!((is.next_at, is.version), (Some(expected), 2));
    }
}
