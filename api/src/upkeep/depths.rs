//! How much waits: in each queue, and whose it is.

use std::collections::HashMap;

use raincheck_shared::domain::{Band, QueueName, TenantName};
use raincheck_shared::store::QueueDepth;

/// Jobs that wait.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    queues: HashMap<QueueName, QueueLoad>,
    tenants: HashMap<TenantName, u64>,
}

#[derive(Debug, Clone, Default)]
struct QueueLoad {
    jobs: u64,
    of_tenants: HashMap<TenantName, Share>,
}

/// One tenant's part of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Jobs in all bands.
    pub jobs: u64,
    /// Those of the express band.
    pub express: u64,
}

impl Waiting {
    /// What was counted.
    pub fn of(depths: &[QueueDepth]) -> Self {
        let mut all = Self::default();
        for depth in depths {
            for (tenant, jobs) in &depth.of_tenants {
                all.add(&depth.queue, tenant, depth.band, *jobs);
            }
        }
        all
    }

    /// Adds jobs that wait in a queue.
    pub fn add(&mut self, queue: &QueueName, tenant: &TenantName, band: Band, jobs: u64) {
        let load = self.queues.entry(queue.clone()).or_default();
        load.jobs += jobs;
        let share = load.of_tenants.entry(tenant.clone()).or_default();
        share.jobs += jobs;
        if band == Band::Express {
            share.express += jobs;
        }
        *self.tenants.entry(tenant.clone()).or_default() += jobs;
    }

    /// Adds one that will wait in a queue, whosever it is.
    pub fn promise_in_queue(&mut self, queue: &QueueName) {
        self.queues.entry(queue.clone()).or_default().jobs += 1;
    }

    /// Adds one of a tenant's that will wait, wherever that is.
    pub fn promise_to_tenant(&mut self, tenant: &TenantName) {
        *self.tenants.entry(tenant.clone()).or_default() += 1;
    }

    /// Jobs that wait in a queue.
    pub fn in_queue(&self, queue: &QueueName) -> u64 {
        self.queues.get(queue).map_or(0, |load| load.jobs)
    }

    /// A tenant's jobs that wait in a queue.
    pub fn share(&self, queue: &QueueName, tenant: &TenantName) -> Share {
        self.queues.get(queue).and_then(|load| load.of_tenants.get(tenant)).copied().unwrap_or_default()
    }

    /// A tenant's jobs that wait in any queue.
    pub fn of_tenant(&self, tenant: &TenantName) -> u64 {
        self.tenants.get(tenant).copied().unwrap_or_default()
    }
}
