//! What must hold for whatever comes from outside, as functions that panic when it does not. The fuzzer calls them with
//! bytes that nobody would think of; `docs/fuzzing.md` lists them. Built with the feature `laws` only.

#![expect(clippy::missing_panics_doc, reason = "to panic is what a law is for")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use crate::broker::Envelope;
use crate::config::{Flags, Secret, format_duration, format_size, load, parse_duration, parse_size, show, url};
use crate::domain::{
    CallbackHost, CallbackUrl, Cron, IdempotencyKey, JobId, KeyId, KeyText, KindName, SigningKey, Status, Timestamp,
    WebhookSecret, address_problem,
};

/// A message of a queue: prints as what was read, and what is refused says why.
pub fn envelope(bytes: &[u8]) {
    match Envelope::decode(bytes) {
        Ok(envelope) => {
            let printed = envelope.encode().unwrap_or_default();
            assert!(!envelope.0.jobs.is_empty());
            assert_eq!(Envelope::decode(&printed), Ok(envelope));
        }
        Err(error) => assert!(!error.0.is_empty()),
    }
}

/// A wake-up: prints as what was heard.
pub fn wakeup(bytes: &[u8]) {
    crate::broker::rabbitmq::wakeup_law(bytes);
}

/// Single values in text: durations, sizes, ids, names, keys, statuses print as what was read.
pub fn value(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(duration) = parse_duration(&text) {
        assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        assert!(duration.as_secs() <= 100 * 366 * 86_400);
    }
    if let Ok(size) = parse_size(&text) {
        assert_eq!(parse_size(&format_size(size)), Ok(size));
    }
    if let Ok(id) = text.parse::<JobId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.created_at() >= crate::domain::Timestamp::UNIX_EPOCH);
    }
    if let Ok(name) = text.parse::<KindName>() {
        assert_eq!(name.as_str(), text);
        assert!((1..=64).contains(&text.len()) && text.is_ascii());
    }
    if let Ok(key) = text.parse::<IdempotencyKey>() {
        assert!((1..=255).contains(&key.as_str().len()));
        assert_eq!(format!("\"{key}\"").parse(), Ok(key));
    }
    if let Ok(status) = text.parse::<Status>() {
        assert_eq!(status.as_str(), text);
    }
}

/// When a schedule runs: what is read prints as what reads the same, and its ticks go forward, on whole minutes, with none
/// between two of them; what is refused says why.
pub fn cron(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let cron = match text.parse::<Cron>() {
        Ok(cron) => cron,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(cron.to_string().parse(), Ok(cron.clone()));
    // A day before and a day after clocks change in much of the world, and the end of a year.
    for second in [1_774_659_661, 1_792_803_599, 1_798_761_599] {
        let Ok(mut after) = Timestamp::from_unix_timestamp(second) else { continue };
        let ticks: Vec<Timestamp> = cron.ticks_after(after).take(4).collect();
        assert_eq!(cron.next_after(after), ticks.first().copied());
        for tick in ticks {
            assert!(tick > after && tick.unix_timestamp() % 60 == 0 && tick.nanosecond() == 0, "{cron}: {tick}");
            let just_before = tick - std::time::Duration::from_secs(1);
            assert_eq!(cron.next_after(just_before), Some(tick), "{cron}: {after} to {tick}");
            assert_eq!(cron.local(tick), tick);
            after = tick;
        }
    }
}

/// URLs that a client names: what is taken has a host, no credentials and no fragment, and is the same when it is read again;
/// one that names an address which is not public is found to, whatever it looks like.
pub fn callback_url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let url = match text.parse::<CallbackUrl>() {
        Ok(url) => url,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(url.as_str().parse(), Ok(url.clone()), "{text}");
    assert!(url.as_str().starts_with(if url.is_plain() { "http://" } else { "https://" }));
    assert!(!url.as_str().contains('#') && !url.authority().contains('@') && url.port() != 0);
    assert!(url.as_str().is_ascii() && url.target().starts_with('/'));
    let on_public = |address| address_problem(address).is_none();
    match url.host() {
        CallbackHost::Address(std::net::IpAddr::V4(address)) => {
            let is_ours = address.is_private() || address.is_loopback() || address.is_link_local();
            assert!(!(is_ours || address.is_unspecified() || address.is_multicast()) || !on_public((*address).into()));
        }
        CallbackHost::Address(std::net::IpAddr::V6(address)) => {
            let inner = address.to_ipv4();
            assert!(
                !(address.is_loopback() || address.is_multicast() || inner.is_some()) || !on_public((*address).into())
            );
        }
        CallbackHost::Name(name) => {
            assert!(!name.is_empty() && !name.ends_with('.'), "{name}");
            // What a resolver takes for an address must not pass for a name.
            assert!(name.parse::<std::net::IpAddr>().is_err(), "{name}");
        }
    }
}

/// Keys: of those who call, and of webhooks. What is read prints as what was read, and none is shown by accident.
pub fn key(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(key) = text.parse::<KeyText>() {
        assert_eq!(key.expose(), text);
        assert_eq!(key.id().as_str().parse::<KeyId>().as_ref(), Ok(key.id()));
        assert_eq!(key.hash(), key.clone().hash());
        let secret = text.rsplit('_').next().unwrap_or_default();
        assert!(secret.len() >= 32 && !format!("{key:?}").contains(secret));
    }
    match text.parse::<KeyId>() {
        Ok(id) => assert_eq!(id.as_str(), text),
        Err(error) => assert!(error.0.chars().count() <= 80),
    }
    if let Ok(secret) = text.parse::<WebhookSecret>() {
        assert!((24..=64).contains(&secret.bytes().len()));
        assert_eq!(secret.reveal(), text, "one secret, one text");
        assert!(!format!("{secret:?}").contains(&secret.reveal()[6..]));
    }
    if let Ok(key) = text.parse::<SigningKey>() {
        assert_eq!(key.reveal().parse(), Ok(key.clone()));
        assert!(!format!("{key:?}").contains(&key.reveal()[5..]));
    }
}

/// What stands for a password below, so that it can be looked for.
const PASSWORD: &str = "xYzZy7";

/// URLs of settings: whatever is wrong with one is said, and never its password.
pub fn url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // `!` is where a password begins, if the fuzzer puts one in.
    let text = text.replacen('!', PASSWORD, 1);
    let hidden = |said: &str| {
        assert!(!said.is_empty());
        if is_password(&text) {
            assert!(!said.contains(PASSWORD), "{text} is shown as {said}");
        }
    };
    hidden(&format!("{}.", Secret::new(&*text)));
    match url::store(&text) {
        Ok(found) => hidden(&format!("{found:?}")),
        Err(problem) => hidden(&problem),
    }
    match url::broker(&text) {
        Ok(found) => hidden(&format!("{found:?}")),
        Err(problem) => hidden(&problem),
    }
    if let Err(problem) = url::upstream(&text) {
        hidden(&problem);
    }
    match url::public(&text) {
        // Shown in every link: so it must not hold one.
        Ok(base) => {
            assert!(!base.contains('@') && !base.ends_with('/'));
            assert_eq!(url::public(&base), Ok(base));
        }
        Err(problem) => hidden(&problem),
    }
}

/// Whether the word stands where a password does, and nowhere else: after `scheme://user:`, with an `@` behind it.
fn is_password(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let Some((user, behind)) = rest.split_once(PASSWORD) else { return false };
    let user = user.strip_suffix(':');
    !scheme.is_empty()
        && !behind.contains(PASSWORD)
        && user.is_some_and(|user| !user.contains([':', '/', '?', '#', '@']))
        && behind.contains('@')
        && scheme.bytes().all(|b| b.is_ascii_lowercase())
}

/// The whole configuration: a file, then variables after a line `---`. What is read prints as what reads the same; what is
/// refused names its key or its file, and says what is wrong. `file` is written anew each time.
pub fn config(bytes: &[u8], file: &Path) {
    let text = String::from_utf8_lossy(bytes);
    let (toml, variables) = text.split_once("\n---\n").unwrap_or((&text, ""));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let environment: BTreeMap<String, String> =
        variables.map(|(name, value)| (format!("RAINCHECK__{name}"), value.to_owned())).collect();
    let load_text = |text: &str, environment: &BTreeMap<String, String>| {
        let written = std::fs::File::create(file).and_then(|mut file| file.write_all(text.as_bytes()));
        written.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        load(&Flags { file: Some(file.to_owned()), ..Flags::default() }, environment)
    };
    match load_text(toml, &environment) {
        Ok(settings) => {
            let shown = show(&settings);
            match load_text(&shown, &BTreeMap::new()) {
                Ok(again) => assert_eq!(show(&again), shown),
                Err(errors) => panic!("{errors}\n{shown}"),
            }
        }
        Err(errors) => {
            assert!(!errors.0.is_empty());
            for problem in &errors.0 {
                assert!(!problem.problem.is_empty());
                assert!(!problem.key.is_empty() || problem.origin.is_some(), "{problem}");
            }
        }
    }
}
