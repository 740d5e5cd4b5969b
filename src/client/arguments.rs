//! The arguments of the commands that talk to an instance.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use raincheck_shared::config::parse_duration;
use raincheck_shared::domain::{JobId, KindName, QueueName};

use super::redrive::RedriveArgs;
use super::schedule_arguments::SchedulesArgs;

/// What can be asked of a running instance, over HTTP.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Submit a job, and print its id
    Submit(Box<SubmitArgs>),
    /// Show jobs as they stand
    Status(StatusArgs),
    /// Follow jobs until they end
    Watch(WatchArgs),
    /// Fetch what a job made, byte for byte
    Result(ResultArgs),
    /// Show what a job's handler wrote
    Logs(LogsArgs),
    /// Cancel jobs
    Cancel(CancelArgs),
    /// Try a job that failed, was canceled or expired once more, as a new job
    Retry(RetryArgs),
    /// Try failed jobs once more, many at a time
    Redrive(Box<RedriveArgs>),
    /// List jobs, newest first
    List(Box<ListArgs>),
    /// Show how queues stand; pause and resume them
    Queues(QueuesArgs),
    /// Show what is made by a clock; make, pause, resume, trigger and delete it
    Schedules(SchedulesArgs),
    /// Show what can be asked for
    Kinds(KindsArgs),
    /// Watch queues and the newest jobs, on the whole terminal
    Top(TopArgs),
}

impl ClientCommand {
    pub(crate) fn reach(&self) -> &Reach {
        match self {
            Self::Submit(arguments) => &arguments.reach,
            Self::Status(arguments) => &arguments.reach,
            Self::Watch(arguments) => &arguments.reach,
            Self::Result(arguments) => &arguments.reach,
            Self::Logs(arguments) => &arguments.reach,
            Self::Cancel(arguments) => &arguments.reach,
            Self::Retry(arguments) => &arguments.reach,
            Self::Redrive(arguments) => &arguments.reach,
            Self::List(arguments) => &arguments.reach,
            Self::Queues(arguments) => &arguments.reach,
            Self::Schedules(arguments) => &arguments.reach,
            Self::Kinds(arguments) => &arguments.reach,
            Self::Top(arguments) => &arguments.reach,
        }
    }
}

/// Whom to ask, how patiently, and in which form to answer.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Reach {
    /// Where the instance is; else `RAINCHECK_URL`, the profile, <http://127.0.0.1:8080>
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) url: Option<String>,

    /// The API key; else `RAINCHECK_API_KEY` or the profile, where other users of this machine do not see it
    #[arg(long, value_name = "KEY", global = true)]
    pub(crate) api_key: Option<String>,

    /// For https: trust the authorities in this file (PEM) too; else `RAINCHECK_CA_FILE` or the profile
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,

    /// A profile of `client.toml`; else `RAINCHECK_PROFILE`, or the file's `default`
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) profile: Option<String>,

    /// Keep trying so long while the instance does not answer, or has no room
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration, global = true)]
    pub(crate) patience: Duration,

    /// Print JSON: one document, or one a line where there can be several
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do with a job that was just submitted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Waiting")]
pub(crate) struct Afterwards {
    /// Wait until it ends, and print its result
    #[arg(long)]
    pub(crate) wait: bool,

    /// Show how far it is until it ends
    #[arg(long)]
    pub(crate) follow: bool,

    /// Stop waiting after so long; the job goes on
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) at_most: Option<Duration>,

    /// With --wait: write the result to this file, which then is whole or not there
    #[arg(long, short, value_name = "FILE", requires = "wait")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// What to do: one of `raincheck kinds`
    pub(crate) kind: KindName,

    /// The input: this file, byte for byte; `-` reads stdin
    #[arg(long, short, value_name = "FILE", conflicts_with = "data")]
    pub(crate) file: Option<PathBuf>,

    /// The input: this JSON
    #[arg(long, short, value_name = "JSON")]
    pub(crate) data: Option<String>,

    /// What the input is; else by the file's ending, and JSON from stdin
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,

    /// Queue; else the kind's
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<String>,

    /// From 0 to 9; higher goes first
    #[arg(long, value_name = "N")]
    pub(crate) priority: Option<u64>,

    /// Start no sooner than after so long, such as 5m
    #[arg(long, value_name = "TIME", conflicts_with = "run_at")]
    pub(crate) delay: Option<String>,

    /// Start no sooner than then, such as 2026-12-01T12:00:00Z
    #[arg(long, value_name = "INSTANT")]
    pub(crate) run_at: Option<String>,

    /// It expires if it has not started by then
    #[arg(long, value_name = "INSTANT")]
    pub(crate) deadline: Option<String>,

    /// An attempt may run so long
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,

    /// It expires if it has not started after so long
    #[arg(long, value_name = "TIME")]
    pub(crate) start_timeout: Option<String>,

    /// The result is kept so long, and a day at least: what is submitted from here has an idempotency key
    #[arg(long, value_name = "TIME")]
    pub(crate) retention: Option<String>,

    /// Attempts in all
    #[arg(long, value_name = "N")]
    pub(crate) max_attempts: Option<u64>,

    /// Jobs of the kind with the same key share its limits for each key
    #[arg(long, value_name = "KEY")]
    pub(crate) concurrency_key: Option<String>,

    /// The same key means the same job; else one is made for this run
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,

    /// A pair of metadata; may be repeated
    #[arg(long = "metadata", short, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,

    /// A tag; may be repeated
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<String>,

    /// Only say whether it would be accepted
    #[arg(long, conflicts_with_all = ["wait", "follow"])]
    pub(crate) validate_only: bool,

    #[command(flatten)]
    pub(crate) afterwards: Afterwards,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Jobs
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<JobId>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Jobs
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<JobId>,

    /// Stop watching after so long; the jobs go on
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) at_most: Option<Duration>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// The job
    pub(crate) id: JobId,

    /// Write it to this file, which then is whole or not there
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Wait until the job ends
    #[arg(long)]
    pub(crate) wait: bool,

    /// With --wait: stop waiting after so long; the job goes on
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "wait")]
    pub(crate) at_most: Option<Duration>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The job
    pub(crate) id: JobId,

    /// Go on with what comes, until the job ends
    #[arg(long, short)]
    pub(crate) follow: bool,

    /// Only lines after this one; they are numbered from 1
    #[arg(long, value_name = "N")]
    pub(crate) after: Option<u64>,

    /// Show when each line was written, and in which attempt
    #[arg(long, short)]
    pub(crate) times: bool,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// Jobs
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<JobId>,

    /// Why, for those who look at them
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The job
    pub(crate) id: JobId,

    /// The same key means the same new job; else one is made for this run
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,

    #[command(flatten)]
    pub(crate) afterwards: Afterwards,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// That failed with this code, such as `worker-lost`
    #[arg(long, value_name = "CODE")]
    pub(crate) error_code: Option<String>,

    /// Created then or later
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// Created before then
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,

    /// In this status; may be repeated, and means any of them
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Vec<String>,

    /// Of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,

    /// In this queue
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<String>,

    /// With this tag; may be repeated, and means all of them
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<String>,

    /// With this pair of metadata; may be repeated, and means all of them
    #[arg(long = "metadata", short, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,

    /// Submitted with this key
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,

    /// So many at most
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50, conflicts_with = "all")]
    pub(crate) limit: usize,

    /// All of them, however many
    #[arg(long)]
    pub(crate) all: bool,

    /// Go on where an earlier list stopped
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct QueuesArgs {
    #[command(subcommand)]
    pub(crate) action: Option<QueueAction>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueAction {
    /// All queues, or one; the same as no action
    List {
        /// One queue
        queue: Option<QueueName>,
    },
    /// Let nothing new of a queue start
    Pause {
        /// The queue
        queue: QueueName,
    },
    /// Let jobs of a queue start again
    Resume {
        /// The queue
        queue: QueueName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct KindsArgs {
    /// One kind, with its schema and limits
    pub(crate) kind: Option<KindName>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Ask again after so long
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub(crate) every: Duration,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a name and a value with `=` between them, such as order=42".to_owned()),
    }
}
