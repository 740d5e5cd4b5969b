//! What the endpoints call. Nothing here knows HTTP; nothing in `http` knows a store or a broker.
//!
//! - `submission`: what a client asked for
//! - `acceptance`: whether it can be accepted, and what is kept then; `rejection`: what is wrong with it;
//!   `nesting`: how deep JSON is
//! - `webhook_wishes`: what it wishes to be told
//! - `retry`: an ended job once more
//! - `batches`: jobs that are submitted together
//! - `schedules`: jobs that are made by a clock; `schedule_job`: what each of them asks for
//! - `uploads`: large inputs on their way to the blob store; `blob_outages`: what the log says when that is away
//! - `intake`: keeps jobs, batched; `after_commit`: what is done then
//! - `cancel`: asks that a job stop
//! - `remote_work`: what remote workers ask, `lease_board`: where they wait, `fresh_leases`: what did not reach them
//! - `attempt_ends`: ends running attempts for whoever shows their fence
//! - `queues`: how queues stand, and pausing them
//! - `reads`: reads jobs, batched
//! - `waits`: wakes those who wait for a job to move
//! - `follower`: one client's look at one job, as it moves
//! - `erasure`: erases what a job was given and made
//! - `outlook`: what is likely to become of a live job, and when
//! - `admission`, `quotas`: refuse what there is no room for, or what is more than a tenant may
//! - `door`: lets callers in, and asks those two
//! - `store_calls`: all other calls to the store
//! - `caller`, `keyring`, `tickets`: who asks, and what it may do
//! - `health`: whether requests should come here
//! - `deliveries`: what became of webhooks
//! - `backends`: what is behind all that
//! - `desk`: these put together, one method for each thing a client can ask

mod acceptance;
mod admission;
mod after_commit;
mod attempt_ends;
mod backends;
mod batches;
mod blob_outages;
mod caller;
mod cancel;
mod deliveries;
mod desk;
mod door;
mod erasure;
mod fingerprint;
mod follower;
mod fresh_leases;
mod health;
mod intake;
mod keyring;
mod labels;
mod lease_board;
mod nesting;
mod outlook;
mod queues;
mod quotas;
mod reads;
mod redrive;
mod refusal;
mod rejection;
mod remote_work;
mod retry;
mod schedule_job;
mod schedules;
mod store_calls;
mod submission;
mod tickets;
mod uploads;
mod waits;
mod webhook_wishes;

pub(crate) use acceptance::{Examined, examine};
pub(crate) use admission::Admission;
pub(crate) use after_commit::{AfterCommit, Fact};
pub(crate) use attempt_ends::record_ends;
pub(crate) use backends::Backends;
pub use backends::Links;
pub(crate) use batches::{BatchAnswer, ItemAnswer};
pub(crate) use caller::Caller;
pub(crate) use cancel::CancelAnswer;
pub(crate) use desk::{Desk, SubmitError, Submitted};
pub(crate) use erasure::Erasure;
pub(crate) use follower::{Followed, Follower};
pub(crate) use health::Readiness;
pub(crate) use keyring::Denied;
#[cfg(test)]
pub(crate) use outlook::{Estimate, job_for_tests};
pub(crate) use outlook::{Forecast, RunTimes};
pub(crate) use queues::QueueState;
pub(crate) use quotas::Level;
pub(crate) use raincheck_shared::domain::LeaseToken;
pub(crate) use refusal::Refusal;
pub(crate) use rejection::{Fault, FaultKind, Rejection};
pub(crate) use remote_work::{Holder, LeaseEnd, LeaseWish, UNKNOWN_KIND, result_name};
pub(crate) use retry::Retry;
pub(crate) use schedule_job::{lasting, submission_of};
pub(crate) use schedules::LARGEST_INPUT;
pub use schedules::schedule_problems;
pub(crate) use submission::{Field, JobOptions, ScheduleMark, Submission, WebhookOptions};
#[cfg(feature = "laws")]
pub(crate) use tickets::ticket_claims;
// What HTTP needs of the store's words, so that it need not know the store.
pub(crate) use raincheck_shared::store::{
    Change, Cursor, JobFilter, LeasedJob, LoggedLine, RenewedLease, StoredResult,
};
