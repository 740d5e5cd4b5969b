//! Which handler runs which kind. Built once, at start, from the settings and the handlers that the program brings.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use raincheck_shared::config::{BlobPlace, Kind, Run, Settings};
use raincheck_shared::domain::{KindName, QueueName};
use raincheck_shared::lifecycle::SystemClock;

use crate::Handler;
use crate::handlers::{Command, Echo, Http, InvalidUpstream, Scratch, Sleep, Takeaway};

/// The variables that hold the key of a blob store, where the settings leave it to the environment.
const BLOB_KEYS: &[&str] = &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The handlers that a worker's program brings, by the kind that each runs.
pub type CustomHandlers = BTreeMap<KindName, Arc<dyn Handler>>;

/// A kind and what runs it.
#[derive(Clone)]
pub struct Entry {
    /// Its limits.
    pub kind: Arc<Kind>,
    /// What runs it.
    pub handler: Arc<dyn Handler>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Why a worker cannot start with these kinds and handlers.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A kind waits for a handler that this program does not bring.
    #[error(
        "kinds.{kind}: `handler = true` needs a handler in Rust and this worker has none; \
         run its jobs with a worker that has one, and give this one other `worker.queues`"
    )]
    NoHandler {
        /// Which.
        kind: KindName,
    },
    /// A handler for a kind that is not configured.
    #[error("a handler was given for kind {kind}, but there is no [kinds.{kind}]")]
    NoKind {
        /// Which.
        kind: KindName,
    },
    /// A handler for a kind that something else runs.
    #[error("a handler was given for kind {kind}, but kinds.{kind} does not say `handler = true`")]
    NotCustom {
        /// Which.
        kind: KindName,
    },
    /// An upstream that cannot be called.
    #[error("kinds.{kind}.http cannot be used")]
    Upstream {
        /// Which.
        kind: KindName,
        /// What is wrong with it.
        #[source]
        source: InvalidUpstream,
    },
}

/// Which handler runs which kind.
#[derive(Debug, Clone)]
pub struct Registry {
    entries: BTreeMap<KindName, Entry>,
    kinds: Vec<KindName>,
}

impl Registry {
    /// The handlers of all configured kinds; `custom` are those of kinds that say `handler = true`.
    ///
    /// Such a kind without a handler is an error, unless its queue is not one of the worker's: a program of its own
    /// may serve it, with the same settings.
    pub fn from_kinds(settings: &Settings, custom: &CustomHandlers) -> Result<Self, RegistryError> {
        let scratch = Arc::new(Scratch::inside(settings.worker.scratch.as_deref()));
        let grounds = Grounds { scratch, withheld: keys_of(&settings.blobs.place) };
        Self::build(&settings.kinds, &settings.worker.queues, custom, &grounds)
    }

    fn build(
        kinds: &BTreeMap<KindName, Arc<Kind>>,
        queues: &[QueueName],
        custom: &CustomHandlers,
        grounds: &Grounds,
    ) -> Result<Self, RegistryError> {
        for kind in custom.keys() {
            match kinds.get(kind) {
                None => return Err(RegistryError::NoKind { kind: kind.clone() }),
                Some(configured) if configured.run != Run::Custom => {
                    return Err(RegistryError::NotCustom { kind: kind.clone() });
                }
                Some(_) => {}
            }
        }
        let mut entries = BTreeMap::new();
        // Jobs of remote kinds are leased from the API.
        for (name, kind) in kinds.iter().filter(|(_, kind)| !kind.is_remote()) {
            let served = queues.is_empty() || queues.contains(&kind.queue);
            let handler = match built_in(kind, grounds)? {
                Some(handler) => handler,
                None => match custom.get(name) {
                    Some(handler) => Arc::clone(handler),
                    None if served => return Err(RegistryError::NoHandler { kind: name.clone() }),
                    None => continue,
                },
            };
            entries.insert(name.clone(), Entry { kind: Arc::clone(kind), handler });
        }
        let kinds = entries.keys().cloned().collect();
        Ok(Self { entries, kinds })
    }

    /// What runs a kind; `None`: this worker cannot.
    pub fn get(&self, kind: &KindName) -> Option<&Entry> {
        self.entries.get(kind)
    }

    /// Every kind that this worker can run, in order.
    pub fn kinds(&self) -> &[KindName] {
        &self.kinds
    }

    /// Every kind with its limits and handler, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }
}

/// What all programs of a worker run on.
struct Grounds {
    scratch: Arc<Scratch>,
    withheld: &'static [&'static str],
}

/// What of the environment is the key to where blobs are, and so to every tenant's.
fn keys_of(blobs: &BlobPlace) -> &'static [&'static str] {
    match blobs {
        BlobPlace::S3(s3) if s3.access_key_id.is_none() => BLOB_KEYS,
        BlobPlace::S3(_) | BlobPlace::Directory { .. } => &[],
    }
}

fn built_in(kind: &Kind, grounds: &Grounds) -> Result<Option<Arc<dyn Handler>>, RegistryError> {
    Ok(Some(match &kind.run {
        Run::Command(program) => {
            let command = Command::new(program.clone(), &kind.output_type, Arc::clone(&grounds.scratch));
            Arc::new(command.withholding(grounds.withheld))
        }
        Run::Http(upstream) => Arc::new(
            Http::new(upstream, SystemClock::shared())
                .map_err(|source| RegistryError::Upstream { kind: kind.name.clone(), source })?,
        ),
        Run::Echo => Arc::new(Echo),
        Run::Sleep => Arc::new(Sleep),
        Run::Takeaway => Arc::new(Takeaway),
        Run::Custom | Run::Remote => return Ok(None),
    }))
}

#[cfg(test)]
mod tests;
