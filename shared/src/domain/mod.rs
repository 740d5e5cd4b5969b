//! What a job is. Pure: nothing here reads a clock, opens a socket or knows a database.

mod allowed_receiver;
mod api_key;
mod batch;
mod blob;
mod callback_url;
mod catch_up;
mod cron;
mod delivery;
mod dispatch;
mod failure;
mod idempotency_key;
mod ids;
mod job;
mod limits;
mod names;
mod new_job;
mod outcome;
mod payload;
mod retry_policy;
mod schedule;
mod status;
mod transition;
mod turns;
mod turnstile;
mod webhook;
mod webhook_keys;
mod worker_report;

pub use allowed_receiver::{AllowedReceiver, InvalidAllowedReceiver};
pub use api_key::{ApiKey, InvalidKeyId, InvalidKeyText, KeyHash, KeyId, KeyText, Scope, UnknownScope};
pub use batch::{Batch, BatchCounts, BatchWebhook, NewBatch};
pub use blob::{Blob, BlobName, BlobOwner, BlobPart, Body, Content, InvalidBlob, InvalidBlobName};
pub use callback_url::{CallbackHost, CallbackUrl, InvalidCallbackUrl, address_problem};
pub use catch_up::{CatchUp, Due, UnknownCatchUp};
pub use cron::{Cron, InvalidCron};
pub use delivery::{
    Delivery, DeliveryAttempt, DeliveryId, DeliveryState, DeliverySummary, InvalidDeliveryId, next_try,
};
pub use dispatch::{Band, Dispatch, DispatchId};
pub use failure::{FailedAttempt, Failure, FailureCode, UnknownFailureCode};
pub use idempotency_key::{Fingerprint, IdempotencyKey, InvalidIdempotencyKey};
pub use ids::{BatchId, Fence, JobId, LeaseId, Timestamp, Version, WorkerId};
pub use job::{Cancel, Job, JobResult, Progress};
pub use limits::{FlowRules, InvalidRate, KindLimits, Limit, Rate};
pub use names::{InvalidName, KindName, QueueName, ScheduleName, TenantName};
pub use new_job::{Idempotency, NewJob};
pub use outcome::{AttemptBounds, Ended, Output};
pub use payload::Payload;
pub use retry_policy::RetryPolicy;
pub use schedule::{Schedule, ScheduleDefinition, ScheduleOptions, ScheduleSource};
pub use status::{Status, UnknownStatus};
pub use transition::{Command, Refused, State, apply};
pub use turns::{PerBand, Turns};
pub use turnstile::{LetThrough, ParkedJob, Turnstile};
pub use webhook::{Event, JobWebhook, UnknownEvent, Webhook};
pub use webhook_keys::{InvalidWebhookKey, SigningKey, WebhookSecret};
pub use worker_report::{EndsByOutcome, QueueReport, WorkerReport};
