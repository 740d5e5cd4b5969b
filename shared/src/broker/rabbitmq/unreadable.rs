//! What is done with a message that is no envelope: it is moved to `<prefix>.unreadable`, where an operator finds it
//! with the reason, and taken off its queue only once it is safe there.

use std::sync::Arc;
use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};
use tokio::sync::mpsc;

use super::backoff::Backoff;
use super::publisher::{Outgoing, QueuePublisher};
use super::receipt::Unsettled;
use crate::telemetry::Chain;

/// A message that cannot be read, still unsettled.
pub(super) struct Unreadable {
    pub(super) queue: String,
    pub(super) reason: String,
    pub(super) body: Vec<u8>,
    pub(super) content_type: Option<String>,
    pub(super) receipt: Unsettled,
}

/// Moves messages until nobody can send any more.
pub(super) async fn set_aside(
    mut found: mpsc::UnboundedReceiver<Unreadable>,
    publisher: Arc<QueuePublisher>,
    to: String,
    longest_pause: Duration,
) {
    let mut backoff = Backoff::up_to(longest_pause);
    while let Some(mut message) = found.recv().await {
        tracing::warn!(queue = message.queue, reason = message.reason, "a message cannot be read, it is set aside");
        let mut headers = FieldTable::default();
        headers.insert("x-raincheck-queue".into(), AMQPValue::LongString(message.queue.into()));
        headers.insert("x-raincheck-reason".into(), AMQPValue::LongString(message.reason.into()));
        let outgoing = [Outgoing {
            queue: to.clone(),
            id: publisher.message_id(&"unreadable"),
            body: message.body,
            content_type: message.content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            headers,
        }];
        // Unsettled meanwhile, it takes up a place of the prefetch, and comes again should the connection break.
        while message.receipt.is_live() {
            if let Some(Err(error)) = publisher.send(&outgoing).await.pop() {
                tracing::debug!(error = %Chain(&error), "it could not be set aside yet");
                tokio::time::sleep(backoff.pause()).await;
                continue;
            }
            message.receipt.settle();
            backoff.reset();
        }
    }
}
