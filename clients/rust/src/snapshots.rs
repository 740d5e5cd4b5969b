//! A job as it moves: by server-sent events, or else by long polls, or else by asking now and then.
//!
//! Proxies cut streams, buffer them for ever, or do not let requests stay open. So a way that failed twice in a row without
//! bringing news is given up for the next one, and a stream that keeps silent from its start at once. After a failure the job
//! is read the plain way, on the retry budget: that tells whether it was the way that failed or the server that is away.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::event_stream::EventStream;
use crate::fault::Fault;
use crate::handle::read_job;
use crate::job::Job;
use crate::request::{OpenAnswer, Request, encode};
use crate::retry::Backoff;
use crate::transport::Size;

/// Failures without news in between until a way is given up.
const MISSES: u32 = 2;
/// A stream that has begun says something every 15 s.
const SILENCE: Duration = Duration::from_secs(40);
/// A page that came instead of a stream is read as far as this.
const LARGEST_PAGE: usize = 1 << 20;

/// Follows one job. Made by [`JobHandle::stream`](crate::JobHandle::stream).
pub struct Snapshots {
    /// Who follows, while nobody waits for him.
    follower: Option<Box<Follower>>,
    /// The same on his way to the next version. He is kept when the future that waited for him is dropped: his times run on,
    /// and what he has asked for is not asked for again.
    under_way: Option<UnderWay>,
    latest: Option<Job>,
    over: bool,
}

type UnderWay = Pin<Box<dyn Future<Output = (Box<Follower>, Result<Job, Error>)> + Send>>;

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").field("latest", &self.latest).field("over", &self.over).finish_non_exhaustive()
    }
}

impl Snapshots {
    pub(crate) fn new(client: Client, id: String, within: Option<Duration>) -> Self {
        let follower = Some(Box::new(Follower::new(client, id, within)));
        Self { follower, under_way: None, latest: None, over: false }
    }

    /// The newest version that was seen.
    pub fn latest(&self) -> Option<&Job> {
        self.latest.as_ref()
    }

    /// The next version; `None` after the last one, which is done, and after an error.
    ///
    /// Whoever drops this future loses nothing, and asks for nothing twice: the next call goes on where it was, and its times
    /// have run on meanwhile. So it may stand in `select!` beside a ticker.
    pub async fn next(&mut self) -> Option<Result<Job, Error>> {
        if self.over {
            return None;
        }
        if let Some(mut follower) = self.follower.take() {
            self.under_way = Some(Box::pin(async move {
                let next = follower.next().await;
                (follower, next)
            }));
        }
        let (follower, next) = self.under_way.as_mut()?.await;
        self.under_way = None;
        self.latest.clone_from(&follower.latest);
        self.over = next.as_ref().map_or(true, Job::done);
        if !self.over {
            self.follower = Some(follower);
        }
        Some(next)
    }

    /// The same, as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Job, Error>> + Send {
        unfold(self, |mut snapshots| async { snapshots.next().await.map(|next| (next, snapshots)) })
    }
}

/// Who follows the job. To drop one of his futures is to begin its waits again.
struct Follower {
    client: Client,
    id: String,
    within: Option<Duration>,
    deadline: Option<Instant>,
    latest: Option<Job>,
    way: Way,
    listening: Option<Listening>,
    misses: u32,
    /// Whether the try that is under way brought news.
    moved: bool,
    backoff: Backoff,
    /// To be read the plain way before anything else.
    looks: bool,
    reconnect_after: Duration,
    poll_after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Events,
    LongPolls,
    NowAndThen,
}

#[derive(Debug)]
struct Listening {
    answer: OpenAnswer,
    events: EventStream,
    begun: bool,
}

impl Follower {
    fn new(client: Client, id: String, within: Option<Duration>) -> Self {
        Self {
            client,
            id,
            within,
            deadline: within.and_then(|within| Instant::now().checked_add(within)),
            latest: None,
            way: Way::Events,
            listening: None,
            misses: 0,
            moved: false,
            backoff: Backoff::new(),
            looks: false,
            reconnect_after: Duration::ZERO,
            poll_after: Duration::ZERO,
        }
    }

    /// The next version.
    async fn next(&mut self) -> Result<Job, Error> {
        let next = match self.deadline {
            None => self.news().await,
            Some(deadline) => match timeout_at(deadline, self.news()).await {
                Ok(next) => next,
                Err(_) => Err(Error::new(ErrorKind::Timeout {
                    after: self.within.unwrap_or_default(),
                    job: self.latest.clone().map(Box::new),
                })),
            },
        };
        next.map_err(|error| error.about_job(&self.id))
    }

    async fn news(&mut self) -> Result<Job, Error> {
        loop {
            if self.looks {
                let job = self.read().await?;
                self.looks = false;
                if let Some(job) = self.take(job) {
                    return Ok(job);
                }
            }
            let came = match self.way {
                Way::Events => self.event().await,
                Way::LongPolls => self.held().await,
                Way::NowAndThen => {
                    sleep(self.poll_after).await;
                    Ok(Some(self.read().await?))
                }
            };
            match came {
                Ok(Some(job)) => {
                    if let Some(job) = self.take(job) {
                        return Ok(job);
                    }
                }
                Ok(None) => self.ended(None).await?,
                Err(fault) => self.ended(Some(fault)).await?,
            }
        }
    }

    /// Versions only rise: what arrives late or twice is left out.
    fn take(&mut self, job: Job) -> Option<Job> {
        if job.version() <= self.seen() {
            return None;
        }
        self.moved = true;
        self.misses = 0;
        self.backoff = Backoff::new();
        self.latest = Some(job.clone());
        Some(job)
    }

    fn seen(&self) -> u64 {
        self.latest.as_ref().map_or(0, Job::version)
    }

    /// A stream ended, or a way failed: whether to go on this way, and when.
    async fn ended(&mut self, fault: Option<Fault>) -> Result<(), Error> {
        self.listening = None;
        let streamed = self.way == Way::Events;
        self.looks = fault.is_some() || streamed;
        self.misses += match fault {
            Some(fault) if !fault.is_a_miss() => return Err(fault.into()),
            Some(Fault::Silent) => MISSES,
            Some(_) => u32::from(!self.moved),
            // A job that stood still while a long poll was held is no miss.
            None => u32::from(streamed && !self.moved),
        };
        if self.misses >= MISSES {
            self.misses = 0;
            self.way = if streamed { Way::LongPolls } else { Way::NowAndThen };
        } else if streamed {
            let pause = self.backoff.pause(Duration::ZERO).max(self.reconnect_after);
            sleep(pause).await;
        }
        Ok(())
    }

    /// The next event of the stream, which is opened first. `None`: it has ended.
    async fn event(&mut self) -> Result<Option<Job>, Fault> {
        if self.listening.is_none() {
            self.moved = false;
            self.listening = self.listen().await?;
        }
        let patience = self.client.settings().stream_patience;
        let Some(listening) = &mut self.listening else { return Ok(None) };
        loop {
            while let Some(data) = listening.events.next_data() {
                if let Some(job) = serde_json::from_str(&data).ok().and_then(Job::read) {
                    return Ok(Some(job));
                }
            }
            // The server speaks at once, if only to say `retry`.
            let silence = if listening.begun { SILENCE } else { patience };
            let bytes = match listening.answer.next(silence).await {
                Err(Fault::TimedOut(_)) if !listening.begun => return Err(Fault::Silent),
                bytes => bytes?,
            };
            let Some(bytes) = bytes else { return Ok(None) };
            listening.begun = true;
            if !listening.events.push(&bytes) {
                return Err(Fault::Connection("an event is too long to be one of raincheck's".into()));
            }
            self.reconnect_after = listening.events.retry().unwrap_or(self.reconnect_after);
        }
    }

    async fn listen(&self) -> Result<Option<Listening>, Fault> {
        let mut request = Request::get(format!("{}/events", self.path()))
            .header("accept", "text/event-stream")
            .header("cache-control", "no-store");
        if self.seen() > 0 {
            request = request.header("last-event-id", self.seen().to_string());
        }
        let patience = self.client.settings().stream_patience;
        let answer = match self.client.transport().open(&request, patience).await {
            Err(Fault::TimedOut(_)) => return Err(Fault::Silent),
            answer => answer?,
        };
        let streams = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        match answer.status {
            204 => Ok(None),
            200 if streams => Ok(Some(Listening { answer, events: EventStream::default(), begun: false })),
            _ => {
                let page = Fault::of(answer.all(LARGEST_PAGE, patience).await?)?;
                Err(page.garbled())
            }
        }
    }

    /// One long poll. `None`: the job did not move meanwhile.
    async fn held(&mut self) -> Result<Option<Job>, Fault> {
        self.moved = false;
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let held = self.client.settings().long_poll.min(left.unwrap_or(Duration::MAX)).as_secs().max(1);
        let mut request = Request::get(self.path()).header("prefer", format!("wait={held}"));
        if self.seen() > 0 {
            request = request.header("if-none-match", format!("\"{}\"", self.seen()));
        }
        let started = Instant::now();
        let patience = Duration::from_secs(held + 10);
        let answer = Fault::of(self.client.transport().send(&request, patience, Size::Document).await?)?;
        let job = if answer.status == 304 { None } else { Some(read_job(&answer)?) };
        match job.filter(|job| job.version() > self.seen()) {
            Some(job) => Ok(Some(job)),
            // Somebody took the wish to wait off the request: to ask again at once would go round in circles.
            None if started.elapsed() < Duration::from_secs(held) / 2 => Err(answer.garbled()),
            None => Ok(None),
        }
    }

    async fn read(&mut self) -> Result<Job, Error> {
        let request = Request::get(self.path());
        let read = |answer: &crate::Answer| {
            let asked = answer.retry_after();
            let job = read_job(answer)?;
            Ok((asked.filter(|asked| !asked.is_zero()).unwrap_or_else(|| job.poll_after()), job))
        };
        let (poll_after, job) = self.client.with_retries(&request, self.deadline, Size::Document, read).await?;
        self.poll_after = poll_after;
        Ok(job)
    }

    fn path(&self) -> String {
        format!("/v1/jobs/{}", encode(&self.id))
    }
}
