//! A report as tables, before it becomes a page or a workbook: what both say is decided once.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use kefu_rpc::Language;

use crate::domain::{Policy, Text};

/// What turns codes and times into words.
#[derive(Debug)]
pub struct Names<'a> {
    /// In which language.
    pub language: Language,
    /// In which time zone.
    pub zone: &'a TimeZone,
    /// What org units are called, in English and in Chinese.
    pub titles: &'a HashMap<String, (String, String)>,
    /// What verdicts and violations are called.
    pub policy: Option<&'a Policy>,
}

/// A document of tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// `en` or `zh-CN`.
    pub lang: &'static str,
    /// Above all.
    pub title: String,
    /// What it is about, a label and a text each.
    pub about: Vec<(&'static str, String)>,
    /// When it was made, for the properties of the file.
    pub made: jiff::Timestamp,
    /// The tables, in order.
    pub sections: Vec<Section>,
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// At most 31 characters without `[]:*?/\`, unique: it is the name of a sheet.
    pub title: &'static str,
    /// How its figures are meant; may be empty.
    pub note: String,
    /// What stands above the columns.
    pub columns: Vec<&'static str>,
    /// As many cells as columns in each.
    pub rows: Vec<Vec<Cell>>,
    /// Whether it is a Pareto table: label, count, share, cumulative share.
    pub pareto: bool,
}

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Text of ours or of whoever.
    Text(String),
    /// A count.
    Count(i64),
    /// A difference of counts, with its sign.
    Change(i64),
    /// A share, 0 to 1; shown in percent.
    Share(f64),
    /// A difference of shares or a relative change, with its sign; shown in percent.
    ShareChange(f64),
    /// A mean.
    Mean(f64),
    /// Seconds; shown as hours and minutes.
    Time(f64),
    /// A difference of seconds, with its sign.
    TimeChange(f64),
    /// A difference of means, with its sign.
    MeanChange(f64),
    /// There is none.
    None,
}

impl Names<'_> {
    /// One of two texts of ours.
    #[must_use]
    pub fn words(&self, english: &'static str, chinese: &'static str) -> &'static str {
        match self.language {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }

    /// A text of the company's, in the other language where this one is missing.
    #[must_use]
    pub fn text(&self, text: &Text) -> String {
        self.either(&text.en, &text.zh)
    }

    /// What an org unit is called, with its path.
    #[must_use]
    pub fn org_unit(&self, path: &str) -> String {
        let title = self.titles.get(path).map(|(en, zh)| self.either(en, zh));
        match title.filter(|title| !title.is_empty()) {
            Some(title) => format!("{title} ({path})"),
            None => path.to_owned(),
        }
    }

    fn either(&self, english: &str, chinese: &str) -> String {
        let (first, second) = match self.language {
            Language::English => (english, chinese),
            Language::Chinese => (chinese, english),
        };
        if first.is_empty() { second.to_owned() } else { first.to_owned() }
    }
}

impl Cell {
    /// As people read it.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Change(change) => format!("{change:+}"),
            Self::Share(share) => format!("{:.1} %", share * 100.0),
            Self::ShareChange(share) => format!("{:+.1} %", share * 100.0),
            Self::Mean(mean) => format!("{mean:.2}"),
            Self::MeanChange(mean) => format!("{mean:+.2}"),
            Self::Time(seconds) => clock(*seconds),
            Self::TimeChange(seconds) => {
                let sign = if *seconds < 0.0 { '-' } else { '+' };
                format!("{sign}{}", clock(seconds.abs()))
            }
            Self::None => "–".to_owned(),
        }
    }

    /// Whether it stands to the left.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

/// Hours and minutes, e.g. `43:00`.
fn clock(seconds: f64) -> String {
    let minutes =
        std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs() / 60;
    format!("{}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t20_figures_are_shown_with_their_signs_and_units() {
        for (cell, shown) in [
            (Cell::Change(3), "+3"),
            (Cell::Change(-3), "-3"),
            (Cell::Share(0.905), "90.5 %"),
            (Cell::ShareChange(-0.25), "-25.0 %"),
            (Cell::Time(154_800.0), "43:00"),
            (Cell::Time(59.0), "0:00"),
            (Cell::TimeChange(-5_400.0), "-1:30"),
            (Cell::Mean(1.666), "1.67"),
            (Cell::None, "–"),
        ] {
            assert_eq!(cell.shown(), shown);
        }
    }
}
