//! Which handler runs which kind.
