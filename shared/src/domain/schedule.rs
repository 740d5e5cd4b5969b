//! A schedule: a job that is made again and again, by a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::catch_up::CatchUp;
use super::cron::Cron;
use super::ids::{JobId, Timestamp};
use super::names::{KindName, ScheduleName, TenantName};
use super::payload::Payload;

/// What a schedule's jobs are asked for besides their kind and input. `None` and empty: as the kind says when a job is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleOptions {
    /// Where they wait.
    pub queue: Option<String>,
    /// 0 to 9.
    pub priority: Option<u8>,
    /// They expire if they have not started so long after they were made.
    pub start_timeout: Option<Duration>,
    /// How long one attempt may run.
    pub run_timeout: Option<Duration>,
    /// How long the input is kept after the end.
    pub input_retention: Option<Duration>,
    /// How long an ended job is kept.
    pub result_retention: Option<Duration>,
    /// 1 to 1000.
    pub max_attempts: Option<i32>,
    /// What limits per key go by. Kept beside the others: programs of a release before do not know it, and read these.
    #[serde(skip)]
    pub concurrency_key: Option<String>,
    /// Labels.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Whom their events are told.
    pub webhook_url: Option<String>,
    /// Which; empty: every end.
    pub webhook_events: Vec<String>,
}

/// When, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleDefinition {
    /// When.
    pub cron: Cron,
    /// What of it is done late.
    pub catch_up: CatchUp,
    /// Which kind of work.
    pub kind: KindName,
    /// What each job is given.
    pub input: Payload,
    /// How each job is to be done.
    pub options: ScheduleOptions,
}

/// Who says what a schedule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleSource {
    /// Clients.
    Api,
    /// The configuration, where it can be changed and nowhere else.
    Config,
}

impl ScheduleSource {
    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Config => "config",
        }
    }
}

impl core::str::FromStr for ScheduleSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Api, Self::Config]
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| format!("there is no source {text:?}"))
    }
}

/// A schedule as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Whose it is, and so are its jobs.
    pub tenant: TenantName,
    /// Unique within the tenant.
    pub name: ScheduleName,
    /// Who says what it is.
    pub source: ScheduleSource,
    /// What it is.
    pub definition: ScheduleDefinition,
    /// Rises with each change that somebody made, from 1.
    pub version: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When somebody changed it last.
    pub updated_at: Timestamp,
    /// Since when it makes no jobs.
    pub paused_at: Option<Timestamp>,
    /// Its first tick that is not run yet; `None` while it is paused, or when the calendar ends before.
    pub next_at: Option<Timestamp>,
    /// The tick that was run last.
    pub last_at: Option<Timestamp>,
    /// The job of that.
    pub last_job: Option<JobId>,
    /// Ticks that were passed over, since it was made.
    pub missed: u64,
    /// Why a tick that is due has no job yet.
    pub problem: Option<String>,
}
