//! The input of a job, from where the command line says.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::arguments::SubmitArgs;
use crate::failure::Failure;

const JSON: &str = "application/json";
/// The largest input that is read, in bytes: it is kept in memory, to be sent again if need be.
const LARGEST: u64 = 1 << 30;

/// An input, as a request can carry it.
#[derive(Debug)]
pub(super) enum Input {
    /// JSON as it was written.
    Json(Box<RawValue>),
    /// Anything, with its media type.
    Bytes {
        /// What it says it is.
        content_type: String,
        /// As they are.
        bytes: Bytes,
    },
}

/// Reads it.
pub(super) fn read(arguments: &SubmitArgs) -> Result<Input, Failure> {
    let (bytes, guessed, from) = match (&arguments.data, &arguments.file) {
        (Some(json), _) => (Bytes::from(json.clone()), JSON, "--data".to_owned()),
        (None, Some(path)) if path.as_os_str() == "-" => {
            (all_of(std::io::stdin().lock(), "stdin")?, JSON, "stdin".to_owned())
        }
        (None, Some(path)) => (file(path)?, by_ending(path), path.display().to_string()),
        (None, None) => (Bytes::from_static(b"null"), JSON, String::new()),
    };
    let content_type = arguments.content_type.as_deref().unwrap_or(guessed);
    if content_type != JSON {
        return Ok(Input::Bytes { content_type: content_type.to_owned(), bytes });
    }
    serde_json::from_slice::<Box<RawValue>>(&bytes).map(Input::Json).map_err(|error| {
        Failure::Usage(format!(
            "{from} is no JSON: {error}\n  another kind of input needs --content-type, such as text/plain"
        ))
    })
}

fn file(path: &Path) -> Result<Bytes, Failure> {
    let shown = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|error| Failure::Usage(format!("{shown} cannot be read: {error}")))?;
    all_of(file, &shown)
}

fn all_of(from: impl Read, name: &str) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::Usage(format!("{name} cannot be read: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::Usage(format!("{name} is larger than 1 GiB")));
    }
    Ok(bytes.into())
}

fn by_ending(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("json") => JSON,
        Some("txt" | "log" | "md") => "text/plain; charset=utf-8",
        Some("csv") => "text/csv",
        Some("html" | "htm") => "text/html",
        Some("xml") => "application/xml",
        Some("pdf") => "application/pdf",
        Some("zip") => "application/zip",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("svg") => "image/svg+xml",
        Some("mp4") => "video/mp4",
        _ => "application/octet-stream",
    }
}
