//! What is shown is read back as the same, whatever was configured.

use super::runner::RUNNERS;
use super::tests::from_file;
use super::{Settings, show};

/// What every kind may have.
const OF_ANY_KIND: &str = "queue = \"q\"\ntimeout = \"1m\"\nmax_attempts = 2\nbackoff = \"1s\"\nmax_backoff = \"2s\"\n\
                           concurrent_jobs = 4\nconcurrent_per_key = 1\nrate = \"10/s\"\nrate_per_key = \"5/30s\"\n\
                           content_types = [\"application/json\"]\nschema = { type = \"object\" }\nretention = \"2d\"\n\
                           description = \"äöü\"";

/// What every schedule may have.
const OF_ANY_SCHEDULE: &str = "cron = \"Europe/Zurich 0 7 * * 1-5\"\nkind = \"echo\"\ntenant = \"acme\"\nqueue = \"q\"\n\
                               priority = 5\nstart_timeout = \"1h\"\nrun_timeout = \"10m\"\ninput_retention = \"1d\"\n\
                               result_retention = \"7d\"\nmax_attempts = 3\nconcurrency_key = \"nightly\"\n\
                               metadata = { \"a b\" = \"c\" }\ntags = [\"x\", \"y\"]";

/// The settings of this file, which are shown as what comes to the same.
fn shown_again(test: &str, toml: &str) -> (Settings, Settings) {
    let settings = from_file(test, toml).unwrap_or_else(|problems| panic!("{problems:?}\nin\n{toml}"));
    let page = show(&settings);
    let again = from_file(test, &page).unwrap_or_else(|problems| panic!("{problems:?}\nin\n{page}"));
    assert_eq!(show(&again), page);
    (settings, again)
}

#[test]
fn a_kind_is_read_back_whatever_runs_it() {
    let runners = [
        ("command", "command = [\"sh\", \"-c\", \"cat\\nand \\\\ more\"]\nconcurrency = 3"),
        (
            "command",
            "command = [\"wc\"]\ndirectory = \"/\"\noutput = \"out.png\"\noutput_type = \"image/png\"\n\
             memory = \"512MiB\"\nretry_exit_codes = [1, 75]",
        ),
        ("http", "http = \"http://127.0.0.1:9/x\"\nconcurrency = 3"),
        (
            "http",
            "http = \"https://127.0.0.1:9/x\"\nstatuses = { 409 = \"complete\", 5xx = \"fail\" }\n\
             completion = \"callback\"\nca_file = \"/etc/ca.pem\"\ndelete_on_cancel = true",
        ),
        ("handler", "handler = true\nconcurrency = 3"),
        ("remote", "remote = true"),
        ("builtin", "builtin = \"echo\""),
        ("builtin", "builtin = \"sleep\"\nconcurrency = 3"),
        ("builtin", "builtin = \"takeaway\""),
    ];
    for runner in RUNNERS {
        assert!(runners.iter().any(|(covered, _)| *covered == runner), "{runner} is not looked at");
    }
    for (runner, toml) in runners {
        for more in ["", OF_ANY_KIND] {
            let toml = format!("[http]\npublic_url = \"https://x\"\n[kinds.\"with.dot\"]\n{toml}\n{more}\n");
            let (settings, again) = shown_again("kind-again", &toml);
            assert_eq!(format!("{:?}", again.kinds), format!("{:?}", settings.kinds), "{runner}");
        }
    }
}

#[test]
fn a_schedule_is_read_back_whatever_it_says() {
    for toml in [
        "input = { report = \"sales\", all = [1, 2.5, true] }",
        "input_json = '{\"b\": 1.0, \"a\": null}'",
        "input = \"two\\nlines\"\ncontent_type = \"text/plain\"",
        "catch_up = \"skip\"",
        "catch_up = \"all\"",
        "catch_up = \"all\"\ncatch_up_most = 7",
        "webhook_url = \"https://hooks.example.com/x\"",
        "webhook_url = \"https://hooks.example.com/x\"\nwebhook_events = [\"job.failed\"]",
    ] {
        for usual in ["cron = \"0 7 * * *\"\nkind = \"echo\"", OF_ANY_SCHEDULE] {
            let (settings, again) = shown_again("schedule-again", &format!("[schedules.\"a.b\"]\n{usual}\n{toml}\n"));
            assert_eq!(format!("{:?}", again.schedules), format!("{:?}", settings.schedules), "{toml}");
        }
    }
}

#[test]
fn what_several_tenants_and_a_bucket_add_is_read_back() {
    let toml = "[quotas]\nqueued = 5\n[tenants.acme]\nsubmits_per_minute = 6\n[tenants.\"b.c\"]\nconcurrent_jobs = 1\n\
                [blobs]\nurl = \"s3://bucket/a\"\nregion = \"eu\"\nendpoint = \"http://host:8333\"\n";
    let (settings, again) = shown_again("rest-again", toml);
    assert_eq!(format!("{:?}{:?}", again.quotas, again.blobs), format!("{:?}{:?}", settings.quotas, settings.blobs));
}
