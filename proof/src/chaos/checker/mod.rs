//! Judges a history. Pure: it knows neither servers nor files, so that its own tests can hand it histories that are bad.
//!
//! Each rule is a function from a history to violations, in a file with the others about the same witness. The
//! receiver of webhooks is one of the witnesses.

mod endings;
mod keys;
mod liveness;
mod order;
mod outputs;
#[cfg(test)]
mod sample;
mod upkeep;
mod webhooks;

use super::history::History;

/// Something that must not happen did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule that was broken.
    pub rule: &'static str,
    /// The job it is about.
    pub job: Option<String>,
    /// What was seen.
    pub said: String,
}

impl Violation {
    fn of(rule: &'static str, job: &str, said: impl Into<String>) -> Self {
        Self { rule, job: Some(job.to_owned()), said: said.into() }
    }

    fn at_large(rule: &'static str, said: impl Into<String>) -> Self {
        Self { rule, job: None, said: said.into() }
    }
}

/// Every rule, in the order in which violations are told.
type Rule = fn(&History) -> Vec<Violation>;

const RULES: [Rule; 16] = [
    endings::every_accepted_job_is_kept,
    endings::every_job_ends,
    endings::what_clients_saw_last_is_what_the_table_holds,
    outputs::a_result_is_of_the_run_that_the_table_names,
    outputs::an_error_is_of_the_run_that_the_table_names,
    outputs::a_result_never_changes,
    liveness::no_attempt_starts_while_another_lives,
    keys::a_key_has_one_job,
    keys::a_request_has_one_job,
    keys::a_job_does_what_was_asked,
    order::versions_only_rise,
    order::an_end_is_final,
    order::answers_do_not_contradict_themselves,
    order::refusals_are_of_the_right_kind,
    webhooks::every_end_is_told,
    upkeep::nothing_is_left_over_lost_or_broken,
];

/// All violations in a history.
pub fn check(history: &History) -> Vec<Violation> {
    RULES.iter().flat_map(|rule| rule(history)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_history_breaks_no_rule() {
        assert_eq!(check(&sample::good()), []);
    }
}
