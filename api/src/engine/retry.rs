//! A job once more: what it takes to submit again what an ended job had asked for.
//!
//! The new job is a submission like any other, so that it meets the limits, the schema and the room of today. The old one
//! stays as it is.

use raincheck_shared::domain::{IdempotencyKey, Job, JobId, Payload, Status, TenantName};

use super::desk::Desk;
use super::fingerprint::fingerprint;
use super::{JobOptions, Refusal, Submission, WebhookOptions};

/// What a request to try a job once more comes to.
#[derive(Debug)]
pub(crate) enum Retry {
    /// This is to be submitted.
    Submission(Box<Submission>),
    /// The same request was kept before, as this job, and the input has gone since.
    Repeated(JobId),
}

impl Desk {
    /// Makes a submission of a job that ended without a result. `given`: options that are to be different; what they leave
    /// out is as it was, but for instants, which were about the first time. A job that has not ended is refused, since it
    /// would run twice at once; and one that has succeeded, since a list that is a moment old, or a second click, would
    /// then do its work again. To do that on purpose is to submit it anew.
    pub(crate) async fn retry(
        &self,
        tenant: TenantName,
        id: JobId,
        given: JobOptions,
        key: Option<IdempotencyKey>,
        traceparent: Option<String>,
    ) -> Result<Retry, Refusal> {
        let old = self.job(&tenant, id).await?;
        match old.status {
            Status::Failed | Status::Canceled | Status::Expired => {}
            Status::Succeeded => return Err(Refusal::Succeeded(id)),
            Status::Scheduled | Status::Queued | Status::InProgress | Status::Retrying => {
                return Err(Refusal::NotEnded(id));
            }
        }
        // Before the input: where both go in between, it is the input that is missed.
        let kept = self.calls.ask(move |store| async move { store.erasures.find_input_retention(id).await }).await?;
        let input = self.calls.ask(move |store| async move { store.jobs.find_input(id).await }).await?;
        let is_gone = input.is_none();
        let input = match input {
            Some(input) if !given.validate_only => self.input_anew(input, &tenant).await?,
            Some(input) => input,
            None => Payload::json("").into(),
        };
        let options = JobOptions {
            queue: given.queue.or_else(|| Some(old.queue.to_string())),
            priority: given.priority.or(Some(old.priority)),
            run_timeout: given.run_timeout.or(Some(old.run_timeout)),
            input_retention: given.input_retention.or(kept),
            result_retention: given.result_retention.or(Some(old.retention)),
            max_attempts: given.max_attempts.or(Some(old.max_attempts)),
            metadata: if given.metadata.is_empty() { metadata(&old) } else { given.metadata },
            concurrency_key: given.concurrency_key.or_else(|| old.concurrency_key.clone()),
            webhook: given.webhook.or_else(|| webhook(&old)),
            tags: if given.tags.is_empty() { old.tags.clone() } else { given.tags },
            ..given
        };
        let kind = old.kind.to_string();
        let submission = Submission { tenant, kind, input, options, key, id: None, retry_of: Some(id), traceparent };
        if is_gone { self.repeated(&submission, id).await } else { Ok(Retry::Submission(Box::new(submission))) }
    }

    /// A submission whose input is gone: it may have been kept before.
    async fn repeated(&self, submission: &Submission, id: JobId) -> Result<Retry, Refusal> {
        let Submission { tenant, key, options, .. } = submission;
        if let Some(key) = key.as_ref().filter(|_| !options.validate_only)
            && let Some((first, kept)) = self.holder(tenant, key).await?
        {
            return if kept == fingerprint(submission) {
                Ok(Retry::Repeated(first))
            } else {
                Err(Refusal::KeyReused { first })
            };
        }
        // Forgotten between the two reads, or known and without its input.
        self.job(tenant, id).await?;
        Err(Refusal::InputGone(id))
    }
}

fn webhook(job: &Job) -> Option<WebhookOptions> {
    let wish = &job.webhook.as_ref()?.wish;
    let events = wish.events.iter().map(ToString::to_string).collect();
    Some(WebhookOptions { url: wish.url.to_string(), events })
}

fn metadata(job: &Job) -> std::collections::BTreeMap<String, String> {
    job.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
