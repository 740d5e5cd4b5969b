//! The five fields of cron, as sets of numbers.

use jiff::civil::Date;

use super::InvalidCron;

/// Which numbers a field names, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    bits: u64,
    /// It begins with `*`. Of the two fields about days, one that does restricts the other rather than adding to it.
    is_star: bool,
}

impl Field {
    fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| self.bits.checked_shr(number).is_some_and(|bits| bits & 1 == 1))
    }
}

/// What a field may say.
struct Rule {
    name: &'static str,
    least: u8,
    most: u8,
    /// Words for numbers, from `least` on.
    words: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const RULES: [Rule; 5] = [
    Rule { name: "minute", least: 0, most: 59, words: &[] },
    Rule { name: "hour", least: 0, most: 23, words: &[] },
    Rule { name: "day of the month", least: 1, most: 31, words: &[] },
    Rule { name: "month", least: 1, most: 12, words: &MONTHS },
    // 7 is Sunday once more.
    Rule { name: "day of the week", least: 0, most: 7, words: &WEEKDAYS },
];

const ALL_HOURS: u64 = (1 << 24) - 1;

/// All five.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

impl Fields {
    /// Reads five words, or one that stands for five.
    pub(super) fn parse(words: &[&str]) -> Result<Self, InvalidCron> {
        let nickname = match words {
            [one] => one.to_ascii_lowercase(),
            _ => String::new(),
        };
        let words = match (nickname.as_str(), words) {
            ("@hourly", _) => ["0", "*", "*", "*", "*"],
            ("@daily" | "@midnight", _) => ["0", "0", "*", "*", "*"],
            ("@weekly", _) => ["0", "0", "*", "*", "0"],
            ("@monthly", _) => ["0", "0", "1", "*", "*"],
            ("@yearly" | "@annually", _) => ["0", "0", "1", "1", "*"],
            (_, [minute, hour, day, month, weekday]) => [*minute, *hour, *day, *month, *weekday],
            _ => return Err(InvalidCron::Shape),
        };
        let read = |n: usize| {
            let rule = &RULES[n];
            rule.read(words[n]).map_err(|problem| InvalidCron::Field {
                field: rule.name,
                text: words[n].chars().take(80).collect(),
                problem,
            })
        };
        let mut fields =
            Self { minutes: read(0)?, hours: read(1)?, days: read(2)?, months: read(3)?, weekdays: read(4)? };
        fields.weekdays.bits = (fields.weekdays.bits | fields.weekdays.bits >> 7) & 0x7f;
        if fields.is_ever() { Ok(fields) } else { Err(InvalidCron::Never) }
    }

    /// Whether it runs in each hour, and so by hours that pass rather than by those that a clock shows.
    pub(super) fn is_every_hour(&self) -> bool {
        self.hours.bits == ALL_HOURS
    }

    pub(super) fn has_minute(&self, minute: i8) -> bool {
        self.minutes.has(minute)
    }

    pub(super) fn minutes(&self) -> impl Iterator<Item = i8> {
        let minutes = self.minutes;
        (0..60).filter(move |minute| minutes.has(*minute))
    }

    pub(super) fn hours(&self) -> impl Iterator<Item = i8> {
        let hours = self.hours;
        (0..24).filter(move |hour| hours.has(*hour))
    }

    /// Whether it runs on a day. As cron has it: if both fields about days name some, either is enough.
    pub(super) fn has_day(&self, date: Date) -> bool {
        if !self.months.has(date.month()) {
            return false;
        }
        let by_month = self.days.has(date.day());
        let by_week = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        if self.days.is_star || self.weekdays.is_star { by_month && by_week } else { by_month || by_week }
    }

    /// Whether there is any such day: in 28 years each date falls on each day of the week.
    fn is_ever(&self) -> bool {
        let first = jiff::civil::date(2000, 1, 1);
        first.series(jiff::Span::new().days(1)).take(28 * 366).any(|date| self.has_day(date))
    }
}

impl Rule {
    fn read(&self, text: &str) -> Result<Field, String> {
        let mut bits = 0;
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(self.step(step)?)),
                None => (item, None),
            };
            let (from, to) = self.range(range, step.is_some())?;
            for number in (from..=to).step_by(step.unwrap_or(1).into()) {
                bits |= 1 << number;
            }
        }
        Ok(Field { bits, is_star: text.starts_with('*') })
    }

    fn range(&self, text: &str, has_step: bool) -> Result<(u8, u8), String> {
        if text == "*" {
            // Seven would be Sunday a second time, with a step a day that nobody asked for.
            return Ok((self.least, if self.most == 7 { 6 } else { self.most }));
        }
        if let Some((from, to)) = text.split_once('-') {
            let (from, mut to) = (self.number(from)?, self.number(to)?);
            if self.most == 7 && to == 0 && from > 0 {
                to = 7;
            }
            if from > to {
                return Err(format!("{text:?} goes backwards; write {from}-{},{}-{to}", self.most, self.least));
            }
            return Ok((from, to));
        }
        let number = self.number(text)?;
        if has_step {
            return Err(format!("a step needs a range before it: write {number}-{} in place of {text:?}", self.most));
        }
        Ok((number, number))
    }

    fn step(&self, text: &str) -> Result<u8, String> {
        let step = digits(text).filter(|step| (1..=self.most).contains(step));
        step.ok_or_else(|| format!("a step is a whole number from 1 to {}", self.most))
    }

    fn number(&self, text: &str) -> Result<u8, String> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let word = word.and_then(|at| u8::try_from(at).ok()).map(|at| at + self.least);
        let number = word.or_else(|| digits(text)).filter(|number| (self.least..=self.most).contains(number));
        number.ok_or_else(|| {
            let words = match self.words {
                [first, .., last] => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            let (least, most) = (self.least, self.most);
            format!("each part must be `*`, {least} to {most}{words}, a range such as {least}-{most}, with `/` and a step if it likes")
        })
    }
}

/// A number of one or two digits and nothing else: `+5` is none.
fn digits(text: &str) -> Option<u8> {
    let plain = matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}
