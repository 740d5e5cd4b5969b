//! Whole stories make noise: they start servers and kill them. One that says how *fast* something is must be alone with
//! it, or it measures its neighbours.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static ROOM: RwLock<()> = RwLock::const_new(());

/// For a story that only cares what comes out.
pub(crate) async fn shared() -> RwLockReadGuard<'static, ()> {
    ROOM.read().await
}

/// For a story that promises a time.
pub(crate) async fn alone() -> RwLockWriteGuard<'static, ()> {
    ROOM.write().await
}
