//! URLs of settings. What is wrong with one is said without showing its password.

use std::path::PathBuf;

use ::url::Url;

use super::Secret;

/// Where jobs are kept.
#[derive(Debug)]
pub(crate) enum StoreUrl {
    Sqlite(PathBuf),
    Postgres(Secret),
}

/// `sqlite:PATH` or `postgres://…`
pub(crate) fn store(text: &str) -> Result<StoreUrl, String> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        return sqlite(path.strip_prefix("//").unwrap_or(path));
    }
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(unknown(text, "\"sqlite:PATH\" or \"postgres://USER:PASSWORD@HOST:PORT/DATABASE\""));
    }
    let url = read(text)?;
    if url.path().trim_matches('/').is_empty() && !url.query_pairs().any(|(name, _)| name == "dbname") {
        return Err(format!("{} names no database: add /DATABASE", Secret::new(text)));
    }
    for (name, value) in url.query_pairs() {
        parameter(&name, &value)?;
    }
    Ok(StoreUrl::Postgres(Secret::new(text)))
}

/// What the client of PostgreSQL takes in a URL. It would ignore the rest, and show it in the log.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Looks at one parameter of the URL of a database. Its value may be a secret.
fn parameter(name: &str, value: &str) -> Result<(), String> {
    let is_known = PARAMETERS.contains(&name) || name.starts_with("options[") && name.ends_with(']');
    if !is_known {
        let (known, name) = (PARAMETERS.join(", "), name.chars().take(40).collect::<String>());
        return Err(format!("has a parameter {name:?} that is not known; there are: {known}, options[NAME]"));
    }
    if matches!(name, "sslmode" | "ssl-mode") && !SSL_MODES.contains(&value.to_ascii_lowercase().as_str()) {
        return Err(format!("has an {name} that is none of: {}", SSL_MODES.join(", ")));
    }
    Ok(())
}

fn sqlite(path: &str) -> Result<StoreUrl, String> {
    match path {
        "" => Err("names no file: write sqlite:PATH, such as \"sqlite:raincheck-data/raincheck.db\"".to_owned()),
        // An accepted job must survive the process.
        path if path.contains(":memory:") || path.contains('?') => {
            Err(format!("\"sqlite:{path}\" is not sqlite:PATH: a file on a disk, without options"))
        }
        path => Ok(StoreUrl::Sqlite(path.into())),
    }
}

/// Where blobs are.
#[derive(Debug)]
pub(crate) enum BlobUrl {
    Directory(PathBuf),
    S3 { bucket: String, prefix: String },
}

/// `directory:PATH` or `s3://BUCKET/PREFIX`
pub(crate) fn blobs(text: &str) -> Result<BlobUrl, String> {
    const ALLOWED: &str = "\"directory:PATH\" or \"s3://BUCKET/PREFIX\"";
    if let Some(path) = text.strip_prefix("directory:") {
        return match path {
            "" => Err("names no folder: write directory:PATH, such as \"directory:raincheck-data/blobs\"".to_owned()),
            path => Ok(BlobUrl::Directory(path.into())),
        };
    }
    let Some(rest) = text.strip_prefix("s3://") else { return Err(unknown(text, ALLOWED)) };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if bucket.is_empty() || !bucket.chars().all(plain) || !prefix.chars().all(|c| plain(c) || c == '/') {
        let hint = "letters, digits, '.', '-' and '_'; keys are `blobs.access_key_id` and `blobs.secret_access_key`";
        return Err(format!("{} is not s3://BUCKET/PREFIX: {hint}", Secret::new(text)));
    }
    Ok(BlobUrl::S3 { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
}

/// A server that speaks S3, `http://…` or `https://…`.
pub(crate) fn endpoint(text: &str) -> Result<String, String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(unknown(text, "\"https://HOST:PORT\" or \"http://…\""));
    }
    with_host(text)?;
    if text.contains('@') {
        return Err("holds a user: keys are `blobs.access_key_id` and `blobs.secret_access_key`".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// What the URL of a broker over TLS starts with.
pub(crate) const AMQPS: &str = "amqps://";

/// `in-process` (none), `amqp://…` or `amqps://…`
pub(crate) fn broker(text: &str) -> Result<Option<Secret>, String> {
    if text == "in-process" {
        return Ok(None);
    }
    if !text.starts_with("amqp://") && !text.starts_with(AMQPS) {
        return Err(unknown(text, "\"in-process\", \"amqp://USER:PASSWORD@HOST:PORT/VHOST\" or \"amqps://…\""));
    }
    with_host(text)?;
    Ok(Some(Secret::new(text)))
}

/// An upstream, `http://…` or `https://…`.
pub(crate) fn upstream(text: &str) -> Result<String, String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(unknown(text, "\"http://HOST:PORT/PATH\" or \"https://…\""));
    }
    with_host(text)?;
    Ok(text.to_owned())
}

/// What links start with, `http://…` or `https://…`, without a slash at the end.
pub(crate) fn public(text: &str) -> Result<String, String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(unknown(text, "\"https://HOST/PATH\" or \"http://…\""));
    }
    with_host(text)?;
    if text.contains(['?', '#', '@']) {
        return Err(format!("{} is not only a host and a path: links are made by adding to it", Secret::new(text)));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// An origin as browsers say it, `https://HOST` or with a port, or `*`.
pub(crate) fn origin(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let origin = public(text)?;
    let url = read(&origin)?;
    let exact = url.origin().ascii_serialization();
    if exact == text {
        Ok(exact)
    } else {
        Err(format!("{} is not an origin as browsers say it: write {exact:?}", Secret::new(text)))
    }
}

/// A name without a scheme and a port, in lower case, or `*`.
pub(crate) fn host(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text == "*" || !text.is_empty() && text.chars().all(plain) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("{} is not a name alone, such as \"jobs.internal\", or \"*\"", Secret::new(text)))
}

fn with_host(text: &str) -> Result<(), String> {
    match read(text)?.host_str() {
        Some(host) if !host.is_empty() => Ok(()),
        _ => Err(format!("{} names no host", Secret::new(text))),
    }
}

fn read(text: &str) -> Result<Url, String> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("a URL holds no spaces; write %20".to_owned());
    }
    Url::parse(text).map_err(|error| {
        let hint = "special characters in a user or password are written like %40 for @ and %2F for /";
        format!("{} is not a URL: {error}; {hint}", Secret::new(text))
    })
}

fn unknown(text: &str, allowed: &str) -> String {
    // Only what comes before `://` is safe to show of something that is not understood.
    match text.split_once("://") {
        Some((scheme, _)) => format!("{:?} is not a scheme known here; allowed: {allowed}", format!("{scheme}://")),
        None => format!("not a URL known here; allowed: {allowed}"),
    }
}
