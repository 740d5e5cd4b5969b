//! What each job of a schedule asks for: a submission like any other, so that it meets the limits, the schema and the room of
//! the moment at which it is made.

use raincheck_shared::domain::{ScheduleDefinition, ScheduleName, ScheduleOptions, TenantName, Timestamp};

use super::{JobOptions, ScheduleMark, Submission, WebhookOptions};

/// The labels that a schedule adds to those of its jobs: its name, and the tick.
pub(super) const MARKS: [&str; 2] = ["schedule", "tick"];

/// The job of a tick, or (`None`) one beside them.
pub(crate) fn submission_of(
    tenant: &TenantName,
    name: &ScheduleName,
    definition: &ScheduleDefinition,
    tick: Option<Timestamp>,
) -> Submission {
    let options = definition.options.clone();
    Submission {
        tenant: tenant.clone(),
        kind: definition.kind.to_string(),
        input: definition.input.clone().into(),
        options: JobOptions {
            queue: options.queue,
            priority: options.priority,
            start_timeout: options.start_timeout,
            run_timeout: options.run_timeout,
            input_retention: options.input_retention,
            result_retention: options.result_retention,
            max_attempts: options.max_attempts,
            concurrency_key: options.concurrency_key,
            metadata: options.metadata,
            tags: options.tags,
            webhook: options.webhook_url.map(|url| WebhookOptions { url, events: options.webhook_events }),
            schedule: Some(ScheduleMark { name: name.clone(), tick }),
            ..JobOptions::default()
        },
        key: None,
        id: None,
        retry_of: None,
        traceparent: None,
    }
}

/// What of a client's options can be said of many jobs.
pub(crate) fn lasting(options: JobOptions) -> ScheduleOptions {
    let (webhook_url, webhook_events) =
        options.webhook.map_or((None, Vec::new()), |wish| (Some(wish.url), wish.events));
    ScheduleOptions {
        queue: options.queue,
        priority: options.priority,
        start_timeout: options.start_timeout,
        run_timeout: options.run_timeout,
        input_retention: options.input_retention,
        result_retention: options.result_retention,
        max_attempts: options.max_attempts,
        concurrency_key: options.concurrency_key,
        metadata: options.metadata,
        tags: options.tags,
        webhook_url,
        webhook_events,
    }
}
