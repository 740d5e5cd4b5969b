//! The protocol of raincheck in small: two jobs, two workers, one broker, one table, and a number of surprises. A checker
//! tries every order of the steps and puts the surprises at every place where they can happen.
//!
//! [`Scene`] says what happens, [`World`] is one moment of it, [`Step`] is what may happen next. The promises are in
//! [`promises`]; that every run comes to its end is shown by [`runs`]. A [`Flaw`] takes one of the precautions away, to
//! see that the checker notices.
//!
//! What a job may do is not modelled but asked: every change of a status goes through [`raincheck_shared::domain::apply`].
//! `docs/protocol-model.md` says what is left out.

mod accepting;
mod broker;
mod claiming;
mod finishing;
mod flaw;
mod incarnation;
pub mod promises;
mod protocol;
mod renaming;
mod repair;
pub mod runs;
mod scene;
mod step;
mod table;

mod world;

pub use flaw::Flaw;
pub use scene::Scene;
pub use step::{Due, Outcome, Step};
pub use world::World;
