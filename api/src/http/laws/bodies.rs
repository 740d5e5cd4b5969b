//! What must hold for bodies that hold several jobs, for those of schedules, and for those of remote workers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use raincheck_shared::config::{Flags, Settings, load};
use raincheck_shared::domain::{CatchUp, QueueName, ScheduleDefinition, Timestamp};
use raincheck_shared::store::LONGEST_LINE;
use serde_json::value::RawValue;

use super::{refused, told};
use crate::engine::LeaseEnd;
use crate::http::wire::{
    LONGEST_MESSAGE, LONGEST_NAME, MOST_LEASES, SchedulePreview, read_batch, read_fail, read_lease_wish, read_lines,
    read_progress, read_release, read_schedule,
};

/// Jobs of a batch at most, here.
const MOST: usize = 20;

/// The body of a batch: what is refused as a whole says the field, and so does each item that is; an item is a part of the
/// body, and reads alike alone.
pub fn batch(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let read = match read_batch(&body, MOST) {
        Ok(read) => read,
        Err(problem) => return refused(&problem),
    };
    assert!((1..=MOST).contains(&read.items.len()));
    assert!(read.webhook.is_none_or(|webhook| !webhook.url.contains('\0')));
    for item in read.items {
        match item {
            Err(problem) => refused(&problem),
            Ok((read, key)) => {
                told(&read.findings);
                assert!(key.is_none_or(|key| !key.contains('\0')));
                let input = &read.input.bytes;
                assert!(input.as_ref() == b"null" || body.as_ptr_range().contains(&input.as_ptr()));
            }
        }
    }
}

/// The body of a schedule: what is refused says the field; what is shown of a schedule, put again, is the same schedule.
pub fn schedule(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let read = match read_schedule(&body) {
        Ok(read) => read,
        Err(problem) => return refused(&problem),
    };
    told(&read.findings);
    assert_eq!(read.definition.is_some(), read.findings.is_empty());
    let Some(definition) = read.definition else { return };
    assert!(definition.catch_up.most().is_none_or(|most| (1..=CatchUp::MOST).contains(&most)));
    let shown = shown(&definition);
    let again =
        read_schedule(&Bytes::copy_from_slice(shown.as_bytes())).map(|again| (again.definition, again.findings));
    let Ok((Some(again), _)) = again else { panic!("{again:?}: {shown}") };
    assert_eq!((&again.cron, &again.catch_up, &again.kind), (&definition.cron, &definition.catch_up, &definition.kind));
    assert_eq!(again.input, definition.input);
    // Which events are told of is shown, also where nobody said it.
    assert_eq!(self::shown(&again), shown);
}

/// A schedule as a client sees it, without what it is told besides.
fn shown(definition: &ScheduleDefinition) -> String {
    let preview = SchedulePreview::new("x", definition, Timestamp::UNIX_EPOCH, 0);
    let preview = serde_json::to_string(&preview).expect("a schedule that can be shown");
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&preview).expect("an object");
    fields.retain(|name, _| !matches!(name.as_str(), "valid" | "name" | "next" | "time_zone"));
    serde_json::to_string(&fields).expect("the rest of an object")
}

/// The configuration with a kind for remote workers.
static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    let set = [("kinds.hauled.remote".to_owned(), "true".to_owned())].into();
    load(&Flags { file: None, set }, &std::collections::BTreeMap::new()).expect("good settings")
});

/// The bodies of remote workers; the first byte says which. What is refused says the field; what is taken is within its bounds.
pub fn lease(bytes: &[u8]) {
    let Some((which, body)) = bytes.split_first() else { return };
    match which % 5 {
        0 => {
            let queues: Vec<QueueName> = SETTINGS.queues();
            match read_lease_wish(body, &SETTINGS, &queues) {
                Err(problem) => refused(&problem),
                Ok(wish) => {
                    assert!((1..=MOST_LEASES).contains(&wish.max));
                    assert!((1..=LONGEST_NAME).contains(&wish.name.chars().count()) && !wish.name.contains('\0'));
                    assert!((1..=3_600).contains(&wish.ttl.as_secs()));
                    assert!(!wish.kinds.is_empty() && wish.kinds.is_sorted());
                    assert!(wish.kinds.iter().all(|kind| SETTINGS.kinds[kind].is_remote()));
                    assert!(!wish.queues.is_empty() && wish.queues.iter().all(|queue| queues.contains(queue)));
                }
            }
        }
        1 => match read_progress(body) {
            Err(problem) => refused(&problem),
            Ok(progress) => {
                assert!((0.0..=100.0).contains(&progress.percent));
                let message = progress.message.unwrap_or_default();
                assert!(message.chars().count() <= LONGEST_MESSAGE && !message.contains('\0'));
            }
        },
        2 => match read_lines(body) {
            Err(problem) => refused(&problem),
            Ok(lines) => {
                let whole: usize = lines.iter().map(String::len).sum();
                assert!(whole <= body.len());
                assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE && !line.contains('\n')));
            }
        },
        3 => match read_fail(body) {
            Err(problem) => refused(&problem),
            Ok(LeaseEnd::Fail { message, detail, .. }) => {
                assert!(!message.trim().is_empty() && message.chars().count() <= LONGEST_MESSAGE);
                assert!(!message.contains('\0') && !detail.contains('\0'));
            }
            Ok(other) => panic!("{other:?}"),
        },
        _ => match read_release(body) {
            Err(problem) => refused(&problem),
            Ok(end) => assert!(matches!(end, LeaseEnd::Release(delay) if delay.is_none_or(|delay| !delay.is_zero()))),
        },
    }
}
