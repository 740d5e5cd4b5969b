//! `Last-Event-ID`: how far a stream of events had come when it broke.

use actix_web::HttpRequest;

/// The number of the last event that the client has seen. Whatever is none of ours counts as nothing seen: a client that
/// is told too much is better off than one that is told off, since an `EventSource` never comes back from an error.
pub(crate) fn last_event_id<T: std::str::FromStr + PartialOrd + Default>(request: &HttpRequest) -> Option<T> {
    read_last_event_id(request.headers().get("last-event-id")?.to_str().ok()?)
}

/// The same for the header's value.
pub(crate) fn read_last_event_id<T: std::str::FromStr + PartialOrd + Default>(value: &str) -> Option<T> {
    value.trim().parse().ok().filter(|number| *number >= T::default())
}
