//! Names that end up in queue names, URLs and metrics, so they are checked once, here.

use std::fmt;
use std::str::FromStr;

/// A name that is not allowed, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a valid name: 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit")]
pub struct InvalidName(pub String);

fn check(text: &str) -> Result<(), InvalidName> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && text.len() <= 64 && text.chars().all(allowed) {
        Ok(())
    } else {
        Err(InvalidName(text.chars().take(80).collect()))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(std::sync::Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check(text).map(|()| Self(text.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name! {
    /// What sort of work a job is: selects the handler, the limits and the schema.
    KindName
}

name! {
    /// The queue that a job waits in: the unit that workers subscribe to and scale by.
    QueueName
}

name! {
    /// Whose a job is. Tenants know nothing of one another; a caller with no key belongs to `default`.
    TenantName
}

name! {
    /// What a schedule is called; unique within its tenant.
    ScheduleName
}

impl TenantName {
    const DEFAULT: &str = "default";

    /// Whether it is the tenant of whoever needs no other.
    pub fn is_default(&self) -> bool {
        self.as_str() == Self::DEFAULT
    }
}

impl Default for TenantName {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_ascii_and_starts_with_a_letter_or_digit() {
        for good in ["a", "report.render", "v2_x-1", &"k".repeat(64)] {
            assert!(good.parse::<KindName>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a b", "a/b", "ä", "a\0", &"k".repeat(65)] {
            assert!(bad.parse::<KindName>().is_err(), "{bad:?}");
        }
    }
}
