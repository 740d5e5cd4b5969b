//! Prints the effective configuration.

use std::fmt::{Display, Write};
use std::time::Duration;

use super::kind::{Kind, Run};
use super::{
    BlobPlace, BlobSettings, BrokerSettings, ConfiguredSchedule, LogFormat, Quotas, Secret, Settings, StoreSettings,
    UpkeepSettings, WebhookSettings, format_duration, format_size,
};
use crate::domain::{Payload, ScheduleDefinition};

/// The effective configuration as TOML that could be read back, with secrets hidden.
pub fn show(settings: &Settings) -> String {
    let mut page = Page::default();
    page.comment("The effective configuration: defaults, file, environment and flags together.");
    page.comment(
        "Passwords, headers and the environment of commands are hidden as ***, keys of webhooks are left out.",
    );
    sections(&mut page, settings);
    for kind in settings.kinds.values() {
        show_kind(&mut page, kind);
    }
    for schedule in &settings.schedules {
        show_schedule(&mut page, schedule);
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, line: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn comment(&mut self, text: &str) {
        self.line(format_args!("# {text}"));
    }

    fn section(&mut self, name: &str) {
        self.line(format_args!("\n[{name}]"));
    }

    fn plain(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {value}"));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.plain(key, quoted(value));
    }

    fn duration(&mut self, key: &str, value: Duration) {
        self.text(key, &format_duration(value));
    }

    fn size(&mut self, key: &str, value: u64) {
        self.text(key, &format_size(value));
    }

    fn list<T>(&mut self, key: &str, items: &[T], each: impl Fn(&T) -> String) {
        self.plain(key, format_args!("[{}]", items.iter().map(each).collect::<Vec<_>>().join(", ")));
    }

    /// A table whose values nobody is to see.
    fn hidden<'a>(&mut self, key: &str, names: impl Iterator<Item = &'a String>) {
        let pairs: Vec<String> = names.map(|name| format!("{} = \"***\"", quoted(name))).collect();
        if !pairs.is_empty() {
            self.plain(key, format_args!("{{ {} }}", pairs.join(", ")));
        }
    }
}

/// A basic string of TOML: the escapes of JSON, and DEL besides.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

fn show_quotas(page: &mut Page, quotas: Quotas) {
    page.plain("submits_per_minute", quotas.submits_per_minute.unwrap_or(0));
    page.plain("queued", quotas.queued.unwrap_or(0));
    page.plain("concurrent_jobs", quotas.concurrent_jobs.unwrap_or(0));
}

fn sections(page: &mut Page, settings: &Settings) {
    let http = &settings.http;
    page.section("http");
    page.text("listen", &http.listen.to_string());
    page.plain("listen_without_keys", http.listen_without_keys);
    page.text("public_url", http.public_url.as_deref().unwrap_or_default());
    page.list("allowed_origins", &http.allowed_origins, |origin| quoted(origin));
    page.list("allowed_hosts", &http.allowed_hosts, |host| quoted(host));
    page.plain("workers", http.workers);
    page.duration("max_wait", http.max_wait);
    page.duration("drain_timeout", http.drain_timeout);
    page.plain("max_connections", http.max_connections);

    page.section("auth");
    page.plain("required", settings.auth.required);
    page.duration("ticket_lifetime", settings.auth.ticket_lifetime);

    page.section("quotas");
    show_quotas(page, settings.quotas.each);
    for (tenant, quotas) in &settings.quotas.of_tenants {
        page.section(&format!("tenants.{}", quoted(tenant.as_str())));
        show_quotas(page, *quotas);
    }

    page.section("store");
    match &settings.store {
        StoreSettings::Sqlite { path } => page.text("url", &format!("sqlite:{}", path.display())),
        StoreSettings::Postgres { url, connections, timeout } => {
            page.text("url", &url.to_string());
            page.plain("connections", connections);
            page.duration("timeout", *timeout);
        }
    }

    show_blobs(page, &settings.blobs);

    page.section("broker");
    match &settings.broker {
        BrokerSettings::InProcess => page.text("url", "in-process"),
        BrokerSettings::Rabbitmq(rabbitmq) => {
            page.text("url", &rabbitmq.url.to_string());
            page.text("ca_file", &rabbitmq.ca_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default());
            page.text("prefix", &rabbitmq.prefix);
            page.duration("publish_timeout", rabbitmq.publish_timeout);
            page.duration("connect_timeout", rabbitmq.connect_timeout);
            page.duration("heartbeat", rabbitmq.heartbeat);
            page.duration("max_backoff", rabbitmq.max_backoff);
        }
    }

    let worker = &settings.worker;
    page.section("worker");
    page.text("name", &worker.name);
    page.list("queues", &worker.queues, |queue| quoted(queue.as_str()));
    page.plain("concurrency", worker.concurrency);
    page.duration("lease", worker.lease);
    page.duration("heartbeat", worker.heartbeat);
    page.plain("session_lock", worker.session_lock);
    page.duration("drain_timeout", worker.drain_timeout);
    page.duration("fallback_poll", worker.fallback_poll);
    page.text("scratch", &worker.scratch.as_ref().map(|path| path.display().to_string()).unwrap_or_default());

    let jobs = &settings.jobs;
    page.section("jobs");
    page.size("max_input", jobs.max_input);
    page.size("max_output", jobs.max_output);
    page.size("max_log", jobs.max_log);
    page.size("inline_result", jobs.inline_result);
    page.plain("max_queued", jobs.max_queued);
    page.duration("max_run_timeout", jobs.max_run_timeout);
    page.duration("retention", jobs.retention);
    page.duration("max_retention", jobs.max_retention);
    page.plain("max_crashes", jobs.max_crashes);
    page.duration("cancel_grace", jobs.cancel_grace);
    page.plain("max_metadata", jobs.max_metadata);
    page.plain("max_tags", jobs.max_tags);
    page.plain("max_schedules", jobs.max_schedules);
    page.plain("batch", jobs.batch);
    page.plain("page", jobs.page);

    show_webhooks(page, &settings.webhooks);

    show_upkeep(page, &settings.upkeep);

    page.section("log");
    page.text("filter", &settings.log.filter);
    page.text(
        "format",
        match settings.log.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        },
    );
    page.plain("access", settings.log.access);
}

fn show_webhooks(page: &mut Page, webhooks: &WebhookSettings) {
    page.section("webhooks");
    for (tenant, count) in webhooks.secret_counts() {
        page.comment(&format!("secrets of {}: {count}, hidden", quoted(tenant)));
    }
    if !webhooks.signing_keys.is_empty() {
        page.comment(&format!("signing_keys: {}, hidden", webhooks.signing_keys.len()));
    }
    page.list("allow", &webhooks.allow, |receiver| quoted(&receiver.to_string()));
    page.plain("allow_http", webhooks.allow_http);
    page.text("ca_file", &webhooks.ca_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default());
    page.duration("timeout", webhooks.timeout);
    page.list("retries", &webhooks.retries, |pause| quoted(&format_duration(*pause)));
    page.plain("concurrency", webhooks.concurrency);
    page.plain("per_receiver", webhooks.per_receiver);
}

fn show_blobs(page: &mut Page, blobs: &BlobSettings) {
    page.section("blobs");
    match &blobs.place {
        BlobPlace::Directory { path } => page.text("url", &format!("directory:{}", path.display())),
        BlobPlace::S3(s3) => {
            let slash = if s3.prefix.is_empty() { "" } else { "/" };
            page.text("url", &format!("s3://{}{slash}{}", s3.bucket, s3.prefix));
            page.text("endpoint", s3.endpoint.as_deref().unwrap_or_default());
            page.text("region", s3.region.as_deref().unwrap_or_default());
            page.text("access_key_id", s3.access_key_id.as_deref().unwrap_or_default());
            page.text("secret_access_key", &s3.secret_access_key.as_ref().map(ToString::to_string).unwrap_or_default());
        }
    }
    page.size("in_database", blobs.in_database);
    page.plain("writers", blobs.writers);
    page.duration("keep_orphans", blobs.keep_orphans);
}

fn show_upkeep(page: &mut Page, upkeep: &UpkeepSettings) {
    page.section("upkeep");
    page.duration("relay", upkeep.relay);
    page.duration("timers", upkeep.timers);
    page.duration("schedules", upkeep.schedules);
    page.duration("workers", upkeep.workers);
    page.duration("lost_dispatches", upkeep.lost_dispatches);
    page.duration("permits", upkeep.permits);
    page.duration("deliveries", upkeep.deliveries);
    page.duration("retention", upkeep.retention);
    page.duration("blobs", upkeep.blobs);
}

fn show_kind(page: &mut Page, kind: &Kind) {
    page.section(&format!("kinds.{}", quoted(kind.name.as_str())));
    match &kind.run {
        Run::Command(program) => {
            page.list("command", &program.argv, |part| quoted(part));
            page.hidden("env", program.env.keys());
            if let Some(directory) = &program.directory {
                page.text("directory", &directory.display().to_string());
            }
            if let Some(output) = &program.output {
                page.text("output", &output.display().to_string());
            }
            if let Some(memory) = program.memory {
                page.size("memory", memory);
            }
            page.list("retry_exit_codes", &program.retry_exit_codes, ToString::to_string);
            page.text("output_type", &kind.output_type);
        }
        Run::Http(upstream) => {
            page.text("http", &Secret::new(&upstream.url).to_string());
            page.hidden("headers", upstream.headers.keys());
            let rules: Vec<String> = upstream
                .statuses
                .iter()
                .map(|(status, verdict)| format!("{status} = {}", quoted(verdict.name())))
                .collect();
            if !rules.is_empty() {
                page.plain("statuses", format_args!("{{ {} }}", rules.join(", ")));
            }
            if upstream.completions.is_some() {
                page.text("completion", "callback");
            }
            if let Some(file) = &upstream.ca_file {
                page.text("ca_file", &file.display().to_string());
            }
            if upstream.delete_on_cancel {
                page.plain("delete_on_cancel", true);
            }
        }
        Run::Echo => page.text("builtin", "echo"),
        Run::Sleep => page.text("builtin", "sleep"),
        Run::Takeaway => page.text("builtin", "takeaway"),
        Run::Remote => page.plain("remote", true),
        Run::Custom => page.plain("handler", true),
    }
    page.text("queue", kind.queue.as_str());
    page.duration("timeout", kind.timeout);
    page.plain("max_attempts", kind.retry.max_attempts);
    page.duration("backoff", kind.retry.base);
    page.duration("max_backoff", kind.retry.cap);
    // Refused with `remote`: no worker of ours runs it.
    if !kind.is_remote() {
        page.plain("concurrency", kind.concurrency);
    }
    let limits = &kind.limits;
    for (key, jobs) in [("concurrent_jobs", limits.concurrent_jobs), ("concurrent_per_key", limits.concurrent_per_key)]
    {
        if let Some(jobs) = jobs {
            page.plain(key, jobs);
        }
    }
    for (key, rate) in [("rate", limits.rate), ("rate_per_key", limits.rate_per_key)] {
        if let Some(rate) = rate {
            page.text(key, &rate.to_string());
        }
    }
    page.list("content_types", &kind.content_types, |range| quoted(range));
    if let Some(schema) = &kind.schema {
        // As JSON in a string: TOML could not say everything that a schema may hold, null for instance.
        page.text("schema", &schema.source().to_string());
    }
    page.duration("retention", kind.retention);
    if let Some(description) = &kind.description {
        page.text("description", description);
    }
}

fn show_schedule(page: &mut Page, schedule: &ConfiguredSchedule) {
    let ConfiguredSchedule { tenant, name, definition } = schedule;
    let ScheduleDefinition { cron, catch_up, kind, input, options } = definition;
    page.section(&format!("schedules.{}", quoted(name.as_str())));
    page.text("tenant", tenant.as_str());
    page.text("cron", &cron.to_string());
    page.text("kind", kind.as_str());
    let text = String::from_utf8_lossy(&input.bytes);
    page.text(if Payload::is_json_type(&input.content_type) { "input_json" } else { "input" }, &text);
    page.text("content_type", &input.content_type);
    page.text("catch_up", catch_up.as_str());
    if let Some(most) = catch_up.most() {
        page.plain("catch_up_most", most);
    }
    if let Some(queue) = &options.queue {
        page.text("queue", queue);
    }
    if let Some(url) = &options.webhook_url {
        page.text("webhook_url", &Secret::new(url.as_str()).to_string());
    }
    for (key, value) in [
        ("start_timeout", options.start_timeout),
        ("run_timeout", options.run_timeout),
        ("input_retention", options.input_retention),
        ("result_retention", options.result_retention),
    ] {
        if let Some(value) = value {
            page.duration(key, value);
        }
    }
    if let Some(priority) = options.priority {
        page.plain("priority", priority);
    }
    if let Some(most) = options.max_attempts {
        page.plain("max_attempts", most);
    }
    if let Some(key) = &options.concurrency_key {
        page.text("concurrency_key", key);
    }
    let pairs = options.metadata.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)));
    let pairs: Vec<String> = pairs.collect();
    if !pairs.is_empty() {
        page.plain("metadata", format_args!("{{ {} }}", pairs.join(", ")));
    }
    page.list("tags", &options.tags, |tag| quoted(tag));
    if options.webhook_url.is_some() {
        page.list("webhook_events", &options.webhook_events, |event| quoted(event));
    }
}
