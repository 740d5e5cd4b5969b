//! `raincheck api`: the API and the repair loops; workers are processes of their own.

use std::sync::Arc;

use raincheck_shared::config::Settings;

use crate::failure::Failure;
use crate::instance::{self, Roles};
use crate::terminal::Terminal;

pub(super) async fn run(settings: Arc<Settings>, terminal: &Terminal) -> Result<(), Failure> {
    instance::needs_rabbitmq("api", &settings)?;
    instance::run(settings, Roles::Api, |instance| {
        if let Some(address) = instance.address() {
            terminal.line(format_args!("raincheck api listens on http://{address}"));
        }
    })
    .await
}
