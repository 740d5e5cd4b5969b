//! How soon to ask again.

use std::time::Duration;

use raincheck_shared::domain::{Job, Status, Timestamp};

use crate::engine::Forecast;

const SOONEST: f64 = 1.0;
const LATEST: f64 = 30.0;
/// A fifth of the age, where nothing better is known: whoever polls sees the end at most 20 % later than it came.
const SHARE_OF_AGE: f64 = 0.2;
/// To both sides, so that those who came together do not come back together.
const JITTER: f64 = 0.2;

/// Nobody waits longer for what ends soon than it takes.
const SOON: f64 = 5.0;
/// Of the time that is likely to remain: the estimate may be wrong to both sides.
const SHARE_OF_REST: f64 = 0.5;

/// How long to wait before reading a live job again; `None` once it has ended. `random` is in `0.0..1.0`.
pub(crate) fn poll_after(job: &Job, forecast: &Forecast, now: Timestamp, random: f64) -> Option<Duration> {
    if job.status.is_done() {
        return None;
    }
    let due = match job.status {
        Status::Scheduled => job.run_at,
        Status::Retrying => job.next_attempt_at,
        _ => None,
    };
    let until = |at: Timestamp| (at - now).as_seconds_f64();
    let age = -until(job.id.created_at());
    let ends = forecast.estimate.as_ref().and_then(|estimate| estimate.finish_at).map(until).filter(|rest| *rest > 0.0);
    let rest = due.map_or(0.0, until);
    let pause = if age < SOON { SOONEST } else { ends.map_or(age * SHARE_OF_AGE, |rest| rest * SHARE_OF_REST) };
    let (seconds, spread) = if (pause..=LATEST).contains(&rest) {
        // Before it is due only a cancel can have come of it. Whole seconds, as Retry-After has them.
        (rest.ceil(), 1.0 + JITTER * random)
    } else {
        (pause.max(rest), 1.0 + JITTER * (2.0 * random - 1.0))
    };
    let seconds = seconds.clamp(SOONEST, LATEST);
    // Whole milliseconds, and never under the second that Retry-After rounds to.
    Some(Duration::from_secs_f64((seconds * spread).clamp(SOONEST, LATEST)))
}

/// The same in whole seconds, at least one.
pub(crate) fn retry_after(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_millis() >= 500 || wait.as_secs() == 0)
}

#[cfg(test)]
mod tests {
    use raincheck_shared::lifecycle::{Clock, IdSource, SystemClock};

    use super::*;
    use crate::engine::Estimate;

    fn pause(age: f64, rest: Option<f64>, random: f64) -> f64 {
        let mut job = crate::engine::job_for_tests(IdSource.job());
        job.status = Status::InProgress;
        let now = job.id.created_at() + time::Duration::seconds_f64(age);
        let finish_at = rest.map(|rest| now + time::Duration::seconds_f64(rest));
        let estimate = Some(Estimate { start_at: None, finish_at, basis: String::new() });
        poll_after(&job, &Forecast { estimate, ..Forecast::default() }, now, random).unwrap().as_secs_f64()
    }

    #[test]
    fn a_young_job_is_asked_for_each_second_whatever_is_expected_of_it() {
        for rest in [None, Some(0.1), Some(1000.0)] {
            assert!((pause(4.9, rest, 0.5) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn later_the_pause_is_half_of_what_remains_or_a_fifth_of_the_age_and_never_more_than_30_s() {
        for (age, rest, expected) in [
            (10.0, Some(20.0), 10.0),
            (100.0, Some(3.0), 1.5),
            (100.0, Some(1000.0), 30.0),
            (100.0, Some(-1.0), 20.0),
            (100.0, None, 20.0),
            (1000.0, None, 30.0),
            (10.0, Some(0.01), 1.0),
        ] {
            assert!((pause(age, rest, 0.5) - expected).abs() < 1e-6, "{age} {rest:?}: {}", pause(age, rest, 0.5));
        }
    }

    #[test]
    fn pauses_are_spread_by_a_fifth_to_both_sides() {
        assert!((pause(10.0, Some(20.0), 0.0) - 8.0).abs() < 1e-6);
        assert!((pause(10.0, Some(20.0), 1.0) - 12.0).abs() < 1e-6);
        assert!(pause(1000.0, None, 1.0) <= 30.0);
    }

    #[test]
    fn nobody_is_asked_to_come_back_before_a_job_is_due_unless_that_is_more_than_30_s_away() {
        let mut job = crate::engine::job_for_tests(IdSource.job());
        job.status = Status::Scheduled;
        let now = job.id.created_at();
        let mut asked = |due: f64, random: f64| {
            job.run_at = Some(now + time::Duration::seconds_f64(due));
            poll_after(&job, &Forecast::default(), now, random).unwrap()
        };
        for due in [1.2, 10.3, 25.0, 29.9] {
            for random in [0.0, 0.3, 1.0] {
                let pause = asked(due, random);
                assert!((due..=30.0).contains(&pause.as_secs_f64()), "{due} {random}: {pause:?}");
                assert!((due.ceil()..=30.0).contains(&Duration::from_secs(retry_after(pause)).as_secs_f64()));
            }
        }
        assert_eq!(asked(3600.0, 0.5), Duration::from_secs(30));
    }

    #[test]
    fn an_ended_job_is_not_asked_for_again() {
        let mut job = crate::engine::job_for_tests(IdSource.job());
        job.status = Status::Failed;
        assert_eq!(poll_after(&job, &Forecast::default(), SystemClock.now(), 0.5), None);
    }
}
