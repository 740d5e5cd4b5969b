//! The body, bounded before it is gathered, in bytes and in time, and held to the digest that its client says it has.

use std::pin::Pin;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, Sleep, sleep};

use super::content_digest;

use crate::http::code::Code;
use crate::http::problem::Problem;
use crate::http::refusals::too_large;

/// The longest silence between two parts of a body.
const IDLE: Duration = Duration::from_secs(15);
/// The slowest upload that is borne, in bytes a second, after [`GRACE`]. It is held to that stretch by stretch: what came fast is no
/// credit for what comes drop by drop, and holds up others meanwhile.
const SLOWEST: u64 = 64 * 1024;
const GRACE: Duration = Duration::from_secs(30);
const STRETCH: u64 = 30 * SLOWEST;
/// Room that is made in advance, whatever a client announces.
const RESERVE: usize = 256 * 1024;

/// Reads the whole body, at most `limit` bytes.
pub(crate) async fn read_body(request: &HttpRequest, body: web::Payload, limit: u64) -> Result<Bytes, Problem> {
    match Incoming::of(request, body, limit, Duration::MAX)?.gather(limit).await? {
        Gathered::Whole(bytes) => Ok(bytes),
        // It holds no more than `limit`.
        Gathered::More(..) => Err(too_large(limit)),
    }
}

/// A body that is still arriving.
pub(crate) struct Incoming {
    body: web::Payload,
    announced: Option<u64>,
    limit: u64,
    taken: u64,
    /// What its client says, and what has come so far. Apart, since few say it.
    digest: Option<Box<([u8; 32], Sha256)>>,
    pace: Pace,
    /// When the bytes that are due have to be there.
    end: Pin<Box<Sleep>>,
    /// When all of it has to be.
    last: Instant,
}

/// How fast a body has to come.
struct Pace {
    due: u64,
}

impl Pace {
    /// Of a body of so many bytes, and how long its first stretch may take.
    fn of(bytes: u64) -> (Self, Duration) {
        let due = bytes.min(STRETCH);
        (Self { due }, GRACE + Duration::from_secs(due / SLOWEST))
    }

    /// How long the next stretch may take, once so many bytes have come that it begins.
    fn next(&mut self, taken: u64) -> Option<Duration> {
        (taken >= self.due).then(|| {
            self.due = taken + STRETCH;
            GRACE + Duration::from_secs(STRETCH / SLOWEST)
        })
    }
}

/// What came of an attempt to have it all in memory.
pub(crate) enum Gathered {
    /// All of it.
    Whole(Bytes),
    /// Its beginning, perhaps nothing yet; the rest is larger than wanted, or may be.
    More(Bytes, Incoming),
}

impl Incoming {
    /// A body of at most `limit` bytes that may take as long as those need, and no longer than `patience`.
    pub(crate) fn of(
        request: &HttpRequest,
        body: web::Payload,
        limit: u64,
        patience: Duration,
    ) -> Result<Self, Problem> {
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.trim().parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        let digest = content_digest(request)?.map(|said| Box::new((said, Sha256::new())));
        let (pace, first) = Pace::of(announced.unwrap_or(limit));
        let (end, last) = (Box::pin(sleep(first.min(patience))), sleep(patience).deadline());
        Ok(Self { body, announced, limit, taken: 0, digest, pace, end, last })
    }

    /// The next part; `None` after the last, if all of it is what its digest says.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let next = async { tokio::time::timeout(IDLE, self.body.next()).await };
        let part = tokio::select! {
            biased;
            next = next => next.map_err(|_| too_slow())?,
            () = &mut self.end => return Err(too_slow()),
        };
        let Some(part) = part else {
            self.check_digest()?;
            return Ok(None);
        };
        let part = part.map_err(|error| of_payload_error(&error, self.limit))?;
        self.taken += part.len() as u64;
        if let Some(time) = self.pace.next(self.taken) {
            self.end.as_mut().reset(sleep(time).deadline().min(self.last));
        }
        if let Some(digest) = &mut self.digest {
            digest.1.update(&part);
        }
        if self.taken > self.limit { Err(too_large(self.limit)) } else { Ok(Some(part)) }
    }

    fn check_digest(&mut self) -> Result<(), Problem> {
        let Some((said, sum)) = self.digest.take().map(|digest| *digest) else { return Ok(()) };
        if sum.finalize()[..] == said {
            return Ok(());
        }
        let detail = "the body that arrived has another SHA-256 than Content-Digest says";
        Err(Problem::new(Code::DigestMismatch, detail))
    }

    /// Gathers it in memory, unless it is more than `most` bytes.
    pub(crate) async fn gather(mut self, most: u64) -> Result<Gathered, Problem> {
        if self.announced.is_some_and(|length| length > most) {
            return Ok(Gathered::More(Bytes::new(), self));
        }
        let mut gathered = BytesMut::new();
        while let Some(part) = self.next().await? {
            if gathered.is_empty() {
                if self.announced == Some(part.len() as u64) {
                    // All of it in one part: nothing to copy.
                    self.check_digest()?;
                    return Ok(Gathered::Whole(part));
                }
                let expected = self.announced.and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
                gathered.reserve(expected.min(RESERVE).max(part.len()));
            }
            gathered.extend_from_slice(&part);
            if gathered.len() as u64 > most {
                return Ok(Gathered::More(gathered.freeze(), self));
            }
        }
        Ok(Gathered::Whole(gathered.freeze()))
    }
}

fn too_slow() -> Problem {
    Problem::new(Code::RequestTimeout, "the body did not arrive in time")
}

fn of_payload_error(error: &PayloadError, limit: u64) -> Problem {
    match error {
        PayloadError::Overflow => too_large(limit),
        error => Problem::new(Code::MalformedRequest, format!("the body cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stretch_has_its_time_and_what_came_fast_is_no_credit() {
        let (_, small) = Pace::of(1000);
        assert_eq!(small, GRACE);
        let (mut pace, first) = Pace::of(100 << 20);
        let stretch = Duration::from_mins(1);
        assert_eq!(first, stretch);
        assert_eq!(pace.next(STRETCH - 1), None);
        let half = 50 << 20;
        assert_eq!(pace.next(half), Some(stretch), "not the minutes that so many bytes might have taken");
        assert_eq!(pace.next(half + STRETCH - 1), None, "drops do not begin a stretch");
        assert_eq!(pace.next(half + STRETCH), Some(stretch));
    }
}
