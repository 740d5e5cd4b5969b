//! `[blobs]`: which keys there are, and what is allowed.

use std::time::Duration;

use super::section::{Read, Section};
use super::sections::{DAY, HOUR};
use super::value::{duration, line, secret_or_nothing, size, text, text_or_nothing, whole};
use super::{BlobPlace, BlobSettings, JobSettings, S3Settings, format_size, url};

/// What a row of either store can hold without pain.
const LARGEST_IN_DATABASE: u64 = 64 << 20;
/// An upload may take half of this at most, so that no blob is taken for an orphan that a job is about to name.
const SHORTEST_KEEP: Duration = HOUR;

pub(super) fn blobs(s: &mut Section) -> Read<BlobSettings> {
    let url = s.required("url", |value| url::blobs(&text(value)?));
    let in_database = s.required("in_database", size(1, LARGEST_IN_DATABASE));
    let writers = s.required("writers", whole(1, 10_000));
    let keep_orphans = s.required("keep_orphans", duration(SHORTEST_KEEP, 30 * DAY));
    let endpoint = s.required("endpoint", |value| text_or_nothing(value)?.as_deref().map(url::endpoint).transpose());
    let some = |line: String| Some(line).filter(|line| !line.is_empty());
    let region = s.required("region", line(100)).map(some);
    let access_key_id = s.required("access_key_id", line(200)).map(some);
    let secret_access_key = s.required("secret_access_key", secret_or_nothing);
    if let (Ok(id), Ok(secret)) = (&access_key_id, &secret_access_key)
        && id.is_some() != secret.is_some()
    {
        let keys = ["access_key_id", "secret_access_key"];
        s.clash(&keys, "goes together with `blobs.secret_access_key`: set both, or none to use the environment's");
    }
    let place = match url? {
        url::BlobUrl::Directory(path) => BlobPlace::Directory { path },
        url::BlobUrl::S3 { bucket, prefix } => BlobPlace::S3(S3Settings {
            bucket,
            prefix,
            endpoint: endpoint?,
            region: region?,
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
        }),
    };
    Ok(BlobSettings { place, in_database: in_database?, writers: writers?, keep_orphans: keep_orphans? })
}

/// What is shown in the job itself has to be in its row.
pub(super) fn check_inline(root: &mut Section, blobs: &BlobSettings, jobs: &JobSettings) {
    if jobs.inline_result > blobs.in_database {
        let (inline, most) = (format_size(jobs.inline_result), format_size(blobs.in_database));
        root.problem("jobs.inline_result", format!("{inline} is more than `blobs.in_database` ({most})"));
    }
}
