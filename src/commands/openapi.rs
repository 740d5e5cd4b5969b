//! `raincheck openapi`: the document that `GET /openapi.json` answers, without a server.

use raincheck_shared::config::Settings;

use crate::terminal::Terminal;

pub(super) fn run(settings: &Settings, terminal: &Terminal) {
    terminal.page(&format!("{:#}\n", raincheck_api::openapi(settings)));
}
