//! What must hold for whatever programs and upstreams say, and for the inputs of the handlers that come with raincheck, as
//! functions that panic when it does not. The fuzzer calls them with bytes that nobody would think of; `docs/fuzzing.md` lists
//! them. Built with the feature `laws` only.

#![expect(clippy::missing_panics_doc, clippy::expect_used, reason = "to panic is what a law is for")]

use std::time::Duration;

use raincheck_shared::domain::{Failure, JobId, Payload, Progress};
use tokio::sync::watch;

pub use super::http::laws::upstream;
use super::sleep;
use super::spoken::{LONGEST_DELAY, Spoken};
use super::takeaway::{self, Order};
use crate::executor::sendable;
use crate::handler_log::LONGEST_LINE;
use crate::{Context, HandlerError};

/// A context of its own, and what is reported to it.
pub(super) fn attempt() -> (Context, watch::Receiver<Option<Progress>>) {
    let id: JobId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("a good id");
    let kind = "tried".parse().expect("a good name");
    let (context, reported, _) = Context::detached(id, kind, Duration::from_secs(10), 1 << 20);
    (context, reported)
}

/// Progress is within its bounds, and text that both stores can keep.
pub(super) fn fair_report(reported: &watch::Receiver<Option<Progress>>) {
    if let Some(Progress { percent, message }) = &*reported.borrow() {
        assert!((0.0..=100.0).contains(percent), "{percent}");
        assert!(message.as_ref().is_none_or(|message| (1..=500).contains(&message.chars().count())));
        assert!(message.as_ref().is_none_or(|message| !message.contains('\0')));
    }
}

/// What was made of all that a program said.
#[derive(Debug, PartialEq)]
struct Heard {
    content_type: Option<String>,
    retry_after: Option<Duration>,
    progress: Option<Progress>,
    logged: Vec<String>,
    tail: Vec<u8>,
}

fn hear(pieces: &mut dyn Iterator<Item = &[u8]>) -> Heard {
    let (context, reported) = attempt();
    let mut spoken = Spoken::new(context.clone());
    pieces.for_each(|piece| spoken.hear(piece));
    spoken.finish();
    fair_report(&reported);
    Heard {
        content_type: spoken.content_type().map(str::to_owned),
        retry_after: spoken.retry_after(),
        progress: reported.borrow().clone(),
        logged: context.logged(),
        tail: spoken.into_tail(),
    }
}

/// What a program says on stderr, the first byte being the size of the pieces that it comes in. What is understood is within its
/// bounds; how it comes makes no difference; and what was only for the log is for the log again.
pub fn spoken(bytes: &[u8]) {
    let Some((size, said)) = bytes.split_first() else { return };
    let heard = hear(&mut std::iter::once(said));
    assert!(heard.retry_after.is_none_or(|delay| delay <= LONGEST_DELAY));
    assert!(
        heard
            .content_type
            .as_ref()
            .is_none_or(|content_type| (1..=255).contains(&sendable(content_type.clone()).len()))
    );
    assert!(heard.tail.len() <= Failure::DETAIL_LIMIT);
    assert!(heard.logged.iter().all(|line| line.len() <= LONGEST_LINE && !line.contains('\n')));
    // A line that is too long is passed on in parts, which depend on how it came, and what does not end is cut.
    if said.len() < LONGEST_LINE.min(Failure::DETAIL_LIMIT) {
        let size = usize::from(*size).max(1);
        assert_eq!(hear(&mut said.chunks(size)), heard, "in pieces of {size}");
        let again = hear(&mut std::iter::once(&*heard.tail));
        assert_eq!((again.content_type, again.retry_after, again.progress), (None, None, None));
        assert_eq!((&again.logged, &again.tail), (&heard.logged, &heard.tail));
    }
}

/// The inputs of the handlers that come with raincheck: what is refused says why, in a line that can be shown; what is taken is
/// within its bounds.
pub fn small_input(bytes: &[u8]) {
    let input = Payload::json(bytes.to_vec());
    match Order::read(&input) {
        Ok(order) => {
            assert!(!order.dish.trim().is_empty() && order.dish.chars().count() <= 100);
            assert!((0.0..=takeaway::MAX_SECONDS).contains(&order.seconds));
        }
        Err(error) => sensible(&error),
    }
    match sleep::read(&input) {
        Ok(seconds) => assert!((0.0..=sleep::MAX_SECONDS).contains(&seconds)),
        Err(error) => sensible(&error),
    }
}

fn sensible(error: &HandlerError) {
    assert!(!error.message.is_empty() && error.message.len() <= 1_000, "{}", error.message);
    assert!(!error.message.chars().any(char::is_control), "{:?}", error.message);
}
