//! What must hold for whatever the receiver of a webhook answers, as a function that panics when it does not.

#![expect(clippy::missing_panics_doc, reason = "to panic is what a law is for")]

use std::time::Duration;

use hyper::header::HeaderValue;
use raincheck_shared::domain::{DeliveryAttempt, Timestamp, next_try};

use super::dialer::retry_after_of;

/// Pauses between attempts.
const RETRIES: [Duration; 2] = [Duration::from_secs(5), Duration::from_hours(2)];
/// No wish of a receiver makes one longer.
const LONGEST: Duration = Duration::from_hours(24);

/// An answer: the first line is its `Retry-After`, the rest its body. Seconds read as what was written, no wish makes a pause
/// shorter or longer than a day, and what is kept of the body can be kept and is no more than its beginning.
pub fn receiver(bytes: &[u8]) {
    let (line, body) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let asked = HeaderValue::from_bytes(line).ok().and_then(|value| retry_after_of(&value, Timestamp::UNIX_EPOCH));
    if let Some(asked) = asked {
        let printed = HeaderValue::from(asked.as_secs());
        let again = retry_after_of(&printed, Timestamp::UNIX_EPOCH);
        assert_eq!(again, Some(Duration::from_secs(asked.as_secs())));
    }
    for (tries, pause) in RETRIES.iter().enumerate() {
        for random in [0.0, 0.5, 0.999] {
            let unasked = next_try(&RETRIES, tries + 1, None, random);
            let next = next_try(&RETRIES, tries + 1, asked, random);
            assert!(next >= unasked && next.is_some_and(|next| next <= LONGEST), "{asked:?} after {pause:?}: {next:?}");
        }
    }
    if let Some(text) = DeliveryAttempt::readable(body) {
        assert!(!text.is_empty() && !text.contains('\0'));
        assert!(text.chars().count() <= DeliveryAttempt::RESPONSE_LIMIT);
    } else {
        assert!(body.is_empty());
    }
}
