//! A model that cannot fail shows nothing. Each precaution that is taken away must be missed.

use raincheck_model::runs::{self, Runs};
use raincheck_model::{Flaw, Scene, Step};
use stateright::{Checker, HasDiscoveries, Model};

/// The shortest way to break a promise.
fn way_to_break(promise: &'static str, scene: Scene) -> Vec<Step> {
    let found = scene.checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
    let broken: Vec<&str> = found.discoveries().into_keys().collect();
    let way = found.discovery(promise).unwrap_or_else(|| panic!("{promise:?} holds; broken: {broken:?}"));
    way.into_actions()
}

/// However it goes, every job comes to its end, though promises are broken on the way.
fn still_ends(scene: Scene) {
    let all = runs::all_but_promises(&scene);
    assert!(matches!(all, Runs::AllEnd { .. }), "{all:?}");
}

/// A run that ends before the jobs do.
fn way_to_get_stuck(scene: Scene) -> Vec<Step> {
    match runs::all_but_promises(&scene) {
        Runs::Stuck(way) => way,
        other => panic!("nothing gets stuck: {other:?}"),
    }
}

#[test]
fn answering_before_the_commit_promises_what_is_not_there() {
    let scene = Scene::of_one_job(0).with(Flaw::AnswerBeforeCommit);
    assert_eq!(way_to_break("a job that was answered with 202 is in the table", scene), [Step::Answer(0)]);
}

#[test]
fn noting_before_the_confirm_loses_the_message_of_a_relay_that_dies() {
    let noted = "what is noted as published is there, or the broker lost it";
    let scene = Scene::of_one_job(1).with(Flaw::NoteBeforeConfirm);
    let way = way_to_break(noted, scene);
    assert!(matches!(way.last(), Some(Step::ApiDies | Step::BrokerGoes)), "{way:?}");
    // The finder publishes it again. Without one the job waits for ever.
    let alone = scene.of(|step| step == Step::ApiDies);
    still_ends(alone);
    assert!(way_to_get_stuck(alone.with(Flaw::NoFinder)).contains(&Step::ApiDies));
}

#[test]
fn acknowledging_before_the_claim_loses_the_message_of_a_worker_that_dies() {
    let noted = "what is noted as published is there, or the broker lost it";
    let scene = Scene::of_one_job(1).with(Flaw::AckBeforeClaim).of(|step| matches!(step, Step::Die(_)));
    let way = way_to_break(noted, scene);
    assert!(way.iter().any(|step| matches!(step, Step::Die(_))), "{way:?}");
    still_ends(scene);
    way_to_get_stuck(scene.with(Flaw::NoFinder));
}

#[test]
fn without_the_fence_a_stale_worker_ends_the_attempt_of_another() {
    let scene = Scene::of_one_job(1).of(|step| matches!(step, Step::Freeze(_)));
    for flaw in [Flaw::NoFence, Flaw::NoToken] {
        let way = way_to_break("an end is recorded by the attempt that holds the fence", scene.with(flaw));
        assert!(way.iter().any(|step| matches!(step, Step::Rescue(_))), "{flaw:?}: {way:?}");
    }
}

#[test]
fn without_the_fence_every_job_still_ends_though_not_by_its_own_attempt() {
    for flaw in [Flaw::NoFence, Flaw::NoToken] {
        still_ends(Scene::of_one_job(1).with(flaw));
        still_ends(Scene::of_one_job(1).scheduled().with(flaw));
        still_ends(Scene::of_two_jobs(1).without_retries().of(|step| matches!(step, Step::CutOff(_))).with(flaw));
    }
}

#[test]
fn a_promise_given_too_early_or_two_handlers_at_once_keep_no_job_from_its_end() {
    still_ends(Scene::of_one_job(1).with(Flaw::AnswerBeforeCommit));
    still_ends(Scene::of_one_job(1).with(Flaw::HandlersRunOn));
}

#[test]
fn a_lease_that_goes_with_the_first_end_strands_the_others_of_its_claim() {
    way_to_break("something stands ready to move every job on", Scene::of_two_jobs(0).with(Flaw::LeaseGoesEarly));
    // Should the worker record them all the same, they end. One that cannot leaves them in progress for ever.
    let severed = Scene::of_two_jobs(1).without_retries().of(|step| matches!(step, Step::Sever(_)));
    way_to_get_stuck(severed.with(Flaw::LeaseGoesEarly));
}

#[test]
fn handlers_that_run_on_without_a_lease_run_beside_their_successors() {
    let scene = Scene::of_one_job(1).of(|step| matches!(step, Step::CutOff(_))).with(Flaw::HandlersRunOn);
    way_to_break("at most one attempt of a job is live", scene);
}

#[test]
fn a_claim_whose_answer_is_lost_is_stuck_with_a_worker_that_lives() {
    way_to_get_stuck(Scene::of_one_job(1).with(Flaw::NoStrayCheck));
}

#[test]
fn a_stray_claim_is_stranded_when_an_earlier_end_of_its_job_counts_as_holding_it() {
    let scene = Scene::of_one_job(2).with(Flaw::StraysByJob);
    let lost_answers = scene.of(|step| matches!(step, Step::LoseClaim(_) | Step::LoseRecord(_)));
    way_to_break("something stands ready to move every job on", lost_answers);
    way_to_get_stuck(lost_answers);
}

#[test]
fn without_the_rescue_the_jobs_of_a_dead_worker_are_stuck() {
    assert!(way_to_get_stuck(Scene::of_one_job(1).with(Flaw::NoRescue)).iter().any(|step| step.is_surprise()));
}

#[test]
fn without_the_finder_a_broker_that_forgets_keeps_jobs_waiting_for_ever() {
    assert!(way_to_get_stuck(Scene::of_one_job(1).with(Flaw::NoFinder)).contains(&Step::BrokerForgets));
}

#[test]
fn without_the_fallback_nothing_moves_until_the_broker_is_back() {
    assert!(way_to_get_stuck(Scene::of_one_job(1).with(Flaw::NoFallback)).contains(&Step::BrokerGoes));
}

#[test]
fn without_timers_a_retry_never_comes() {
    way_to_get_stuck(Scene::of_one_job(0).with(Flaw::NoTimers));
}
