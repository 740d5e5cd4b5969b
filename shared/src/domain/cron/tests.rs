//! The times that are told are those that a person with a calendar and a clock would tell.

use proptest::prelude::*;
use time::format_description::well_known::Rfc3339;

use super::{Cron, InvalidCron};
use crate::domain::Timestamp;

fn cron(text: &str) -> Cron {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text, &Rfc3339).unwrap()
}

/// The ticks after an instant, as the clock of their zone shows them.
fn ticks(text: &str, after: &str, count: usize) -> Vec<String> {
    let cron = cron(text);
    cron.ticks_after(at(after)).take(count).map(|tick| cron.local(tick).format(&Rfc3339).unwrap()).collect()
}

#[test]
fn each_field_takes_numbers_ranges_steps_lists_and_names() {
    for (text, expected) in [
        ("30 4 1,15 * *", ["2026-01-01T04:30:00Z", "2026-01-15T04:30:00Z", "2026-02-01T04:30:00Z"]),
        ("*/20 9-10 * * *", ["2026-01-01T09:00:00Z", "2026-01-01T09:20:00Z", "2026-01-01T09:40:00Z"]),
        ("0 0 * feb-MAR/1 mon", ["2026-02-02T00:00:00Z", "2026-02-09T00:00:00Z", "2026-02-16T00:00:00Z"]),
        ("5 0 * 8 *", ["2026-08-01T00:05:00Z", "2026-08-02T00:05:00Z", "2026-08-03T00:05:00Z"]),
        ("0 22 * * 5-7", ["2026-01-02T22:00:00Z", "2026-01-03T22:00:00Z", "2026-01-04T22:00:00Z"]),
        ("0 22 * * FRI-SUN", ["2026-01-02T22:00:00Z", "2026-01-03T22:00:00Z", "2026-01-04T22:00:00Z"]),
        ("0 12 * * 0,7", ["2026-01-04T12:00:00Z", "2026-01-11T12:00:00Z", "2026-01-18T12:00:00Z"]),
        ("0 0 29 2 *", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z", "2036-02-29T00:00:00Z"]),
        ("@monthly", ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"]),
        ("UTC @hourly", ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"]),
    ] {
        assert_eq!(ticks(text, "2025-12-31T23:30:00Z", 3), expected, "{text}");
    }
}

#[test]
fn of_two_fields_about_days_either_is_enough_and_one_with_a_star_restricts() {
    // Friday the 13th is in March 2026, and every Friday and every 13th counts.
    assert_eq!(
        ticks("0 0 13 3 FRI", "2026-03-07T00:00:00Z", 3),
        ["2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z", "2026-03-27T00:00:00Z"]
    );
    // The first Monday of a month cannot be said so; every other day of the month that is a Monday can.
    assert_eq!(ticks("0 0 */2 3 MON", "2026-03-01T00:00:00Z", 2), ["2026-03-09T00:00:00Z", "2026-03-23T00:00:00Z"]);
}

#[test]
fn what_is_wrong_is_said_with_the_field_and_what_is_allowed() {
    for (text, said) in [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * * *", "five fields"),
        ("@reboot", "five fields"),
        ("Europe/Nowhere 0 7 * * *", "no time zone \"Europe/Nowhere\""),
        ("0 7 * * * *", "no time zone \"0\""),
        ("60 7 * * *", "the minute \"60\": each part must be `*`, 0 to 59"),
        ("0 24 * * *", "the hour \"24\": each part must be `*`, 0 to 23"),
        ("0 7 0 * *", "the day of the month \"0\": each part must be `*`, 1 to 31"),
        ("0 7 * 13 *", "the month \"13\": each part must be `*`, 1 to 12 or JAN to DEC"),
        ("0 7 * * 8", "the day of the week \"8\": each part must be `*`, 0 to 7 or SUN to SAT"),
        ("0 7 * * L", "the day of the week \"L\""),
        ("0 7 * * 1#2", "the day of the week"),
        ("0 7 ? * *", "the day of the month \"?\""),
        ("5/15 * * * *", "write 5-59 in place of \"5\""),
        ("*/0 * * * *", "a step is a whole number from 1 to 59"),
        ("50-10 * * * *", "\"50-10\" goes backwards; write 50-59,0-10"),
        ("1,,2 * * * *", "each part must be"),
        ("+5 * * * *", "each part must be"),
        ("0 0 31 2 *", "it would never run"),
        ("0 0 30 2,FEB *", "it would never run"),
    ] {
        let error = text.parse::<Cron>().unwrap_err().to_string();
        assert!(error.contains(said), "{text:?}: {error}");
    }
    assert_eq!(format!("{} *", "0,".repeat(300)).parse::<Cron>(), Err(InvalidCron::Shape));
}

#[test]
fn it_prints_as_what_was_read() {
    for (text, printed) in [
        ("  0  7 * *  1-5", "UTC 0 7 * * 1-5"),
        ("europe/zurich 0 7 * * 1-5", "Europe/Zurich 0 7 * * 1-5"),
        ("Asia/Kolkata @daily", "Asia/Kolkata @daily"),
    ] {
        assert_eq!(cron(text).to_string(), printed);
        assert_eq!(cron(printed), cron(text));
    }
}

#[test]
fn a_time_that_the_clock_skips_comes_right_after_the_gap_and_once() {
    // Zurich goes from 02:00 to 03:00.
    assert_eq!(
        ticks("Europe/Zurich 30 2 * * *", "2026-03-28T00:00:00Z", 3),
        ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    );
    assert_eq!(
        ticks("Europe/Zurich */15 2 * * *", "2026-03-28T01:45:00Z", 3),
        ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00", "2026-03-30T02:15:00+02:00"],
        "four as one"
    );
    assert_eq!(
        ticks("Europe/Zurich 30 2,3 * * *", "2026-03-29T00:00:00Z", 3),
        ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"]
    );
    assert_eq!(
        ticks("America/New_York 30 2 * * *", "2026-03-07T12:00:00Z", 2),
        ["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"]
    );
    // Lord Howe goes from 02:00 to 02:30.
    assert_eq!(
        ticks("Australia/Lord_Howe 15 2 * * *", "2026-10-02T22:00:00Z", 3),
        ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00", "2026-10-06T02:15:00+11:00"]
    );
    // Beirut goes from 00:00 to 01:00.
    assert_eq!(
        ticks("Asia/Beirut 0 0 * * *", "2026-03-28T12:00:00Z", 2),
        ["2026-03-29T01:00:00+03:00", "2026-03-30T00:00:00+03:00"]
    );
    // Samoa had no 30 December in 2011.
    assert_eq!(
        ticks("Pacific/Apia 0 7 * * *", "2011-12-29T16:00:00Z", 3),
        ["2011-12-29T07:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T07:00:00+14:00"]
    );
}

#[test]
fn a_time_that_the_clock_shows_twice_comes_the_first_time() {
    assert_eq!(
        ticks("Europe/Zurich 30 2 * * *", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    );
    // Asked between the two, and in the second.
    for after in ["2026-10-25T00:45:00Z", "2026-10-25T01:45:00Z"] {
        assert_eq!(ticks("Europe/Zurich 30 2 * * *", after, 1), ["2026-10-26T02:30:00+01:00"]);
    }
    assert_eq!(
        ticks("America/New_York */30 1 * * *", "2026-11-01T00:00:00Z", 3),
        ["2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-02T01:00:00-05:00"]
    );
    assert_eq!(
        ticks("Australia/Lord_Howe 45 1 * * *", "2026-04-04T00:00:00Z", 2),
        ["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"]
    );
    assert_eq!(
        ticks("Europe/Zurich 0 */2 * * *", "2026-10-24T22:30:00Z", 3),
        ["2026-10-25T02:00:00+02:00", "2026-10-25T04:00:00+01:00", "2026-10-25T06:00:00+01:00"],
        "some hours are hours by the clock"
    );
}

#[test]
fn a_cron_of_every_hour_goes_by_the_hours_that_pass() {
    let hourly = "Europe/Zurich 30 * * * *";
    assert_eq!(
        ticks(hourly, "2026-03-29T00:00:00Z", 3),
        ["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-29T04:30:00+02:00"]
    );
    assert_eq!(
        ticks(hourly, "2026-10-24T23:45:00Z", 4),
        [
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:30:00+01:00",
            "2026-10-25T04:30:00+01:00"
        ]
    );
    for (zone, first) in [("Europe/Zurich", "2026-10-24T00:00:00Z"), ("America/New_York", "2026-03-07T00:00:00Z")] {
        let cron = cron(&format!("{zone} 0 * * * *"));
        let all: Vec<Timestamp> = cron.ticks_after(at(first)).take(72).collect();
        assert!(all.windows(2).all(|two| two[1] - two[0] == time::Duration::HOUR), "{zone}");
    }
    // Half-hours: India's clock is never a whole hour from UTC, Lord Howe's changes by half of one.
    assert_eq!(ticks("Asia/Kolkata 0 * * * *", "2026-01-01T00:00:00Z", 1), ["2026-01-01T06:00:00+05:30"]);
    assert_eq!(
        ticks("Australia/Lord_Howe */30 * * * *", "2026-10-03T14:45:00Z", 3),
        ["2026-10-04T01:30:00+10:30", "2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"]
    );
    assert_eq!(
        ticks("Australia/Lord_Howe 45 * * * *", "2026-04-04T14:00:00Z", 3),
        ["2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30", "2026-04-05T02:45:00+10:30"]
    );
}

#[test]
fn a_rare_day_is_found_and_the_end_of_the_calendar_is_an_end() {
    assert_eq!(ticks("0 0 29 2 */7", "2026-01-01T00:00:00Z", 2), ["2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"]);
    assert_eq!(ticks("0 0 29 2 */7", "2088-03-01T00:00:00Z", 1), ["2128-02-29T00:00:00Z"], "2100 has none");
    assert!(cron("0 0 1 1 *").next_after(at("9999-06-01T00:00:00Z")).is_none());
}

/// One field at random, mostly a good one.
fn field(most: u8) -> impl Strategy<Value = String> {
    let number = 1..=most;
    prop_oneof![
        Just("*".to_owned()),
        number.clone().prop_map(|n| n.to_string()),
        (1..=6_u8).prop_map(|step| format!("*/{step}")),
        (number.clone(), number).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
    ]
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Zurich",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Pacific/Chatham",
];

proptest! {
    #[test]
    fn every_minute_that_the_clock_shows_is_a_tick_if_and_only_if_the_fields_say_so(
        minute in field(59), hour in field(23), day in field(28), weekday in field(6),
        zone in prop::sample::select(&ZONES[..]), start in 1_750_000_000_i64..1_900_000_000,
    ) {
        let cron = cron(&format!("{zone} {minute} {hour} {day} * {weekday}"));
        let after = Timestamp::from_unix_timestamp(start).unwrap();
        let Some(next) = cron.next_after(after) else { return Err(TestCaseError::fail("no next")) };
        prop_assert!(next > after && next.second() == 0);
        prop_assert_eq!(cron.next_after(next - time::Duration::SECOND), Some(next), "told again by who asks later");
        // Nothing was passed over: no minute before it fits, unless the clock shows it a second time.
        let single = cron.fields;
        let fits = |at: Timestamp| {
            let shown = cron.local(at);
            let date = jiff::civil::date(shown.year().try_into().unwrap(), u8::from(shown.month()).cast_signed(), shown.day().cast_signed());
            single.has_day(date) && single.has_minute(shown.minute().cast_signed())
                && single.hours().any(|hour| hour == shown.hour().cast_signed())
        };
        let before = |at: Timestamp| cron.local(at - time::Duration::HOUR).offset() != cron.local(at).offset();
        let first = start.div_euclid(60) * 60 + 60;
        for second in (first..next.unix_timestamp()).step_by(60).take(3_000) {
            let at = Timestamp::from_unix_timestamp(second).unwrap();
            prop_assert!(!fits(at) || (before(at) && !single.is_every_hour()), "{} was passed over", cron.local(at));
        }
        prop_assert!(fits(next) || before(next), "{} does not fit", cron.local(next));
    }

    #[test]
    fn ticks_rise(text in "[0-9*,/-]{1,8} [0-9*,/-]{1,8} [0-9*]{1,2} [0-9*]{1,2} [0-7*]", start in 0_i64..4_000_000_000) {
        if let Ok(cron) = text.parse::<Cron>() {
            let after = Timestamp::from_unix_timestamp(start).unwrap();
            let all: Vec<Timestamp> = cron.ticks_after(after).take(5).collect();
            prop_assert!(all.windows(2).all(|two| two[0] < two[1]) && all.first().is_none_or(|first| *first > after));
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _ = text.parse::<Cron>();
    }
}
