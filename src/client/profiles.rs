//! `client.toml`: where instances are and which key opens them, by name.

use std::collections::BTreeMap;
use std::env::var_os;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::Failure;

/// A key, which nothing prints.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct ApiKey(pub(super) String);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profiles {
    /// The profile that is meant when none is named.
    pub(super) default: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// One instance.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) url: Option<String>,
    pub(super) api_key: Option<ApiKey>,
    pub(super) ca_file: Option<PathBuf>,
}

/// `$XDG_CONFIG_HOME/raincheck/client.toml`, or the same below `~/.config`. `None`: there is no home.
pub(super) fn path() -> Option<PathBuf> {
    let folder = |name: &str| var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(config.join("raincheck").join("client.toml"))
}

impl Profiles {
    /// Reads the file; one that is not there says nothing.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|problem| Failure::Usage(format!("{}: {problem}", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::Usage(format!("{} cannot be read: {error}", path.display()))),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        // Only where and what: the error's own text would show the line, and there may be a key in it.
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
            let line = line.map_or_else(String::new, |line| format!("line {line}: "));
            format!("{line}{}", error.message())
        })
    }

    /// The profile of this name, or else the default one, or else one that says nothing.
    pub(super) fn named(&self, name: Option<&str>) -> Result<Profile, Failure> {
        let Some(name) = name.or(self.default.as_deref()) else { return Ok(Profile::default()) };
        self.profiles.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Failure::Usage(format!("client.toml has no profile {name:?}; there is {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "default = \"a\"\n[profiles.a]\nurl = \"http://a\"\n[profiles.b]\nurl = \"http://b\"\napi_key = \"rk_secret\"\n";

    #[test]
    fn a_profile_is_found_by_name_or_is_the_default() {
        let profiles = Profiles::parse(FILE).unwrap();
        assert_eq!(profiles.named(None).unwrap().url.as_deref(), Some("http://a"));
        let b = profiles.named(Some("b")).unwrap();
        assert_eq!(b.url.as_deref(), Some("http://b"));
        assert!(!format!("{b:?}").contains("secret"));
        assert!(profiles.named(Some("c")).unwrap_err().to_string().contains("there is a, b"));
    }

    #[test]
    fn a_mistake_is_told_by_its_line_and_without_the_key_in_it() {
        let problem = Profiles::parse("[profiles.a]\nkey = \"rk_secret\"\n").unwrap_err();
        assert!(problem.starts_with("line 2: unknown field `key`"), "{problem}");
        let problem = Profiles::parse("[profiles.a]\napi_key = rk_secret\n").unwrap_err();
        assert!(problem.starts_with("line 2: ") && !problem.contains("secret"), "{problem}");
    }
}
