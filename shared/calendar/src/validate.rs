//! From a draft to a calendar, collecting every fault on the way.

use std::{collections::BTreeMap, time::Duration};

use jiff::{
    civil,
    tz::{TimeZone, TimeZoneDatabase},
};

use crate::{
    BusinessTime, Calendar, CalendarDraft, Exception, ExceptionHours, Fault, Hours, Label,
    MAX_EXCEPTIONS, MAX_INTERVALS, MAX_LABEL_CHARS, Problem, WallTime,
    calendar::{Day, DayKind, OpenHours},
    micros,
};

/// The longest working day.
const LONGEST_WORKING_DAY: Duration = Duration::from_secs(24 * 3_600);
/// The years whose dates are accepted, with room for a zone's offset on either side.
const YEARS: std::ops::RangeInclusive<i16> = 1900..=9998;

pub(crate) fn calendar(draft: &CalendarDraft) -> Result<Calendar, Vec<Fault>> {
    let mut check = Check::default();
    let zone = check.time_zone(&draft.time_zone);
    let week = check.week(draft);
    let exceptions = check.exceptions(draft, &week);
    if draft.working_day < Duration::from_micros(1) || draft.working_day > LONGEST_WORKING_DAY {
        check.fault("working_day", Problem::WorkingDayLength);
    }
    if !check.faults.is_empty() {
        return Err(check.faults);
    }
    let working_day = BusinessTime::new(draft.working_day);
    Ok(Calendar { zone, week, exceptions, labels: check.labels, working_day })
}

#[derive(Default)]
struct Check {
    faults: Vec<Fault>,
    /// Each once, so that the days of one holiday share theirs and explain themselves as one.
    labels: Vec<Label>,
}

impl Check {
    fn fault(&mut self, path: impl Into<String>, problem: Problem) {
        self.faults.push(Fault { path: path.into(), problem });
    }

    fn time_zone(&mut self, name: &str) -> TimeZone {
        // The compiled-in database, not the machine's: replicas must agree.
        let zone = TimeZoneDatabase::bundled().get(name).ok();
        zone.filter(|zone| zone.iana_name().is_some()).unwrap_or_else(|| {
            self.fault("time_zone", Problem::UnknownTimeZone);
            TimeZone::UTC
        })
    }

    fn week(&mut self, draft: &CalendarDraft) -> [Day; 7] {
        let mut week = std::array::from_fn(|_| Day { kind: DayKind::DayOff, open: Box::default() });
        let mut seen: [Option<usize>; 7] = [None; 7];
        for (index, hours) in draft.week.iter().enumerate() {
            let path = format!("week[{index}]");
            let open = self.intervals(&path, &hours.intervals);
            match day_index(hours.day_of_week) {
                None => self.fault(format!("{path}.day_of_week"), Problem::NotADayOfWeek),
                Some(day) => match seen[day] {
                    Some(first) => {
                        let first = format!("week[{first}]");
                        self.fault(format!("{path}.day_of_week"), Problem::DayTwice { first });
                    }
                    None => {
                        seen[day] = Some(index);
                        if !open.is_empty() {
                            week[day] = Day { kind: DayKind::Ordinary, open };
                        }
                    }
                },
            }
        }
        if never_opens(draft) {
            self.fault("week", Problem::NeverOpens);
        }
        week
    }

    fn exceptions(&mut self, draft: &CalendarDraft, week: &[Day; 7]) -> Vec<(i64, Day)> {
        if draft.exceptions.len() > MAX_EXCEPTIONS {
            self.fault("exceptions", Problem::TooManyExceptions);
            return Vec::new();
        }
        let mut seen = BTreeMap::new();
        let mut days = BTreeMap::new();
        for (index, exception) in draft.exceptions.iter().enumerate() {
            let path = format!("exceptions[{index}]");
            let date = day_number(&exception.date);
            match date.map(|date| *seen.entry(date).or_insert(index)) {
                None => self.fault(format!("{path}.date"), Problem::NotADate),
                Some(first) if first != index => {
                    let first = format!("exceptions[{first}]");
                    self.fault(format!("{path}.date"), Problem::DateTwice { first });
                }
                Some(_) => {}
            }
            let label = self.label(&path, &exception.label);
            let open = self.exception_hours(&path, exception, draft, week);
            if let Some(date) = date {
                let kind = match week[week_index(date)].kind {
                    _ if open.is_empty() => DayKind::Holiday(label),
                    DayKind::DayOff => DayKind::MakeUp(label),
                    _ => DayKind::Special(label),
                };
                days.insert(date, Day { kind, open });
            }
        }
        days.into_iter().collect()
    }

    fn exception_hours(
        &mut self,
        path: &str,
        exception: &Exception,
        draft: &CalendarDraft,
        week: &[Day; 7],
    ) -> Box<[OpenHours]> {
        match &exception.hours {
            ExceptionHours::Closed => Box::default(),
            ExceptionHours::Open(hours) => {
                if hours.is_empty() {
                    self.fault(format!("{path}.intervals"), Problem::NoHours);
                }
                self.intervals(path, hours)
            }
            ExceptionHours::Like(day_of_week) => {
                let Some(day) = day_index(*day_of_week) else {
                    self.fault(format!("{path}.like"), Problem::NotADayOfWeek);
                    return Box::default();
                };
                // Asked of the draft: a day whose hours are faulty is not off.
                let open = draft
                    .week
                    .iter()
                    .any(|hours| hours.day_of_week == *day_of_week && !hours.intervals.is_empty());
                if !open {
                    self.fault(format!("{path}.like"), Problem::LikeADayOff);
                }
                week[day].open.clone()
            }
        }
    }

    /// The sound ones among a day's intervals, in order.
    fn intervals(&mut self, path: &str, hours: &[Hours]) -> Box<[OpenHours]> {
        if hours.len() > MAX_INTERVALS {
            self.fault(format!("{path}.intervals"), Problem::TooManyIntervals);
            return Box::default();
        }
        let mut sound: Vec<(usize, OpenHours)> = Vec::with_capacity(hours.len());
        for (index, hours) in hours.iter().enumerate() {
            let place = format!("{path}.intervals[{index}]");
            let Some(open) = self.interval(&place, hours) else { continue };
            let shares = |other: &OpenHours| open.from < other.to && other.from < open.to;
            if let Some((with, _)) = sound.iter().find(|(_, other)| shares(other)) {
                let with = format!("{path}.intervals[{with}]");
                self.fault(place, Problem::Overlaps { with });
            }
            sound.push((index, open));
        }
        sound.sort_by_key(|(_, open)| open.from);
        sound.into_iter().map(|(_, open)| open).collect()
    }

    fn interval(&mut self, path: &str, hours: &Hours) -> Option<OpenHours> {
        let mut read = |field: &str, text: &str| {
            text.parse::<WallTime>()
                .map_err(|problem| self.fault(format!("{path}.{field}"), problem))
                .ok()
        };
        let (open, close) = (read("open", &hours.open), read("close", &hours.close));
        let (open, close) = (open?, close?);
        if close <= open {
            self.fault(format!("{path}.close"), Problem::ClosesBeforeOpening { open });
            return None;
        }
        Some(OpenHours { from: open.micros(), to: close.micros() })
    }

    /// The place of a label, for which faults are found as well.
    fn label(&mut self, path: &str, label: &Label) -> u16 {
        if label.en.trim().is_empty() && label.zh.trim().is_empty() {
            self.fault(format!("{path}.label"), Problem::NoLabel);
        }
        for (field, text) in [("en", &label.en), ("zh", &label.zh)] {
            if text.chars().count() > MAX_LABEL_CHARS {
                self.fault(format!("{path}.label.{field}"), Problem::LabelTooLong);
            }
            if text.chars().any(char::is_control) {
                self.fault(format!("{path}.label.{field}"), Problem::ControlCharacter);
            }
        }
        let known = self.labels.iter().position(|known| known == label);
        let place = known.unwrap_or_else(|| {
            self.labels.push(label.clone());
            self.labels.len() - 1
        });
        // There are no more labels than exceptions, and fewer of those than a u16 can count.
        u16::try_from(place).unwrap_or(u16::MAX)
    }
}

fn never_opens(draft: &CalendarDraft) -> bool {
    let opens = |exception: &Exception| matches!(exception.hours, ExceptionHours::Open(_));
    draft.week.iter().all(|day| day.intervals.is_empty()) && !draft.exceptions.iter().any(opens)
}

/// 1 Monday … 7 Sunday to an index that starts with Monday.
fn day_index(day_of_week: i32) -> Option<usize> {
    (1..=7).contains(&day_of_week).then(|| usize::try_from(day_of_week - 1).ok())?
}

/// The index, starting with Monday, of the day with this number. Day zero was a Thursday.
pub(crate) fn week_index(day_number: i64) -> usize {
    usize::try_from((day_number + 3).rem_euclid(7)).unwrap_or(0)
}

/// Days since 1970-01-01.
fn day_number(date: &str) -> Option<i64> {
    // Only this one form: the library's parser takes several.
    let digits = |range: std::ops::Range<usize>| {
        let text = date.get(range)?;
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i16>().ok())?
    };
    if date.len() != 10 || date.get(4..5)? != "-" || date.get(7..8)? != "-" {
        return None;
    }
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let date = civil::Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()?;
    let midnight = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    YEARS.contains(&year).then(|| micros::of(midnight).div_euclid(micros::DAY))
}
