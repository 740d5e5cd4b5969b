//! The body of `POST /v1/jobs`.

use bytes::Bytes;
use raincheck_shared::domain::Payload;

use super::Fields;
use crate::engine::{JobOptions, WebhookOptions};
use crate::http::problem::{Finding, Problem};

/// A body that was read, and all that was wrong with its shape.
#[derive(Debug)]
pub(crate) struct ReadSubmission {
    /// `None` when it was missing or no text, which is then among the findings.
    pub(crate) kind: Option<String>,
    pub(crate) input: Payload,
    pub(crate) options: JobOptions,
    pub(crate) findings: Vec<Finding>,
}

/// Reads the body. The input is cut out of it as it stands, byte for byte.
pub(crate) fn read_submission(body: &Bytes) -> Result<ReadSubmission, Problem> {
    Ok(read_fields(body, Fields::of_body(body)?))
}

/// Reads one of several in a batch, which may have a key of its own.
pub(crate) fn read_item(item: &Bytes) -> Result<(ReadSubmission, Option<String>), Problem> {
    let mut fields = Fields::of_body(item)?;
    let key = fields.text("idempotency_key");
    Ok((read_fields(item, fields), key))
}

fn read_fields(body: &Bytes, mut fields: Fields<'_>) -> ReadSubmission {
    let kind = fields.text("kind");
    if kind.is_none() && fields.findings.iter().all(|finding| finding.pointer != "/kind") {
        fields.fault("kind", "is required");
    }
    let input = fields.raw("input").map_or(Bytes::from_static(b"null"), |raw| body.slice_ref(raw.get().as_bytes()));

    let options = read_body_options(&mut fields);
    ReadSubmission { kind, input: Payload::json(input), options, findings: fields.finish() }
}

/// Reads a body that holds options only, for a job whose kind and input are known; nothing means none.
pub(crate) fn read_retry(body: &[u8]) -> Result<(JobOptions, Vec<Finding>), Problem> {
    if body.is_empty() {
        return Ok((JobOptions::default(), Vec::new()));
    }
    let mut fields = Fields::of_body(body)?;
    let options = read_body_options(&mut fields);
    Ok((options, fields.finish()))
}

/// Takes all options out of a body.
fn read_body_options(fields: &mut Fields<'_>) -> JobOptions {
    let options = read_lasting_options(fields);
    JobOptions {
        run_at: fields.instant("run_at"),
        delay: fields.duration("delay"),
        deadline: fields.instant("deadline"),
        validate_only: fields.flag("validate_only"),
        ..options
    }
}

/// Takes those out of it that can be said of many jobs: none that is about an instant.
pub(super) fn read_lasting_options(fields: &mut Fields<'_>) -> JobOptions {
    let mut options = JobOptions {
        queue: fields.text("queue"),
        priority: fields.number("priority", 0, 9).and_then(|n| n.try_into().ok()),
        max_attempts: fields.number("max_attempts", 1, 1000).and_then(|n| n.try_into().ok()),
        concurrency_key: fields.text("concurrency_key"),
        tags: fields.texts("tags"),
        ..JobOptions::default()
    };
    if let Some(mut timeouts) = fields.object("timeouts") {
        options.start_timeout = timeouts.duration("start");
        options.run_timeout = timeouts.duration("run");
        fields.absorb(timeouts);
    }
    if let Some(mut retention) = fields.object("retention") {
        options.input_retention = retention.duration("input");
        options.result_retention = retention.duration("result");
        fields.absorb(retention);
    }
    if let Some(mut metadata) = fields.pairs("metadata") {
        for name in metadata.names() {
            let faults = metadata.findings.len();
            if let Some(value) = metadata.text(&name) {
                options.metadata.insert(name, value);
            } else if metadata.findings.len() == faults {
                metadata.fault(&name, "must be a string");
            }
        }
        fields.absorb(metadata);
    }
    options.webhook = read_webhook(fields);
    options
}

/// Takes a wish to be told out of a body.
pub(super) fn read_webhook(fields: &mut Fields<'_>) -> Option<WebhookOptions> {
    let mut webhook = fields.object("webhook")?;
    let faults = webhook.findings.len();
    let url = webhook.text("url");
    if url.is_none() && webhook.findings.len() == faults {
        webhook.fault("url", "is required");
    }
    let events = webhook.texts("events");
    fields.absorb(webhook);
    url.map(|url| WebhookOptions { url, events })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &'static str) -> ReadSubmission {
        read_submission(&Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn an_input_is_kept_byte_for_byte_and_null_without_one() {
        assert_eq!(read(r#"{"kind":"echo","input": {"b" :1.0,"a":1e2 } }"#).input.bytes, r#"{"b" :1.0,"a":1e2 }"#);
        assert_eq!(read(r#"{"kind":"echo"}"#).input.bytes, "null");
        assert_eq!(read(r#"{"kind":"echo","input":null}"#).input.bytes, "null");
    }

    #[test]
    fn a_typo_at_any_level_is_found() {
        let body = r#"{"knd":"echo","timeouts":{"rnu":"1s"},"retention":7,"webhook":{},"metadata":{"a":1,"b":null}}"#;
        let findings = read(body).findings;
        let pointers: Vec<&str> = findings.iter().map(|finding| finding.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            ["/kind", "/timeouts/rnu", "/retention", "/metadata/a", "/metadata/b", "/webhook/url", "/knd"]
        );
    }
}
