//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use raincheck_shared::config::{Flags, parse_duration};
use raincheck_shared::domain::{KeyId, Scope, TenantName};

use crate::client::ClientCommand;

const AFTER: &str = "\
Without a command: `raincheck up`. Every setting: `raincheck config --defaults`.

Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration, 3 the schema needs `raincheck migrate`.
Of commands that talk to an instance: 4 the job has failed, 5 it was canceled or has expired, 6 not found,
7 refused, 8 no answer or no end in time, 130 interrupted, 141 nobody reads the output.";

/// Take a rain check on any slow request: submit, get a reference, poll for the result.
#[derive(Debug, Parser)]
#[command(name = "raincheck", version, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    everywhere: Everywhere,
}

/// What can be said before and after the command. Not clap's `global`: of what is said in both places that keeps only
/// one.
#[derive(Debug, Default, Args)]
pub(crate) struct Everywhere {
    /// Read this file instead of `raincheck.toml`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Set one setting, such as http.listen=127.0.0.1:9000; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,

    /// What to log, such as `debug` or `info,raincheck_worker=debug`
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process: API, worker and repair loops
    Up(Everywhere),
    /// Run the API and the repair loops
    Api(Everywhere),
    /// Run a worker
    Worker(WorkerArgs),
    /// Bring the database's schema up to date
    Migrate(Everywhere),
    /// Print the effective configuration, secrets hidden
    Config(ConfigArgs),
    /// Look for what is wrong, and say what to do about it
    Doctor(AsJson),
    /// Order a takeaway and watch it cook
    Demo(DemoArgs),
    /// Ask a running instance whether it is ready; for health checks
    Health(HealthArgs),
    /// Make, list and revoke the keys that callers show
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Make keys that sign webhooks
    Webhooks(WebhooksArgs),
    #[command(flatten)]
    Client(ClientCommand),
    /// Print the OpenAPI document of the API as it is configured
    Openapi(Everywhere),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page
    Man,
}

impl Command {
    /// `None`: it has nothing to do with the configuration of a server.
    fn everywhere(&self) -> Option<&Everywhere> {
        Some(match self {
            Self::Up(everywhere) | Self::Api(everywhere) | Self::Migrate(everywhere) | Self::Openapi(everywhere) => {
                everywhere
            }
            Self::Doctor(arguments) | Self::Keys(KeysCommand::List(arguments)) => &arguments.everywhere,
            Self::Worker(arguments) => &arguments.everywhere,
            Self::Config(arguments) => &arguments.everywhere,
            Self::Demo(arguments) => &arguments.everywhere,
            Self::Health(arguments) => &arguments.everywhere,
            Self::Keys(KeysCommand::Create(arguments)) => &arguments.everywhere,
            Self::Keys(KeysCommand::Revoke(arguments)) => &arguments.everywhere,
            Self::Webhooks(arguments) => &arguments.everywhere,
            Self::Client(_) | Self::Completions { .. } | Self::Man => return None,
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Work on this queue; may be repeated
    #[arg(long, value_name = "QUEUE")]
    queue: Vec<String>,

    /// Run so many jobs at once
    #[arg(long, value_name = "N")]
    concurrency: Option<String>,

    /// What people see of this worker
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    everywhere: Everywhere,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Print the defaults instead, with a comment for each
    #[arg(long)]
    pub(crate) defaults: bool,

    #[command(flatten)]
    everywhere: Everywhere,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// What to order
    #[arg(default_value = "ramen")]
    pub(crate) dish: String,

    /// Where it listens, `http://HOST:PORT`; without it the configured address, or an instance of its own
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// The API key, where one is asked for; else `RAINCHECK_API_KEY`, where other users of this machine do not see it
    #[arg(long, value_name = "KEY")]
    pub(crate) api_key: Option<String>,

    #[command(flatten)]
    everywhere: Everywhere,
}

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Where it listens, `http://HOST:PORT`; without it the configured address
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    #[command(flatten)]
    everywhere: Everywhere,
}

/// What can be read by people or by programs.
#[derive(Debug, Args)]
pub(crate) struct AsJson {
    /// Print JSON, one document a line
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    everywhere: Everywhere,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key, and print it this once
    Create(CreateKeyArgs),
    /// List all keys, revoked and expired ones included
    List(AsJson),
    /// End a key for good
    Revoke(RevokeKeyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateKeyArgs {
    /// What it is for, up to 200 characters
    #[arg(value_parser = key_name)]
    pub(crate) name: String,

    /// Whose jobs its holder sees
    #[arg(long, value_name = "TENANT", default_value = "default")]
    pub(crate) tenant: TenantName,

    /// What its holder may do: jobs:write, jobs:read, jobs:work, admin; may be repeated. The first two without it
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Vec<Scope>,

    /// How long it is good, such as 90d. For ever without it
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    pub(crate) expires_in: Option<Duration>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    everywhere: Everywhere,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeKeyArgs {
    /// Its id: the 16 digits after `rk_`, as `raincheck keys list` shows them
    pub(crate) id: KeyId,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    everywhere: Everywhere,
}

fn key_name(text: &str) -> Result<String, String> {
    let good = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err("1 to 200 characters, on one line".to_owned()) }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = parse_duration(text).map_err(|error| error.to_string())?;
    if lifetime.is_zero() { Err("longer than nothing".to_owned()) } else { Ok(lifetime) }
}

#[derive(Debug, Args)]
pub(crate) struct WebhooksArgs {
    #[command(subcommand)]
    pub(crate) key: WebhookKey,

    #[command(flatten)]
    everywhere: Everywhere,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum WebhookKey {
    /// Print a new secret for `webhooks.secrets`
    Secret,
    /// Print a new private key for `webhooks.signing_keys`
    SigningKey,
}

impl Cli {
    /// Whether a server's settings were given to a command that has none.
    pub(crate) fn misses_its_settings(&self) -> bool {
        let Everywhere { config, set, log } = &self.everywhere;
        let none = self.command.as_ref().is_some_and(|command| command.everywhere().is_none());
        none && (config.is_some() || !set.is_empty() || log.is_some())
    }

    /// Whether `--log` was given.
    pub(crate) fn asks_for_logs(&self) -> bool {
        self.places().any(|place| place.log.is_some())
    }

    /// What the command line adds to the configuration. What stands later wins.
    pub(crate) fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        for place in self.places() {
            if let Some(file) = &place.config {
                flags.file = Some(file.clone());
            }
            flags.set.extend(place.log.iter().map(|filter| ("log.filter".to_owned(), filter.clone())));
            flags.set.extend(place.set.iter().cloned());
        }
        let mut set = |key: &str, value: Option<String>| {
            flags.set.extend(value.map(|value| (key.to_owned(), value)));
        };
        if let Some(Command::Worker(worker)) = &self.command {
            set("worker.queues", (!worker.queue.is_empty()).then(|| worker.queue.join(",")));
            set("worker.concurrency", worker.concurrency.clone());
            set("worker.name", worker.name.clone());
        }
        flags
    }

    fn places(&self) -> impl Iterator<Item = &Everywhere> {
        [&self.everywhere].into_iter().chain(self.command.as_ref().and_then(Command::everywhere))
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("a key and a value with `=` between them, such as http.listen=127.0.0.1:9000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_settings_wherever_they_stand() {
        let line =
            "raincheck --set http.workers=2 worker --queue a --queue b --concurrency 3 --set jobs.page=5 --log debug";
        let flags = Cli::parse_from(line.split(' ')).flags();
        let pairs: Vec<(&str, &str)> = flags.set.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("http.workers", "2"),
                ("jobs.page", "5"),
                ("log.filter", "debug"),
                ("worker.concurrency", "3"),
                ("worker.queues", "a,b"),
            ]
        );
    }
}
