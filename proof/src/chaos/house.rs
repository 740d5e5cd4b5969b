//! What trials share: the servers, and what there is to break things with.

use std::sync::Arc;

use super::means::Means;
use crate::stage::cluster::PrivateBackends;
use crate::stage::disk::SmallDisk;
use crate::stage::services::PrivateServer;

/// Megabytes of PostgreSQL's disk.
const DISK: u32 = 900;

/// The servers, and what there is to break things with.
#[derive(Debug)]
pub struct House {
    /// The servers; none for trials of embedded mode.
    pub(super) servers: Option<Arc<PrivateBackends>>,
    /// PostgreSQL's disk, if it is one that can be filled.
    pub(super) disk: Option<Arc<SmallDisk>>,
    /// What there is.
    pub(super) means: Means,
}

impl House {
    /// Without servers: for trials of embedded mode.
    pub fn without_servers(means: Means) -> Self {
        Self { servers: None, disk: None, means }
    }

    /// Whether trials are of embedded mode.
    pub fn is_embedded(&self) -> bool {
        self.servers.is_none()
    }

    /// Starts the servers, PostgreSQL on a disk that can be filled if there is one to be had.
    pub fn open(means: Means, nodes: usize) -> Self {
        let disk = means.small_disk.then(|| SmallDisk::mount(DISK)).and_then(Result::ok).map(Arc::new);
        let mut servers = match &disk {
            Some(disk) => PrivateBackends::start_on(disk.path()),
            None => PrivateBackends::start(),
        };
        servers.grow(nodes.saturating_sub(1));
        Self { servers: Some(Arc::new(servers)), disk, means }
    }
}

/// Every node of the broker, the first one first.
pub(super) fn nodes(servers: &PrivateBackends) -> Vec<&PrivateServer> {
    [&servers.rabbitmq].into_iter().chain(&servers.nodes).collect()
}
