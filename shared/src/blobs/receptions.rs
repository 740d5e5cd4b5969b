//! Who may send a large body now. As many as like may send, and each holds a part in memory, so it is only so many at once. A
//! quarter of the places is for tenants that have none: one that fills the others, however slowly it sends, leaves these.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::TenantName;

/// The places. Cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct Receptions(Arc<Places>);

#[derive(Debug)]
struct Places {
    for_all: Arc<Semaphore>,
    for_firsts: Arc<Semaphore>,
    /// Of each tenant, with those that wait for a place.
    senders: Mutex<HashMap<TenantName, usize>>,
}

impl Places {
    fn senders(&self) -> MutexGuard<'_, HashMap<TenantName, usize>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Reception {
    _sender: Sender,
    _place: Option<OwnedSemaphorePermit>,
}

/// One body of a tenant that is received, or waits to be; dropping it uncounts it.
#[derive(Debug)]
struct Sender {
    places: Arc<Places>,
    tenant: TenantName,
}

impl Receptions {
    pub(super) fn new(places: usize) -> Self {
        let for_firsts = places / 4;
        Self(Arc::new(Places {
            for_all: Arc::new(Semaphore::new(places - for_firsts)),
            for_firsts: Arc::new(Semaphore::new(for_firsts)),
            senders: Mutex::default(),
        }))
    }

    /// Waits for a place. Dropped before it has one, it has taken nothing.
    pub(super) async fn place(&self, tenant: &TenantName) -> Reception {
        let sender = Sender { places: Arc::clone(&self.0), tenant: tenant.clone() };
        let is_first = {
            let mut senders = self.0.senders();
            let theirs = senders.entry(tenant.clone()).or_default();
            *theirs += 1;
            *theirs == 1
        };
        let (for_all, for_firsts) = (Arc::clone(&self.0.for_all), Arc::clone(&self.0.for_firsts));
        let place = tokio::select! {
            biased;
            place = for_all.acquire_owned() => place.ok(),
            place = for_firsts.acquire_owned(), if is_first => place.ok(),
        };
        Reception { _sender: sender, _place: place }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut senders = self.places.senders();
        if let Some(theirs) = senders.get_mut(&self.tenant) {
            *theirs -= 1;
            if *theirs == 0 {
                senders.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn now(receptions: &Receptions, tenant: &str) -> Option<Reception> {
        let tenant = tenant.parse().expect("a tenant");
        receptions.place(&tenant).now_or_never()
    }

    #[test]
    fn a_tenant_leaves_a_quarter_to_those_who_have_none() {
        let receptions = Receptions::new(8);
        let mut held: Vec<_> = (0..6).map(|_| now(&receptions, "a").expect("for all")).collect();
        assert!(now(&receptions, "a").is_none());
        held.push(now(&receptions, "b").expect("its first"));
        assert!(now(&receptions, "b").is_none(), "its second");
        held.push(now(&receptions, "c").expect("its first"));
        assert!(now(&receptions, "d").is_none(), "all are taken");
        held.remove(0);
        held.push(now(&receptions, "d").expect("what was given back"));
        assert!(now(&receptions, "a").is_none());
        drop(held);
        assert!(receptions.0.senders().is_empty());
    }

    #[test]
    fn few_places_are_for_all() {
        let receptions = Receptions::new(2);
        let held: Vec<_> = (0..2).map(|_| now(&receptions, "a").expect("for all")).collect();
        assert!(now(&receptions, "b").is_none());
        drop(held);
        assert!(now(&receptions, "b").is_some());
    }
}
