#![doc = include_str!("../README.md")]

mod client;
mod error;
mod event_stream;
mod fault;
mod handle;
mod job;
mod new_job;
mod pieces;
mod redrive;
mod request;
mod result;
mod retry;
mod schedules;
mod snapshots;
mod transport;
mod upload;
mod webhook;

pub use client::{Client, ClientBuilder, Trouble};
pub use error::{Error, ErrorKind, Finding, Problem};
pub use event_stream::EventStream;
pub use handle::JobHandle;
pub use job::{Job, JobError, Progress};
pub use new_job::NewJob;
pub use pieces::Pieces;
pub use redrive::{Failed, Redriven, Retried, Unretried};
pub use request::{Answer, OpenAnswer, Request, encode};
pub use result::JobResult;
pub use schedules::{NewSchedule, NextRun, Schedule, Schedules};
pub use snapshots::Snapshots;
pub use webhook::{WebhookEvent, WebhookKeys, WebhookRejected, verify_webhook};
