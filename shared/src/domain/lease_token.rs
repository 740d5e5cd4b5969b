//! What whoever works on a job elsewhere shows for it, a remote worker or an upstream: the job and the token of its fence.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::{Fence, JobId};

/// `JOB.TOKEN`. The second part is drawn anew for each attempt, and cannot be guessed: 122 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseToken {
    /// Which job.
    pub job: JobId,
    /// Of which attempt.
    pub token: Uuid,
}

impl From<Fence> for LeaseToken {
    fn from(fence: Fence) -> Self {
        Self { job: fence.job, token: fence.token }
    }
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.job, self.token.simple())
    }
}

/// A text that is no token of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not JOB.TOKEN")]
pub struct NoLeaseToken;

impl FromStr for LeaseToken {
    type Err = NoLeaseToken;

    fn from_str(text: &str) -> Result<Self, NoLeaseToken> {
        let (job, token) = text.split_once('.').ok_or(NoLeaseToken)?;
        let read = |part: &str| Uuid::try_parse(part).map_err(|_| NoLeaseToken);
        let lease = Self { job: JobId::new(read(job)?), token: read(token)? };
        // One way to write each, and no other.
        if lease.to_string() == text { Ok(lease) } else { Err(NoLeaseToken) }
    }
}

#[cfg(test)]
mod tests {
    use crate::lifecycle::IdSource;

    use super::*;

    #[test]
    fn a_token_reads_back_and_nothing_else_is_one() {
        let lease = LeaseToken { job: IdSource.job(), token: IdSource.random() };
        let text = lease.to_string();
        assert_eq!(text.parse(), Ok(lease));
        for bad in [String::new(), ".".to_owned(), text.to_uppercase(), format!("{text}0"), text.replace('.', "-")] {
            assert_eq!(bad.parse::<LeaseToken>(), Err(NoLeaseToken), "{bad}");
        }
    }
}
