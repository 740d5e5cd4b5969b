//! Ids that cannot be mistaken for one another.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use uuid::Uuid;

/// An instant in UTC, as databases and clients see it.
pub type Timestamp = time::OffsetDateTime;

/// How often a job changed visibly: 1 when accepted, then rising by one. The same number in the ETag.
pub type Version = i32;

/// 9999-12-31T23:59:59Z: ids can tell of times that no instant can be written of.
const LAST_SECOND: i64 = 253_402_300_799;

/// A job's id: a UUIDv7, so it carries the millisecond at which the job was accepted and sorts by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Uuid);

impl JobId {
    /// How old the id of a job may be when the job is kept: its client chose it and was offline for a while, or its input took
    /// so long to come. Less than the day for which the key of an ended job is kept at least. The store removes nothing of a
    /// day to which jobs may still come.
    pub const KEPT_WITHIN: Duration = Duration::from_hours(12);

    /// Wraps a UUID that is known to be one of ours.
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The bare UUID, for a store or a wire format.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// The least id of that instant, to the millisecond: ids of jobs made earlier are less, and those made later are not.
    pub fn least_of(at: Timestamp) -> Self {
        let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0).min((1 << 48) - 1);
        Self(Uuid::from_u64_pair(millis << 16, 0))
    }

    /// When the job was accepted, to the millisecond: read from the id, so it needs no column. The epoch for an id that is
    /// not a UUIDv7; the last second that can be written for one of a time after that.
    pub fn created_at(self) -> Timestamp {
        let (seconds, nanos) = self.0.get_timestamp().map_or((0, 0), |t| t.to_unix());
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).min(LAST_SECOND);
        Timestamp::from_unix_timestamp(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
            + time::Duration::nanoseconds(i64::from(nanos))
    }

    /// Whether this id could have been made by raincheck at all.
    pub fn is_v7(self) -> bool {
        self.0.get_version_num() == 7 && self.0.get_variant() == uuid::Variant::RFC4122
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// A batch's id: a UUIDv7 as well, so it carries when the batch was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(Uuid);

impl BatchId {
    /// Wraps a UUID that is known to be one of ours.
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The bare UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// When the batch was accepted, to the millisecond. The epoch for an id that is not a UUIDv7.
    pub fn created_at(self) -> Timestamp {
        JobId(self.0).created_at()
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for BatchId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// One *incarnation* of a worker: made anew at each start, and after each time it was declared dead.
/// Never a host or pod name: those come back, and a dead incarnation must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(Uuid);

impl WorkerId {
    /// Wraps a UUID made for this incarnation.
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The bare UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// The key of the advisory lock that the incarnation holds while it lives.
    pub fn lock_key(self) -> i64 {
        let (high, low) = self.0.as_u64_pair();
        (high ^ low).cast_signed()
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// One record of what a worker holds: the jobs of one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseId(Uuid);

impl LeaseId {
    /// Wraps a UUID made for one claim.
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The bare UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

/// What a worker must show to end an attempt. The number alone does not do: attempts that do not count give theirs
/// back, and a database restored from a backup may have forgotten one. The token is random, so no two claims share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The job.
    pub job: JobId,
    /// Which attempt, from 1.
    pub attempt: i32,
    /// Drawn anew for each claim.
    pub token: Uuid,
}
