//! The options of `POST /v1/kinds/{kind}/jobs`, as query parameters: the same names, flat.

use super::values::{read_duration, read_flag, read_instant, read_number};
use crate::engine::{JobOptions, WebhookOptions};
use crate::http::extract::Query;

/// Takes all options out of the query.
pub(crate) fn read_options(query: &mut Query) -> JobOptions {
    let mut tags = query.many("tags");
    tags.extend(query.many("tag"));
    JobOptions {
        queue: query.one("queue"),
        priority: query.parsed("priority", |text| read_number(text, 0, 9)).and_then(|n| n.try_into().ok()),
        run_at: query.parsed("run_at", read_instant),
        delay: query.parsed("delay", read_duration),
        start_timeout: query.parsed("start_timeout", read_duration),
        run_timeout: query.parsed("run_timeout", read_duration),
        deadline: query.parsed("deadline", read_instant),
        input_retention: query.parsed("input_retention", read_duration),
        result_retention: query.parsed("result_retention", read_duration),
        max_attempts: query.parsed("max_attempts", |text| read_number(text, 1, 1000)).and_then(|n| n.try_into().ok()),
        metadata: std::collections::BTreeMap::new(),
        tags,
        concurrency_key: query.one("concurrency_key"),
        webhook: read_webhook(query),
        schedule: None,
        validate_only: query.parsed("validate_only", read_flag).unwrap_or(false),
    }
}

fn read_webhook(query: &mut Query) -> Option<WebhookOptions> {
    let (url, events) = (query.one("webhook_url"), query.many("webhook_events"));
    if url.is_none() && !events.is_empty() {
        query.fault("webhook_events", "means nothing without webhook_url");
    }
    url.map(|url| WebhookOptions { url, events })
}
