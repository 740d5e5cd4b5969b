//! Where bodies are kept that are too large for the database: a directory, or S3 and its like.
//!
//! - [`Blobs`]: writes, reads, finds and removes blobs
//! - [`BlobWriter`]: one that is being written
//! - `receptions`: who may send one now
//! - `directory`, `s3`: the two places; `mark` tells whether a directory is there, `staged` is a file of it that is being written
//!
//! The order of things keeps every blob that a row names: a blob is whole and durable before the commit that names it, a
//! row is gone before its blobs are removed, and what a crash leaves between is found by its name and removed later.

mod blob_store;
mod directory;
mod error;
mod mark;
mod receptions;
mod s3;
mod staged;
mod writer;

pub use blob_store::{BlobStream, Blobs, Found};
pub use directory::is_away;
pub use error::BlobError;
pub use writer::{BlobWriter, Persistence};
