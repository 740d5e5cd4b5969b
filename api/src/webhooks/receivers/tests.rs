//! Who gets room, and who leaves some.

use raincheck_shared::domain::Timestamp;

use super::*;

const FEW: Limits = Limits { total: 16, per_receiver: 3, has_tenants: true };
const ALONE: Limits = Limits { has_tenants: false, ..FEW };

fn receivers(limits: Limits) -> Receivers {
    Receivers::new(limits, Nudge::default())
}

fn due(tenant: &str, receiver: &str) -> DueReceiver {
    let tenant = Some(tenant.parse().unwrap());
    DueReceiver { receiver: receiver.to_owned(), since: Timestamp::UNIX_EPOCH, tenant }
}

/// So many receivers of a tenant.
fn many(tenant: &str, count: usize) -> Vec<DueReceiver> {
    (0..count).map(|n| due(tenant, &format!("{tenant}{n}"))).collect()
}

/// Begins what these are given; as many places as there are attempts.
fn begin(on: &Receivers, due: Vec<DueReceiver>) -> Vec<Place> {
    let turns = on.choose(due);
    turns.iter().flat_map(|turn| (0..turn.room.deliveries).map(|_| on.begin(turn))).collect()
}

fn end(places: Vec<Place>, answered: bool) {
    for mut place in places {
        place.answered(answered);
    }
}

/// What each of these would get now.
fn rooms(on: &Receivers, due: Vec<DueReceiver>) -> Vec<(String, u32)> {
    on.choose(due).into_iter().map(|turn| (turn.room.receiver, turn.room.deliveries)).collect()
}

fn gets(receiver: &str, deliveries: u32) -> Vec<(String, u32)> {
    vec![(receiver.to_owned(), deliveries)]
}

#[test]
fn who_has_not_answered_gets_one_at_a_time_and_who_answers_all_of_its_room() {
    let on = receivers(ALONE);
    let a = || vec![due("a", "a")];
    assert_eq!(rooms(&on, a()), gets("a", 1));
    let first = begin(&on, a());
    assert_eq!(rooms(&on, a()), []);
    end(first, true);
    assert_eq!(rooms(&on, a()), gets("a", 3));
    let three = begin(&on, a());
    assert_eq!((three.len(), rooms(&on, a())), (3, vec![]));
    end(three, false);
    assert_eq!(rooms(&on, a()), gets("a", 1), "silent");
    end(begin(&on, a()), true);
    assert_eq!(rooms(&on, a()), gets("a", 3));
}

#[test]
fn an_attempt_that_was_not_made_says_nothing_of_its_receiver() {
    let on = receivers(ALONE);
    let a = || vec![due("a", "a")];
    end(begin(&on, a()), true);
    drop(begin(&on, a()));
    assert_eq!(rooms(&on, a()), gets("a", 3));
    drop(begin(&on, vec![due("a", "b")]));
    assert_eq!(on.0.lock().receivers.len(), 1, "of whom nothing is known nothing is kept");
}

#[test]
fn those_that_do_not_answer_leave_room_for_those_that_do() {
    let on = receivers(ALONE);
    end(begin(&on, vec![due("a", "well")]), true);
    for _ in 0..20 {
        end(begin(&on, many("s", 40)), false);
    }
    let silent = begin(&on, many("s", 40));
    assert_eq!(silent.len(), 4, "a quarter for those that were silent");
    let unknown = begin(&on, many("u", 40));
    assert_eq!(unknown.len(), 8, "half for those that nobody knows");
    assert!(on.have_room());
    assert_eq!(rooms(&on, vec![due("a", "well")]), gets("well", 3));
}

#[test]
fn no_tenant_has_more_than_it_leaves_to_others() {
    let on = receivers(FEW);
    let places = begin(&on, many("greedy", 100));
    assert_eq!(places.len(), 4, "half of the half for those that nobody knows");
    assert_eq!(rooms(&on, vec![due("b", "b")]), gets("b", 1), "also to a receiver that nobody knows");
    let other = begin(&on, many("other", 100));
    assert_eq!(other.len(), 2);
    assert_eq!(rooms(&on, vec![due("b", "b")]), gets("b", 1));
    // And of those that answer: one who waits until all of his do, and then lets them fall silent.
    end(places, true);
    let more = begin(&on, many("greedy", 4));
    assert_eq!(more.len(), 7, "half of the fourteen that the other has left");
    end(begin(&on, vec![due("b", "b")]), true);
    assert_eq!(rooms(&on, vec![due("b", "b")]), gets("b", 3));
}

#[test]
fn tenants_take_turns_and_each_receiver_gets_one_before_any_gets_two() {
    let on = receivers(Limits { total: 5, ..ALONE });
    for name in ["a0", "a1", "a2", "b"] {
        end(begin(&on, vec![due("a", name)]), true);
    }
    let mut all = many("a", 3);
    all.push(due("b", "b"));
    all[0].since += core::time::Duration::from_secs(1);
    let mut rooms = rooms(&on, all);
    rooms.sort();
    let expected = [("a0", 1), ("a1", 2), ("a2", 1), ("b", 1)].map(|(name, room)| (name.to_owned(), room));
    assert_eq!(rooms, expected, "the one of `a` that has waited for longest, then the one of `b`");
}

#[test]
fn many_that_are_silent_make_nobody_forget_who_answers() {
    let on = receivers(Limits { total: 1000, ..ALONE });
    end(begin(&on, vec![due("a", "well")]), true);
    for n in 0..3 * REMEMBERED {
        let turn = on.choose(vec![due("s", &format!("s{n}"))]).remove(0);
        on.begin(&turn).answered(false);
    }
    assert!(on.0.lock().receivers.len() <= 2 * REMEMBERED);
    assert_eq!(rooms(&on, vec![due("a", "well")]), gets("well", 3));
}
