//! A process is shown another time than the machine's.

use std::sync::Arc;
use std::time::Duration;

use super::{Dice, Fault, Ground};
use crate::chaos::ground::{clock_of, show_time};

/// How far, in seconds.
const AN_HOUR: u32 = 3_600;
/// What a process remembers of the file: it reads it once a second.
const MEMORY: Duration = Duration::from_millis(1_200);

pub(super) async fn happen(fault: &Fault, name: &str, ground: &Arc<Ground>, dice: &mut Dice) {
    let sign = if dice.percent(50) { '+' } else { '-' };
    let file = ground.path().join(clock_of(name));
    show_time(&file, &format!("{sign}{AN_HOUR}"));
    tokio::time::sleep(fault.lasts).await;
    show_time(&file, "+0");
    tokio::time::sleep(MEMORY).await;
}
