//! Whether what a client wishes to be told, and where, is a wish that can be kept. What a URL leads to is looked at elsewhere.

use raincheck_shared::config::Settings;
use raincheck_shared::domain::{CallbackUrl, Event, TenantName, Webhook};

use super::rejection::{Fault, FaultKind};
use super::{Field, WebhookOptions};

/// The webhook of a job, if it can be one at all.
pub(super) fn webhook_of_job(
    options: &WebhookOptions,
    tenant: &TenantName,
    settings: &Settings,
    faults: &mut Vec<Fault>,
) -> Option<Webhook> {
    let mut events = events(options, &Event::OF_JOBS, faults);
    if events.is_empty() {
        events = Event::ENDS.to_vec();
    }
    Some(Webhook { url: url(options, tenant, settings, faults)?, events })
}

/// Where the end of a batch is to be told. It has no other event.
pub(super) fn webhook_of_batch(
    options: &WebhookOptions,
    tenant: &TenantName,
    settings: &Settings,
    faults: &mut Vec<Fault>,
) -> Option<CallbackUrl> {
    events(options, &Event::OF_BATCHES, faults);
    url(options, tenant, settings, faults)
}

fn events(options: &WebhookOptions, known: &[Event], faults: &mut Vec<Fault>) -> Vec<Event> {
    let mut events = Vec::new();
    for (n, name) in options.events.iter().enumerate() {
        let detail = match name.parse::<Event>() {
            Ok(event) if events.contains(&event) => "is given twice".to_owned(),
            Ok(event) if known.contains(&event) => {
                events.push(event);
                continue;
            }
            _ => format!("must be one of {}", known.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(", ")),
        };
        faults.push(Fault { field: Field::WebhookEvent(n), kind: FaultKind::Invalid, detail });
    }
    events
}

fn url(
    options: &WebhookOptions,
    tenant: &TenantName,
    settings: &Settings,
    faults: &mut Vec<Fault>,
) -> Option<CallbackUrl> {
    let mut fault = |detail| faults.push(Fault { field: Field::WebhookUrl, kind: FaultKind::Webhook, detail });
    if settings.webhooks.secrets_of(tenant).is_empty() {
        fault(format!("cannot be told anything: the setting webhooks.secrets has no secret of {tenant} to sign with"));
    }
    options.url.parse().map_err(|error: raincheck_shared::domain::InvalidCallbackUrl| fault(error.to_string())).ok()
}
