//! Whom webhooks tell in a trial: a receiver in this very process, which no fault strikes. So what it never heard was never
//! sent.

use std::collections::HashSet;

use crate::stage::receiver::Receiver;

/// A job, and the version that its event gave it.
pub type Told = (String, i64);

/// The section of the configuration: retries that outlast a trial.
pub fn settings() -> String {
    let retries = vec!["\"500ms\""; 50].join(", ");
    format!(
        "[webhooks]\nsecrets = {{ default = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"] }}\nallow = [\"127.0.0.1\"]\n\
         allow_http = true\ntimeout = \"2s\"\nretries = [{retries}]\n"
    )
}

/// What it has heard of, once each.
pub fn heard(receiver: &Receiver) -> HashSet<Told> {
    let ids = receiver.heard().into_iter().map(|heard| heard.header("webhook-id").to_owned());
    ids.filter_map(|id| id.split_once('_').and_then(|(job, version)| Some((job.to_owned(), version.parse().ok()?))))
        .collect()
}
