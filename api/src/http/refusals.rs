//! What the engine refuses, as problems.

use super::answer::{rate_limit, whole_seconds};
use super::code::Code;
use super::problem::{Finding, Problem};
use crate::engine::{FaultKind, Field, Refusal, Rejection};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let told = refusal.to_string();
        match refusal {
            Refusal::Busy | Refusal::Receiving => Self::new(Code::QueueFull, told).retry_after(1),
            Refusal::OverSubmits(level) => {
                let problem = Self::new(Code::QuotaExceeded, told).retry_after(whole_seconds(level.enough_after));
                rate_limit(&level).into_iter().fold(problem, |problem, (name, value)| problem.with_header(name, value))
            }
            Refusal::OverQueued { .. } => Self::new(Code::QuotaExceeded, told).retry_after(5),
            Refusal::BatchOverQueued { .. } => Self::new(Code::QuotaExceeded, told).retry_after(60).for_good(),
            Refusal::QueueFull { .. } => Self::new(Code::QueueFull, told).retry_after(5),
            Refusal::StoreAway | Refusal::BlobsAway => Self::new(Code::StoreUnavailable, told).retry_after(2),
            Refusal::TooSlow => Self::new(Code::RequestTimeout, told),
            Refusal::StoreSilent(_) => {
                tracing::warn!(error = told, "a request was given up");
                let detail = format!("{told}; to repeat a submission safely, send an Idempotency-Key");
                Self::new(Code::StoreUnavailable, detail).retry_after(2)
            }
            Refusal::Migrating => Self::new(Code::StoreUnavailable, told).retry_after(5),
            Refusal::ShuttingDown => Self::new(Code::ShuttingDown, told).retry_after(1),
            Refusal::KeyInFlight => Self::new(Code::IdempotencyInFlight, told).retry_after(1),
            Refusal::KeyReused { first } => Self::new(Code::IdempotencyKeyReused, told).about(first),
            Refusal::Unkeepable => Self::new(Code::InputInvalid, told),
            Refusal::Inconsistent => Self::new(Code::InternalError, told),
            Refusal::NoProgress(id) => Self::new(Code::JobAlreadyFinished, told).about(id),
            Refusal::Succeeded(id) => Self::new(Code::JobSucceeded, told).about(id),
            Refusal::NotEnded(id) => Self::new(Code::JobNotFinished, told).about(id).retry_after(1),
            Refusal::InputGone(id) => Self::new(Code::InputExpired, told).about(id),
            Refusal::BatchKeyReused { .. } | Refusal::LeftOut => Self::new(Code::IdempotencyKeyReused, told),
            Refusal::UnknownBatch(_) => Self::new(Code::BatchNotFound, told),
            Refusal::ExpiredBatch(_) => Self::new(Code::BatchExpired, told),
            Refusal::UnknownQueue(_) => Self::new(Code::QueueNotFound, told),
            Refusal::UnknownSchedule(_) => Self::new(Code::ScheduleNotFound, told),
            Refusal::ConfiguredSchedule(_) => Self::new(Code::ScheduleConfigured, told),
            Refusal::TooManySchedules { .. } => Self::new(Code::QuotaExceeded, told).retry_after(60),
            Refusal::UnknownDelivery(_) => Self::new(Code::DeliveryNotFound, told),
            Refusal::LeaseLost | Refusal::LeaseEnded(_) => Self::new(Code::LeaseLost, told),
            Refusal::UnknownJob(id) => Self::new(Code::JobNotFound, told).about(id),
            Refusal::ExpiredJob(id) => Self::new(Code::JobExpired, told).about(id),
        }
    }
}

/// How the parts of a submission are called in the request that carried it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// `POST /v1/jobs`: all of it in one JSON body.
    JsonBody,
    /// `POST /v1/kinds/{kind}/jobs`: the body is the input, options are query parameters.
    Query,
}

impl Carrier {
    fn pointer(self, field: &Field) -> String {
        let json = self == Self::JsonBody;
        match field {
            Field::Id => "/id".to_owned(),
            Field::Input(inner) if json => format!("/input{inner}"),
            Field::Input(inner) => inner.clone(),
            Field::Queue => "/queue".to_owned(),
            Field::Delay => "/delay".to_owned(),
            Field::StartTimeout => if json { "/timeouts/start" } else { "/start_timeout" }.to_owned(),
            Field::RunTimeout => if json { "/timeouts/run" } else { "/run_timeout" }.to_owned(),
            Field::Deadline => "/deadline".to_owned(),
            Field::InputRetention => if json { "/retention/input" } else { "/input_retention" }.to_owned(),
            Field::ResultRetention => if json { "/retention/result" } else { "/result_retention" }.to_owned(),
            Field::Metadata => "/metadata".to_owned(),
            Field::MetadataPair(name) => format!("/metadata/{}", super::wire::pointer_token(name)),
            Field::Tags => "/tags".to_owned(),
            Field::ConcurrencyKey => "/concurrency_key".to_owned(),
            Field::Tag(n) => format!("/tags/{n}"),
            Field::WebhookUrl => if json { "/webhook/url" } else { "/webhook_url" }.to_owned(),
            Field::WebhookEvent(n) if json => format!("/webhook/events/{n}"),
            Field::WebhookEvent(n) => format!("/webhook_events/{n}"),
        }
    }

    /// A rejection as a problem, after what the wire itself had found wrong.
    pub(crate) fn problem(self, mut findings: Vec<Finding>, rejection: Rejection) -> Problem {
        match rejection {
            Rejection::UnknownKind(kind) => {
                let problem = Problem::new(Code::KindNotFound, format!("there is no kind {kind:?}"));
                if self == Self::JsonBody { problem.at("/kind") } else { problem }
            }
            Rejection::MediaType(detail) => Problem::new(Code::UnsupportedMediaType, detail),
            Rejection::TooLarge(max) => too_large(max),
            Rejection::Faults(faults) => {
                let all_are = |kind| findings.is_empty() && faults.iter().all(|fault| fault.kind == kind);
                let code = if all_are(FaultKind::DeadlinePast) {
                    Code::DeadlineInPast
                } else if all_are(FaultKind::IdRefused) {
                    Code::JobIdInvalid
                } else if all_are(FaultKind::Webhook) {
                    Code::WebhookUrlRejected
                } else {
                    Code::InputInvalid
                };
                findings.extend(faults.into_iter().map(|f| Finding::new(self.pointer(&f.field), f.detail)));
                Problem::of_findings(code, findings)
            }
        }
    }
}

/// An input, or a body, of more than `max` bytes.
pub(crate) fn too_large(max: u64) -> Problem {
    Problem::new(Code::PayloadTooLarge, format!("at most {max} bytes are taken here"))
}
