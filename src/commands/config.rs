//! `raincheck config`: what all layers come to.

use raincheck_shared::config::{DEFAULTS, Settings, show};

use crate::cli::ConfigArgs;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(
    arguments: &ConfigArgs,
    settings: impl FnOnce() -> Result<Settings, Failure>,
    terminal: &Terminal,
) -> Result<(), Failure> {
    // The defaults help most when what is configured is wrong, so they do not ask for it.
    if arguments.defaults { terminal.page(DEFAULTS) } else { terminal.page(&show(&settings()?)) }
}
