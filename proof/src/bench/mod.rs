//! How fast raincheck is: always as a ratio to what the same machine allows in the same run.

pub mod bodies;
pub mod cpu;
pub mod embedded;
pub mod figures;
pub mod footprint;
pub mod limits;
pub mod load;
pub mod rig;
pub mod trials;
