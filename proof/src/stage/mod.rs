//! Services, processes, clients, and waiting for values.

pub mod client;
pub mod cluster;
pub mod contract;
pub mod disk;
pub mod events;
pub mod process;
pub mod receiver;
pub mod services;
pub mod temp;
pub mod wait;
