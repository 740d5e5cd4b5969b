//! The document of the API, for those who want it without a server.

use raincheck_shared::config::Settings;
use serde_json::Value;

/// OpenAPI 3.1 for an installation with these settings, as `GET /openapi.json` answers it.
pub fn openapi(settings: &Settings) -> Value {
    crate::http::document(settings)
}
