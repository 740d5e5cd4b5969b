//! Look-ups of names under way. Each holds a thread until the system gives it up, and whose name servers are asked is the
//! client's to choose: so names that take long leave room for those that were answered, and for other tenants'.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raincheck_shared::domain::TenantName;
use tokio::sync::Notify;
use tokio::time::timeout;

/// At once.
const MOST: u32 = 64;
/// Of those, of names that were not answered the last time. No tenant has more of these than are left for the others.
const UNPROVEN: u32 = 48;
/// Of one name.
const OF_ONE: u32 = 4;
/// Names that are remembered because they were answered. Beyond that all are forgotten, and each shows itself again.
const REMEMBERED: usize = 10_000;

#[derive(Debug, Default)]
struct Board {
    answered: HashSet<String>,
    under_way: HashMap<String, u32>,
    unproven: HashMap<TenantName, u32>,
}

#[derive(Debug, Default)]
struct Shared {
    board: Mutex<Board>,
    freed: Notify,
}

/// The board on which each look-up is noted. Cloning shares it.
#[derive(Debug, Default, Clone)]
pub(super) struct Lookups(Arc<Shared>);

/// The right to look up a name; dropping it lets somebody else look.
#[derive(Debug)]
pub(crate) struct Permit {
    shared: Arc<Shared>,
    name: String,
    /// Whose it is, of a name that was not answered the last time.
    unproven: Option<TenantName>,
}

impl Lookups {
    /// Waits for room, that long at most.
    pub(super) async fn permit(&self, name: &str, tenant: &TenantName, patience: Duration) -> Option<Permit> {
        let wait = async {
            loop {
                let mut freed = std::pin::pin!(self.0.freed.notified());
                // From now on, so that what is freed while the board is looked at is not missed.
                freed.as_mut().enable();
                if let Some(permit) = self.take(name, tenant) {
                    return permit;
                }
                freed.await;
            }
        };
        timeout(patience, wait).await.ok()
    }

    /// Notes whether a name was answered, in time.
    pub(super) fn note(&self, name: &str, answered: bool) {
        let mut board = self.0.lock();
        if !answered {
            board.answered.remove(name);
        } else if !board.answered.contains(name) {
            if board.answered.len() >= REMEMBERED {
                board.answered.clear();
            }
            board.answered.insert(name.to_owned());
        }
    }

    fn take(&self, name: &str, tenant: &TenantName) -> Option<Permit> {
        let mut board = self.0.lock();
        let all: u32 = board.under_way.values().sum();
        if all >= MOST || board.under_way.get(name).is_some_and(|of_it| *of_it >= OF_ONE) {
            return None;
        }
        let unproven = (!board.answered.contains(name)).then(|| tenant.clone());
        if let Some(tenant) = &unproven {
            let left = UNPROVEN.saturating_sub(board.unproven.values().sum());
            let mine = board.unproven.entry(tenant.clone()).or_default();
            if *mine >= left {
                return None;
            }
            *mine += 1;
        }
        *board.under_way.entry(name.to_owned()).or_default() += 1;
        Some(Permit { shared: Arc::clone(&self.0), name: name.to_owned(), unproven })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Board> {
        // Counters and names: no panic can leave them half changed.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut board = self.shared.lock();
        let board = &mut *board;
        if let Some(of_it) = board.under_way.get_mut(&self.name) {
            *of_it -= 1;
        }
        if let Some(mine) = self.unproven.as_ref().and_then(|tenant| board.unproven.get_mut(tenant)) {
            *mine -= 1;
        }
        board.under_way.retain(|_, of_it| *of_it > 0);
        board.unproven.retain(|_, mine| *mine > 0);
        self.shared.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantName {
        name.parse().unwrap()
    }

    /// As many look-ups of different names as a tenant may have.
    fn many(on: &Lookups, of: &TenantName) -> Vec<Permit> {
        (0..100).map_while(|n| on.take(&format!("{n}.{of}.example"), of)).collect()
    }

    #[test]
    fn names_that_take_long_leave_room_for_other_tenants_and_for_those_that_were_answered() {
        let on = Lookups::default();
        let (slow, other) = (tenant("slow"), tenant("other"));
        on.note("well.example", true);
        let held = many(&on, &slow);
        assert_eq!(held.len(), 24);
        assert!(on.take("new.example", &slow).is_none());
        assert!(on.take("new.example", &other).is_some(), "also of a name that nobody knows");
        let well = on.take("well.example", &slow);
        assert!(well.is_some(), "also of the same tenant");
        on.note("well.example", false);
        assert!(on.take("well.example", &slow).is_none(), "it takes long as well now");
        let more: Vec<Permit> = (0..9).flat_map(|n| many(&on, &tenant(&format!("t{n}")))).collect();
        on.note("well.example", true);
        assert!(on.take("well.example", &other).is_some(), "however many tenants there are: {}", more.len());
    }

    #[test]
    fn one_name_has_a_few_at_once() {
        let on = Lookups::default();
        on.note("a.example", true);
        let held: Vec<Permit> = (0..100).map_while(|_| on.take("a.example", &tenant("t"))).collect();
        assert_eq!(held.len(), 4);
        drop(held);
        assert!(on.take("a.example", &tenant("t")).is_some());
    }

    #[tokio::test]
    async fn who_finds_no_room_waits_for_it_and_not_for_ever() {
        let on = Lookups::default();
        let slow = tenant("slow");
        let mut held = many(&on, &slow);
        assert!(on.permit("a.example", &slow, Duration::ZERO).await.is_none());
        let (found, ()) = tokio::join!(on.permit("a.example", &slow, Duration::from_mins(1)), async {
            held.pop();
        });
        assert!(found.is_some());
    }
}
