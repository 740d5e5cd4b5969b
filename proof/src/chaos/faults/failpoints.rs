//! A process dies or pauses between two steps of the protocol.

use std::sync::Arc;

use super::{APIS, Dice, Fault, Ground};
use crate::chaos::ground::{EMBEDDED, failpoints_of};

/// Steps that an API passes.
const OF_API: &[&str] = &["committed", "published", "confirmed", "spooled", "condemned"];
/// Steps that a worker passes.
const OF_WORKER: &[&str] = &["claimed", "ran", "finished"];
/// In embedded mode one process passes them all; its broker writes no messages.
const OF_EMBEDDED: &[&str] = &["committed", "confirmed", "spooled", "condemned", "claimed", "ran", "finished"];

/// Answers whether somebody passed that step and died or paused there.
pub(super) async fn happen(fault: &Fault, name: &str, ground: &Arc<Ground>, dice: &mut Dice) -> bool {
    let step = *dice.pick(steps_of(name)).unwrap();
    // What is seldom passed counts each time.
    let certain = matches!(step, "spooled" | "condemned");
    let percent = |least: u64, drawn: u64| if certain { 100 } else { least + drawn };
    let order = match fault.kind.name {
        "abort-at-step" | "abort-up" => format!("{step} abort {}\n", percent(5, dice.below(40))),
        _ => format!("{step} pause {} {}\n", percent(20, dice.below(80)), 100 + dice.below(3_500)),
    };
    let file = ground.path().join(failpoints_of(name));
    // Put in place whole: the process reads it at any moment.
    let draft = file.with_extension("draft");
    std::fs::write(&draft, order).unwrap();
    std::fs::rename(&draft, &file).unwrap();
    tokio::time::sleep(fault.lasts).await;
    std::fs::remove_file(&file).unwrap();
    // Whoever obeys leaves a note beforehand.
    std::fs::remove_file(file.with_extension("passed")).is_ok()
}

fn steps_of(name: &str) -> &'static [&'static str] {
    match name {
        EMBEDDED => OF_EMBEDDED,
        _ if APIS.contains(&name) => OF_API,
        _ => OF_WORKER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::ground::SHELL_WORKER;

    #[test]
    fn each_process_is_stopped_at_steps_that_it_passes() {
        assert!(steps_of("api-b").contains(&"confirmed") && steps_of("api-b").contains(&"spooled"));
        assert_eq!((steps_of("w1"), steps_of(SHELL_WORKER)), (OF_WORKER, OF_WORKER));
        assert!(steps_of(EMBEDDED).contains(&"ran") && !steps_of(EMBEDDED).contains(&"published"));
    }
}
