//! Columns of text, and how long ago something was.

use raincheck_shared::domain::Timestamp;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;

/// Somebody else's text, so that it cannot drive the terminal it is shown on.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Rows of cells, each column as wide as its widest cell. `paint`: what to make of a cell (row, column, padded text).
pub(super) fn table(rows: &[Vec<String>], paint: impl Fn(usize, usize, String) -> String) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |(number, row): (usize, &Vec<String>)| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            // The last one needs no padding, which would only wrap.
            let width = if column + 1 == row.len() { 0 } else { widths[column] };
            paint(number, column, format!("{cell:width$}"))
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().enumerate().map(line).collect()
}

/// `3 s`, `5 min`, `2 h`, `9 d`: how long before `now` an instant was. Empty for what is none.
pub(super) fn age(instant: &Value, now: Timestamp) -> String {
    let parsed = instant.as_str().and_then(|text| Timestamp::parse(text, &Rfc3339).ok());
    parsed.map(|at| seconds((now - at).as_seconds_f64().max(0.0))).unwrap_or_default()
}

/// A span in its largest whole unit.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// A list's values, as one cell.
pub(super) fn joined(list: &Value) -> String {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(plain).collect::<Vec<_>>().join(", ")
}

/// A text's value, as a cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [vec!["ID".to_owned(), "X".to_owned()], vec!["längst".to_owned(), "y".to_owned()]];
        assert_eq!(table(&rows, |_, _, text| text), ["ID      X", "längst  y"]);
    }
}
