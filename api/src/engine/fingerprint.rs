//! What makes two requests with the same idempotency key the same request.

use raincheck_shared::domain::{Body, Fingerprint, Timestamp};
use sha2::{Digest, Sha256};

use super::{JobOptions, Submission, WebhookOptions};

/// SHA-256 over kind, media type, input and the options as they were given. A relative `delay` counts as written, so that
/// the same request sent twice is the same although its instants differ.
pub(super) fn fingerprint(submission: &Submission) -> Fingerprint {
    // Exhaustive, so that a new option cannot be forgotten here.
    let JobOptions {
        queue,
        priority,
        run_at,
        delay,
        start_timeout,
        run_timeout,
        deadline,
        input_retention,
        result_retention,
        max_attempts,
        metadata,
        tags,
        concurrency_key,
        webhook,
        schedule,
        validate_only: _,
    } = &submission.options;

    let mut sum = Parts(Sha256::new());
    sum.part("kind", submission.kind.as_bytes());
    if let Some(id) = submission.retry_of {
        // Said without the input and its type, which may be gone when the same request comes again.
        sum.part("retry of", id.as_uuid().as_bytes());
    } else {
        sum.part("type", submission.input.content_type.as_bytes());
        match &submission.input.body {
            Body::Inline(bytes) => sum.part("input", bytes),
            // Counted on the way; a body of that length is never inline as well.
            Body::Blob(blob) => sum.part("input digest", &blob.digest),
        }
    }
    let instant = |at: &Option<Timestamp>| at.map(|at| at.unix_timestamp_nanos().to_string());
    let options = [
        ("queue", queue.clone()),
        ("priority", priority.map(|n| n.to_string())),
        ("run_at", instant(run_at)),
        ("delay", delay.map(|d| d.as_millis().to_string())),
        ("start_timeout", start_timeout.map(|d| d.as_millis().to_string())),
        ("run_timeout", run_timeout.map(|d| d.as_millis().to_string())),
        ("deadline", instant(deadline)),
        // A retry has it from the job, where it is forgotten with the input.
        (
            "input_retention",
            input_retention.filter(|_| submission.retry_of.is_none()).map(|d| d.as_millis().to_string()),
        ),
        ("result_retention", result_retention.map(|d| d.as_millis().to_string())),
        ("max_attempts", max_attempts.map(|n| n.to_string())),
        ("concurrency_key", concurrency_key.clone()),
    ];
    for (name, value) in options {
        if let Some(value) = value {
            sum.part(name, value.as_bytes());
        }
    }
    for (name, value) in metadata {
        sum.part("metadata name", name.as_bytes());
        sum.part("metadata value", value.as_bytes());
    }
    for tag in tags {
        sum.part("tag", tag.as_bytes());
    }
    if let Some(WebhookOptions { url, events }) = webhook {
        sum.part("webhook", url.as_bytes());
        for event in events {
            sum.part("event", event.as_bytes());
        }
    }
    if let Some(mark) = schedule {
        sum.part("schedule", mark.name.as_str().as_bytes());
    }
    Fingerprint(sum.0.finalize().into())
}

struct Parts(Sha256);

impl Parts {
    /// Lengths go in too: without them `ab` + `c` would equal `a` + `bc`.
    fn part(&mut self, name: &str, bytes: &[u8]) {
        self.0.update((name.len() as u64).to_be_bytes());
        self.0.update(name);
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use raincheck_shared::domain::{Payload, TenantName};

    use super::*;

    fn submission() -> Submission {
        Submission {
            tenant: TenantName::default(),
            kind: "echo".to_owned(),
            input: Payload::json("1").into(),
            options: JobOptions::default(),
            key: None,
            id: None,
            retry_of: None,
            traceparent: None,
        }
    }

    #[test]
    fn input_type_kind_and_options_count_and_traces_do_not() {
        let same = fingerprint(&submission());
        assert_eq!(same, fingerprint(&Submission { traceparent: Some("t".to_owned()), ..submission() }));
        let with = |options| fingerprint(&Submission { options, ..submission() });
        let others = [
            fingerprint(&Submission { kind: "sleep".to_owned(), ..submission() }),
            fingerprint(&Submission { input: Payload::json("2").into(), ..submission() }),
            with(JobOptions { delay: Some(Duration::from_secs(1)), ..JobOptions::default() }),
            with(JobOptions { run_timeout: Some(Duration::from_secs(1)), ..JobOptions::default() }),
            with(JobOptions { concurrency_key: Some("k".to_owned()), ..JobOptions::default() }),
            with(JobOptions { webhook: Some(WebhookOptions::default()), ..JobOptions::default() }),
            with(JobOptions { tags: vec!["ab".to_owned(), "c".to_owned()], ..JobOptions::default() }),
            with(JobOptions { tags: vec!["a".to_owned(), "bc".to_owned()], ..JobOptions::default() }),
        ];
        for (n, other) in others.iter().enumerate() {
            assert_ne!(&same, other);
            assert!(others[n + 1..].iter().all(|another| another != other));
        }
    }
}
