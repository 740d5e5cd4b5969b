//! What is promised holds, in every scene that is small enough to be tried in full.

use raincheck_model::runs::{self, Runs};
use raincheck_model::{Scene, Step};
use stateright::{Checker, Model};

/// A scene, and how large it is.
struct Trial {
    name: &'static str,
    scene: Scene,
    moments: usize,
    longest: usize,
}

fn is_freeze(step: Step) -> bool {
    matches!(step, Step::Freeze(_))
}

const ONE_SURPRISE: Trial =
    Trial { name: "one job, any surprise", scene: Scene::of_one_job(1), moments: 133_821, longest: 44 };
const TWO_SURPRISES: Trial = Trial {
    name: "one job, any two surprises but a freeze",
    scene: Scene::of_one_job(2).of(|step| !is_freeze(step)),
    moments: 944_955,
    longest: 49,
};
const TWO_WITH_A_FREEZE: Trial = Trial {
    name: "one job without retries, any two surprises",
    scene: Scene::of_one_job(2).without_retries(),
    moments: 1_171_888,
    longest: 53,
};
const LATER: Trial = Trial {
    name: "one job for later that may expire, any surprise",
    scene: Scene::of_one_job(1).scheduled(),
    moments: 237_099,
    longest: 46,
};
const TWO_JOBS: Trial =
    Trial { name: "two jobs, no surprise", scene: Scene::of_two_jobs(0), moments: 9_579, longest: 38 };
const TWO_JOBS_AND_A_SURPRISE: Trial = Trial {
    name: "two jobs without retries, any surprise but a freeze",
    scene: Scene::of_two_jobs(1).without_retries().of(|step| !is_freeze(step)),
    moments: 274_435,
    longest: 39,
};
const TWO_JOBS_AND_A_FREEZE: Trial = Trial {
    name: "two jobs without retries, a freeze",
    scene: Scene::of_two_jobs(1).without_retries().of(is_freeze),
    moments: 1_747_763,
    longest: 52,
};

/// Every run ends, and every promise holds on the way.
fn holds(Trial { name, scene, moments, longest }: &Trial) {
    assert_eq!(runs::all(scene), Runs::AllEnd { moments: *moments, longest: *longest }, "{name}");
}

#[test]
fn one_surprise_breaks_no_promise_and_every_run_ends() {
    holds(&ONE_SURPRISE);
}

#[test]
fn two_surprises_break_no_promise_and_every_run_ends() {
    holds(&TWO_SURPRISES);
}

#[test]
fn a_freeze_and_another_surprise_break_no_promise_and_every_run_ends() {
    holds(&TWO_WITH_A_FREEZE);
}

#[test]
fn a_job_for_later_breaks_no_promise_and_every_run_ends() {
    holds(&LATER);
}

#[test]
fn two_jobs_break_no_promise_and_every_run_ends() {
    holds(&TWO_JOBS);
}

#[test]
fn two_jobs_and_a_surprise_break_no_promise_and_every_run_ends() {
    holds(&TWO_JOBS_AND_A_SURPRISE);
}

#[test]
fn two_jobs_and_a_freeze_break_no_promise_and_every_run_ends() {
    holds(&TWO_JOBS_AND_A_FREEZE);
}

#[test]
fn two_checkers_find_the_same_moments() {
    for Trial { name, scene, moments, .. } in [ONE_SURPRISE, LATER, TWO_JOBS, TWO_JOBS_AND_A_SURPRISE] {
        let checker = scene.checker().spawn_bfs().join();
        let broken: Vec<_> = checker.discoveries().into_iter().map(|(what, way)| (what, way.into_actions())).collect();
        assert!(broken.is_empty(), "{name}: {broken:?}");
        assert_eq!(checker.unique_state_count(), moments, "{name}");
    }
}

#[test]
fn the_figures_in_the_document_are_those_of_the_tests() {
    let document = include_str!("../../../docs/protocol-model.md");
    let all = [
        ONE_SURPRISE,
        TWO_SURPRISES,
        TWO_WITH_A_FREEZE,
        LATER,
        TWO_JOBS,
        TWO_JOBS_AND_A_SURPRISE,
        TWO_JOBS_AND_A_FREEZE,
    ];
    for Trial { name, moments, longest, .. } in all {
        let digits = moments.to_string();
        let groups: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
        let line = format!("| {name} | {} | {longest} |", groups.join(","));
        assert!(document.contains(&line), "not in docs/protocol-model.md: {line}");
    }
}
