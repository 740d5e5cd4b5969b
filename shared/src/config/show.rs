//! Prints the effective configuration.

use super::Settings;

/// The effective configuration as TOML that could be read back, with secrets hidden.
pub fn show(_settings: &Settings) -> String {
    unimplemented!("not written yet")
}
