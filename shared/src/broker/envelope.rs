//! The message on the wire.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{Band, Dispatch, DispatchId, JobId};

/// The only version there is. A reader refuses others; a writer that needs another one writes both for one release.
const VERSION: u32 = 1;

/// A dispatch as a message body: versioned JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope(pub Dispatch);

/// A body that is no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a raincheck envelope: {0}")]
pub struct EnvelopeError(pub String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    v: u32,
    dispatch: DispatchId,
    #[serde(borrow)]
    queue: Cow<'a, str>,
    #[serde(borrow)]
    band: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    jobs: Vec<Uuid>,
}

impl Envelope {
    /// What an envelope is on the wire.
    pub const CONTENT_TYPE: &'static str = "application/json";

    /// The body.
    pub fn encode(&self) -> Result<Vec<u8>, EnvelopeError> {
        let dispatch = &self.0;
        serde_json::to_vec(&Wire {
            v: VERSION,
            dispatch: dispatch.id,
            queue: dispatch.queue.as_str().into(),
            band: dispatch.band.as_str().into(),
            kind: dispatch.kind.as_str().into(),
            jobs: dispatch.jobs.iter().map(|job| job.as_uuid()).collect(),
        })
        .map_err(|error| EnvelopeError(error.to_string()))
    }

    /// Reads a body: nothing missing, nothing unknown, no empty list.
    pub fn decode(body: &[u8]) -> Result<Self, EnvelopeError> {
        let refused = |reason: String| EnvelopeError(reason);
        let wire: Wire<'_> = serde_json::from_slice(body).map_err(|error| refused(error.to_string()))?;
        if wire.v != VERSION {
            return Err(refused(format!("version {}, not {VERSION}", wire.v)));
        }
        let band = Band::ALL.into_iter().find(|band| band.as_str() == wire.band);
        let band = band.ok_or_else(|| refused("unknown band".to_owned()))?;
        if wire.jobs.is_empty() {
            return Err(refused("no jobs".to_owned()));
        }
        Ok(Self(Dispatch {
            id: wire.dispatch,
            queue: wire.queue.parse().map_err(|_| refused("invalid queue name".to_owned()))?,
            band,
            kind: wire.kind.parse().map_err(|_| refused("invalid kind name".to_owned()))?,
            jobs: wire.jobs.into_iter().map(JobId::new).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dispatches() -> impl Strategy<Value = Dispatch> {
        let name = "[a-z0-9][a-zA-Z0-9._-]{0,40}";
        let jobs = proptest::collection::vec(any::<u128>(), 1..40);
        (any::<i64>(), name, 0..4_i16, name, jobs).prop_map(|(id, queue, band, kind, jobs)| Dispatch {
            id,
            queue: queue.parse().unwrap(),
            band: Band::from_i16(band).unwrap(),
            kind: kind.parse().unwrap(),
            jobs: jobs.into_iter().map(|job| JobId::new(Uuid::from_u128(job))).collect(),
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(dispatch in dispatches()) {
            let envelope = Envelope(dispatch);
            prop_assert_eq!(Envelope::decode(&envelope.encode().unwrap()), Ok(envelope));
        }

        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Envelope::decode(&body);
        }

        #[test]
        fn no_damaged_body_panics(dispatch in dispatches(), at in any::<usize>(), byte in any::<u8>()) {
            let mut body = Envelope(dispatch).encode().unwrap();
            let at = at % body.len();
            body[at] = byte;
            let _ = Envelope::decode(&body);
            body.truncate(at);
            prop_assert!(Envelope::decode(&body).is_err());
        }
    }

    #[test]
    fn the_body_looks_as_documented() {
        let job = JobId::new(Uuid::from_u128(7));
        let envelope = Envelope(Dispatch {
            id: 42,
            queue: "default".parse().unwrap(),
            band: Band::Normal,
            kind: "report.render".parse().unwrap(),
            jobs: vec![job],
        });
        let expected = r#"{"v":1,"dispatch":42,"queue":"default","band":"normal","kind":"report.render","jobs":["00000000-0000-0000-0000-000000000007"]}"#;
        assert_eq!(String::from_utf8(envelope.encode().unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_body_that_is_not_exactly_an_envelope_is_refused() {
        let good = r#"{"v":1,"dispatch":1,"queue":"a","band":"low","kind":"b","jobs":["00000000-0000-0000-0000-000000000007"]}"#;
        assert!(Envelope::decode(good.as_bytes()).is_ok());
        for bad in [
            good.replace("\"v\":1", "\"v\":2"),
            good.replace("\"low\"", "\"lowest\""),
            good.replace("\"a\"", "\"a b\""),
            good.replace("\"b\"", "\"\""),
            good.replace("\"dispatch\":1,", ""),
            good.replace("\"dispatch\":1,", "\"dispatch\":1,\"extra\":true,"),
            good.replace("[\"00000000-0000-0000-0000-000000000007\"]", "[]"),
            good.replace("00000007\"]", "\"]"),
            format!("{good} x"),
            "[".repeat(100_000),
            String::new(),
        ] {
            assert!(Envelope::decode(bad.as_bytes()).is_err(), "{}", &bad[..bad.len().min(120)]);
        }
    }
}
