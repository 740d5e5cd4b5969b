//! Text that must not be printed.

use std::fmt;

/// A secret, or a URL with one in it. `Debug` and `Display` hide it: of a URL, only the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for whoever must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else { return f.write_str("***") };
        // A password may hold an '@', '/' or '?' that somebody forgot to encode: all up to the last '@' may be part of it,
        // and rather too much is hidden than too little.
        match rest.rfind('@') {
            Some(at) => {
                let user = rest[..at].split([':', '/', '?', '#']).next().unwrap_or_default();
                write!(f, "{scheme}://{user}:***{}", hide_query(&rest[at..]))
            }
            None => write!(f, "{scheme}://{}", hide_query(rest)),
        }
    }
}

/// Hides the values of query parameters: `password=` is one of them.
fn hide_query(rest: &str) -> String {
    let Some((path, query)) = rest.split_once('?') else { return rest.to_owned() };
    let hidden: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}=***"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", hidden.join("&"))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_of_a_url_is_hidden_and_all_of_anything_else() {
        let shown = |text: &str| Secret::new(text).to_string();
        assert_eq!(shown("postgres://me:pa55@db:5432/x"), "postgres://me:***@db:5432/x");
        assert_eq!(shown("postgres://me:p@5/5@db/x"), "postgres://me:***@db/x");
        assert_eq!(shown("postgres://me:p?5@5@db/x"), "postgres://me:***@db/x");
        assert_eq!(shown("postgres://db/x?password=pa55&application_name=a@b"), "postgres://db:***@b");
        assert_eq!(shown("amqp://broker:5672/%2f"), "amqp://broker:5672/%2f");
        assert_eq!(shown("postgres://db/x?user=me&password=pa55"), "postgres://db/x?user=me&password=***");
        assert_eq!(shown("pa55"), "***");
    }
}
