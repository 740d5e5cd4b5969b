//! `raincheck up`: everything in one process.

use std::sync::Arc;

use raincheck_shared::config::{BrokerSettings, Settings, StoreSettings};

use crate::client::base_url;
use crate::failure::Failure;
use crate::instance::{self, Roles};
use crate::terminal::Terminal;

pub(super) async fn run(settings: Arc<Settings>, terminal: &Terminal) -> Result<(), Failure> {
    let shown = Arc::clone(&settings);
    instance::run(settings, Roles::All, |instance| {
        if let Some(address) = instance.address() {
            welcome(&base_url(address), &shown, terminal);
        }
    })
    .await
}

fn welcome(base: &str, settings: &Settings, terminal: &Terminal) {
    let store = match &settings.store {
        StoreSettings::Sqlite { path } => format!("SQLite in {}", path.display()),
        StoreSettings::Postgres { url, .. } => url.to_string(),
    };
    let broker = match &settings.broker {
        BrokerSettings::InProcess => "in this process".to_owned(),
        BrokerSettings::Rabbitmq(rabbitmq) => rabbitmq.url.to_string(),
    };
    let kinds: Vec<&str> = settings.kinds.keys().map(raincheck_shared::domain::KindName::as_str).collect();
    terminal.heading(format_args!("raincheck {} is ready at {base}", env!("CARGO_PKG_VERSION")));
    terminal.line(format_args!("  jobs    {store}"));
    terminal.line(format_args!("  broker  {broker}"));
    terminal.line(format_args!("  kinds   {}", kinds.join(", ")));
    terminal.line("\nOrder something that takes a while; the answer is a reference, at once:");
    terminal.line(format_args!(
        "  curl -i {base}/v1/kinds/takeaway/jobs -H 'content-type: application/json' -d '{{\"dish\": \"ramen\"}}'"
    ));
    terminal.line("Ask for it with the id from there, as soon as it is done:");
    terminal.line(format_args!("  curl '{base}/v1/jobs/ID?wait=30s'"));
    terminal.line("Any file is an input:");
    terminal.line(format_args!("  curl -i -X POST -T README.md {base}/v1/kinds/echo/jobs"));
    terminal.line("\nCtrl-C stops it. What was accepted is kept, and goes on at the next start.\n");
}
