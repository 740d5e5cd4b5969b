//! Which instance is meant, and with which key: flags, then the environment, then a profile of `client.toml`.

use std::path::PathBuf;

use super::arguments::Reach;
use super::profiles::{self, ApiKey, Profiles};
use crate::failure::Failure;

/// Where `raincheck up` listens unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// An instance.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) url: String,
    pub(super) key: Option<ApiKey>,
    /// Certificates that are trusted for https.
    pub(super) authority: Option<PathBuf>,
}

/// Finds it.
pub(super) fn find(reach: &Reach) -> Result<Place, Failure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let name = reach.profile.clone().or_else(|| variable("RAINCHECK_PROFILE"));
    let url = reach.url.clone().or_else(|| variable("RAINCHECK_URL"));
    let profiles = profiles::path().map_or_else(|| Ok(Profiles::default()), |path| Profiles::read(&path))?;
    let key = reach.api_key.clone().or_else(|| variable("RAINCHECK_API_KEY")).map(ApiKey);
    // A default profile's key is for that profile's instance; it is not sent to another that was named by its URL.
    let profile =
        if url.is_some() && name.is_none() { profiles::Profile::default() } else { profiles.named(name.as_deref())? };
    let authority = reach.ca_file.clone().or_else(|| variable("RAINCHECK_CA_FILE").map(PathBuf::from));
    Ok(Place {
        url: url.or(profile.url).unwrap_or_else(|| DEFAULT_URL.to_owned()),
        key: key.or(profile.api_key),
        authority: authority.or(profile.ca_file),
    })
}
