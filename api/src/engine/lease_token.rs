//! What a remote worker shows for a job that it has leased: the job and the token of its fence.

use std::fmt;
use std::str::FromStr;

use raincheck_shared::domain::JobId;
use uuid::Uuid;

/// `JOB.TOKEN`. The second part is drawn anew for each attempt, and cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeaseToken {
    pub(crate) job: JobId,
    pub(crate) token: Uuid,
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.job, self.token.simple())
    }
}

/// A text that is no token of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoLeaseToken;

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
    use raincheck_shared::lifecycle::IdSource;

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
