//! The table of error codes: what a client can branch on. Each has a page under `docs/errors/`.

use actix_web::http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $status:ident, $code:literal, $title:literal, retryable: $retryable:literal;)+) => {
        /// An error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Each with its page, in Markdown.
            pub(crate) const PAGES: &[(&str, &str)] =
                &[$(($code, include_str!(concat!("../../../docs/errors/", $code, ".md"))),)+];

            /// The status that goes with it.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// The code as programs see it.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The same in words, always the same words.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// Whether the very same request may succeed later.
            pub(crate) const fn is_retryable(self) -> bool {
                match self { $(Self::$variant => $retryable,)+ }
            }
        }
    };
}

codes! {
    MalformedRequest = BAD_REQUEST, "malformed-request", "The request cannot be read", retryable: false;
    IdempotencyKeyInvalid = BAD_REQUEST, "idempotency-key-invalid", "The idempotency key is not valid", retryable: false;
    DigestMismatch = BAD_REQUEST, "digest-mismatch", "The body is not the one that was digested", retryable: true;
    InvalidCursor = BAD_REQUEST, "invalid-cursor", "The cursor is not one of ours", retryable: false;
    Unauthenticated = UNAUTHORIZED, "unauthenticated", "A key is needed, and this is none", retryable: false;
    Forbidden = FORBIDDEN, "forbidden", "The key or ticket does not allow this", retryable: false;
    OriginNotAllowed = FORBIDDEN, "origin-not-allowed", "Web pages of this origin may not do this", retryable: false;
    HostNotAllowed = FORBIDDEN, "host-not-allowed", "This name of the API needs a key", retryable: false;
    JobNotFound = NOT_FOUND, "job-not-found", "There is no such job", retryable: false;
    BatchNotFound = NOT_FOUND, "batch-not-found", "There is no such batch", retryable: false;
    KindNotFound = NOT_FOUND, "kind-not-found", "There is no such kind of job", retryable: false;
    DeliveryNotFound = NOT_FOUND, "delivery-not-found", "There is no such delivery", retryable: false;
    QueueNotFound = NOT_FOUND, "queue-not-found", "There is no such queue", retryable: false;
    ScheduleNotFound = NOT_FOUND, "schedule-not-found", "There is no such schedule", retryable: false;
    RouteNotFound = NOT_FOUND, "route-not-found", "There is nothing at this path", retryable: false;
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "This path does not take this method", retryable: false;
    NotAcceptable = NOT_ACCEPTABLE, "not-acceptable", "Nothing here has a type that the request accepts", retryable: false;
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body's type is not taken here",
        retryable: false;
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", "The request did not arrive in time", retryable: true;
    JobNotFinished = CONFLICT, "job-not-finished", "The job has not finished", retryable: true;
    JobFailed = CONFLICT, "job-failed", "The job ended without a result", retryable: false;
    JobAlreadyFinished = CONFLICT, "job-already-finished", "The job has already finished", retryable: false;
    JobSucceeded = CONFLICT, "job-succeeded", "The job has succeeded", retryable: false;
    ScheduleConfigured = CONFLICT, "schedule-configured", "The schedule is one of the configuration", retryable: false;
    IdempotencyInFlight = CONFLICT, "idempotency-in-flight", "The first request with this key is not decided yet",
        retryable: true;
    LeaseLost = CONFLICT, "lease-lost", "The lease is not held any more", retryable: false;
    JobExpired = GONE, "job-expired", "The job is past its retention", retryable: false;
    BatchExpired = GONE, "batch-expired", "The batch is past its retention", retryable: false;
    InputExpired = GONE, "input-expired", "The job's input is gone", retryable: false;
    ResultExpired = GONE, "result-expired", "The result is past its retention", retryable: false;
    ResultErased = GONE, "result-erased", "The result was erased", retryable: false;
    PayloadTooLarge = PAYLOAD_TOO_LARGE, "payload-too-large", "The body is too large", retryable: false;
    RangeNotSatisfiable = RANGE_NOT_SATISFIABLE, "range-not-satisfiable", "The result has no such range",
        retryable: false;
    InputInvalid = UNPROCESSABLE_ENTITY, "input-invalid", "The request is not valid", retryable: false;
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY, "idempotency-key-reused",
        "The idempotency key belongs to another request", retryable: false;
    JobIdInvalid = UNPROCESSABLE_ENTITY, "job-id-invalid", "The id cannot be a new job's", retryable: false;
    WebhookUrlRejected = UNPROCESSABLE_ENTITY, "webhook-url-rejected", "The webhook is not taken", retryable: false;
    DeadlineInPast = UNPROCESSABLE_ENTITY, "deadline-in-past", "The deadline has passed", retryable: false;
    QuotaExceeded = TOO_MANY_REQUESTS, "quota-exceeded", "The tenant may not have more at the moment", retryable: true;
    QueueFull = SERVICE_UNAVAILABLE, "queue-full", "There is no room for more at the moment", retryable: true;
    StoreUnavailable = SERVICE_UNAVAILABLE, "store-unavailable", "The store is not available at the moment",
        retryable: true;
    ShuttingDown = SERVICE_UNAVAILABLE, "shutting-down", "This server is shutting down", retryable: true;
    InternalError = INTERNAL_SERVER_ERROR, "internal-error", "Something went wrong on our side", retryable: true;
}

impl Code {
    /// The code that says the most about a bare status of the framework's own.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::RouteNotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::NOT_ACCEPTABLE => Self::NotAcceptable,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            status if status.is_client_error() => Self::MalformedRequest,
            _ => Self::InternalError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_an_error_and_named_once() {
        for (n, code) in Code::ALL.iter().enumerate() {
            assert!(code.status().is_client_error() || code.status().is_server_error());
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code:?}");
            assert!(Code::ALL[n + 1..].iter().all(|other| other.as_str() != code.as_str()));
        }
    }
}
