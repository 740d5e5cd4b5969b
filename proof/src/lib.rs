//! Where raincheck is tried: private servers, real processes, clients. The tests stand on it, and so do the programs that
//! measure raincheck and break it. Nothing here is part of what users run.

#![expect(clippy::unwrap_used, reason = "a trial that cannot go on stops and says why")]
#![expect(clippy::missing_panics_doc, reason = "the same")]
#![expect(clippy::print_stderr, reason = "the programs here are for people at a terminal")]

pub mod bench;
pub mod chaos;
pub mod crowd;
pub mod stage;
