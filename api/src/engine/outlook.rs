//! What is likely to become of a live job, and when: from how long its kind ran lately, how fast its queue moves, and how much
//! is ahead of it.
//!
//! All of it comes from two bounded samples of the store, taken again every few seconds while anybody asks. So every replica
//! says about the same, also right after its start, and no job pays for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use raincheck_shared::domain::{Band, Job, JobId, KindName, QueueName, Status, Timestamp};
use raincheck_shared::lifecycle::Shutdown;
use raincheck_shared::store::{RecentRun, StoreError, Survey, WaitingBatch};
use raincheck_shared::telemetry::Chain;
use tokio::sync::{Notify, watch};

/// A sample is good for this long.
const FRESH: Duration = Duration::from_secs(5);
/// Jobs that one sample of runs looks at, from each place where it looks.
const RUNS: u32 = 500;
/// Runs of a kind that count, the latest.
const RUNS_OF_KIND: usize = 200;
/// With fewer nothing is said.
const FEWEST_RUNS: usize = 3;
/// Dispatches of the sample of what waits.
const WAITING: u32 = 5_000;
/// A queue whose last end is older than that does not move, as far as anybody can tell.
const STILL_MOVES: time::Duration = time::Duration::minutes(5);

/// How long runs of a kind took lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunTimes {
    /// Half of them took no longer.
    pub(crate) p50: Duration,
    /// 95 of 100 took no longer.
    pub(crate) p95: Duration,
    /// How many were looked at.
    pub(crate) sample: usize,
}

/// What is likely to become of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// About how many jobs go before it, itself included, while it is queued.
    pub(crate) queue_position: Option<u64>,
    /// When, as far as anything can be said.
    pub(crate) estimate: Option<Estimate>,
}

/// When a job is likely to start and to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Estimate {
    /// `None`: it has started, or nobody can tell.
    pub(crate) start_at: Option<Timestamp>,
    /// `None`: nobody can tell.
    pub(crate) finish_at: Option<Timestamp>,
    /// What this goes by, in words.
    pub(crate) basis: String,
}

/// What the samples say. Cheap to ask.
#[derive(Debug, Default)]
struct Picture {
    /// Not so while nothing was sampled yet.
    is_taken: bool,
    runs: HashMap<KindName, RunTimes>,
    /// Ends a second.
    rates: HashMap<QueueName, f64>,
    lines: HashMap<(QueueName, Band), Line>,
}

/// What waits in one band of a queue, by id: the first job of each batch, and how many wait before that.
#[derive(Debug, Default)]
struct Line {
    firsts: Vec<(JobId, u64)>,
    total: u64,
}

/// Looks ahead. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Outlook {
    picture: watch::Receiver<Arc<Picture>>,
    asked: Arc<Notify>,
}

impl Outlook {
    /// Starts taking samples, on the runtime of the caller.
    pub(crate) fn start(survey: Arc<dyn Survey>, shutdown: &Shutdown) -> Self {
        let (taken, picture) = watch::channel(Arc::default());
        let asked = Arc::<Notify>::default();
        let ask = Arc::clone(&asked);
        shutdown.spawn_service(async move {
            loop {
                match take(&*survey).await {
                    Ok(picture) => {
                        taken.send_replace(Arc::new(picture));
                    }
                    // What was known stays; an outage has its lines elsewhere.
                    Err(error) => tracing::debug!(error = %Chain(&error), "no sample for estimates"),
                }
                tokio::time::sleep(FRESH).await;
                ask.notified().await;
            }
        });
        Self { picture, asked }
    }

    /// How long runs of a kind took lately.
    pub(crate) fn run_times(&self, kind: &KindName) -> Option<RunTimes> {
        self.asked.notify_one();
        self.picture.borrow().runs.get(kind).copied()
    }

    /// What is likely to become of a job as it stands at `now`; nothing more of one that has ended.
    pub(crate) fn of(&self, job: &Job, now: Timestamp) -> Forecast {
        if job.status.is_done() {
            return Forecast::default();
        }
        self.asked.notify_one();
        let picture = Arc::clone(&self.picture.borrow());
        picture.of(job, now)
    }
}

async fn take(survey: &dyn Survey) -> Result<Picture, StoreError> {
    let runs = survey.list_recent_runs(RUNS).await?;
    let waiting = survey.list_waiting(WAITING).await?;
    Ok(Picture::new(runs, waiting))
}

impl Picture {
    fn new(mut runs: Vec<RecentRun>, waiting: Vec<WaitingBatch>) -> Self {
        runs.sort_unstable_by_key(|run| std::cmp::Reverse(run.finished_at));
        let mut took: HashMap<KindName, Vec<Duration>> = HashMap::new();
        let mut ends: HashMap<QueueName, Vec<Timestamp>> = HashMap::new();
        for run in runs {
            let times = took.entry(run.kind).or_default();
            if times.len() < RUNS_OF_KIND {
                times.push(Duration::try_from(run.finished_at - run.started_at).unwrap_or_default());
            }
            ends.entry(run.queue).or_default().push(run.finished_at);
        }
        Self {
            is_taken: true,
            runs: took.into_iter().filter_map(|(kind, times)| Some((kind, RunTimes::of(times)?))).collect(),
            rates: ends.into_iter().filter_map(|(queue, ends)| Some((queue, rate(&ends)?))).collect(),
            lines: lines(waiting),
        }
    }

    fn of(&self, job: &Job, now: Timestamp) -> Forecast {
        let queue_position = (self.is_taken && job.status == Status::Queued).then(|| self.position(job));
        let estimate = match job.status {
            Status::InProgress => self.of_running(job, now),
            Status::Scheduled => self.of_waiting(job, job.run_at, "run_at"),
            Status::Retrying => self.of_waiting(job, job.next_attempt_at, "next_attempt_at"),
            _ => self.of_queued(job, queue_position, now),
        };
        Forecast { queue_position, estimate }
    }

    /// Bands above come first. That they do not always, so that none is starved, is a small error.
    fn position(&self, job: &Job) -> u64 {
        let own = Band::of_priority(job.priority);
        let line = |band: Band| self.lines.get(&(job.queue.clone(), band));
        let above: u64 = Band::ALL.into_iter().filter(|band| *band > own).filter_map(line).map(|line| line.total).sum();
        let before = line(own).map_or(0, |line| line.before(job.id));
        above + before + 1
    }

    fn of_running(&self, job: &Job, now: Timestamp) -> Option<Estimate> {
        let (times, started) = (self.runs.get(&job.kind)?, job.started_at?);
        let sample = times.sample;
        for (name, time) in [("p50", times.p50), ("p95", times.p95)] {
            let finish_at = later(started, time);
            if finish_at > now {
                let basis = format!("{name} of the last {sample} runs");
                return Some(Estimate { start_at: None, finish_at: Some(finish_at), basis });
            }
        }
        let basis = format!("it runs longer than the p95 of the last {sample} runs");
        Some(Estimate { start_at: None, finish_at: None, basis })
    }

    fn of_waiting(&self, job: &Job, start_at: Option<Timestamp>, due: &str) -> Option<Estimate> {
        let start_at = start_at?;
        Some(self.starting_at(job, start_at, due))
    }

    fn of_queued(&self, job: &Job, position: Option<u64>, now: Timestamp) -> Option<Estimate> {
        let (position, rate) = (position?, *self.rates.get(&job.queue)?);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let wait = position as f64 / rate;
        let start_at = later(now, Duration::try_from_secs_f64(wait).ok()?);
        Some(self.starting_at(job, start_at, &format!("about {position} in line, {rate:.2} a second ended lately")))
    }

    fn starting_at(&self, job: &Job, start_at: Timestamp, start: &str) -> Estimate {
        match self.runs.get(&job.kind) {
            Some(times) => Estimate {
                start_at: Some(start_at),
                finish_at: Some(later(start_at, times.p50)),
                basis: format!("{start}; p50 of the last {} runs", times.sample),
            },
            None => Estimate { start_at: Some(start_at), finish_at: None, basis: start.to_owned() },
        }
    }
}

impl RunTimes {
    fn of(mut times: Vec<Duration>) -> Option<Self> {
        if times.len() < FEWEST_RUNS {
            return None;
        }
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() * share).div_ceil(100).max(1) - 1).copied();
        Some(Self { p50: at(50)?, p95: at(95)?, sample: times.len() })
    }
}

impl Line {
    /// How many wait before a job.
    fn before(&self, id: JobId) -> u64 {
        let next = self.firsts.partition_point(|(first, _)| *first <= id);
        match self.firsts.get(next.wrapping_sub(1)) {
            // It has come since the sample was taken, or stands beyond what the sample covers.
            Some(_) if next == self.firsts.len() && self.firsts.last().is_some_and(|(first, _)| *first != id) => {
                self.total
            }
            Some((_, before)) => *before,
            None => 0,
        }
    }
}

/// By id, since that is the order in which nearly all began to wait.
fn lines(mut waiting: Vec<WaitingBatch>) -> HashMap<(QueueName, Band), Line> {
    waiting.sort_unstable_by_key(|batch| batch.first);
    let mut lines: HashMap<(QueueName, Band), Line> = HashMap::new();
    for batch in waiting {
        let line = lines.entry((batch.queue, batch.band)).or_default();
        line.firsts.push((batch.first, line.total));
        line.total += batch.jobs;
    }
    lines
}

/// Ends a second of the latest that are known, newest first.
fn rate(ends: &[Timestamp]) -> Option<f64> {
    let newest = *ends.first()?;
    let lately: Vec<&Timestamp> = ends.iter().take_while(|end| newest - **end < STILL_MOVES).collect();
    let span = (newest - **lately.last()?).as_seconds_f64();
    #[expect(clippy::cast_precision_loss, reason = "a sample is far below 2^52")]
    let count = (lately.len() - 1) as f64;
    (lately.len() >= FEWEST_RUNS && span > 0.0).then(|| count / span)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(time::Duration::try_from(by).unwrap_or(time::Duration::MAX))
}

/// A queued job of kind `echo` in queue `default`.
#[cfg(test)]
pub(crate) fn job_for_tests(id: JobId) -> Job {
    Job {
        id,
        kind: "echo".parse().unwrap(),
        queue: "default".parse().unwrap(),
        priority: 5,
        version: 1,
        status: Status::Queued,
        attempt: 0,
        max_attempts: 3,
        run_at: None,
        started_at: None,
        finished_at: None,
        next_attempt_at: None,
        expires_at: None,
        erased_at: None,
        deadline: None,
        run_timeout: Duration::from_mins(1),
        retention: Duration::from_hours(1),
        heartbeat_at: None,
        worker: None,
        progress: None,
        cancel: None,
        result: None,
        error: None,
        attempts: Vec::new(),
        metadata: None,
        tags: Vec::new(),
        concurrency_key: None,
        idempotency_key: None,
        traceparent: None,
        retry_of: None,
        webhook: None,
        batch: None,
        tenant: raincheck_shared::domain::TenantName::default(),
    }
}

#[cfg(test)]
mod tests {
    use raincheck_shared::lifecycle::IdSource;

    use super::*;

    const NOON: Timestamp = Timestamp::UNIX_EPOCH;

    fn at(seconds: f64) -> Timestamp {
        NOON + time::Duration::seconds_f64(seconds)
    }

    /// Runs of so many seconds, one ended each second before noon.
    fn runs(times: impl IntoIterator<Item = u32>) -> Vec<RecentRun> {
        let run = |(n, took): (usize, u32)| {
            let end = at(-f64::from(u32::try_from(n).unwrap()));
            RecentRun {
                kind: "echo".parse().unwrap(),
                queue: "default".parse().unwrap(),
                started_at: end - Duration::from_secs(took.into()),
                finished_at: end,
            }
        };
        times.into_iter().enumerate().map(run).collect()
    }

    fn waiting(first: JobId, band: Band, jobs: u64) -> WaitingBatch {
        WaitingBatch { queue: "default".parse().unwrap(), band, first, jobs }
    }

    fn running(since: f64) -> Job {
        let started_at = Some(at(-since));
        Job { status: Status::InProgress, started_at, ..job_for_tests(IdSource.job()) }
    }

    #[test]
    fn a_run_ends_at_the_p50_then_at_the_p95_and_then_nobody_can_tell() {
        let picture = Picture::new(runs(1..=100), Vec::new());
        let times = picture.runs.values().next().unwrap();
        assert_eq!((times.p50.as_secs(), times.p95.as_secs(), times.sample), (50, 95, 100));
        for (since, ends, said) in [(10.0, Some(40.0), "p50"), (60.0, Some(35.0), "p95"), (96.0, None, "longer")] {
            let estimate = picture.of(&running(since), NOON).estimate.unwrap();
            assert_eq!(estimate.finish_at, ends.map(at), "{since}");
            assert!(estimate.basis.contains(said) && estimate.basis.contains("100 runs"), "{}", estimate.basis);
        }
    }

    #[test]
    fn a_queued_job_starts_when_what_is_ahead_has_ended_at_the_pace_of_late() {
        let ids: Vec<JobId> = (0..4).map(|_| IdSource.job()).collect();
        let lines = vec![
            waiting(ids[2], Band::Normal, 1),
            waiting(ids[0], Band::Normal, 10),
            waiting(ids[3], Band::High, 5),
            waiting(ids[1], Band::Low, 100),
        ];
        let picture = Picture::new(runs([7; 11]), lines);
        let forecast = picture.of(&job_for_tests(ids[2]), NOON);
        assert_eq!(forecast.queue_position, Some(5 + 10 + 1));
        let estimate = forecast.estimate.unwrap();
        assert_eq!((estimate.start_at, estimate.finish_at), (Some(at(16.0)), Some(at(23.0))));
        assert!(estimate.basis.starts_with("about 16 in line, 1.00 a second"), "{}", estimate.basis);
        // Who came after the sample stands behind all that it knows.
        assert_eq!(picture.of(&job_for_tests(IdSource.job()), NOON).queue_position, Some(5 + 11 + 1));
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let nothing = Picture::default().of(&job_for_tests(IdSource.job()), NOON);
        assert_eq!(nothing, Forecast::default());
        let few = Picture::new(runs([1, 1]), Vec::new());
        assert_eq!(few.of(&running(0.5), NOON).estimate, None);
        let job = Job { status: Status::Scheduled, run_at: Some(at(60.0)), ..job_for_tests(IdSource.job()) };
        let estimate = few.of(&job, NOON).estimate.unwrap();
        assert_eq!((estimate.start_at, estimate.finish_at, estimate.basis.as_str()), (job.run_at, None, "run_at"));
    }
}
