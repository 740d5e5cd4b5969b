//! Every setting, read once and typed from then on.
//!
//! Layers: the defaults of `raincheck.default.toml` (compiled in), a file, the environment (`RAINCHECK__HTTP__LISTEN`),
//! flags. All errors are reported at once, each naming its key and what is allowed.

mod settings;

mod blob_section;
mod kind;
mod secret;

mod duration;
mod size;

mod load;

mod access;
mod kinds;
mod layers;
mod nearest;
mod runner;
mod schedules;
mod section;
mod sections;
mod status_rules;
pub(crate) mod url;
mod value;
mod webhooks;

mod show;

#[cfg(test)]
mod documented;
#[cfg(test)]
mod said_as_text;
#[cfg(test)]
mod shown_again;
#[cfg(test)]
mod tests;

pub use duration::{InvalidDuration, LONGEST_DURATION, format_duration, parse_duration};
pub use kind::{InputSchema, Kind, Program, Run, Upstream};
pub use layers::DEFAULTS;
pub use load::{ConfigErrors, ConfigProblem, Flags, load};
pub use secret::Secret;
pub use settings::{
    AuthSettings, BlobPlace, BlobSettings, BrokerSettings, ConfiguredSchedule, HttpSettings, JobSettings, LogFormat,
    LogSettings, QuotaSettings, Quotas, RabbitmqSettings, S3Settings, Settings, StoreSettings, UpkeepSettings,
    WorkerSettings,
};
pub use show::show;
pub use size::{InvalidSize, format_size, parse_size};
pub use status_rules::{StatusRules, Verdict};
pub use webhooks::WebhookSettings;
