//! A section that is being read: takes keys out one by one, notes what is wrong with them, and in the end holds what
//! nobody asked for.

use std::collections::{BTreeMap, BTreeSet};

use config::{Map, Value, ValueKind};

use super::layers::FROM_DEFAULTS;
use super::load::ConfigProblem;
use super::nearest::nearest;
use super::value::{Parsed, shown};

/// What is wrong has been noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noted;

/// Something read, or a note of what is wrong with it.
pub(super) type Read<T> = Result<T, Noted>;

/// A table under its dotted path.
#[derive(Debug)]
pub(super) struct Section {
    path: String,
    values: Map<String, Value>,
    asked: BTreeSet<&'static str>,
    /// Where values came from that were taken out.
    origins: BTreeMap<String, String>,
    problems: Vec<ConfigProblem>,
    /// Dotted keys of inner sections that were asked for.
    inner: BTreeSet<String>,
}

impl Section {
    /// All there is.
    pub(super) fn root(values: Map<String, Value>) -> Self {
        Self::at(String::new(), values)
    }

    fn at(path: String, values: Map<String, Value>) -> Self {
        Self {
            path,
            values,
            asked: BTreeSet::new(),
            origins: BTreeMap::new(),
            problems: Vec::new(),
            inner: BTreeSet::new(),
        }
    }

    /// The dotted name of a key in here.
    pub(super) fn dotted(&self, key: &str) -> String {
        // As TOML writes it: nothing at all would be no name.
        let key = if key.is_empty() { "\"\"" } else { key };
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A key's value. The defaults see to it that it is there.
    pub(super) fn required<T>(&mut self, key: &'static str, parse: impl FnOnce(&Value) -> Parsed<T>) -> Read<T> {
        match self.optional(key, parse) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.problem(key, "is missing")),
            Err(noted) => Err(noted),
        }
    }

    /// A key's value, if it is there.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Parsed<T>,
    ) -> Read<Option<T>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        parse(&value).map(Some).map_err(|problem| self.problem(key, problem))
    }

    /// An inner section; its problems become those of this one.
    pub(super) fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section) -> Read<T>) -> Read<T> {
        self.asked.insert(key);
        self.named_section(key, read)
    }

    /// The same for one that need not be there, but is known either way.
    pub(super) fn optional_section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section) -> Read<T>,
    ) -> Read<Option<T>> {
        self.asked.insert(key);
        if self.has(key) { self.named_section(key, read).map(Some) } else { Ok(None) }
    }

    /// The same for a section whose name is the user's.
    pub(super) fn named_section<T>(&mut self, key: &str, read: impl FnOnce(&mut Section) -> Read<T>) -> Read<T> {
        let Some(value) = self.take_any(key) else { return Err(self.problem(key, "is missing")) };
        let ValueKind::Table(values) = value.kind else {
            let example = format!("[{}]", self.dotted(key));
            return Err(self
                .problem(key, format!("{} is not a section: write {example} and its keys below", shown(&value.kind))));
        };
        let mut section = Section::at(self.dotted(key), values);
        let read = read(&mut section);
        self.inner.extend(section.asked.iter().map(|asked| section.dotted(asked)));
        self.inner.append(&mut section.inner);
        self.problems.extend(section.finish());
        read
    }

    /// The keys that are left.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.values.keys().cloned().collect();
        keys.sort();
        keys
    }

    /// Whether the key is there, taken out or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key) || self.origins.contains_key(key)
    }

    /// Notes that a key's value is wrong.
    pub(super) fn problem(&mut self, key: &str, problem: impl Into<String>) -> Noted {
        self.clash(&[key], problem)
    }

    /// Notes that keys do not go together, under the name of the first. It came from wherever the first of them was
    /// set that is not at its default.
    pub(super) fn clash(&mut self, keys: &[&str], problem: impl Into<String>) -> Noted {
        let origin = keys.iter().filter_map(|key| self.origin(key)).find(|origin| origin != FROM_DEFAULTS);
        let dotted = keys.first().map(|key| self.dotted(key)).unwrap_or_default();
        self.problems.push(ConfigProblem::new(&dotted, problem.into(), origin.as_deref()));
        Noted
    }

    fn origin(&self, key: &str) -> Option<String> {
        self.origins.get(key).cloned().or_else(|| self.values.get(key).and_then(origin_within))
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.insert(key);
        self.take_any(key)
    }

    fn take_any(&mut self, key: &str) -> Option<Value> {
        let value = self.values.remove(key)?;
        self.origins.insert(key.to_owned(), origin_within(&value).unwrap_or_default());
        Some(value)
    }

    /// Everything that is wrong, keys included that nobody asked for.
    pub(super) fn finish(mut self) -> Vec<ConfigProblem> {
        for key in self.keys() {
            let known = self.asked.iter().copied();
            let hint = match nearest(&key, known.clone()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
            };
            self.problem(&key, format!("unknown key; {hint}"));
        }
        self.problems
    }

    /// Every dotted key that was asked for, here and within.
    #[cfg(test)]
    pub(super) fn asked(&self) -> BTreeSet<String> {
        let own = self.asked.iter().map(|key| self.dotted(key));
        own.chain(self.inner.iter().cloned()).collect()
    }
}

/// Where a value came from; for a merged table, where the first thing in it came from that is not a default.
fn origin_within(value: &Value) -> Option<String> {
    let own = value.origin().map(str::to_owned);
    let ValueKind::Table(table) = &value.kind else { return own };
    let mut inner: Vec<(&String, String)> =
        table.iter().filter_map(|(key, inner)| Some((key, origin_within(inner)?))).collect();
    inner.sort();
    let mut origins = inner.into_iter().map(|(_, origin)| origin).chain(own);
    let first = origins.next()?;
    if first == FROM_DEFAULTS { origins.find(|origin| origin != FROM_DEFAULTS).or(Some(first)) } else { Some(first) }
}
