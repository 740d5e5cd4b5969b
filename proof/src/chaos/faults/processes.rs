//! Faults of a process of raincheck.

use std::sync::Arc;

use super::{Fault, Ground};
use crate::chaos::crew::Asked;

pub(super) async fn happen(fault: &Fault, name: &str, ground: &Arc<Ground>) {
    let crew = &ground.crew;
    match fault.kind.name {
        "kill-api" | "kill-worker" | "kill-up" => {
            crew.kill(name);
            tokio::time::sleep(fault.lasts).await;
            crew.start(name);
        }
        "restart" => {
            crew.terminate(name, Asked::UnderFaults).await;
            tokio::time::sleep(fault.lasts).await;
            crew.start(name);
        }
        "previous-version" => {
            // A rolling restart to an earlier release, and back.
            let Some(previous) = &ground.means.previous else { return };
            crew.terminate(name, Asked::UnderFaults).await;
            let present = crew.rebase(name, previous);
            crew.start(name);
            tokio::time::sleep(fault.lasts).await;
            crew.terminate(name, Asked::UnderFaults).await;
            crew.rebase(name, &present);
            crew.start(name);
        }
        _ => {
            crew.freeze(name);
            tokio::time::sleep(fault.lasts).await;
            crew.thaw(name);
        }
    }
}
