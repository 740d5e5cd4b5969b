//! The recorded result, or error, is the one of the run that holds the fence.

use std::collections::HashMap;

use super::Violation;
use crate::chaos::history::{Heard, History, Output, Row, Run};

/// The fence in the table names a claim: an incarnation of a worker, an attempt, a time. The result must be made by a run
/// of that claim. A run that was fenced or rescued was of an earlier claim.
pub(super) fn a_result_is_of_the_run_that_the_table_names(history: &History) -> Vec<Violation> {
    let runs: HashMap<&str, &Run> = history.runs.iter().map(|run| (run.run.as_str(), run)).collect();
    let judged = history.rows.iter().filter(|row| row.kind == "journaled");
    judged
        .filter_map(|row| {
            let fault = match &row.output {
                Some(output) => fault_of(output, row, runs.get(output.run.as_str()).copied(), history),
                None if row.has_result => Some("its result is nothing that a handler made".to_owned()),
                None => None,
            };
            fault.map(|said| Violation::of("the result is of the run that holds the fence", &row.id, said))
        })
        .collect()
}

/// The same of the error of a job that failed: where a handler made it, it names the run. Others, such as that a job ran for
/// too long or that its worker was lost, are nobody's word.
pub(super) fn an_error_is_of_the_run_that_the_table_names(history: &History) -> Vec<Violation> {
    let runs: HashMap<&str, &Run> = history.runs.iter().map(|run| (run.run.as_str(), run)).collect();
    let failed = history.rows.iter().filter(|row| row.kind == "journaled" && row.status == "failed");
    failed
        .filter_map(|row| {
            let error = row.error.as_deref().unwrap_or_default();
            let fault = match run_in(error) {
                Some(run) => match runs.get(run) {
                    Some(run) => not_of_the_fence(run, row, "failed", history),
                    None => Some(format!("no handler ever started run {run}")),
                },
                None if error.contains("handler-error") => {
                    Some(format!("its error is nothing that a handler said: {error}"))
                }
                None => None,
            };
            fault.map(|said| Violation::of("the error is of the run that holds the fence", &row.id, said))
        })
        .collect()
}

/// The run that an error names, which a handler puts between brackets.
fn run_in(error: &str) -> Option<&str> {
    Some(error.split_once("[run ")?.1.split_once(']')?.0)
}

fn fault_of(output: &Output, row: &Row, run: Option<&Run>, history: &History) -> Option<String> {
    let Some(run) = run else { return Some(format!("no handler ever started run {}", output.run)) };
    if row.status != "succeeded" {
        return Some(format!("it is {} and has a result", row.status));
    }
    if output.job != row.id || output.attempt != run.attempt {
        return Some(format!("it says that it is of job {} and attempt {}", output.job, output.attempt));
    }
    not_of_the_fence(run, row, "complete", history)
}

/// Why an end that a run made is none that the table may hold; `how`: how the run must have ended.
fn not_of_the_fence(run: &Run, row: &Row, how: &str, history: &History) -> Option<String> {
    if run.job != row.id {
        return Some(format!("run {} was of job {}", run.run, run.job));
    }
    if run.attempt != row.attempt {
        return Some(format!("run {} was attempt {}, the table says {}", run.run, run.attempt, row.attempt));
    }
    let holder = row.worker.as_ref().and_then(|worker| history.incarnations.get(worker));
    if holder != Some(&run.process) {
        let (by, worker) = (&run.process, row.worker.as_deref().unwrap_or("nobody"));
        return Some(format!("run {} was made by {by}, the fence is held by {worker} ({holder:?})", run.run));
    }
    if row.started.is_some_and(|claimed| run.start < claimed) {
        return Some(format!("run {} had started before the claim that the fence is of", run.run));
    }
    let ended = run.end.as_ref().is_some_and(|(_, ended)| ended == how);
    (!ended).then(|| format!("run {} did not end as {how}: {:?}", run.run, run.end))
}

/// Whoever reads a result twice reads the same.
pub(super) fn a_result_never_changes(history: &History) -> Vec<Violation> {
    let mut first: HashMap<&str, &Output> = HashMap::new();
    let mut found = Vec::new();
    for seen in &history.seen {
        let (asked, output) = match &seen.heard {
            Heard::Job { job, .. } => (Some(job.id.as_str()), job.output.as_ref()),
            Heard::Output(output) => (seen.ask.job(), output.as_ref()),
            _ => (None, None),
        };
        let (Some(asked), Some(output)) = (asked, output) else { continue };
        if output.job != asked {
            let said = format!("its result is of job {}", output.job);
            found.push(Violation::of("a result is of its own job", asked, said));
        }
        let before = *first.entry(asked).or_insert(output);
        if before != output {
            let said = format!("it was of run {}, then of run {}", before.run, output.run);
            found.push(Violation::of("a result never changes", asked, said));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample::{JOB, at, good, output, row, seen};
    use super::*;
    use crate::chaos::history::Ask;

    fn faults(spoil: impl Fn(&mut History)) -> usize {
        let mut history = good();
        spoil(&mut history);
        a_result_is_of_the_run_that_the_table_names(&history).len()
    }

    #[test]
    fn the_result_of_a_run_that_was_fenced_is_found() {
        assert_eq!(faults(|_| {}), 0);
        let fenced = |history: &mut History| {
            history.runs[0].end = Some((at(2_000), "complete".to_owned()));
            history.rows[0].output = Some(output("run-a"));
        };
        assert_eq!(faults(fenced), 1);
        // The same process, but an earlier claim.
        let earlier = |history: &mut History| {
            fenced(history);
            history.runs[0].process = "w2".to_owned();
        };
        assert_eq!(faults(earlier), 1);
    }

    #[test]
    fn a_result_of_nobody_of_another_job_of_another_attempt_and_of_an_unfinished_run_are_found() {
        assert_eq!(faults(|history| history.runs.clear()), 1);
        assert_eq!(faults(|history| history.runs[1].job = "job-2".to_owned()), 1);
        assert_eq!(faults(|history| history.rows[0].attempt = 2), 1);
        assert_eq!(faults(|history| history.rows[0].status = "canceled".to_owned()), 1);
        assert_eq!(faults(|history| history.runs[1].end = None), 1);
        assert_eq!(faults(|history| history.rows[0].output = None), 1);
    }

    #[test]
    fn the_error_of_a_run_that_was_fenced_of_nobody_or_without_a_name_is_found() {
        let faults = |error: &str, spoil: fn(&mut History)| {
            let mut history = good();
            history.runs[1].end = Some((at(2_500), "failed".to_owned()));
            let (status, error) = ("failed".to_owned(), Some(error.to_owned()));
            history.rows[0] = Row { status, error, output: None, has_result: false, ..row() };
            spoil(&mut history);
            an_error_is_of_the_run_that_the_table_names(&history).len()
        };
        let of = |run: &str| format!(r#"{{"code":"handler-error","message":"attempt 1 was to fail [run {run}]"}}"#);
        assert_eq!(faults(&of("run-b"), |_| {}), 0);
        assert_eq!(faults(&of("run-a"), |history| history.runs[0].end = Some((at(2_000), "failed".to_owned()))), 1);
        assert_eq!(faults(&of("run-c"), |_| {}), 1);
        assert_eq!(faults(&of("run-b"), |history| history.runs[1].end = None), 1);
        assert_eq!(faults(&of("run-b"), |history| history.runs[1].end = Some((at(2_500), "complete".to_owned()))), 1);
        assert_eq!(faults(r#"{"code":"handler-error","message":"it failed"}"#, |_| {}), 1);
        assert_eq!(faults(r#"{"code":"run-timeout","message":"it ran for too long"}"#, |_| {}), 0);
    }

    #[test]
    fn a_result_that_changes_or_is_of_another_job_is_found() {
        let mut history = good();
        history.seen.push(seen(5_000, Ask::Output(JOB.to_owned()), Heard::Output(Some(output("run-a")))));
        assert_eq!(a_result_never_changes(&history).len(), 1);
        let mut history = good();
        let foreign = Output { job: "job-2".to_owned(), ..output("run-b") };
        history.seen[3].heard = Heard::Output(Some(foreign));
        assert_eq!(a_result_never_changes(&history)[0].rule, "a result is of its own job");
    }
}
