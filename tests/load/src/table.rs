//! Tables for people, which are Markdown at the same time.

use std::time::Duration;

/// Rows of text under headings.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Without rows yet.
    pub fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|text| (*text).to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The whole, columns aligned, numbers to the right.
    pub fn render(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default().max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let numeric: Vec<bool> = (0..columns).map(|column| self.is_numeric(column)).collect();
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        for (index, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).zip(&numeric).map(|((cell, width), numeric)| {
                if *numeric { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            lines.push(format!("| {} |", cells.collect::<Vec<_>>().join(" | ")));
            if index == 0 {
                let rules = widths.iter().zip(&numeric).map(|(width, numeric)| {
                    let rule = "-".repeat(width - usize::from(*numeric));
                    if *numeric { format!("{rule}:") } else { rule }
                });
                lines.push(format!("| {} |", rules.collect::<Vec<_>>().join(" | ")));
            }
        }
        lines.join("\n")
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().skip(1).filter_map(|row| row.get(column)).peekable();
        let numeric =
            |cell: &String| cell.is_empty() || cell.starts_with(|c: char| c.is_ascii_digit());
        cells.peek().is_some() && cells.all(numeric)
    }
}

/// `12,345`.
#[allow(clippy::cast_possible_truncation, reason = "a rate of calls, or a count")]
pub fn thousands(value: f64) -> String {
    let digits = (value.round() as i64).to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1.234 ms`.
pub fn millis(value: Duration) -> String {
    format!("{:.2} ms", value.as_secs_f64() * 1e3)
}

/// `123`.
pub fn micros(value: f64) -> String {
    format!("{value:.0}")
}

/// `0.61`.
pub fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_is_markdown() {
        let mut table = Table::new(&["what", "rate"]);
        table.row(vec!["读".to_owned(), "1,000".to_owned()]);
        table.row(vec!["create".to_owned(), String::new()]);
        let expected =
            "| what   |  rate |\n| ------ | ----: |\n| 读      | 1,000 |\n| create |       |";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!((thousands(0.0), thousands(999.0)), ("0".to_owned(), "999".to_owned()));
        assert_eq!(millis(Duration::from_micros(1_234)), "1.23 ms");
    }
}
