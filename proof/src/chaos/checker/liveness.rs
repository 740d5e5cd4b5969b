//! At most one live attempt.
//!
//! A run *lives* from its start to its end, as its handler tells both. Three things end its life without a word of its own:
//!
//! - its process died;
//! - its process stood still for about a lease: it runs nothing then, its jobs are given to others, and nobody can keep it
//!   from running on for a moment when it thaws;
//! - its process was cut off in a way that closes its connections to the database and opens no others: its session lock
//!   fell free as if it had died.
//!
//! A process that is cut off in silence has no such excuse: it knows its lease, and has to stop its handlers in time. Nor
//! has one whose server was away.

use std::collections::HashMap;
use std::time::Duration;

use super::Violation;
use crate::chaos::history::{History, Run, Why};
use crate::chaos::moment::Moment;

/// No run of a job starts while another run of it lives.
pub(super) fn no_attempt_starts_while_another_lives(history: &History) -> Vec<Violation> {
    let mut by_job: HashMap<&str, Vec<&Run>> = HashMap::new();
    for run in &history.runs {
        by_job.entry(&run.job).or_default().push(run);
    }
    let mut found = Vec::new();
    for (job, mut runs) in by_job {
        runs.sort_by_key(|run| run.start);
        for (n, later) in runs.iter().enumerate() {
            for earlier in &runs[..n] {
                if lives(earlier, later.start, history) {
                    let ahead = later.start.since(earlier.start);
                    let said = format!(
                        "run {} on {} started {ahead:?} after run {} on {}, which still lived",
                        later.run, later.process, earlier.run, earlier.process
                    );
                    found.push(Violation::of("at most one live attempt", job, said));
                }
            }
        }
    }
    found
}

/// Whether `run` lives at `at`.
fn lives(run: &Run, at: Moment, history: &History) -> bool {
    if run.end.as_ref().is_some_and(|(end, _)| *end <= at) {
        return false;
    }
    // What was renewed just before a process stood still counts from then.
    let about_a_lease = history.lease.saturating_sub(2 * history.heartbeat);
    // A session lock that fell free counts once the heartbeat is late, and that may be a while after the cut has ended.
    let late = Duration::from_secs(2);
    let gone = history.absences.iter().any(|absence| {
        let until = absence.until.unwrap_or(at).min(at);
        absence.pid == run.pid
            && absence.from <= at
            && match absence.why {
                Why::Dead => true,
                Why::Frozen => until.since(absence.from.max(run.start.before(history.heartbeat))) >= about_a_lease,
                Why::CutOff => absence.until.is_none_or(|until| until.after(late) >= run.start),
            }
    });
    !gone
}

#[cfg(test)]
mod tests {
    use super::super::sample::{absence, at, good, run};
    use super::*;

    fn overlaps(spoil: impl Fn(&mut History)) -> usize {
        let mut history = good();
        spoil(&mut history);
        no_attempt_starts_while_another_lives(&history).len()
    }

    #[test]
    fn a_second_attempt_beside_a_live_one_is_found() {
        assert_eq!(overlaps(|_| {}), 0, "the first worker was dead");
        assert_eq!(overlaps(|history| history.absences.clear()), 1);
        assert_eq!(overlaps(|history| history.absences[0].from = at(1_600)), 1, "it died too late");
        assert_eq!(overlaps(|history| history.absences[0].pid = 9), 1, "another process died");
    }

    #[test]
    fn an_attempt_after_the_end_of_the_other_is_fine() {
        let ended = |history: &mut History| {
            history.absences.clear();
            history.runs[0] = run("run-a", "w1", 100, Some(1_500));
        };
        assert_eq!(overlaps(ended), 0);
    }

    #[test]
    fn only_a_freeze_of_about_a_lease_excuses() {
        let frozen = |until: i64| {
            overlaps(move |history: &mut History| {
                history.absences = vec![absence("w1", Why::Frozen, 200, Some(until))];
                history.runs = vec![run("run-a", "w1", 100, Some(4_500)), run("run-b", "w2", 4_000, Some(4_800))];
            })
        };
        assert_eq!(frozen(3_500), 0);
        assert_eq!(frozen(1_000), 1, "too short to be taken for dead");
    }

    #[test]
    fn a_cut_long_before_the_run_excuses_nothing() {
        let cut = |from: i64, until: i64| {
            overlaps(move |history: &mut History| {
                history.absences = vec![absence("w1", Why::CutOff, from, Some(until))];
                history.runs = vec![run("run-a", "w1", 9_000, Some(12_000)), run("run-b", "w2", 11_000, Some(11_500))];
            })
        };
        assert_eq!(cut(9_500, 10_900), 0);
        assert_eq!(cut(1_000, 3_000), 1);
        assert_eq!(cut(11_500, 13_000), 1, "it came after");
    }
}
