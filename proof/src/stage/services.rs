//! PostgreSQL, RabbitMQ and S3: private instances that may be stopped, killed, frozen and starved, through `scripts/services`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Server {
    /// PostgreSQL.
    Postgres,
    /// RabbitMQ.
    Rabbitmq,
    /// A server that speaks S3: `SeaweedFS`.
    S3,
}

impl Server {
    /// Its name, as the script knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Rabbitmq => "rabbitmq",
            Self::S3 => "s3",
        }
    }
}

/// One private instance; removed when dropped, and by a guard of the script's own when the test process dies.
#[derive(Debug)]
pub struct PrivateServer {
    server: Server,
    directory: PathBuf,
    /// Where it listens.
    pub url: String,
}

impl PrivateServer {
    /// Starts one in a folder of its own under `parent`.
    pub fn start(server: Server, parent: &Path) -> Self {
        let directory = parent.join(server.name());
        std::fs::create_dir_all(&directory).unwrap();
        let url = services(&["start", server.name(), directory.to_str().unwrap()]);
        Self { server, directory, url }
    }

    /// Starts a RabbitMQ that speaks TLS and nothing else, with a certificate for `localhost` and its key in PEM.
    pub fn start_rabbitmq_with_tls(parent: &Path, certificate: &str, key: &str) -> Self {
        // The script finds the place taken, and uses it.
        let tls = parent.join("rabbitmq/rabbitmq/tls");
        std::fs::create_dir_all(&tls).unwrap();
        std::fs::write(tls.join("certificate.pem"), certificate).unwrap();
        std::fs::write(tls.join("key.pem"), key).unwrap();
        Self::start(Server::Rabbitmq, parent)
    }

    /// Starts a RabbitMQ under a name as a node of this one's cluster.
    #[must_use]
    pub fn joined(&self, name: &str, parent: &Path) -> Self {
        let directory = parent.join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let (place, first) = (directory.to_str().unwrap(), self.directory.to_str().unwrap());
        let url = services(&["join", self.server.name(), place, first]);
        Self { server: self.server, directory, url }
    }

    /// One of `stop`, `kill`, `crash`, `resume`, `pause`, `continue`, `wipe`.
    pub fn act(&self, verb: &str) {
        services(&[verb, self.server.name(), self.directory.to_str().unwrap()]);
    }

    /// The process that all others of the server descend from.
    pub fn pid(&self) -> u32 {
        let name = self.server.name();
        let file = std::fs::read_to_string(self.directory.join(name).join(format!("{name}.pid"))).unwrap();
        file.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// What PostgreSQL has to say.
    pub fn log(&self) -> PathBuf {
        self.directory.join(self.server.name()).join("data/server.log")
    }

    /// The same against a node that may be unwell; `None`: it did not do it.
    pub fn try_ctl(&self, arguments: &[&str]) -> Option<String> {
        let all = [&["ctl", self.directory.to_str().unwrap()], arguments].concat();
        let output = script().args(all).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs rabbitmqctl against it; answers what that printed.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        services(&[&["ctl", self.directory.to_str().unwrap()], arguments].concat())
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        let _ = script().args(["remove", self.server.name()]).arg(&self.directory).output();
    }
}

/// A program that came with PostgreSQL, such as `pgbench`.
pub fn postgres_program(name: &str) -> PathBuf {
    Path::new(&services(&["find", "postgres"])).join(name)
}

fn script() -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services"));
    command.env("RAINCHECK_SERVICES_OWNER", std::process::id().to_string());
    command
}

fn services(arguments: &[&str]) -> String {
    let output = script().args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "scripts/services {arguments:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
