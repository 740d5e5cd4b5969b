//! The model is tried: what is promised holds, and does not when a precaution is missing.

mod flaws;
mod promises;
