//! How long until the next try.

use std::time::{Duration, SystemTime};

use ring::rand::{SecureRandom, SystemRandom};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Pauses with full jitter: anything from nothing to a bound that doubles.
#[derive(Debug)]
pub(crate) struct Backoff {
    bound: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { bound: FIRST_PAUSE }
    }

    /// Until the next try; never less than the server asked for.
    pub(crate) fn pause(&mut self, retry_after: Duration) -> Duration {
        let pause = self.bound.mul_f64(fraction());
        self.bound = (self.bound * 2).min(LONGEST_PAUSE);
        pause.saturating_add(retry_after)
    }
}

/// Random bytes. Where the system has none, what is made of them is not random, and still works.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // It fails in processes that were shut out from the system's randomness; TLS says so when it comes to that.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes
}

fn fraction() -> f64 {
    f64::from(u32::from_le_bytes(random())) / f64::from(u32::MAX)
}

/// `Retry-After`: seconds, or a date.
pub(crate) fn retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let at = OffsetDateTime::parse(&text.replace(" GMT", " +0000"), &Rfc2822).ok()?;
    Some((at - now()).try_into().unwrap_or_default())
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "this crate stands alone: it has no Clock of the server's")]
pub(crate) fn now() -> OffsetDateTime {
    SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_within_a_bound_that_doubles_and_never_shorter_than_asked() {
        let mut backoff = Backoff::new();
        for bound in [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
            let pause = backoff.pause(Duration::from_secs(3)).as_millis();
            assert!((3000..=3000 + bound).contains(&pause), "{pause} ms, bound {bound} ms");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_nothing_else() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("99999999999999999999999"), Some(Duration::MAX));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let ahead = retry_after("Fri, 21 Oct 2995 07:28:00 GMT").unwrap();
        assert!(ahead > Duration::from_hours(24 * 365 * 900), "{ahead:?}");
        for bad in ["", "soon", "-1", "1.5"] {
            assert_eq!(retry_after(bad), None, "{bad}");
        }
    }
}
