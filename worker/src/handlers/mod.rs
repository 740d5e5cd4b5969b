//! The handlers that come with raincheck.
