//! Figures: several runs of the same, their median and spread, and the aim they are held against.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Collects what the runs measured, and prints it as a table.
#[derive(Default)]
pub struct Figures {
    rows: BTreeMap<usize, Row>,
    order: Vec<String>,
}

struct Row {
    unit: &'static str,
    aim: String,
    values: Vec<f64>,
}

impl Figures {
    /// Notes one measurement of `what`. `aim`: what was hoped for, empty where there is only something to report.
    pub fn note(&mut self, what: &str, value: f64, unit: &'static str, aim: &str) {
        let at = self.order.iter().position(|known| known == what).unwrap_or_else(|| {
            self.order.push(what.to_owned());
            self.order.len() - 1
        });
        let row = self.rows.entry(at).or_insert_with(|| Row { unit, aim: aim.to_owned(), values: Vec::new() });
        row.values.push(value);
        eprintln!("    {what}: {} {unit}", shown(value));
    }

    /// As a Markdown table: median, least and most of all runs.
    pub fn table(&self) -> String {
        let mut text = String::from("| what | median | least – most | aim |\n|---|---|---|---|\n");
        for (at, row) in &self.rows {
            let mut values = row.values.clone();
            values.sort_by(f64::total_cmp);
            let (least, most) = (values[0], values[values.len() - 1]);
            let median = values[values.len() / 2];
            let _ = writeln!(
                text,
                "| {} | {} {} | {} – {} | {} |",
                self.order[*at],
                shown(median),
                row.unit,
                shown(least),
                shown(most),
                row.aim
            );
        }
        text
    }
}

/// As many digits as mean something.
fn shown(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The value below which that share of them lies.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a list that is there"
)]
pub fn percentile(waits: &[Duration], share: f64) -> Duration {
    let mut sorted = waits.to_vec();
    sorted.sort();
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// In milliseconds.
pub fn ms(wait: Duration) -> f64 {
    wait.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_the_median_and_the_spread() {
        let mut figures = Figures::default();
        for value in [300.0, 100.0, 200.0] {
            figures.note("accept", value, "/s", "≥ 150");
        }
        assert!(figures.table().ends_with("| accept | 200 /s | 100 – 300 | ≥ 150 |\n"), "{}", figures.table());
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let waits: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&waits, 0.5), Duration::from_millis(51));
        assert_eq!(percentile(&waits, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&waits, 1.0), Duration::from_millis(100));
    }
}
