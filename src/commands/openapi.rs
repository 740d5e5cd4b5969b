//! `raincheck openapi`: the document that `GET /openapi.json` answers, without a server.

use raincheck_shared::config::Settings;

use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(settings: &Settings, terminal: &Terminal) -> Result<(), Failure> {
    terminal.page(&format!("{:#}\n", raincheck_api::openapi(settings)))
}
