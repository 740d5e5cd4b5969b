//! A process dies or pauses between two steps of the protocol.

use std::sync::Arc;

use super::{APIS, Dice, Fault, Ground};
use crate::chaos::ground::{EMBEDDED, failpoints_of};

pub(super) async fn happen(fault: &Fault, name: &str, ground: &Arc<Ground>, dice: &mut Dice) {
    const OF_API: [&str; 2] = ["committed", "published"];
    const OF_WORKER: [&str; 3] = ["claimed", "ran", "finished"];
    let both = [OF_API.as_slice(), &OF_WORKER].concat();
    let steps: &[&str] = match name {
        EMBEDDED => &both,
        _ if APIS.contains(&name) => &OF_API,
        _ => &OF_WORKER,
    };
    let step = dice.pick(steps).unwrap();
    let order = match fault.kind.name {
        "abort-at-step" | "abort-up" => format!("{step} abort {}\n", 5 + dice.below(40)),
        _ => format!("{step} pause {} {}\n", 20 + dice.below(80), 100 + dice.below(3_500)),
    };
    let file = ground.path().join(failpoints_of(name));
    // Put in place whole: the process reads it at any moment.
    let draft = file.with_extension("draft");
    std::fs::write(&draft, order).unwrap();
    std::fs::rename(&draft, &file).unwrap();
    tokio::time::sleep(fault.lasts).await;
    std::fs::remove_file(&file).unwrap();
}
