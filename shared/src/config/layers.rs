//! The layers, merged: defaults < file < environment < flags. Every value remembers where it came from.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Config, File, FileFormat, Map, Source, Value, ValueKind};

use super::load::{ConfigProblem, Flags};

/// Every setting with its default and a comment.
pub const DEFAULTS: &str = include_str!("../../../raincheck.default.toml");

/// The file that is read when no other is named.
const USUAL_FILE: &str = "raincheck.toml";

/// What values of the lowest layer say of their origin.
pub(super) const FROM_DEFAULTS: &str = "the defaults";

/// What values of the highest layer say of theirs.
const FROM_FLAGS: &str = "the command line";

/// What the origin of a value from the environment begins with; the variable's name follows.
const FROM_VARIABLE: &str = "environment variable ";

/// Variables that hosts and tools set by convention; raincheck's own names win over them.
const CUSTOMARY: [(&str, &str); 2] = [("DATABASE_URL", "store.url"), ("AMQP_URL", "broker.url")];

type Table = Map<String, Value>;

/// One layer: its values under their keys, dotted or nested.
#[derive(Debug, Clone, Default)]
struct Layer(Table);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Table, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// Merges all layers. What a layer cannot say at all is added to `problems`, and the others are read nevertheless.
pub(super) fn merge(flags: &Flags, environment: &BTreeMap<String, String>, problems: &mut Vec<ConfigProblem>) -> Table {
    let layers = [
        toml(DEFAULTS, FROM_DEFAULTS, problems),
        file(flags.file.as_deref(), problems),
        customary(environment),
        variables(environment, problems),
        set(&flags.set, problems),
    ];
    let mut builder = Config::builder();
    for layer in layers {
        builder = builder.add_source(layer);
    }
    match builder.build().map(|config| config.cache.kind) {
        Ok(ValueKind::Table(table)) => table,
        Ok(_) => Table::new(),
        Err(error) => {
            problems.push(ConfigProblem::new("", error.to_string(), None));
            Table::new()
        }
    }
}

fn toml(text: &str, origin: &str, problems: &mut Vec<ConfigProblem>) -> Layer {
    match File::from_str(text, FileFormat::Toml).collect() {
        Ok(table) => Layer(table.into_iter().map(|(key, value)| (key, stamped(value, origin))).collect()),
        Err(error) => {
            let why = match error {
                config::ConfigError::FileParse { cause, .. } => cause.to_string(),
                other => other.to_string(),
            };
            problems.push(ConfigProblem::new("", format!("not valid TOML: {}", why.trim()), Some(origin)));
            Layer::default()
        }
    }
}

/// The same value, and all in it, with its origin.
fn stamped(value: Value, origin: &str) -> Value {
    let kind = match value.kind {
        ValueKind::Table(table) => {
            ValueKind::Table(table.into_iter().map(|(key, inner)| (key, stamped(inner, origin))).collect())
        }
        ValueKind::Array(items) => ValueKind::Array(items.into_iter().map(|inner| stamped(inner, origin)).collect()),
        plain => plain,
    };
    Value::new(Some(&origin.to_owned()), kind)
}

fn file(named: Option<&Path>, problems: &mut Vec<ConfigProblem>) -> Layer {
    let path = named.unwrap_or_else(|| Path::new(USUAL_FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => toml(&text, &path.display().to_string(), problems),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Layer::default(),
        Err(error) => {
            problems.push(ConfigProblem::new(
                "",
                format!("cannot be read: {error}"),
                Some(&path.display().to_string()),
            ));
            Layer::default()
        }
    }
}

fn customary(environment: &BTreeMap<String, String>) -> Layer {
    let given = CUSTOMARY.into_iter().filter_map(|(variable, key)| {
        let value = environment.get(variable).filter(|value| !value.is_empty())?;
        Some((key.to_owned(), from_variable(variable, value)))
    });
    Layer(given.collect())
}

fn variables(environment: &BTreeMap<String, String>, problems: &mut Vec<ConfigProblem>) -> Layer {
    let mut table = Table::new();
    for (variable, value) in environment {
        let Some(rest) = variable.strip_prefix("RAINCHECK__") else { continue };
        if value.is_empty() {
            continue;
        }
        let key = rest.to_lowercase().replace("__", ".");
        if is_key(&key) {
            table.insert(key, from_variable(variable, value));
        } else {
            let problem = "not the name of a setting: RAINCHECK__SECTION__KEY, for instance RAINCHECK__HTTP__LISTEN";
            problems.push(ConfigProblem::new(&key, problem.to_owned(), Some(&variable_origin(variable))));
        }
    }
    Layer(table)
}

fn set(flags: &BTreeMap<String, String>, problems: &mut Vec<ConfigProblem>) -> Layer {
    let mut table = Table::new();
    for (key, value) in flags {
        if let Some(parts) = parts(key) {
            insert(&mut table, &parts, Value::new(Some(&FROM_FLAGS.to_owned()), value.clone()));
        } else {
            let problem = "not the name of a setting: SECTION.KEY, for instance http.listen or kinds.\"a.b\".queue";
            problems.push(ConfigProblem::new(key, problem.to_owned(), Some(FROM_FLAGS)));
        }
    }
    Layer(table)
}

/// The parts of a dotted key, of which some may be in quotes, as TOML reads it.
fn parts(key: &str) -> Option<Vec<String>> {
    // These would make more of it than a key. No name has them.
    if key.contains(['=', '#']) || key.contains(char::is_control) {
        return None;
    }
    let mut table = File::from_str(&format!("{key} = true"), FileFormat::Toml).collect().ok()?;
    let mut parts = Vec::new();
    loop {
        let (part, value) = table.into_iter().next()?;
        parts.push(part);
        match value.kind {
            ValueKind::Table(inner) => table = inner,
            _ => break,
        }
    }
    // The merge looks into the first of them, and no section has a name that needs quotes.
    parts.first().is_some_and(|section| is_key(section)).then_some(parts)
}

fn insert(table: &mut Table, parts: &[String], value: Value) {
    let Some((first, rest)) = parts.split_first() else { return };
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return;
    }
    let empty = || Value::new(None, Table::new());
    let inner = table.entry(first.clone()).or_insert_with(empty);
    if !matches!(inner.kind, ValueKind::Table(_)) {
        *inner = empty();
    }
    if let ValueKind::Table(inner) = &mut inner.kind {
        insert(inner, rest, value);
    }
}

/// Whether a value comes from where everything is text: the environment or a flag.
pub(super) fn came_as_text(value: &Value) -> bool {
    value.origin().is_some_and(|origin| origin == FROM_FLAGS || origin.starts_with(FROM_VARIABLE))
}

fn from_variable(variable: &str, value: &str) -> Value {
    Value::new(Some(&variable_origin(variable)), value)
}

fn variable_origin(variable: &str) -> String {
    format!("{FROM_VARIABLE}{variable}")
}

/// Whether a dotted key is one at all. The merge would take `a[9]` for a place in a list.
fn is_key(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    key.split('.').all(|part| !part.is_empty() && part.chars().all(allowed))
}
