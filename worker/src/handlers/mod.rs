//! The handlers that come with raincheck.
//!
//! - [`Command`]: a program; input on stdin, output on stdout
//! - [`Http`]: an upstream that the operator configured
//! - [`Echo`], [`Sleep`], [`Takeaway`]: built in, to try things out

mod bounded;
mod command;
mod echo;
mod http;
mod json_input;
#[cfg(feature = "laws")]
pub mod laws;
mod process_tree;
mod scratch;
mod sleep;
mod spoken;
mod takeaway;
#[cfg(test)]
pub(crate) mod trial;

pub use command::Command;
pub use echo::Echo;
pub use http::{Http, InvalidUpstream};
pub use scratch::Scratch;
pub use sleep::Sleep;
pub use takeaway::Takeaway;
