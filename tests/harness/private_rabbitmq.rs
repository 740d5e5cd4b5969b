//! A RabbitMQ of a test's own, to stop, freeze and starve.

use std::path::PathBuf;
use std::process::Command;

use raincheck_shared::lifecycle::IdSource;

/// A node of its own; removed with its data when dropped.
pub(crate) struct PrivateRabbitmq {
    directory: PathBuf,
    pub(crate) url: String,
}

impl PrivateRabbitmq {
    /// Starts one; it takes a few seconds.
    pub(crate) async fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("raincheck-rabbitmq-{}", IdSource.random()));
        let url = services("start", &directory, &[]).await;
        Self { directory, url }
    }

    /// `stop`, `kill`, `wipe`, `resume`, `pause` or `continue`.
    pub(crate) async fn tell(&self, verb: &'static str) {
        services(verb, &self.directory, &[]).await;
    }

    /// Runs rabbitmqctl.
    pub(crate) async fn ctl(&self, arguments: &[&str]) {
        services("ctl", &self.directory, arguments).await;
    }
}

impl Drop for PrivateRabbitmq {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the script's guard, when the test's process is gone.
        let _ = script().arg("remove").arg("rabbitmq").arg(&self.directory).output();
    }
}

fn script() -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services"));
    command.env("RAINCHECK_SERVICES_OWNER", std::process::id().to_string());
    command
}

async fn services(verb: &'static str, directory: &std::path::Path, arguments: &[&str]) -> String {
    let mut command = script();
    command.arg(verb);
    if verb != "ctl" {
        command.arg("rabbitmq");
    }
    command.arg(directory).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("the script's thread")
        .expect("scripts/services runs");
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success(), "services {verb}: {said} {}", String::from_utf8_lossy(&output.stderr));
    said
}
