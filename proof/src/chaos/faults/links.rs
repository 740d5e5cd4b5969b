//! Faults of what connects one process with one server, or an API with its clients.

use std::sync::Arc;

use super::{Dice, Far, Fault, Ground};
use crate::chaos::proxy::Mode;

pub(super) async fn happen(fault: &Fault, (name, far): (&'static str, Far), ground: &Arc<Ground>, dice: &mut Dice) {
    let proxy = ground.proxy(name, far);
    let mode = match fault.kind.name {
        "cut" => {
            if far == Far::Postgres {
                ground.crew.lost_connections(name);
            }
            proxy.cut();
            return;
        }
        "slow" => Mode::Slow(dice.millis(20, 600)),
        "trickle" => Mode::Trickle(usize::try_from(8 + dice.below(400)).unwrap()),
        "partition" => Mode::Silent,
        "one-way" => Mode::OneWay,
        "half-open" => Mode::HalfOpen,
        _ => Mode::Refuse,
    };
    // The server sees these connections end, and a session lock falls free with its connection.
    let closes = far == Far::Postgres && matches!(mode, Mode::Refuse | Mode::HalfOpen);
    let absence = if closes { ground.crew.cut_off(name) } else { None };
    proxy.set(mode);
    tokio::time::sleep(fault.lasts).await;
    if far == Far::Clients && mode == Mode::OneWay {
        // The answers that were held back never come.
        proxy.forget();
    } else {
        proxy.set(Mode::Open);
    }
    ground.crew.close(absence);
}
