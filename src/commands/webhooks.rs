//! `raincheck webhooks`: new keys. They are printed and kept nowhere.

use raincheck_shared::domain::{SigningKey, WebhookSecret};
use raincheck_shared::lifecycle::IdSource;

use crate::cli::WebhookKey;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(key: WebhookKey, terminal: &Terminal) -> Result<(), Failure> {
    let random = IdSource.secret();
    terminal.say(match key {
        WebhookKey::Secret => WebhookSecret::new(random).reveal(),
        WebhookKey::SigningKey => SigningKey::new(random).reveal(),
    })
}
