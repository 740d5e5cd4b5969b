//! What clients attach to a job: metadata, tags, and the key for limits.

use raincheck_shared::config::Settings;

use super::acceptance::Faults;
use super::schedule_job::MARKS;
use super::{Field, JobOptions, Submission};

/// Looks at all of it.
pub(super) fn check_labels(submission: &Submission, settings: &Settings, faults: &mut Faults) {
    let options = &submission.options;
    check_metadata(submission, settings, faults);
    check_tags(options, settings, faults);
    if let Some(problem) = options.concurrency_key.as_deref().and_then(|key| text_problem(key, 1, 255)) {
        faults.add(Field::ConcurrencyKey, problem);
    }
}

/// Text that both stores can keep, of 1 (or 0) to `max` characters.
fn text_problem(text: &str, min: usize, max: usize) -> Option<String> {
    if text.contains('\0') {
        return Some("must not contain NUL".to_owned());
    }
    let length = text.chars().take(max + 1).count();
    (!(min..=max).contains(&length)).then(|| format!("must have {min} to {max} characters"))
}

fn check_metadata(submission: &Submission, settings: &Settings, faults: &mut Faults) {
    let options = &submission.options;
    // What a schedule adds to its jobs does not count, so it does not when one of them is tried once more either.
    let is_counted = |name: &str| submission.retry_of.is_none() || !MARKS.contains(&name);
    let pairs = options.metadata.keys().filter(|name| is_counted(name)).count();
    if pairs > settings.jobs.max_metadata {
        faults.add(Field::Metadata, format!("must have at most {} pairs", settings.jobs.max_metadata));
        return;
    }
    for (name, value) in &options.metadata {
        if let Some(problem) = text_problem(name, 1, 64) {
            faults.add(Field::MetadataPair(name.clone()), format!("its name {problem}"));
        }
        if let Some(problem) = text_problem(value, 0, 512) {
            faults.add(Field::MetadataPair(name.clone()), problem);
        }
    }
}

fn check_tags(options: &JobOptions, settings: &Settings, faults: &mut Faults) {
    if options.tags.len() > settings.jobs.max_tags {
        faults.add(Field::Tags, format!("must be at most {}", settings.jobs.max_tags));
        return;
    }
    for (n, tag) in options.tags.iter().enumerate() {
        if let Some(problem) = text_problem(tag, 1, 128) {
            faults.add(Field::Tag(n), problem);
        } else if options.tags[..n].contains(tag) {
            faults.add(Field::Tag(n), "is given twice");
        }
    }
}
