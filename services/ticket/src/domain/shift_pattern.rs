//! Shifts that come again and again (班次安排), T-17: when they are, on the wall clock of the org unit, and who is on them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use kefu_calendar::Calendar;

use super::{
    policy_check::Faults,
    word::{Subject, Text},
};

/// The most people on one shift.
pub(crate) const MAX_MEMBERS: usize = 100;
const MAX_PATTERNS: usize = 50;
/// By the clock on the wall; with an hour or two more where the clocks go back it is still less than a day.
const LONGEST: SignedDuration = SignedDuration::from_hours(22);

/// A pattern, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShiftPattern {
    /// By which its shifts name it.
    pub code: String,
    /// What it is called.
    pub title: Text,
    /// Code of the team.
    pub team: String,
    /// When it begins.
    pub start: Time,
    /// When it ends, of the next day unless it is after `start`.
    pub end: Time,
    /// On which days it begins; empty means all.
    pub days: BTreeSet<i8>,
    /// Only on days with open hours.
    pub working_days_only: bool,
}

/// A pattern as it is written down.
#[derive(Clone, Debug)]
pub struct ShiftPatternDraft {
    /// `code`.
    pub code: String,
    /// `title`.
    pub title: Text,
    /// `team`.
    pub team: String,
    /// `start_time`.
    pub start: String,
    /// `end_time`.
    pub end: String,
    /// `days_of_week` by their numbers in ISO 8601; none is unknown.
    pub days: Vec<Option<i8>>,
    /// `working_days_only`.
    pub working_days_only: bool,
}

/// Every fault with its path below `learning.shifts.patterns`; `lead` is the time before the end at which a list is due.
pub(super) fn check(
    drafts: Vec<ShiftPatternDraft>,
    lead: Option<std::time::Duration>,
    faults: &mut Faults,
) -> Vec<ShiftPattern> {
    faults.at_most(drafts.len(), MAX_PATTERNS, "learning.shifts.patterns");
    let mut patterns = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("learning.shifts.patterns[{index}]");
        faults.name(&draft.code, format_args!("{path}.code"));
        faults.name(&draft.team, format_args!("{path}.team"));
        if draft.title == Text::default() {
            faults.add(
                format_args!("{path}.title"),
                ("must have a text in English or Chinese", "须有英文或中文内容"),
            );
        }
        let start = time(&draft.start, &format!("{path}.start_time"), faults);
        let end = time(&draft.end, &format!("{path}.end_time"), faults);
        let unknown = ("must be a day of the week", "须为一周中的某一天");
        let days = faults.set(draft.days, format_args!("{path}.days_of_week"), unknown);
        let Some((start, end)) = start.zip(end) else { continue };
        let length = length(start, end);
        let lead = lead.and_then(|lead| SignedDuration::try_from(lead).ok()).unwrap_or_default();
        if length > LONGEST || length <= lead {
            let description = (
                "must be later than start_time by at most 22 hours, and by more than list_before_end",
                "须晚于 start_time，最多相差 22 小时，且间隔须大于 list_before_end",
            );
            faults.add(format_args!("{path}.end_time"), description);
        }
        let pattern = ShiftPattern {
            code: draft.code.clone(),
            title: draft.title,
            team: draft.team,
            start,
            end,
            days,
            working_days_only: draft.working_days_only,
        };
        faults.unique(&mut patterns, draft.code, pattern, format_args!("{path}.code"));
    }
    patterns.into_values().collect()
}

/// `HH:MM`.
fn time(text: &str, path: &str, faults: &mut Faults) -> Option<Time> {
    let time = (text.len() == 5).then(|| Time::strptime("%H:%M", text).ok()).flatten();
    if time.is_none() {
        faults.add(path, ("must be a time of the day, HH:MM", "须为一天中的时刻，格式 HH:MM"));
    }
    time
}

/// By the clock on the wall.
fn length(start: Time, end: Time) -> SignedDuration {
    let length = start.duration_until(end);
    if length > SignedDuration::ZERO { length } else { length + SignedDuration::from_hours(24) }
}

/// A shift of a pattern: when it begins and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// When it begins.
    pub starts: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
}

/// The shifts of a pattern that have not ended at `now` and begin by `until`, in order. On the wall clock of the calendar, so
/// that one over the night when the clocks change is an hour longer or shorter.
#[must_use]
pub fn occurrences(
    pattern: &ShiftPattern,
    calendar: &Calendar,
    now: Timestamp,
    until: Timestamp,
) -> Vec<Occurrence> {
    let zone = calendar.time_zone();
    let date = |at: Timestamp| at.to_zoned(zone.clone()).date();
    // One that began yesterday may not have ended; time zones that leave out a day are covered by one more.
    let Ok(mut day) = date(now).checked_sub(2.days()) else { return Vec::new() };
    let last = date(until);
    let mut found = Vec::new();
    while day <= last {
        let occurrence = on(pattern, calendar, zone, day);
        found.extend(occurrence.filter(|shift| shift.ends > now && shift.starts <= until));
        let Ok(next) = day.tomorrow() else { break };
        day = next;
    }
    found
}

/// The shift of a pattern that begins on a day; none where there is none, also where the clocks leave nothing of it.
fn on(
    pattern: &ShiftPattern,
    calendar: &Calendar,
    zone: &TimeZone,
    day: Date,
) -> Option<Occurrence> {
    let weekday: Weekday = day.weekday();
    if !pattern.days.is_empty() && !pattern.days.contains(&weekday.to_monday_one_offset()) {
        return None;
    }
    let end = if pattern.end > pattern.start { day } else { day.tomorrow().ok()? };
    let at = |day: Date, time: Time| {
        Some(day.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp())
    };
    let midnight = |day: Date| Some(day.to_zoned(zone.clone()).ok()?.timestamp());
    if pattern.working_days_only {
        let open = calendar.consumed(midnight(day)?, midnight(day.tomorrow().ok()?)?);
        if open.amount().is_zero() {
            return None;
        }
    }
    let shift = Occurrence { starts: at(day, pattern.start)?, ends: at(end, pattern.end)? };
    (shift.starts < shift.ends).then_some(shift)
}

/// Somebody on the roster of a team, or of a team without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rostered {
    /// Who, or who stands in.
    pub staff: Subject,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
}

/// Who is on a shift, whoever leads it first: those on the roster for at least half of it, or else for any part of it; the one
/// longest on it first, of several the one who begins first, then by the subject.
#[must_use]
pub fn crew(shift: Occurrence, rostered: &[Rostered]) -> Vec<Subject> {
    let mut times: BTreeMap<&Subject, (SignedDuration, Timestamp)> = BTreeMap::new();
    for turn in rostered {
        let (from, to) = (turn.from.max(shift.starts), turn.to.min(shift.ends));
        let there = to.duration_since(from);
        if there > SignedDuration::ZERO {
            let entry = times.entry(&turn.staff).or_insert((SignedDuration::ZERO, from));
            *entry = (entry.0.saturating_add(there), entry.1.min(from));
        }
    }
    let whole = shift.ends.duration_since(shift.starts);
    let half = |there: SignedDuration| there.saturating_mul(2) >= whole;
    if times.values().any(|(there, _)| half(*there)) {
        times.retain(|_, (there, _)| half(*there));
    }
    let mut crew: Vec<_> = times.into_iter().collect();
    crew.sort_by(|(a, (longer, first)), (b, (other, second))| {
        other.cmp(longer).then(first.cmp(second)).then(a.cmp(b))
    });
    crew.truncate(MAX_MEMBERS);
    crew.into_iter().map(|(staff, _)| staff.clone()).collect()
}
