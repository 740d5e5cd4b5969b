//! Knows keys when they are shown: looked up in the store, batched, and remembered for some seconds, so that a request
//! costs no statement. It fails closed: while the store cannot say whether a key is good, or has never said whether keys are
//! needed at all, nobody gets in.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raincheck_shared::domain::{ApiKey, KeyHash, KeyId, KeyText};
use raincheck_shared::lifecycle::{Batcher, BatcherLimits, Clock, Shutdown};
use raincheck_shared::store::{Keys, StoreError};
use raincheck_shared::telemetry::Chain;

use super::store_calls::STORE_PATIENCE;
use super::{Caller, Refusal};

/// How long an answer of the store is good for: a key stops working this long after it was revoked, at most.
const FRESH: Duration = Duration::from_secs(5);
/// Between two looks for a first key, while there is none: less than what an answer is good for, so that no request has to
/// wait for one.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// The same while the store is away, so that it is soon known to be back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long a store that has not answered is not asked again by those who would wait for it: each of them would be kept for
/// `store.timeout`, and then once more by what it came for.
const SILENT: Duration = Duration::from_secs(2);
/// Keys that are remembered, wrong ones included. Beyond that all are asked for anew.
const REMEMBERED: usize = 10_000;
/// Between two notes in the store of which keys were used.
const NOTE_USES_EVERY: Duration = Duration::from_mins(1);

const LIMITS: BatcherLimits = BatcherLimits {
    lanes: 2,
    batch: 256,
    weight: usize::MAX,
    waiting: 10_000,
    patience: Duration::from_millis(5),
    gathering: Duration::ZERO,
};

/// Why somebody is not let in.
#[derive(Debug)]
pub(crate) enum Denied {
    /// It showed nothing, and has to.
    NothingShown,
    /// What it showed is no key of ours, or not good any more. Which of it is not told.
    NotGood,
    /// Nobody can tell at the moment.
    Undecided(Refusal),
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Undecided(refusal)
    }
}

/// What the store says: whether there is any key, and the one that was asked for.
type Answer = Result<(bool, Option<Arc<ApiKey>>), StoreError>;

/// Something that the store said a while ago.
#[derive(Debug, Clone)]
struct Heard<T> {
    what: T,
    at: Instant,
}

#[derive(Debug, Default)]
struct Memory {
    /// Whether there is any key. Once there was one there always is.
    any: Option<Heard<bool>>,
    /// When the store was last found not to answer, if it has not answered since.
    silent: Option<Instant>,
    keys: HashMap<KeyId, Heard<Option<Arc<ApiKey>>>>,
    /// Good keys that were shown since their last note.
    used: HashSet<KeyId>,
}

/// The keyring. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Keyring {
    lookups: Batcher<Option<KeyId>, Answer>,
    memory: Arc<Mutex<Memory>>,
    clock: Arc<dyn Clock>,
    /// Whether a key is needed even while none was made.
    required: bool,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("required", &self.required).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Starts the look-ups, and the notes of which keys are used.
    pub(crate) fn start(store: &Arc<dyn Keys>, required: bool, clock: Arc<dyn Clock>, shutdown: &Shutdown) -> Self {
        let keys = Arc::clone(store);
        let lookups = Batcher::start(LIMITS, shutdown, move |asked: Vec<Option<KeyId>>| {
            let keys = Arc::clone(&keys);
            async move { look_up(&*keys, &asked).await }
        });
        let memory = Arc::<Mutex<Memory>>::default();
        shutdown.spawn_foundation(note_uses(Arc::clone(store), Arc::clone(&memory), shutdown.clone()));
        let keyring = Self { lookups, memory, clock, required };
        if !required {
            shutdown.spawn_service(keyring.clone().look_for_a_first_key());
        }
        keyring
    }

    /// Whether everybody is let in, since no key was ever made.
    pub(crate) async fn is_open(&self) -> Result<bool, Refusal> {
        if self.required {
            return Ok(false);
        }
        let now = self.clock.monotonic();
        if let Some(any) = &self.lock().any
            && (any.what || now.saturating_duration_since(any.at) < FRESH)
        {
            return Ok(!any.what);
        }
        // Nobody can make a first key in a store that is away, and nothing can be done without the store. What can go on
        // meanwhile, such as the wait of an event stream that came back, does. When the store is back is found out beside the
        // requests.
        let is_silent = self.lock().silent.is_some();
        if is_silent && self.was_open() {
            return Ok(true);
        }
        match self.ask_unless_silent(None).await {
            Ok((any, _)) => Ok(!any),
            Err(refusal) if refusal.is_outage() && self.was_open() => Ok(true),
            Err(refusal) => Err(refusal),
        }
    }

    /// Whether no key was ever made, as far as the store last said.
    fn was_open(&self) -> bool {
        !self.required && self.lock().any.as_ref().is_some_and(|any| !any.what)
    }

    /// Until there is one.
    async fn look_for_a_first_key(self) {
        loop {
            let pause = match self.ask(None).await {
                Ok((true, _)) => return,
                Ok((false, _)) => LOOK_EVERY,
                Err(_) => LOOK_AGAIN,
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Who shows this, by what the store said last, however long ago that is: only for what has to be read while the store
    /// is away.
    pub(crate) fn remembered(&self, shown: Option<&str>) -> Option<Caller> {
        if self.was_open() {
            return Some(Caller::anybody());
        }
        let shown: KeyText = shown?.parse().ok()?;
        let key = self.lock().keys.get(shown.id())?.what.clone()?;
        (key.hash == shown.hash() && key.is_good(self.clock.now())).then(|| Caller::with_key(&key))
    }

    /// Who shows this as its key.
    pub(crate) async fn holder(&self, shown: &str) -> Result<Caller, Denied> {
        let shown: KeyText = shown.parse().map_err(|_| Denied::NotGood)?;
        let key = self.find(shown.id()).await?;
        // Compared also where there is nothing to compare with: to find out that an id exists should take no more time.
        let kept = key.as_ref().map_or(KeyHash([0; 32]), |key| key.hash);
        match key {
            Some(key) if kept == shown.hash() && key.is_good(self.clock.now()) => {
                self.lock().used.insert(key.id.clone());
                Ok(Caller::with_key(&key))
            }
            _ => Err(Denied::NotGood),
        }
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Arc<ApiKey>>, Refusal> {
        let now = self.clock.monotonic();
        if let Some(heard) = self.lock().keys.get(id)
            && now.saturating_duration_since(heard.at) < FRESH
        {
            return Ok(heard.what.clone());
        }
        let (_, key) = self.ask_unless_silent(Some(id.clone())).await?;
        let mut memory = self.lock();
        if memory.keys.len() >= REMEMBERED {
            memory.keys.retain(|_, heard| now.saturating_duration_since(heard.at) < FRESH);
            if memory.keys.len() >= REMEMBERED {
                memory.keys.clear();
            }
        }
        // What was asked at `now` may be as old as that by the time it is heard.
        memory.keys.insert(id.clone(), Heard { what: key.clone(), at: now });
        Ok(key)
    }

    async fn ask_unless_silent(&self, id: Option<KeyId>) -> Result<(bool, Option<Arc<ApiKey>>), Refusal> {
        let silent = self.lock().silent;
        if silent.is_some_and(|since| self.clock.monotonic().saturating_duration_since(since) < SILENT) {
            return Err(Refusal::StoreAway);
        }
        self.ask(id).await
    }

    async fn ask(&self, id: Option<KeyId>) -> Result<(bool, Option<Arc<ApiKey>>), Refusal> {
        let at = self.clock.monotonic();
        let answer = tokio::time::timeout(STORE_PATIENCE, self.look_up(id)).await;
        let answer = answer.unwrap_or(Err(Refusal::StoreSilent(STORE_PATIENCE)));
        let mut memory = self.lock();
        if matches!(answer, Err(Refusal::StoreAway | Refusal::StoreSilent(_))) {
            memory.silent = Some(self.clock.monotonic());
        }
        let (any, key) = answer?;
        memory.silent = None;
        let was_any = memory.any.as_ref().is_some_and(|any| any.what);
        memory.any = Some(Heard { what: any || was_any, at });
        Ok((any || was_any, key))
    }

    async fn look_up(&self, id: Option<KeyId>) -> Result<(bool, Option<Arc<ApiKey>>), Refusal> {
        Ok(self.lookups.submit(id, 1).await??)
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    // Maps: no panic can leave them half changed.
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look_up(keys: &dyn Keys, asked: &[Option<KeyId>]) -> Vec<Answer> {
    let mut ids: Vec<KeyId> = asked.iter().flatten().cloned().collect();
    ids.sort_unstable();
    ids.dedup();
    match keys.find_keys(&ids).await {
        Ok(found) => {
            let by_id: HashMap<KeyId, Arc<ApiKey>> =
                found.keys.into_iter().map(|key| (key.id.clone(), Arc::new(key))).collect();
            asked.iter().map(|id| Ok((found.any, id.as_ref().and_then(|id| by_id.get(id).cloned())))).collect()
        }
        Err(error) => asked.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// Beside the requests, never by them: what a crash forgets is a minute of notes. A drain notes the last ones.
async fn note_uses(keys: Arc<dyn Keys>, memory: Arc<Mutex<Memory>>, shutdown: Shutdown) {
    loop {
        let is_last = tokio::select! {
            () = tokio::time::sleep(NOTE_USES_EVERY) => false,
            () = shutdown.deserted() => true,
        };
        let used: Vec<KeyId> = lock(&memory).used.drain().collect();
        if !used.is_empty()
            && let Err(error) = keys.record_key_uses(&used).await
        {
            tracing::debug!(error = %Chain(&error), "which keys were used was not noted");
            lock(&memory).used.extend(used);
        }
        if is_last {
            return;
        }
    }
}
