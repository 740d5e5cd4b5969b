//! When a schedule is due: the five fields of cron, by the clock of a time zone.
//!
//! [`fields`] reads them, [`ticks`] says at which instants they hold, over hours that the clock skips or repeats.

mod fields;
#[cfg(test)]
mod tests;
mod ticks;

use core::fmt;
use core::str::FromStr;

use jiff::tz::TimeZone;

use self::fields::Fields;

/// The longest text that is read, in bytes: every minute written out, and a zone.
const LONGEST: usize = 400;

/// When: `Europe/Zurich 0 7 * * 1-5`. Without a zone it is UTC. What it prints is what was read, with single spaces and the
/// zone's own spelling.
#[derive(Debug, Clone)]
pub struct Cron {
    zone: TimeZone,
    zone_name: String,
    fields_text: String,
    fields: Fields,
}

/// A text that says no times, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCron {
    /// Not five fields.
    #[error(
        "must be five fields (minute, hour, day of the month, month, day of the week), with a time zone in front unless it is \
         UTC, such as \"Europe/Zurich 0 7 * * 1-5\"; or one of @hourly, @daily, @weekly, @monthly, @yearly in their place"
    )]
    Shape,
    /// No such zone.
    #[error("there is no time zone {0:?}: it must be a name of the IANA database such as Europe/Zurich, or UTC")]
    Zone(String),
    /// One field is wrong.
    #[error("the {field} {text:?}: {problem}")]
    Field {
        /// Which one, as people call it.
        field: &'static str,
        /// What it says.
        text: String,
        /// What is wrong with it, and what is allowed.
        problem: String,
    },
    /// The fields contradict each other.
    #[error("no month in it has such a day: it would never run")]
    Never,
}

impl Cron {
    /// The zone by whose clock it goes.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// The five fields without the zone.
    pub fn fields(&self) -> &str {
        &self.fields_text
    }
}

impl FromStr for Cron {
    type Err = InvalidCron;

    fn from_str(text: &str) -> Result<Self, InvalidCron> {
        if text.len() > LONGEST {
            return Err(InvalidCron::Shape);
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (zone, fields) = match words.as_slice() {
            [name] if name.starts_with('@') => ("UTC", &words[..]),
            [zone, name] if name.starts_with('@') => (*zone, &words[1..]),
            [_, _, _, _, _] => ("UTC", &words[..]),
            [zone, _, _, _, _, _] => (*zone, &words[1..]),
            _ => return Err(InvalidCron::Shape),
        };
        let unknown = || InvalidCron::Zone(zone.chars().take(80).collect());
        let zone = TimeZone::get(zone).map_err(|_| unknown())?;
        let zone_name = zone.iana_name().filter(|_| !zone.is_unknown()).ok_or_else(unknown)?.to_owned();
        let fields_text = fields.join(" ");
        let fields = Fields::parse(fields)?;
        Ok(Self { zone, zone_name, fields_text, fields })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.zone_name, self.fields_text)
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.zone_name == other.zone_name && self.fields_text == other.fields_text
    }
}

impl Eq for Cron {}
