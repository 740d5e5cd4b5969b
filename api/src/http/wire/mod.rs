//! The shapes on the wire. `docs/http-api.md` describes them; nothing else in raincheck depends on them.

mod batch;
mod cursor;
mod delivery;
mod digest;
mod inline_value;
mod job;
mod kind;
mod lease;
mod links;
mod object;
mod options;
mod plan;
mod polling;
mod queue;
mod schedule;
mod strict_json;
mod submission;
mod values;

pub(crate) use batch::{BatchLinks, BatchView, ReadItem, key_finding, read_batch};
pub(crate) use cursor::{read_cursor, write_cursor};
pub(crate) use delivery::DeliveryView;
pub(crate) use digest::{digest_field, hex, read_digest_field};
pub(crate) use job::{JobSummary, JobView};
pub(crate) use kind::{KindView, RunTimeView};
pub(crate) use lease::{
    EndedView, LONGEST_MESSAGE, LONGEST_NAME, LeasesView, MOST_LEASES, MOST_LINES, RenewedView, read_fail,
    read_lease_wish, read_lines, read_progress, read_release,
};
pub(crate) use links::LinkBase;
pub(crate) use object::{Fields, pointer_token};
pub(crate) use options::read_options;
pub(crate) use plan::PlanView;
pub(crate) use polling::{poll_after, retry_after};
pub(crate) use queue::QueueView;
pub(crate) use schedule::{ReadSchedule, SchedulePreview, ScheduleView, read_schedule};
pub(crate) use submission::{ReadSubmission, read_retry, read_submission};
pub(crate) use values::{read_flag, read_instant, read_number, read_wait};
