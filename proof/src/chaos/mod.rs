//! Runs raincheck under load while its parts are killed, frozen, cut off and starved, and then checks the whole history:
//! what clients saw, what handlers did, what the tables hold. `docs/chaos.md` is its page.

pub mod answers;
pub mod checker;
pub mod crew;
pub mod dice;
pub mod embedded;
pub mod faults;
pub mod ground;
pub mod handler;
pub mod history;
pub mod house;
pub mod lacks;
pub mod ledger;
pub mod listener;
pub mod load;
pub mod logs;
pub mod means;
pub mod moment;
pub mod mutations;
pub mod options;
pub mod proxy;
pub mod report;
pub mod requests;
pub mod round;
pub mod schedule;
pub mod tables;
pub mod worker;
