//! Reads the layers and reports all that is wrong with them at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::section::{Read, Section};
use super::{Settings, access, blob_section, kinds, layers, schedules, sections, webhooks};

/// What the command line adds on top of all other layers.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`: a file; without it `raincheck.toml` is read if it is there
    pub file: Option<PathBuf>,
    /// `--set key=value` and the named flags: dotted keys
    pub set: BTreeMap<String, String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The dotted key, for instance `worker.concurrency`; empty when a whole file is meant.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub problem: String,
    /// Where the value came from: a file, an environment variable, the command line. `None`: the defaults.
    pub origin: Option<String>,
}

impl ConfigProblem {
    pub(super) fn new(key: &str, problem: String, origin: Option<&str>) -> Self {
        let origin = origin.filter(|origin| *origin != layers::FROM_DEFAULTS).map(str::to_owned);
        Self { key: key.to_owned(), problem, origin }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), &self.origin) {
            ("", Some(origin)) => write!(f, "{origin}: {}", self.problem),
            ("", None) => f.write_str(&self.problem),
            (key, Some(origin)) => write!(f, "{key}: {} (from {origin})", self.problem),
            (key, None) => write!(f, "{key}: {}", self.problem),
        }
    }
}

/// All that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads all layers. `environment`: the process environment, passed in so that tests can hold it.
pub fn load(flags: &Flags, environment: &BTreeMap<String, String>) -> Result<Settings, ConfigErrors> {
    let mut problems = Vec::new();
    let table = layers::merge(flags, environment, &mut problems);
    let mut root = Section::root(table);
    let settings = read(&mut root, environment);
    problems.extend(root.finish());
    match settings {
        Ok(settings) if problems.is_empty() => Ok(settings),
        _ => Err(ConfigErrors(problems)),
    }
}

/// Reads every section before it gives up, so that each problem is found. What it answers counts only if none was.
pub(super) fn read(root: &mut Section, environment: &BTreeMap<String, String>) -> Read<Settings> {
    let auth = root.section("auth", access::auth);
    let http = root.section("http", |section| sections::http(section, auth.as_ref().ok()));
    let quotas = access::quotas(root);
    let store = root.section("store", sections::store);
    let blobs = root.section("blobs", blob_section::blobs);
    let broker = root.section("broker", sections::broker);
    let worker = root.section("worker", |section| sections::worker(section, environment));
    let jobs = root.section("jobs", sections::jobs);
    let webhooks = root.section("webhooks", webhooks::webhooks);
    let upkeep = root.section("upkeep", sections::upkeep);
    let log = root.section("log", sections::log);
    let public_url = http.as_ref().ok().and_then(|http| http.public_url.as_deref());
    let kinds = root.section("kinds", |section| Ok(kinds::kinds(section, jobs.as_ref().ok(), public_url)));
    let schedules = root.optional_section("schedules", |section| {
        let known = kinds.as_ref().ok().map(|kinds| kinds.keys().cloned().collect());
        Ok(schedules::schedules(section, known.as_ref()))
    });
    if let (Ok(store), Ok(broker)) = (&store, &broker) {
        sections::check_pair(root, store, broker);
    }
    if let (Ok(blobs), Ok(jobs)) = (&blobs, &jobs) {
        blob_section::check_inline(root, blobs, jobs);
    }
    let (quotas, kinds) = (quotas?, kinds?);
    Ok(Settings {
        flow: kinds::flow_rules(&kinds, &quotas),
        http: http?,
        auth: auth?,
        quotas,
        store: store?,
        blobs: blobs?,
        broker: broker?,
        worker: worker?,
        jobs: jobs?,
        webhooks: webhooks?,
        upkeep: upkeep?,
        log: log?,
        kinds,
        schedules: schedules?.unwrap_or_default(),
    })
}
