//! Which time a report is about, and what shares its counts make (T-20).
//!
//! A week is Monday to Monday on the wall clock of a time zone, so it has an hour more or less where the clocks change. An
//! earlier period begins, ends and is told as of the same weekdays and hours of the wall clock, so that half a week is
//! compared with half a week.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, ISOWeekDate, Weekday},
    tz::TimeZone,
};

/// A complaint about the same matter within a quarter of a year is taken for a repeat unless the policy says otherwise.
pub const DEFAULT_REPEAT_WINDOW_DAYS: u32 = 90;

/// Where one age of open tickets ends and the next begins, in days of 24 hours.
pub const AGE_BOUNDS_DAYS: [u64; 5] = [1, 3, 7, 14, 30];

/// "The year before" is so many weeks before: the same weekdays.
const WEEKS_A_YEAR: i64 = 52;

/// From when to when tickets were registered, and as of when it is told what had happened to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportWindow {
    /// From, inclusive.
    pub start: Timestamp,
    /// To, exclusive.
    pub end: Timestamp,
    /// As of when.
    pub as_of: Timestamp,
}

impl ReportWindow {
    /// The window that comes before: as many whole weeks earlier as cover it, for a week one. None before the beginning
    /// of time.
    #[must_use]
    pub fn before(&self, zone: &TimeZone) -> Option<Self> {
        let (start, end) = (self.start.to_zoned(zone.clone()), self.end.to_zoned(zone.clone()));
        let days = start.date().until(end.date()).ok()?.get_days();
        // What ends within a day takes all of it.
        let days = i64::from(days) + i64::from(end.start_of_day().ok()? != end);
        self.earlier((days + 6) / 7, zone)
    }

    /// The window a year before.
    #[must_use]
    pub fn year_before(&self, zone: &TimeZone) -> Option<Self> {
        self.earlier(WEEKS_A_YEAR, zone)
    }

    fn earlier(&self, weeks: i64, zone: &TimeZone) -> Option<Self> {
        let shift = |at: Timestamp| earlier(at, weeks.max(1), zone);
        let shifted =
            Self { start: shift(self.start)?, end: shift(self.end)?, as_of: shift(self.as_of)? };
        // A day that a time zone left out may leave nothing of a short period; and the API knows the years from 1 on.
        let told = shifted.start.to_zoned(TimeZone::UTC).year() >= 1;
        (told && shifted.start < shifted.end).then_some(shifted)
    }
}

/// The same weekday and hour, whole weeks before. The beginning of a day stays one, also where a day begins at one o'clock.
fn earlier(at: Timestamp, weeks: i64, zone: &TimeZone) -> Option<Timestamp> {
    let at = at.to_zoned(zone.clone());
    let span = weeks.checked_mul(7)?;
    let span = jiff::Span::new().try_days(span).ok()?;
    let begins = at.start_of_day().ok()? == at;
    let earlier = if begins {
        at.date().checked_sub(span).ok()?.to_zoned(zone.clone())
    } else {
        at.checked_sub(span)
    };
    Some(earlier.ok()?.timestamp())
}

/// From the Monday at or before `at` to the next one, by the wall clock of a time zone. None at the ends of time.
#[must_use]
pub fn week_of(at: Timestamp, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let today = at.to_zoned(zone.clone()).date();
    let days = i64::from(today.weekday().to_monday_zero_offset());
    week_from(today.checked_sub(days.days()).ok()?, zone)
}

/// An ISO 8601 week as it is written, e.g. `2026-W10`, by its Monday. None for anything else, also for a week 53 that its
/// year does not have.
#[must_use]
pub fn iso_week(text: &str) -> Option<Date> {
    let (year, week) = text.split_once("-W")?;
    let digits = |text: &str, len: usize| {
        (text.len() == len && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().ok())?
    };
    let year: i16 = digits(year, 4).filter(|year| *year >= 1)?;
    let week = i8::try_from(digits(week, 2)?).ok()?;
    Some(ISOWeekDate::new(year, week, Weekday::Monday).ok()?.date())
}

/// The week that begins on a Monday.
#[must_use]
pub fn week_from(monday: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let midnight = |date: Date| Some(date.to_zoned(zone.clone()).ok()?.timestamp());
    Some((midnight(monday)?, midnight(monday.checked_add(7.days()).ok()?)?))
}

/// The name of the ISO week that a period is; none if it is not exactly one.
#[must_use]
pub fn iso_week_of(start: Timestamp, end: Timestamp, zone: &TimeZone) -> Option<String> {
    if week_of(start, zone)? != (start, end) {
        return None;
    }
    let week = start.to_zoned(zone.clone()).date().iso_week_date();
    Some(format!("{:04}-W{:02}", week.year(), week.week()))
}

/// What an entry has of the whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Its share, 0 to 1.
    pub share: f64,
    /// That of it and those before it.
    pub cumulative: f64,
}

/// The shares of counts, largest first, in a total (帕累托).
pub fn pareto(counts: &[i64], total: i64) -> Vec<Share> {
    let mut sum = 0;
    let shares = counts.iter().map(|count| {
        sum += count;
        Share { share: ratio(*count, total), cumulative: ratio(sum, total) }
    });
    shares.collect()
}

/// A part of a whole; 0 of nothing. Counts of tickets are far below what a float tells apart.
#[allow(clippy::cast_precision_loss, reason = "counts of tickets are far below 2^52")]
pub fn ratio(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
