//! The arguments of `raincheck schedules`.

use clap::{Args, Subcommand};
use raincheck_shared::domain::{KindName, ScheduleName};

use super::arguments::Reach;

#[derive(Debug, Args)]
pub(crate) struct SchedulesArgs {
    #[command(subcommand)]
    pub(crate) action: Option<ScheduleAction>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// What to do with schedules.
#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleAction {
    /// List all of them, by name
    List,
    /// Show one, with its next runs
    Show {
        /// The schedule
        name: ScheduleName,
        /// How many runs ahead, up to 100
        #[arg(long, value_name = "N", default_value_t = 5)]
        runs: u8,
    },
    /// Make one, or replace it
    Put(Box<PutScheduleArgs>),
    /// Let it make no jobs
    Pause {
        /// The schedule
        name: ScheduleName,
    },
    /// Let it make jobs again, from its next tick on
    Resume {
        /// The schedule
        name: ScheduleName,
    },
    /// Make a job of it now, and print its id
    Trigger {
        /// The schedule
        name: ScheduleName,
        /// The same key means the same job; else one is made for this run
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
    },
    /// Delete it; jobs that it made stay
    Delete {
        /// The schedule
        name: ScheduleName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PutScheduleArgs {
    /// The schedule
    pub(crate) name: ScheduleName,

    /// When: a time zone, UTC without one, and five fields, such as "Europe/Zurich 0 7 * * 1-5"
    #[arg(long, value_name = "CRON")]
    pub(crate) cron: String,

    /// What to do: one of `raincheck kinds`
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: KindName,

    /// The input of each job: this JSON
    #[arg(long, short, value_name = "JSON")]
    pub(crate) data: Option<String>,

    /// What becomes of ticks that were missed: skip, one or all
    #[arg(long, value_name = "POLICY")]
    pub(crate) catch_up: Option<String>,

    /// Queue; else the kind's
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<String>,

    /// What limits per key of the kind go by
    #[arg(long, value_name = "KEY")]
    pub(crate) concurrency_key: Option<String>,

    /// A tag; may be repeated
    #[arg(long = "tag", short, value_name = "TAG")]
    pub(crate) tags: Vec<String>,

    /// Keep nothing: only show when it would run
    #[arg(long)]
    pub(crate) validate_only: bool,
}
