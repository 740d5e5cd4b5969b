//! One value, read as what it should be. From the environment and from flags everything comes as text.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use config::{Value, ValueKind};

use super::layers::came_as_text;
use super::{Secret, format_duration, format_size, parse_duration, parse_size};
use crate::telemetry::Chain;
use crate::tls;

/// A value, or what is wrong with it and what is allowed.
pub(super) type Parsed<T> = Result<T, String>;

/// A value as a problem shows it, not too long.
pub(super) fn shown(kind: &ValueKind) -> String {
    match kind {
        ValueKind::String(text) if text.chars().count() > 60 => {
            format!("{:?}…", text.chars().take(60).collect::<String>())
        }
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Table(_) => "a table".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
        ValueKind::Nil => "nothing".to_owned(),
        plain => plain.to_string(),
    }
}

fn not(value: &Value, wanted: impl Display) -> String {
    format!("{} is not {wanted}", shown(&value.kind))
}

/// Text.
pub(super) fn text(value: &Value) -> Parsed<String> {
    match &value.kind {
        ValueKind::String(text) => Ok(text.clone()),
        _ => Err(not(value, "text in quotes")),
    }
}

/// Text that means nothing while it is empty.
pub(super) fn text_or_nothing(value: &Value) -> Parsed<Option<String>> {
    Ok(Some(text(value)?).filter(|text| !text.is_empty()))
}

/// A file of authorities, in PEM, that can be used.
pub(super) fn ca_file(value: &Value) -> Parsed<Option<PathBuf>> {
    let Some(path) = text_or_nothing(value)?.map(PathBuf::from) else { return Ok(None) };
    match tls::trusting(Some(&path)) {
        Ok(_) => Ok(Some(path)),
        Err(error) => Err(format!("{}: {}", path.display(), Chain(&error))),
    }
}

/// Text of at most so many characters, on one line.
pub(super) fn line(longest: usize) -> impl Fn(&Value) -> Parsed<String> {
    move |value| {
        let text = text(value)?;
        if text.chars().count() <= longest && !text.chars().any(char::is_control) {
            Ok(text)
        } else {
            Err(not(value, format_args!("one line of at most {longest} characters")))
        }
    }
}

/// What a type reads from text; its error says what is allowed.
pub(super) fn parsed<T>(value: &Value) -> Parsed<T>
where
    T: FromStr,
    T::Err: Display,
{
    text(value)?.parse().map_err(|error: T::Err| error.to_string())
}

/// `true` or `false`.
pub(super) fn boolean(value: &Value) -> Parsed<bool> {
    match &value.kind {
        ValueKind::Boolean(truth) => Ok(*truth),
        ValueKind::String(text) if text == "true" => Ok(true),
        ValueKind::String(text) if text == "false" => Ok(false),
        _ => Err(not(value, "true or false")),
    }
}

/// A whole number from `least` to `most`.
pub(super) fn whole<T>(least: T, most: T) -> impl Fn(&Value) -> Parsed<T>
where
    T: TryFrom<i64> + PartialOrd + Display + Copy,
{
    move |value| {
        let number = match &value.kind {
            ValueKind::I64(number) => Some(*number),
            ValueKind::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| *number >= least && *number <= most)
            .ok_or_else(|| not(value, format_args!("a whole number from {least} to {most}")))
    }
}

/// A duration from `least` to `most`.
pub(super) fn duration(least: Duration, most: Duration) -> impl Fn(&Value) -> Parsed<Duration> {
    move |value| {
        let ValueKind::String(text) = &value.kind else {
            return Err(not(value, "a duration: a whole number and a unit in quotes, such as \"30s\""));
        };
        let duration = parse_duration(text).map_err(|error| error.to_string())?;
        if (least..=most).contains(&duration) {
            Ok(duration)
        } else {
            let (least, most) = (format_duration(least), format_duration(most));
            Err(format!("{text:?} is out of range: {least} to {most}"))
        }
    }
}

/// A size in bytes from `least` to `most`.
pub(super) fn size(least: u64, most: u64) -> impl Fn(&Value) -> Parsed<u64> {
    move |value| {
        let bytes = match &value.kind {
            ValueKind::I64(number) => u64::try_from(*number).map_err(|_| not(value, "a size: it is negative"))?,
            ValueKind::String(text) => parse_size(text).map_err(|error| error.to_string())?,
            _ => return Err(not(value, "a size: a whole number of bytes, or text such as \"16MiB\"")),
        };
        if (least..=most).contains(&bytes) {
            Ok(bytes)
        } else {
            let (least, most) = (format_size(least), format_size(most));
            Err(format!("{} is out of range: {least} to {most}", shown(&value.kind)))
        }
    }
}

/// An address and a port.
pub(super) fn address(value: &Value) -> Parsed<SocketAddr> {
    let text = text(value)?;
    // A name is what people write first; to resolve it here would make a start depend on DNS.
    let text = text.strip_prefix("localhost:").map_or(text.clone(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| {
        not(value, "an address and a port, such as \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::1]:8080\"")
    })
}

/// A path.
pub(super) fn path(value: &Value) -> Parsed<PathBuf> {
    match text(value)? {
        empty if empty.is_empty() => Err("is empty; a path is needed".to_owned()),
        text => Ok(text.into()),
    }
}

/// A list; as text: its items with commas between, or in JSON where all is text.
pub(super) fn list<T>(item: impl Fn(&Value) -> Parsed<T>) -> impl Fn(&Value) -> Parsed<Vec<T>> {
    move |value| match &value.kind {
        ValueKind::Array(items) => items.iter().map(&item).collect(),
        ValueKind::String(text) => match json_list(text).filter(|_| came_as_text(value)) {
            Some(items) => items.iter().map(&item).collect(),
            None => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| item(&Value::new(None, part)))
                .collect(),
        },
        _ => Err(not(value, "a list")),
    }
}

/// The items of a list in JSON, if the text is one: an address of IPv6 begins like one too.
pub(super) fn json_list(text: &str) -> Option<Vec<Value>> {
    text.trim_start().starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

/// A table of text. What is wrong with one is said without its values: they may be secrets.
pub(super) fn texts(value: &Value) -> Parsed<BTreeMap<String, String>> {
    let ValueKind::Table(table) = &value.kind else {
        return Err("is not a table of text, such as { NAME = \"value\" }".to_owned());
    };
    table
        .iter()
        .map(|(name, inner)| match text(inner) {
            Ok(text) => Ok((name.clone(), text)),
            Err(_) => Err(format!("`{name}` is not text in quotes")),
        })
        .collect()
}

/// Text that is a secret, and means nothing while it is empty.
pub(super) fn secret_or_nothing(value: &Value) -> Parsed<Option<Secret>> {
    let text = text_or_nothing(value).map_err(|_| "is not text in quotes".to_owned())?;
    Ok(text.map(Secret::new))
}

/// Any value as JSON.
pub(super) fn json(value: &Value) -> serde_json::Value {
    match &value.kind {
        ValueKind::Boolean(truth) => (*truth).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::U64(number) => (*number).into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::String(text) => text.clone().into(),
        ValueKind::Array(items) => items.iter().map(json).collect(),
        ValueKind::Table(table) => table.iter().map(|(key, inner)| (key.clone(), json(inner))).collect(),
        // TOML has none of these.
        ValueKind::Nil | ValueKind::I128(_) | ValueKind::U128(_) => serde_json::Value::Null,
    }
}
