//! An API in this process, over a store of its own (SQLite unless told otherwise), with or without a worker: for tests of what HTTP answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use raincheck_api::engine::Links;
use raincheck_api::{Api, upkeep};
use raincheck_shared::backends::{open_blobs, open_broker, open_store};
use raincheck_shared::blobs::Blobs;
use raincheck_shared::broker::Broker;
use raincheck_shared::config::{Flags, Settings, load};
use raincheck_shared::domain::Payload;
use raincheck_shared::lifecycle::{Clock, Shutdown, SystemClock};
use raincheck_shared::store::Store;
use raincheck_worker::registry::{CustomHandlers, Registry};
use raincheck_worker::{Context, Handler, Outcome, Parts, Worker};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::Client;
use super::cluster::{new_database, required};
use super::store::POSTGRES_URL;
use super::temp::TempFolder;

/// Besides the built-in kinds: one with a schema, one for pictures, one that fails, one that leaves a line in the file it
/// is given, one that does not stop when it is told to, one in a queue of its own, one
/// that hears nothing for so many seconds.
const KINDS: &str = r#"
[kinds.typed]
builtin = "echo"
schema = '{"type": "object", "required": ["dish"], "properties": {"dish": {"type": "string"}, "n": {"type": "integer"}}}'
[kinds.pictures]
builtin = "echo"
content_types = ["image/*"]
[kinds.failing]
command = ["sh", "-c", "echo it said no >&2; exit 3"]
max_attempts = 1
[kinds.noting]
command = ["sh", "-c", 'echo ran >> "$(cat)"']
[kinds.counted]
command = ["sh", "-c", "echo run >> $(tr -d '\"')"]
[kinds.stubborn]
command = ["sh", "-c", "trap '' TERM; for n in 1 2 3 4 5 6; do sleep 0.5; done; echo late"]
[kinds.talking]
command = ["sh", "-c", '''
    printf 'one\ntwo\n\377three\n' >&2
    while ! [ -e go ]; do sleep 0.02; done
    printf 'four\nfive' >&2
    echo done
''']
directory = "."
[kinds.apart]
builtin = "echo"
queue = "apart"
[kinds.deaf]
handler = true
"#;

/// A running API.
pub(crate) struct Served {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) broker: Broker,
    shutdown: Shutdown,
    pub(crate) folder: TempFolder,
}

/// A handler that goes on until it is dropped or done, whatever it is told.
struct Deaf;

#[async_trait]
impl Handler for Deaf {
    async fn run(&self, input: Payload, _: Context) -> Outcome {
        let seconds = serde_json::from_slice(&input.bytes).unwrap();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Outcome::Complete(input)
    }
}

fn deaf() -> CustomHandlers {
    [("deaf".parse().unwrap(), Arc::new(Deaf) as Arc<dyn Handler>)].into()
}

/// Who runs jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nobody: what is accepted waits.
    Nobody,
    /// A worker in this process.
    Worker,
}

impl Served {
    /// Starts one. `settings`: dotted keys and what they are set to.
    pub(crate) async fn with(work: Work, settings: &[(&str, &str)]) -> Self {
        Self::by_clock(work, settings, SystemClock::shared()).await
    }

    /// The same by a clock that a test may set.
    pub(crate) async fn by_clock(work: Work, settings: &[(&str, &str)], clock: Arc<dyn Clock>) -> Self {
        let folder = TempFolder::new("raincheck-api");
        let settings = Arc::new(configured(&folder.0, settings));
        let store = open_store(&settings.store, Arc::clone(&clock)).await.unwrap();
        store.schema.migrate().await.unwrap();
        let shutdown = Shutdown::new();
        let blobs = open_blobs(&settings.blobs, &shutdown).unwrap();
        let broker = open_broker(&settings.broker, "test", &shutdown);
        if work == Work::Worker {
            let registry = Registry::from_kinds(&settings, &deaf()).unwrap();
            let parts = Parts {
                settings: Arc::clone(&settings),
                store: store.clone(),
                blobs: blobs.clone(),
                broker: broker.clone(),
                registry,
                clock: Arc::clone(&clock),
            };
            Worker::start(parts, &shutdown).await.unwrap();
        }
        let upkeep = upkeep::start(&settings, &store, &blobs, &broker, &clock, &shutdown);
        let upkeep::Upkeep { relay, parked, depths, ticks, publishing, health } = upkeep;
        let links = Links { relay, parked, depths, ticks, publishing, loops: health };
        let api =
            Api::build(settings, store.clone(), blobs.clone(), broker.clone(), clock, shutdown.clone(), links).unwrap();
        let address = api.addr();
        shutdown.spawn(api.run());
        Self { client: Client::new(&address.to_string()), address, store, blobs, broker, shutdown, folder }
    }

    /// The same over a PostgreSQL database of its own, where settings start with its URL.
    pub(crate) async fn on_postgres(work: Work, settings: &[(&str, &str)]) -> Self {
        let url = new_database(&required(POSTGRES_URL)).await;
        let settings: Vec<_> = [("store.url", url.as_str())].into_iter().chain(settings.iter().copied()).collect();
        Self::with(work, &settings).await
    }

    /// One over each store.
    pub(crate) async fn on_each_store(work: Work) -> [Self; 2] {
        [Self::with(work, &[]).await, Self::on_postgres(work, &[]).await]
    }

    /// One where what is accepted waits.
    pub(crate) async fn idle() -> Self {
        Self::with(Work::Nobody, &[]).await
    }

    /// One where it is run.
    pub(crate) async fn working() -> Self {
        Self::with(Work::Worker, &[]).await
    }

    /// Asks it to drain, and goes on.
    pub(crate) fn begin_to_stop(&self) {
        self.shutdown.begin();
    }

    /// Drains it, and lets its store be read. True: everything ended by itself.
    pub(crate) async fn drain(&self) -> bool {
        self.shutdown.finish(Duration::from_secs(20)).await
    }

    /// Stops it. True: everything ended by itself.
    pub(crate) async fn stop(self) -> bool {
        let ended = self.drain().await;
        self.store.schema.close().await;
        ended
    }

    /// Sends bytes as they are, and reads until the server closes or falls silent.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut said = Vec::new();
        let mut part = [0; 4096];
        while let Ok(Ok(count @ 1..)) = tokio::time::timeout(Duration::from_secs(3), socket.read(&mut part)).await {
            said.extend_from_slice(&part[..count]);
        }
        String::from_utf8_lossy(&said).into_owned()
    }
}

fn configured(folder: &std::path::Path, settings: &[(&str, &str)]) -> Settings {
    let file = folder.join("raincheck.toml");
    let mut text = String::new();
    let (store, blobs) = (folder.join("raincheck.db"), folder.join("blobs"));
    write!(text, "[store]\nurl = \"sqlite:{}\"\n", store.display()).unwrap();
    write!(text, "[blobs]\nurl = \"directory:{}\"\n{KINDS}", blobs.display()).unwrap();
    std::fs::write(&file, text).unwrap();
    let mut set: BTreeMap<String, String> = [
        ("http.listen", "127.0.0.1:0"),
        ("http.workers", "1"),
        ("http.max_wait", "20s"),
        ("http.drain_timeout", "5s"),
        ("jobs.max_input", "64KiB"),
        ("jobs.inline_result", "1KiB"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    set.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    load(&Flags { file: Some(file), set }, &BTreeMap::new()).unwrap()
}
