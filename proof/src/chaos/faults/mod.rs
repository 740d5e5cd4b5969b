//! What is broken: every kind of fault by name, where it strikes and for how long.

mod clocks;
mod database;
mod failpoints;
mod links;
mod messages;
mod processes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::dice::Dice;
use super::ground::{APIS, EMBEDDED, FALSE_CLOCKS, Far, Ground, SHELL_WORKER, WORKERS};
use super::history::Excuse;
use super::means::Means;
use super::moment::Moment;
use super::worker::KIND;

/// Nodes of the broker where it is a cluster.
pub const NODES: usize = 3;

/// Where a fault strikes. Two faults never strike the same place at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The database server.
    Postgres,
    /// The broker.
    Rabbitmq,
    /// One process of raincheck.
    Process(&'static str),
    /// What connects one process with one server, or an API with its clients.
    Link(&'static str, Far),
    /// The disk of embedded mode.
    Disk,
    /// One of the nodes of the broker's cluster.
    Node(usize),
}

impl Place {
    /// What a fault has for itself while it lasts. Of the broker's nodes one at a time is struck: the others are a quorum.
    #[must_use]
    pub fn alone(self) -> Self {
        match self {
            Self::Node(_) => Self::Node(0),
            place => place,
        }
    }

    /// The queue whose messages alone pass here; `None`: those of any.
    fn queue(self) -> Option<&'static str> {
        match self {
            Self::Process(name) | Self::Link(name, _) if WORKERS.contains(&name) => Some(KIND),
            Self::Process(SHELL_WORKER) | Self::Link(SHELL_WORKER, _) => Some(SHELL_WORKER),
            _ => None,
        }
    }
}

/// Where a kind of fault may strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The database server.
    Postgres,
    /// The broker.
    Rabbitmq,
    /// Any API.
    Apis,
    /// Any worker.
    Workers,
    /// Any process.
    Processes,
    /// Those whose clocks can be moved.
    FalseClocks,
    /// Those that can be what an earlier release was: the API and raincheck's own worker, one of each.
    Versions,
    /// Any link to either server, or of an API to its clients.
    Links,
    /// The one process of embedded mode.
    Embedded,
    /// The disk of embedded mode.
    EmbeddedDisk,
    /// The nodes of the broker's cluster.
    Nodes,
}

impl Reach {
    /// All places.
    pub fn places(self) -> Vec<Place> {
        let workers = || WORKERS.into_iter().chain([SHELL_WORKER]);
        let everybody = || APIS.into_iter().chain(workers());
        match self {
            Self::Postgres => vec![Place::Postgres],
            Self::Rabbitmq => vec![Place::Rabbitmq],
            Self::Apis => APIS.into_iter().map(Place::Process).collect(),
            Self::Workers => workers().map(Place::Process).collect(),
            Self::Processes => everybody().map(Place::Process).collect(),
            Self::Embedded => vec![Place::Process(EMBEDDED)],
            Self::Nodes => (0..NODES).map(Place::Node).collect(),
            Self::EmbeddedDisk => vec![Place::Disk],
            Self::FalseClocks => FALSE_CLOCKS.into_iter().map(Place::Process).collect(),
            Self::Versions => [APIS[0], SHELL_WORKER].into_iter().map(Place::Process).collect(),
            Self::Links => everybody()
                .flat_map(|name| [Place::Link(name, Far::Postgres), Place::Link(name, Far::Rabbitmq)])
                .chain(APIS.into_iter().map(|name| Place::Link(name, Far::Clients)))
                .collect(),
        }
    }
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// How it is asked for.
    pub name: &'static str,
    /// The group that it can be asked for with.
    pub group: &'static str,
    /// Where it may strike.
    pub reach: Reach,
    /// How long it lasts at least and at most, in milliseconds.
    pub lasts: (u64, u64),
    /// How long it takes to strike and to heal, in milliseconds: a server takes a while to start.
    pub takes: u64,
    /// Whether messages may be lost, or held back by a worker, while it lasts.
    pub holds_messages: bool,
}

const fn kind(name: &'static str, group: &'static str, reach: Reach, lasts: (u64, u64), takes: u64) -> Kind {
    Kind { name, group, reach, lasts, takes, holds_messages: false }
}

const fn holding(kind: Kind) -> Kind {
    Kind { holds_messages: true, ..kind }
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    kind("kill-api", "processes", Reach::Apis, (100, 2_500), 200),
    kind("kill-worker", "processes", Reach::Workers, (100, 2_500), 200),
    kind("freeze-api", "processes", Reach::Apis, (300, 6_000), 0),
    holding(kind("freeze-worker", "processes", Reach::Workers, (3_500, 7_000), 0)),
    holding(kind("pause-worker", "processes", Reach::Workers, (100, 1_500), 0)),
    kind("restart", "processes", Reach::Processes, (0, 500), 4_000),
    holding(kind("abort-at-step", "failpoints", Reach::Processes, (500, 4_000), 0)),
    holding(kind("pause-at-step", "failpoints", Reach::Processes, (500, 4_000), 0)),
    holding(kind("false-clock", "clocks", Reach::FalseClocks, (2_000, 8_000), 1_500)),
    kind("previous-version", "versions", Reach::Versions, (2_000, 6_000), 9_000),
    holding(kind("kill-rabbitmq", "rabbitmq", Reach::Rabbitmq, (100, 4_000), 9_000)),
    holding(kind("freeze-rabbitmq", "rabbitmq", Reach::Rabbitmq, (500, 8_000), 500)),
    holding(kind("alarm-rabbitmq", "rabbitmq", Reach::Rabbitmq, (1_000, 6_000), 4_000)),
    holding(kind("purge-queues", "rabbitmq", Reach::Rabbitmq, (0, 0), 3_000)),
    holding(kind("delete-queues", "rabbitmq", Reach::Rabbitmq, (0, 0), 3_000)),
    holding(kind("wipe-rabbitmq", "rabbitmq", Reach::Rabbitmq, (100, 2_000), 10_000)),
    holding(kind("kill-postgres", "postgres", Reach::Postgres, (100, 3_000), 2_500)),
    holding(kind("crash-postgres", "postgres", Reach::Postgres, (100, 1_500), 2_500)),
    holding(kind("freeze-postgres", "postgres", Reach::Postgres, (300, 6_000), 500)),
    kind("terminate-backends", "postgres", Reach::Postgres, (0, 0), 200),
    holding(kind("fill-disk", "disk", Reach::Postgres, (1_000, 5_000), 4_000)),
    holding(kind("take-connections", "postgres", Reach::Postgres, (1_000, 4_000), 500)),
    kind("lock-tables", "postgres", Reach::Postgres, (500, 3_500), 100),
    holding(kind("slow", "links", Reach::Links, (1_000, 6_000), 0)),
    holding(kind("trickle", "links", Reach::Links, (1_000, 5_000), 0)),
    holding(kind("cut", "links", Reach::Links, (0, 0), 100)),
    holding(kind("partition", "links", Reach::Links, (500, 7_000), 0)),
    holding(kind("one-way", "links", Reach::Links, (500, 6_000), 0)),
    holding(kind("half-open", "links", Reach::Links, (500, 6_000), 0)),
    holding(kind("refuse", "links", Reach::Links, (200, 5_000), 0)),
    holding(kind("lose-node", "cluster", Reach::Nodes, (500, 8_000), 9_000)),
    holding(kind("freeze-node", "cluster", Reach::Nodes, (500, 8_000), 500)),
    holding(kind("isolate-node", "cluster", Reach::Nodes, (1_000, 8_000), 12_000)),
    holding(kind("kill-up", "embedded", Reach::Embedded, (0, 500), 500)),
    holding(kind("freeze-up", "embedded", Reach::Embedded, (300, 6_000), 0)),
    holding(kind("abort-up", "embedded", Reach::Embedded, (500, 3_000), 0)),
    holding(kind("fill-disk-of-up", "embedded", Reach::EmbeddedDisk, (500, 5_000), 200)),
];

/// The kinds of that name or of that group.
pub fn named(name: &str) -> Vec<Kind> {
    KINDS
        .iter()
        .copied()
        .filter(|kind| name == "all" || kind.name == name || kind.group == name)
        .filter(|kind| name != "all" || !matches!(kind.group, "embedded" | "cluster"))
        .collect()
}

/// Those of `kinds` that can be had here, and why the others cannot.
pub fn available(kinds: &[Kind], means: &Means) -> (Vec<Kind>, BTreeMap<&'static str, &'static str>) {
    let mut missing = BTreeMap::new();
    let had = kinds.iter().copied().filter(|kind| {
        let needs = match kind.group {
            "failpoints" if !means.failpoints => "a build with the feature `proof`: scripts/chaos makes one",
            "clocks" if means.faketime.is_none() => "libfaketime: on Debian, apt-get install faketime",
            "versions" if means.previous.is_none() => "`--previous PATH`, an earlier release",
            "embedded" if kind.name == "abort-up" && !means.failpoints => "a build with the feature `proof`",
            "disk" if !means.small_disk => "the right to mount a tmpfs",
            _ => return true,
        };
        missing.insert(kind.group, needs);
        false
    });
    (had.collect(), missing)
}

/// One fault of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// When it strikes, from the start of the trial.
    pub at: Duration,
    /// What strikes.
    pub kind: Kind,
    /// Where.
    pub place: Place,
    /// How long it lasts.
    pub lasts: Duration,
    /// Settles what else there is to choose.
    pub seed: u64,
}

/// After a fault that lets messages be lost or held, how long its effects may take to show: the broker's heartbeats, the
/// pause before a message counts as lost, and a look for those.
const AFTERMATH: Duration = Duration::from_secs(20);

/// Strikes, lasts, and heals. Answers whether it came to anything: nobody may have passed the step at which somebody was to
/// die.
pub async fn happen(fault: &Fault, ground: &Arc<Ground>) -> bool {
    let began = Moment::now();
    let mut dice = Dice::new(fault.seed);
    let mut struck = true;
    match (fault.place, fault.kind.group) {
        (Place::Node(node), _) => messages::happen_to_node(fault, node, ground).await,
        (Place::Disk, _) => {
            let Some(disk) = &ground.disk else { return false };
            disk.fill();
            tokio::time::sleep(fault.lasts).await;
            disk.free();
        }
        (Place::Process(name), _) if fault.kind.name == "abort-up" => {
            struck = failpoints::happen(fault, name, ground, &mut dice).await;
        }
        (Place::Process(name), "failpoints") => struck = failpoints::happen(fault, name, ground, &mut dice).await,
        (Place::Process(name), "clocks") => clocks::happen(fault, name, ground, &mut dice).await,
        (Place::Process(name), _) => processes::happen(fault, name, ground).await,
        (Place::Link(name, far), _) => links::happen(fault, (name, far), ground, &mut dice).await,
        (Place::Postgres, _) => database::happen(fault, ground).await,
        (Place::Rabbitmq, _) => struck = messages::happen(fault, ground).await,
    }
    // No message passes between an API and its clients.
    if fault.kind.holds_messages && !matches!(fault.place, Place::Link(_, Far::Clients)) {
        let (until, queue) = (Moment::now().after(AFTERMATH), fault.place.queue());
        ground.excuse(Excuse { from: began, until, queue });
    }
    struck
}
