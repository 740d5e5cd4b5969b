//! `raincheck worker`: claims jobs and runs them. Start as many as there is work for.

use std::sync::Arc;

use raincheck_shared::config::Settings;

use crate::failure::Failure;
use crate::instance::{self, Roles};

pub(super) async fn run(settings: Arc<Settings>) -> Result<(), Failure> {
    instance::needs_rabbitmq("worker", &settings)?;
    instance::run(settings, Roles::Worker, |_| {}).await
}
