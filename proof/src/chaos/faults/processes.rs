//! Faults of a process of raincheck.

use std::sync::Arc;

use super::{Fault, Ground};

pub(super) async fn happen(fault: &Fault, name: &str, ground: &Arc<Ground>) {
    let crew = &ground.crew;
    match fault.kind.name {
        "kill-api" | "kill-worker" => {
            crew.kill(name);
            tokio::time::sleep(fault.lasts).await;
            crew.start(name);
        }
        "restart" => {
            crew.terminate(name).await;
            tokio::time::sleep(fault.lasts).await;
            crew.start(name);
        }
        _ => {
            crew.freeze(name);
            tokio::time::sleep(fault.lasts).await;
            crew.thaw(name);
        }
    }
}
