//! What every store and every broker must do, written once for all of them.

mod broker;
